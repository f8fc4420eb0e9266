-- Whether a file is still used is looked up by its digest.
CREATE INDEX datasets_by_file ON datasets (file_sha256);
