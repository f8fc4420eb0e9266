-- What other services ask (AuthZEN): the subject, the action and the resource of a question or a search.
ALTER TABLE audit_records ADD COLUMN asked_principal TEXT;
ALTER TABLE audit_records ADD COLUMN asked_action TEXT;
ALTER TABLE audit_records ADD COLUMN asked_resource TEXT;
CREATE INDEX audit_records_by_asked_principal ON audit_records (asked_principal, id)
    WHERE asked_principal IS NOT NULL;
CREATE INDEX audit_records_by_asked_resource ON audit_records (asked_resource, id)
    WHERE asked_resource IS NOT NULL;

-- Where services ask, nearly all records are of evaluations: like mints and downloads, they are in no index of
-- events and actions.
DROP INDEX audit_records_by_event;
CREATE INDEX audit_records_by_event ON audit_records (event, id)
    WHERE event <> 'mint' AND event <> 'download' AND event <> 'evaluate';
DROP INDEX audit_records_by_user_and_event;
CREATE INDEX audit_records_by_user_and_event ON audit_records (user_id, event, id)
    WHERE user_id IS NOT NULL AND event <> 'mint' AND event <> 'download' AND event <> 'evaluate';
DROP INDEX audit_records_by_dataset_and_event;
CREATE INDEX audit_records_by_dataset_and_event ON audit_records (dataset_id, event, id)
    WHERE dataset_id IS NOT NULL AND event <> 'mint' AND event <> 'download' AND event <> 'evaluate';
DROP INDEX audit_records_by_action;
CREATE INDEX audit_records_by_action ON audit_records (action, id) WHERE action <> 'read' AND action <> 'evaluate';
