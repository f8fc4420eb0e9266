-- The digest is the SHA-256 of the key's whole text; actions and datasets are its limits, or null.
CREATE TABLE api_keys (
    id UUID NOT NULL PRIMARY KEY,
    user_id UUID NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    name TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
    prefix TEXT NOT NULL UNIQUE CHECK (length(prefix) = 10),
    digest BYTEA NOT NULL CHECK (length(digest) = 32),
    actions JSONB CHECK (jsonb_typeof(actions) = 'array'),
    datasets JSONB CHECK (jsonb_typeof(datasets) = 'array'),
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    last_used BIGINT
);
CREATE INDEX api_keys_by_user ON api_keys (user_id, id);

-- The key that the caller showed; a record outlives it: no foreign key.
ALTER TABLE audit_records ADD COLUMN key_id UUID;
