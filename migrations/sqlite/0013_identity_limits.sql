-- From which networks a user has signed in: failures of others elsewhere do not slow down who signs in from
-- there.
CREATE TABLE login_networks (
    user_id BLOB NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    network TEXT NOT NULL,
    last_login_at INTEGER NOT NULL,
    PRIMARY KEY (user_id, network)
) STRICT, WITHOUT ROWID;

-- How often the session was renewed, which is how many spent refresh tokens it has.
ALTER TABLE sessions ADD COLUMN renewals INTEGER NOT NULL DEFAULT 0;

-- What expired before this time, in seconds since 1970 UTC, may be deleted. It follows the clock slowly, so that
-- a clock that is wrong for a while deletes nothing that is alive.
CREATE TABLE sweep_horizon (
    only_row INTEGER NOT NULL PRIMARY KEY CHECK (only_row = 1),
    horizon INTEGER NOT NULL
) STRICT;
INSERT INTO sweep_horizon (only_row, horizon) VALUES (1, CAST(strftime('%s', 'now') AS INTEGER));

-- The parameters of the password hashes in use: between the third and the fourth `$` of a PHC string.
CREATE INDEX users_by_password_cost
    ON users (substr(password_hash, 16, instr(substr(password_hash, 16), '$') - 1))
    WHERE password_hash IS NOT NULL;
CREATE VIEW password_costs AS
SELECT DISTINCT substr(password_hash, 16, instr(substr(password_hash, 16), '$') - 1) AS cost
FROM users WHERE password_hash IS NOT NULL;
