-- The user that was administered; a record outlives it: no foreign key.
ALTER TABLE audit_records ADD COLUMN resource_user_id UUID;

-- The words of action are left to the program, as those of event are: they have grown.
ALTER TABLE audit_records DROP CONSTRAINT audit_records_action_check;
