-- The policies that came into force, one row a policy folder. Several servers that take over one edit write one row.
-- `manifest` names the folder's files, each with the SHA-256 of its text; NULL once its texts are not kept any more.
-- JSON is TEXT here: an id may have a NUL character, which JSONB refuses.
CREATE TABLE policy_revisions (
    number BIGINT NOT NULL PRIMARY KEY,
    folder_revision TEXT NOT NULL,
    folder_before TEXT,
    revision TEXT NOT NULL,
    unix_millis BIGINT NOT NULL,
    origin TEXT NOT NULL,
    user_id UUID,
    summary TEXT NOT NULL,
    changes TEXT NOT NULL,
    manifest TEXT
);
CREATE INDEX policy_revisions_by_folder ON policy_revisions (folder_revision, number);

-- Most files stay the same from one revision to the next: each text is stored once.
CREATE TABLE policy_texts (
    sha256 TEXT NOT NULL PRIMARY KEY CHECK (length(sha256) = 64),
    text BYTEA NOT NULL
);
