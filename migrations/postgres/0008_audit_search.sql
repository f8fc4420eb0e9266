-- A filter of the audit log must not read through all of it. The table is ordered by id, and so is each
-- index behind its column. What nearly all records have (granted, read) is left out: records with it are
-- met at every step, and each index costs something at every mint.
CREATE INDEX audit_records_by_user ON audit_records (user_id, id) WHERE user_id IS NOT NULL;
CREATE INDEX audit_records_by_dataset ON audit_records (dataset_id, id) WHERE dataset_id IS NOT NULL;
CREATE INDEX audit_records_by_resource_user ON audit_records (resource_user_id, id)
    WHERE resource_user_id IS NOT NULL;
CREATE INDEX audit_records_by_event ON audit_records (event, id);
CREATE INDEX audit_records_by_outcome ON audit_records (outcome, id) WHERE outcome <> 'granted';
CREATE INDEX audit_records_by_action ON audit_records (action, id) WHERE action <> 'read';
