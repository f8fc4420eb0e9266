-- Which users and datasets the operator made, with a catalog file or at the command line. A catalog file
-- gives roles, passwords and datasets to those alone, unless the operator adopts others. What exists already
-- may have been made by anybody.
ALTER TABLE users ADD COLUMN is_from_operator BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE datasets ADD COLUMN is_from_operator BOOLEAN NOT NULL DEFAULT FALSE;

-- A removed user or role is gone at once; what refers to it is deleted in small batches, and its row last.
ALTER TABLE users ADD COLUMN is_removed BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE roles ADD COLUMN is_removed BOOLEAN NOT NULL DEFAULT FALSE;
CREATE INDEX users_removed ON users (id) WHERE is_removed;
CREATE INDEX roles_removed ON roles (name) WHERE is_removed;

-- A large change of datasets is staged in small transactions, committed by one row, and then moved to the
-- datasets in small transactions. Only one process applies at a time: `lease` says which, and `beat` grows for
-- as long as it lives. What is staged counts once `is_committed`.
CREATE TABLE catalog_apply (
    only_row BIGINT NOT NULL PRIMARY KEY CHECK (only_row = 1),
    lease UUID,
    beat BIGINT NOT NULL,
    is_committed BOOLEAN NOT NULL
);
INSERT INTO catalog_apply (only_row, lease, beat, is_committed) VALUES (1, NULL, 0, FALSE);

-- A dataset that only a staged change has yet.
ALTER TABLE datasets ADD COLUMN is_absent BOOLEAN NOT NULL DEFAULT FALSE;
CREATE INDEX datasets_absent ON datasets (id) WHERE is_absent;

-- Owner and readers may be users and roles that the same change creates: no foreign keys.
CREATE TABLE staged_datasets (
    id UUID NOT NULL PRIMARY KEY REFERENCES datasets (id) ON DELETE CASCADE,
    is_removed BOOLEAN NOT NULL,
    title TEXT NOT NULL,
    visibility TEXT NOT NULL
        CHECK (visibility IN ('public', 'internal', 'restricted', 'private')),
    record_status TEXT NOT NULL CHECK (record_status IN ('published', 'draft')),
    owner UUID,
    tags JSONB NOT NULL CHECK (jsonb_typeof(tags) = 'object'),
    file_sha256 TEXT CHECK (length(file_sha256) = 64),
    file_name TEXT,
    file_size BIGINT CHECK (file_size >= 0),
    file_modified BIGINT,
    reader_users JSONB NOT NULL CHECK (jsonb_typeof(reader_users) = 'array'),
    reader_roles JSONB NOT NULL CHECK (jsonb_typeof(reader_roles) = 'array')
);

CREATE VIEW staged_reader_users AS
SELECT staged_datasets.id AS dataset_id, users.id AS user_id
FROM staged_datasets CROSS JOIN jsonb_array_elements_text(staged_datasets.reader_users) AS reader (value)
JOIN users ON users.id = CAST(reader.value AS UUID)
WHERE NOT users.is_removed;

CREATE VIEW staged_reader_roles AS
SELECT staged_datasets.id AS dataset_id, roles.name AS role_name
FROM staged_datasets CROSS JOIN jsonb_array_elements_text(staged_datasets.reader_roles) AS reader (value)
JOIN roles ON roles.name = reader.value
WHERE NOT roles.is_removed;

DROP VIEW datasets_with_names;
DROP VIEW datasets_with_readers;
DROP VIEW users_with_roles;

CREATE VIEW users_with_roles AS
SELECT users.*,
    COALESCE((SELECT jsonb_agg(role_name) FROM user_roles WHERE user_id = users.id
        AND role_name NOT IN (SELECT name FROM roles WHERE is_removed)), '[]') AS roles
FROM users
WHERE NOT is_removed;

CREATE VIEW datasets_with_readers AS
SELECT datasets.id,
    CASE WHEN staged.id IS NULL THEN datasets.title ELSE staged.title END AS title,
    CASE WHEN staged.id IS NULL THEN datasets.visibility ELSE staged.visibility END AS visibility,
    CASE WHEN staged.id IS NULL THEN datasets.record_status ELSE staged.record_status END AS record_status,
    (SELECT users.id FROM users WHERE NOT users.is_removed
        AND users.id = CASE WHEN staged.id IS NULL THEN datasets.owner ELSE staged.owner END) AS owner,
    CASE WHEN staged.id IS NULL THEN datasets.tags ELSE staged.tags END AS tags,
    CASE WHEN staged.id IS NULL THEN datasets.file_sha256 ELSE staged.file_sha256 END AS file_sha256,
    CASE WHEN staged.id IS NULL THEN datasets.file_name ELSE staged.file_name END AS file_name,
    CASE WHEN staged.id IS NULL THEN datasets.file_size ELSE staged.file_size END AS file_size,
    CASE WHEN staged.id IS NULL THEN datasets.file_modified ELSE staged.file_modified END AS file_modified,
    CASE WHEN staged.id IS NULL THEN datasets.is_from_operator ELSE TRUE END AS is_from_operator,
    COALESCE(CASE WHEN staged.id IS NULL
        THEN (SELECT jsonb_agg(user_id) FROM dataset_reader_users
            WHERE dataset_id = datasets.id AND user_id NOT IN (SELECT id FROM users WHERE is_removed))
        ELSE (SELECT jsonb_agg(user_id) FROM staged_reader_users
            WHERE dataset_id = datasets.id) END, '[]') AS reader_users,
    COALESCE(CASE WHEN staged.id IS NULL
        THEN (SELECT jsonb_agg(role_name) FROM dataset_reader_roles
            WHERE dataset_id = datasets.id AND role_name NOT IN (SELECT name FROM roles WHERE is_removed))
        ELSE (SELECT jsonb_agg(role_name) FROM staged_reader_roles
            WHERE dataset_id = datasets.id) END, '[]') AS reader_roles
FROM datasets LEFT JOIN staged_datasets AS staged
    ON staged.id = datasets.id AND (SELECT is_committed FROM catalog_apply)
WHERE CASE WHEN staged.id IS NULL THEN NOT datasets.is_absent ELSE NOT staged.is_removed END;

CREATE VIEW datasets_with_names AS
SELECT datasets_with_readers.*,
    (SELECT username FROM users WHERE users.id = datasets_with_readers.owner) AS owner_name,
    COALESCE(CASE WHEN EXISTS (SELECT 1 FROM staged_datasets
            WHERE staged_datasets.id = datasets_with_readers.id AND (SELECT is_committed FROM catalog_apply))
        THEN (SELECT jsonb_object_agg(users.username, users.id)
            FROM staged_reader_users JOIN users ON users.id = staged_reader_users.user_id
            WHERE staged_reader_users.dataset_id = datasets_with_readers.id)
        ELSE (SELECT jsonb_object_agg(users.username, users.id)
            FROM dataset_reader_users JOIN users ON users.id = dataset_reader_users.user_id
            WHERE dataset_reader_users.dataset_id = datasets_with_readers.id
                AND NOT users.is_removed) END, '{}') AS reader_names
FROM datasets_with_readers;
