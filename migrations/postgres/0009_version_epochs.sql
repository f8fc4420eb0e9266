-- A version alone does not say which change it counts: after a failover that lost a change, another change
-- gets its number. Each change draws an epoch, whoever makes it and however, so that the two are told apart.
ALTER TABLE catalog_version ADD COLUMN epoch BIGINT NOT NULL DEFAULT 0;
ALTER TABLE session_version ADD COLUMN epoch BIGINT NOT NULL DEFAULT 0;

CREATE FUNCTION draw_epoch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.epoch := floor(random() * 9007199254740992)::bigint;
    RETURN NEW;
END $$;
CREATE TRIGGER catalog_version_draw_epoch BEFORE UPDATE OF version ON catalog_version
FOR EACH ROW EXECUTE FUNCTION draw_epoch();
CREATE TRIGGER session_version_draw_epoch BEFORE UPDATE OF version ON session_version
FOR EACH ROW EXECUTE FUNCTION draw_epoch();
