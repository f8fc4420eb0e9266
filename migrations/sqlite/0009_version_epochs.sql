-- A version alone does not say which change it counts: after a restored backup that lost a change, another
-- change gets its number. Each change draws an epoch, whoever makes it and however, so that the two are told
-- apart.
ALTER TABLE catalog_version ADD COLUMN epoch INTEGER NOT NULL DEFAULT 0;
ALTER TABLE session_version ADD COLUMN epoch INTEGER NOT NULL DEFAULT 0;

CREATE TRIGGER catalog_version_draw_epoch AFTER UPDATE OF version ON catalog_version
BEGIN
    UPDATE catalog_version SET epoch = random();
END;
CREATE TRIGGER session_version_draw_epoch AFTER UPDATE OF version ON session_version
BEGIN
    UPDATE session_version SET epoch = random();
END;

-- What the health check writes, about as much as the audit records of some mints: on a full disk it fails as
-- they do.
CREATE TABLE health_check (
    only_row INTEGER NOT NULL PRIMARY KEY CHECK (only_row = 1),
    padding BLOB NOT NULL
) STRICT;
INSERT INTO health_check (only_row, padding) VALUES (1, zeroblob(32768));
