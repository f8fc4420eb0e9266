-- Where the file of a dataset is, if it is not in the file store: an object of a store that the settings name, by
-- its key, or a URL. At most one of the three places has a file.
ALTER TABLE datasets ADD COLUMN file_store TEXT;
ALTER TABLE datasets ADD COLUMN file_key TEXT
    CHECK ((file_key IS NULL) = (file_store IS NULL) AND (file_key IS NULL OR file_sha256 IS NULL));
ALTER TABLE datasets ADD COLUMN file_url TEXT
    CHECK (file_url IS NULL OR (file_sha256 IS NULL AND file_key IS NULL));
ALTER TABLE staged_datasets ADD COLUMN file_store TEXT;
ALTER TABLE staged_datasets ADD COLUMN file_key TEXT
    CHECK ((file_key IS NULL) = (file_store IS NULL) AND (file_key IS NULL OR file_sha256 IS NULL));
ALTER TABLE staged_datasets ADD COLUMN file_url TEXT
    CHECK (file_url IS NULL OR (file_sha256 IS NULL AND file_key IS NULL));

-- Beside the views of datasets, which have one row for each visible dataset.
DROP VIEW dataset_share_ends;
CREATE VIEW dataset_details AS
SELECT datasets.id AS dataset_id,
    CASE WHEN staged.id IS NULL THEN datasets.share_ends ELSE staged.share_ends END AS share_ends,
    CASE WHEN staged.id IS NULL THEN datasets.file_store ELSE staged.file_store END AS file_store,
    CASE WHEN staged.id IS NULL THEN datasets.file_key ELSE staged.file_key END AS file_key,
    CASE WHEN staged.id IS NULL THEN datasets.file_url ELSE staged.file_url END AS file_url
FROM datasets LEFT JOIN staged_datasets AS staged
    ON staged.id = datasets.id AND (SELECT is_committed FROM catalog_apply);
