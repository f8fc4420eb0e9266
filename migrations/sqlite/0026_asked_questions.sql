-- What other services ask (AuthZEN): the subject, the action and the resource of a question or a search.
ALTER TABLE audit_records ADD COLUMN asked_principal TEXT;
ALTER TABLE audit_records ADD COLUMN asked_action TEXT;
ALTER TABLE audit_records ADD COLUMN asked_resource TEXT;
CREATE INDEX audit_records_by_asked_principal ON audit_records (asked_principal, id)
    WHERE asked_principal IS NOT NULL;
CREATE INDEX audit_records_by_asked_resource ON audit_records (asked_resource, id)
    WHERE asked_resource IS NOT NULL;
