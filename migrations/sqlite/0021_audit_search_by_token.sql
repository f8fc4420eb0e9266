-- What happened with one download token: its mint, and the downloads with it. Ids of tokens grow with time, so
-- that the index is appended to at its end.
CREATE INDEX audit_records_by_token ON audit_records (jti, id) WHERE jti IS NOT NULL;
