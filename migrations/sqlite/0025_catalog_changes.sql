-- Which datasets each change of the catalog may have changed, so that caches keep the others. Whoever changes
-- the catalog without saying so (an older program too) may have changed any: NULL. A version is known by its
-- number and its epoch, so what was read before a failover that lost it is found out.
CREATE TABLE catalog_changes (
    version INTEGER NOT NULL PRIMARY KEY,
    epoch INTEGER NOT NULL,
    datasets TEXT CHECK (datasets IS NULL OR json_type(datasets) = 'array')
) STRICT;
INSERT INTO catalog_changes (version, epoch) SELECT version, epoch FROM catalog_version;

-- After the epoch is drawn: see catalog_version_draw_epoch.
CREATE TRIGGER catalog_version_add_change AFTER UPDATE OF epoch ON catalog_version
BEGIN
    INSERT OR REPLACE INTO catalog_changes (version, epoch) VALUES (NEW.version, NEW.epoch);
    DELETE FROM catalog_changes WHERE version > NEW.version OR version <= NEW.version - 256;
END;
