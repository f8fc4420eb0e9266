//! What changed between two versions of the catalog: which datasets, as far as the writers said so.
//!
//! Each version has a row, which a trigger adds: it may have changed any dataset until its transaction says
//! which. The row of the older version shows that the newer one came after it, and not after a failover or a
//! restored backup that lost it.

use std::collections::BTreeSet;

use sqlx::types::Json;
use uuid::Uuid;

use super::cache_versions::CacheVersions;
use super::database::{Database, FOLLOW_TIMEOUT, Transaction, on_either, run};
use super::error::StorageError;
use super::rows::from_columns;
use super::statements::execute;
use crate::domain::id::DatasetId;

/// The most datasets that one change names; a larger one may have changed any.
const MAX_NAMED_DATASETS: usize = 500;

/// The datasets that may differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DatasetChanges {
    /// Any of them.
    Any,
    /// At most these.
    These(BTreeSet<DatasetId>),
}

struct ChangeRow {
    version: i64,
    epoch: i64,
    datasets: Option<Json<Vec<Uuid>>>,
}

from_columns!(ChangeRow {
    version,
    epoch,
    datasets
});

impl Database {
    /// The datasets that may differ between two versions that were in force.
    pub async fn dataset_changes(
        &self,
        before: &CacheVersions,
        after: &CacheVersions,
    ) -> Result<DatasetChanges, StorageError> {
        const SQL: &str = "SELECT version, epoch, datasets FROM catalog_changes
            WHERE version BETWEEN $1 AND $2 ORDER BY version";
        let operation = "read the changes of the catalog";
        let rows: Vec<ChangeRow> = run(FOLLOW_TIMEOUT, operation, "catalog_changes", async {
            let mut follower = self.follower().await?;
            on_either!(&mut follower, connection => {
                let query = sqlx::query_as(SQL).bind(before.catalog).bind(after.catalog);
                query.fetch_all(&mut **connection).await
            })
        })
        .await?;
        Ok(changes_between(before, after, rows))
    }
}

fn changes_between(
    before: &CacheVersions,
    after: &CacheVersions,
    rows: Vec<ChangeRow>,
) -> DatasetChanges {
    let mut rows = rows.into_iter();
    let is_known = |row: ChangeRow| (row.version, row.epoch) == (before.catalog, before.epochs.0);
    if !rows.next().is_some_and(is_known) {
        return DatasetChanges::Any;
    }
    let mut changed = BTreeSet::new();
    let mut last = (before.catalog, before.epochs.0);
    for row in rows {
        let Some(Json(datasets)) = row.datasets.filter(|_| row.version == last.0 + 1) else {
            return DatasetChanges::Any;
        };
        last = (row.version, row.epoch);
        changed.extend(datasets.into_iter().map(DatasetId));
    }
    if last == (after.catalog, after.epochs.0) {
        DatasetChanges::These(changed)
    } else {
        DatasetChanges::Any
    }
}

/// Says which datasets a transaction that has incremented the version once may have changed; none were changed
/// in another way.
pub(super) async fn name_changed_datasets(
    transaction: &mut Transaction,
    datasets: &BTreeSet<DatasetId>,
) -> Result<(), sqlx::Error> {
    const SQL: &str = "UPDATE catalog_changes SET datasets = $1
        WHERE version = (SELECT version FROM catalog_version)";
    if datasets.len() > MAX_NAMED_DATASETS {
        return Ok(());
    }
    execute!(transaction, SQL, Json(datasets)).map(drop)
}

/// Says that a transaction that has incremented the version once changed no dataset.
pub(super) async fn name_no_changed_dataset(
    transaction: &mut Transaction,
) -> Result<(), sqlx::Error> {
    name_changed_datasets(transaction, &BTreeSet::new()).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn versions(catalog: i64, epoch: i64) -> CacheVersions {
        CacheVersions {
            catalog,
            sessions: 0,
            epochs: (epoch, 0),
        }
    }

    fn row(version: i64, epoch: i64, datasets: Option<&[u128]>) -> ChangeRow {
        let ids = |ids: &[u128]| Json(ids.iter().copied().map(Uuid::from_u128).collect());
        ChangeRow {
            version,
            epoch,
            datasets: datasets.map(ids),
        }
    }

    fn these(ids: &[u128]) -> DatasetChanges {
        let ids = ids.iter().copied().map(Uuid::from_u128);
        DatasetChanges::These(ids.map(DatasetId).collect())
    }

    #[test]
    fn changes_are_known_only_if_every_version_between_says_what_it_changed() {
        let between =
            |rows: Vec<ChangeRow>| changes_between(&versions(4, 40), &versions(6, 60), rows);
        let first = || row(4, 40, None);
        let known = vec![first(), row(5, 50, Some(&[1])), row(6, 60, Some(&[2, 1]))];
        assert_eq!(between(known), these(&[1, 2]));
        for unknown in [
            vec![],
            vec![row(5, 50, Some(&[])), row(6, 60, Some(&[]))],
            vec![
                row(4, 41, None),
                row(5, 50, Some(&[])),
                row(6, 60, Some(&[])),
            ],
            vec![first(), row(5, 50, None), row(6, 60, Some(&[]))],
            vec![first(), row(6, 60, Some(&[]))],
            vec![first(), row(5, 50, Some(&[]))],
            vec![first(), row(5, 50, Some(&[])), row(6, 61, Some(&[]))],
        ] {
            assert_eq!(between(unknown), DatasetChanges::Any);
        }
        let same = changes_between(&versions(4, 40), &versions(4, 40), vec![first()]);
        assert_eq!(same, these(&[]));
    }
}
