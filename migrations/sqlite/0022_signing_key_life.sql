-- When a signing key came into each of its states, and when it leaves it, in seconds since 1970 UTC. A key is
-- published from its creation until it is retired.
ALTER TABLE signing_keys ADD COLUMN activated_at INTEGER;
ALTER TABLE signing_keys ADD COLUMN rotation_requested_at INTEGER;
ALTER TABLE signing_keys ADD COLUMN deactivated_at INTEGER;
ALTER TABLE signing_keys ADD COLUMN retires_at INTEGER;
ALTER TABLE signing_keys ADD COLUMN retired_at INTEGER;
ALTER TABLE signing_keys ADD COLUMN revoked_at INTEGER;
-- The longest life of a token that it may have signed, in seconds. Earlier versions did not note it: a day is the
-- most that a session token could live.
ALTER TABLE signing_keys ADD COLUMN token_lifetime INTEGER;
UPDATE signing_keys SET activated_at = created_at, token_lifetime = 86400 WHERE state = 'current';
-- As there is one current key at most, so there is one next key at most.
CREATE UNIQUE INDEX signing_keys_one_next ON signing_keys (state) WHERE state = 'next';

-- Servers follow the signing keys by this version; whoever changes them updates it first, so that two changes
-- never meet.
CREATE TABLE signing_key_version (
    only_row INTEGER NOT NULL PRIMARY KEY CHECK (only_row = 1),
    version INTEGER NOT NULL,
    epoch INTEGER NOT NULL
) STRICT;
INSERT INTO signing_key_version (only_row, version, epoch) VALUES (1, 0, 0);

CREATE TRIGGER signing_key_version_draw_epoch AFTER UPDATE OF version ON signing_key_version
BEGIN
    UPDATE signing_key_version SET epoch = random();
END;
