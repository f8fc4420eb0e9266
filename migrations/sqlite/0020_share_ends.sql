-- When shares of a dataset end, in seconds since 1970 UTC, as a JSON object with the objects `users` (by id) and
-- `roles` (by name). A reader that is not named in it has no end; who is named in it and is no reader does not count.
ALTER TABLE datasets ADD COLUMN share_ends TEXT NOT NULL DEFAULT '{}'
    CHECK (json_type(share_ends) = 'object');
ALTER TABLE staged_datasets ADD COLUMN share_ends TEXT NOT NULL DEFAULT '{}'
    CHECK (json_type(share_ends) = 'object');

-- Beside the views of datasets, which have one row for each visible dataset.
CREATE VIEW dataset_share_ends AS
SELECT datasets.id AS dataset_id,
    CASE WHEN staged.id IS NULL THEN datasets.share_ends ELSE staged.share_ends END AS share_ends
FROM datasets LEFT JOIN staged_datasets AS staged
    ON staged.id = datasets.id AND (SELECT is_committed FROM catalog_apply);
