-- How many requests a record stands for and how many bytes were sent for them: a download of many spans
-- is one record, and so is a failed login that is tried again and again.
ALTER TABLE audit_records ADD COLUMN requests INTEGER CHECK (requests >= 0);
ALTER TABLE audit_records ADD COLUMN bytes INTEGER CHECK (bytes >= 0);
-- The user name that a login tried.
ALTER TABLE audit_records ADD COLUMN username TEXT;
-- The request id that the client sent; request_id is our own, or that of a trusted proxy.
ALTER TABLE audit_records ADD COLUMN client_request_id TEXT;

-- A search walks one index, in the order of ids. Every record pays for the indexes of its user, dataset and
-- request only: what nearly all records have (mint, download, granted, read) is in no other index, because
-- records with it are met at every step.
DROP INDEX audit_records_by_event;
CREATE INDEX audit_records_by_event ON audit_records (event, id) WHERE event <> 'mint' AND event <> 'download';
CREATE INDEX audit_records_by_user_and_event ON audit_records (user_id, event, id)
    WHERE user_id IS NOT NULL AND event <> 'mint' AND event <> 'download';
CREATE INDEX audit_records_by_user_and_outcome ON audit_records (user_id, outcome, id)
    WHERE user_id IS NOT NULL AND outcome <> 'granted';
CREATE INDEX audit_records_by_dataset_and_event ON audit_records (dataset_id, event, id)
    WHERE dataset_id IS NOT NULL AND event <> 'mint' AND event <> 'download';
CREATE INDEX audit_records_by_dataset_and_outcome ON audit_records (dataset_id, outcome, id)
    WHERE dataset_id IS NOT NULL AND outcome <> 'granted';
CREATE INDEX audit_records_by_username ON audit_records (username, id) WHERE username IS NOT NULL;
CREATE INDEX audit_records_by_request ON audit_records (request_id, id) WHERE request_id IS NOT NULL;
CREATE INDEX audit_records_by_client_request ON audit_records (client_request_id, id)
    WHERE client_request_id IS NOT NULL;
