-- How often the same password was hashed anew, in its normal form. That is no change of the password, so it ends
-- no session.
ALTER TABLE users ADD COLUMN rehashes INTEGER NOT NULL DEFAULT 0;

DROP TRIGGER users_begin_session_generation;
CREATE TRIGGER users_begin_session_generation
AFTER UPDATE OF password_hash, is_disabled ON users
WHEN (new.password_hash IS NOT old.password_hash AND new.rehashes = old.rehashes)
    OR (new.is_disabled AND NOT old.is_disabled)
BEGIN
    UPDATE users SET session_generation = session_generation + 1 WHERE id = new.id;
    UPDATE session_version SET version = version + 1;
END;
