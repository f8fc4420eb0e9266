-- A dataset as it is administered: with the names of its owner and of the users it is shared with, in one
-- row, so that one statement reads what belongs together.
CREATE VIEW datasets_with_names AS
SELECT datasets_with_readers.*,
    (SELECT username FROM users WHERE users.id = datasets_with_readers.owner) AS owner_name,
    COALESCE((SELECT jsonb_object_agg(users.username, users.id)
        FROM dataset_reader_users JOIN users ON users.id = dataset_reader_users.user_id
        WHERE dataset_reader_users.dataset_id = datasets_with_readers.id), '{}') AS reader_names
FROM datasets_with_readers;
