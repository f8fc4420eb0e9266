-- Identifiers are UUIDs, times are Unix timestamps, lists and tags are JSONB.

CREATE TABLE catalog_version (
    only_row BIGINT NOT NULL PRIMARY KEY CHECK (only_row = 1),
    version BIGINT NOT NULL
);
INSERT INTO catalog_version (only_row, version) VALUES (1, 0);

CREATE TABLE roles (
    name TEXT NOT NULL PRIMARY KEY CHECK (length(name) BETWEEN 1 AND 64)
);
INSERT INTO roles (name) VALUES ('admin');

CREATE TABLE users (
    id UUID NOT NULL PRIMARY KEY,
    username TEXT NOT NULL UNIQUE CHECK (length(username) BETWEEN 1 AND 64),
    issuer TEXT,
    claims JSONB NOT NULL CHECK (jsonb_typeof(claims) = 'object'),
    is_disabled BOOLEAN NOT NULL,
    password_hash TEXT
);

CREATE TABLE user_roles (
    user_id UUID NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    role_name TEXT NOT NULL REFERENCES roles (name) ON DELETE CASCADE,
    PRIMARY KEY (user_id, role_name)
);
CREATE INDEX user_roles_by_role ON user_roles (role_name);

CREATE TABLE datasets (
    id UUID NOT NULL PRIMARY KEY,
    title TEXT NOT NULL,
    visibility TEXT NOT NULL
        CHECK (visibility IN ('public', 'internal', 'restricted', 'private')),
    record_status TEXT NOT NULL CHECK (record_status IN ('published', 'draft')),
    owner UUID REFERENCES users (id) ON DELETE SET NULL,
    tags JSONB NOT NULL CHECK (jsonb_typeof(tags) = 'object'),
    file_sha256 TEXT CHECK (length(file_sha256) = 64),
    file_name TEXT,
    file_size BIGINT CHECK (file_size >= 0),
    file_modified BIGINT,
    CHECK ((file_sha256 IS NULL) = (file_name IS NULL)
        AND (file_sha256 IS NULL) = (file_size IS NULL)
        AND (file_sha256 IS NULL) = (file_modified IS NULL))
);
CREATE INDEX datasets_by_owner ON datasets (owner);

CREATE TABLE dataset_reader_users (
    dataset_id UUID NOT NULL REFERENCES datasets (id) ON DELETE CASCADE,
    user_id UUID NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    PRIMARY KEY (dataset_id, user_id)
);
CREATE INDEX dataset_reader_users_by_user ON dataset_reader_users (user_id);

CREATE TABLE dataset_reader_roles (
    dataset_id UUID NOT NULL REFERENCES datasets (id) ON DELETE CASCADE,
    role_name TEXT NOT NULL REFERENCES roles (name) ON DELETE CASCADE,
    PRIMARY KEY (dataset_id, role_name)
);
CREATE INDEX dataset_reader_roles_by_role ON dataset_reader_roles (role_name);

-- One row with everything, so that one statement reads one consistent user or dataset.
CREATE VIEW users_with_roles AS
SELECT users.*,
    COALESCE(
        (SELECT jsonb_agg(role_name) FROM user_roles WHERE user_id = users.id), '[]') AS roles
FROM users;

CREATE VIEW datasets_with_readers AS
SELECT datasets.*,
    COALESCE((SELECT jsonb_agg(user_id) FROM dataset_reader_users
        WHERE dataset_id = datasets.id), '[]') AS reader_users,
    COALESCE((SELECT jsonb_agg(role_name) FROM dataset_reader_roles
        WHERE dataset_id = datasets.id), '[]') AS reader_roles
FROM datasets;

CREATE TABLE signing_keys (
    kid TEXT NOT NULL PRIMARY KEY,
    state TEXT NOT NULL CHECK (state IN ('next', 'current', 'previous', 'retired')),
    sealed TEXT NOT NULL,
    created_at BIGINT NOT NULL
);
-- Only one key signs: this also decides the race of two replicas that both find no key.
CREATE UNIQUE INDEX signing_keys_one_current ON signing_keys (state) WHERE state = 'current';

-- A record outlives the user and the dataset it names: no foreign keys.
-- The words of event and authentication are left to the program: they will grow, and SQLite changes
-- a CHECK only by copying the whole table.
CREATE TABLE audit_records (
    id UUID NOT NULL PRIMARY KEY,
    unix_millis BIGINT NOT NULL,
    event TEXT NOT NULL,
    outcome TEXT NOT NULL CHECK (outcome IN ('granted', 'denied', 'refused')),
    user_id UUID,
    authentication TEXT NOT NULL,
    address TEXT NOT NULL,
    dataset_id UUID,
    action TEXT CHECK (action IN ('read', 'discover', 'administer')),
    determining_policies JSONB NOT NULL,
    errors JSONB NOT NULL,
    revision TEXT,
    jti UUID,
    reason TEXT,
    request_id TEXT
);
