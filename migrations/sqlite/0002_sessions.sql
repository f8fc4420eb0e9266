-- How often sessions have ended early. It is another number than the catalog's, so that people who
-- sign out never get in the way of a change of the catalog.
CREATE TABLE session_version (
    only_row INTEGER NOT NULL PRIMARY KEY CHECK (only_row = 1),
    version INTEGER NOT NULL
) STRICT;
INSERT INTO session_version (only_row, version) VALUES (1, 0);

-- A session belongs to one generation of its user. A changed password and a disabled user begin a new
-- generation, whoever makes the change and however, and sessions of older ones are dead: a login
-- that was checked against the old password a moment before is dead when it is born.
ALTER TABLE users ADD COLUMN session_generation INTEGER NOT NULL DEFAULT 0;

CREATE TRIGGER users_begin_session_generation
AFTER UPDATE OF password_hash, is_disabled ON users
WHEN new.password_hash IS NOT old.password_hash OR (new.is_disabled AND NOT old.is_disabled)
BEGIN
    UPDATE users SET session_generation = session_generation + 1 WHERE id = new.id;
    UPDATE session_version SET version = version + 1;
END;

CREATE TABLE sessions (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    user_id BLOB NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    generation INTEGER NOT NULL,
    started_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    ended_at INTEGER
) STRICT;
CREATE INDEX sessions_by_user ON sessions (user_id);
CREATE INDEX sessions_by_expiry ON sessions (expires_at);

-- Spent tokens stay as long as their session, so that a second use is recognised.
CREATE TABLE refresh_tokens (
    sha256 BLOB NOT NULL PRIMARY KEY CHECK (length(sha256) = 32),
    session_id BLOB NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    spent_at INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX refresh_tokens_by_session ON refresh_tokens (session_id);
