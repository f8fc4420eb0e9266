-- Which datasets each change of the catalog may have changed, so that caches keep the others. Whoever changes
-- the catalog without saying so (an older program too) may have changed any: NULL. A version is known by its
-- number and its epoch, so what was read before a failover that lost it is found out.
CREATE TABLE catalog_changes (
    version BIGINT NOT NULL PRIMARY KEY,
    epoch BIGINT NOT NULL,
    datasets JSONB CHECK (datasets IS NULL OR jsonb_typeof(datasets) = 'array')
);
INSERT INTO catalog_changes (version, epoch) SELECT version, epoch FROM catalog_version;

CREATE FUNCTION add_catalog_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO catalog_changes (version, epoch) VALUES (NEW.version, NEW.epoch)
    ON CONFLICT (version) DO UPDATE SET epoch = excluded.epoch, datasets = NULL;
    DELETE FROM catalog_changes WHERE version > NEW.version OR version <= NEW.version - 256;
    RETURN NULL;
END $$;
CREATE TRIGGER catalog_version_add_change AFTER UPDATE OF version ON catalog_version
FOR EACH ROW EXECUTE FUNCTION add_catalog_change();
