-- Whom an outside issuer means, by its own id; users of this catalog have neither issuer nor subject.
ALTER TABLE users ADD COLUMN subject TEXT;
-- When the token was issued that roles and claims were last taken from: an older one changes nothing.
ALTER TABLE users ADD COLUMN claims_issued_at BIGINT;
CREATE UNIQUE INDEX users_by_subject ON users (issuer, subject);
