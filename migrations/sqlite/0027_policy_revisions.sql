-- The policies that came into force, one row a policy folder. Several servers that take over one edit write one row.
-- `manifest` names the folder's files, each with the SHA-256 of its text; NULL once its texts are not kept any more.
CREATE TABLE policy_revisions (
    number INTEGER NOT NULL PRIMARY KEY,
    folder_revision TEXT NOT NULL,
    folder_before TEXT,
    revision TEXT NOT NULL,
    unix_millis INTEGER NOT NULL,
    origin TEXT NOT NULL,
    user_id BLOB CHECK (length(user_id) = 16),
    summary TEXT NOT NULL,
    changes TEXT NOT NULL CHECK (json_type(changes) = 'object'),
    manifest TEXT CHECK (json_type(manifest) = 'object')
) STRICT;
CREATE INDEX policy_revisions_by_folder ON policy_revisions (folder_revision, number);

-- Most files stay the same from one revision to the next: each text is stored once.
CREATE TABLE policy_texts (
    sha256 TEXT NOT NULL PRIMARY KEY CHECK (length(sha256) = 64),
    text BLOB NOT NULL
) STRICT;
