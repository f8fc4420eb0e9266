-- The user that was administered (resource_user_id) is new; a record outlives it: no foreign key.
-- The words of action are left to the program, as those of event are: they have grown. SQLite changes a
-- CHECK only by copying the whole table.
CREATE TABLE audit_records_anew (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    unix_millis INTEGER NOT NULL,
    event TEXT NOT NULL,
    outcome TEXT NOT NULL CHECK (outcome IN ('granted', 'denied', 'refused')),
    user_id BLOB,
    authentication TEXT NOT NULL,
    key_id BLOB,
    address TEXT NOT NULL,
    dataset_id BLOB,
    resource_user_id BLOB,
    action TEXT,
    determining_policies TEXT NOT NULL,
    errors TEXT NOT NULL,
    revision TEXT,
    jti BLOB,
    reason TEXT,
    request_id TEXT
) STRICT, WITHOUT ROWID;
INSERT INTO audit_records_anew (id, unix_millis, event, outcome, user_id, authentication, key_id, address,
        dataset_id, action, determining_policies, errors, revision, jti, reason, request_id)
    SELECT id, unix_millis, event, outcome, user_id, authentication, key_id, address,
        dataset_id, action, determining_policies, errors, revision, jti, reason, request_id
    FROM audit_records;
DROP TABLE audit_records;
ALTER TABLE audit_records_anew RENAME TO audit_records;
