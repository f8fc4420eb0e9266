-- How often the same password was hashed anew, in its normal form. That is no change of the password, so it ends
-- no session.
ALTER TABLE users ADD COLUMN rehashes BIGINT NOT NULL DEFAULT 0;

DROP TRIGGER users_begin_session_generation ON users;
CREATE TRIGGER users_begin_session_generation
BEFORE UPDATE ON users FOR EACH ROW
WHEN ((NEW.password_hash IS DISTINCT FROM OLD.password_hash AND NEW.rehashes = OLD.rehashes)
    OR (NEW.is_disabled AND NOT OLD.is_disabled))
EXECUTE FUNCTION begin_session_generation();
