-- The attributes that the schema of the policies declares for datasets and users, as a JSON object. Their types are
-- up to the schema in force, which changes without the database.
ALTER TABLE users ADD COLUMN attributes JSONB NOT NULL DEFAULT '{}'
    CHECK (jsonb_typeof(attributes) = 'object');
ALTER TABLE datasets ADD COLUMN attributes JSONB NOT NULL DEFAULT '{}'
    CHECK (jsonb_typeof(attributes) = 'object');
ALTER TABLE staged_datasets ADD COLUMN attributes JSONB NOT NULL DEFAULT '{}'
    CHECK (jsonb_typeof(attributes) = 'object');

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
    CASE WHEN staged.id IS NULL THEN datasets.attributes ELSE staged.attributes END AS attributes,
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
