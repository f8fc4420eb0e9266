-- How often sessions have ended early. It is another number than the catalog's, so that people who
-- sign out never get in the way of a change of the catalog.
CREATE TABLE session_version (
    only_row BIGINT NOT NULL PRIMARY KEY CHECK (only_row = 1),
    version BIGINT NOT NULL
);
INSERT INTO session_version (only_row, version) VALUES (1, 0);

-- A session belongs to one generation of its user. A changed password and a disabled user begin a new
-- generation, whoever makes the change and however, and sessions of older ones are dead: a login
-- that was checked against the old password a moment before is dead when it is born.
ALTER TABLE users ADD COLUMN session_generation BIGINT NOT NULL DEFAULT 0;

CREATE FUNCTION begin_session_generation() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.session_generation := OLD.session_generation + 1;
    UPDATE session_version SET version = version + 1;
    RETURN NEW;
END $$;
CREATE TRIGGER users_begin_session_generation
BEFORE UPDATE ON users FOR EACH ROW
WHEN (NEW.password_hash IS DISTINCT FROM OLD.password_hash
    OR (NEW.is_disabled AND NOT OLD.is_disabled))
EXECUTE FUNCTION begin_session_generation();

CREATE TABLE sessions (
    id UUID NOT NULL PRIMARY KEY,
    user_id UUID NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    generation BIGINT NOT NULL,
    started_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    ended_at BIGINT
);
CREATE INDEX sessions_by_user ON sessions (user_id);
CREATE INDEX sessions_by_expiry ON sessions (expires_at);

-- Spent tokens stay as long as their session, so that a second use is recognised.
CREATE TABLE refresh_tokens (
    sha256 BYTEA NOT NULL PRIMARY KEY CHECK (length(sha256) = 32),
    session_id UUID NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    spent_at BIGINT
);
CREATE INDEX refresh_tokens_by_session ON refresh_tokens (session_id);
