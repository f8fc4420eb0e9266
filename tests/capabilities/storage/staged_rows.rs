//! The rows of `datasets` that do not count yet, while a change is staged.

use cedargate::domain::dataset::{Dataset, DatasetFile};
use cedargate::storage::{
    ApplyLease, CatalogChange, CatalogDataset, CommitOutcome, Database, StagedDataset,
};

use super::catalog_apply::{commit, datasets, lease, settle, sorted};
use crate::support::test_database::{TestDatabase, dataset, full_change, write_change};

on_both! {
    all_that_a_dataset_has_is_settled,
    datasets_that_an_older_version_has_staged_are_settled_whole,
    a_dataset_that_others_create_meanwhile_is_theirs,
}

/// Stages a dataset with each kind of file, and one without, as a catalog with them has them.
async fn stage_all(db: &TestDatabase) -> (ApplyLease, Vec<Dataset>) {
    let mut change = full_change();
    let remote = |json| Some(DatasetFile::Remote(serde_json::from_str(json).unwrap()));
    let mut all = std::mem::take(&mut change.datasets_put);
    for file in [
        r#"{"store":"public-data","key":"dem/a.tif"}"#,
        r#"{"url":"https://data.example/b.tif"}"#,
    ] {
        let mut dataset = dataset(file, None);
        dataset.file = remote(file);
        all.push(dataset);
    }
    write_change(db, &change).await;
    let lease = lease(&db.database).await;
    let staged: Vec<_> = all.iter().cloned().map(StagedDataset::Put).collect();
    let is_staged = db.database.stage_datasets(lease, &staged).await;
    assert_eq!(is_staged, Ok(true));
    assert_eq!(datasets(&db.database).await, []);
    (lease, sorted(all))
}

async fn check_that_all_are_settled(db: &TestDatabase, lease: ApplyLease, all: &[Dataset]) {
    let committed = commit(&db.database, lease, &CatalogChange::default()).await;
    assert!(matches!(committed, CommitOutcome::Committed(_)));
    settle(&db.database).await;
    assert_eq!(datasets(&db.database).await, all);
    let listed = listed(&db.database).await;
    assert!(listed.iter().all(|row| row.is_from_operator));
}

async fn listed(database: &Database) -> Vec<CatalogDataset> {
    database.list_catalog_datasets(None, 100).await.unwrap()
}

async fn all_that_a_dataset_has_is_settled(db: TestDatabase) {
    let (lease, all) = stage_all(&db).await;
    check_that_all_are_settled(&db, lease, &all).await;
}

async fn datasets_that_an_older_version_has_staged_are_settled_whole(db: TestDatabase) {
    let (lease, all) = stage_all(&db).await;
    // Its rows that do not count have nothing of the datasets.
    db.execute(
        "UPDATE datasets SET title = '', visibility = 'private', record_status = 'draft', tags = '{}',
            attributes = '{}', share_ends = '{}', file_sha256 = NULL, file_name = NULL, file_size = NULL,
            file_modified = NULL, file_store = NULL, file_key = NULL, file_url = NULL, is_from_operator = FALSE
        WHERE is_absent",
    )
    .await;
    check_that_all_are_settled(&db, lease, &all).await;
}

async fn a_dataset_that_others_create_meanwhile_is_theirs(db: TestDatabase) {
    let (lease, all) = stage_all(&db).await;
    let change = CatalogChange {
        datasets_put: all.clone(),
        ..CatalogChange::default()
    };
    write_change(&db, &change).await;
    while let Some(1..) = db
        .database
        .discard_staged_datasets(lease, 100)
        .await
        .unwrap()
    {}
    let listed = listed(&db.database).await;
    assert_eq!(listed.len(), all.len());
    assert!(listed.iter().all(|row| !row.is_from_operator));
}
