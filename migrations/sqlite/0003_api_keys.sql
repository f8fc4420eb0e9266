-- The digest is the SHA-256 of the key's whole text; actions and datasets are its limits, or null.
CREATE TABLE api_keys (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    user_id BLOB NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    name TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
    prefix TEXT NOT NULL UNIQUE CHECK (length(prefix) = 10),
    digest BLOB NOT NULL CHECK (length(digest) = 32),
    actions TEXT CHECK (json_type(actions) = 'array'),
    datasets TEXT CHECK (json_type(datasets) = 'array'),
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    last_used INTEGER
) STRICT;
CREATE INDEX api_keys_by_user ON api_keys (user_id, id);

-- The key that the caller showed; a record outlives it: no foreign key.
ALTER TABLE audit_records ADD COLUMN key_id BLOB;
