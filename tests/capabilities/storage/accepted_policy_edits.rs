//! Accepted policy edits: stored with their records, and the oldest forgotten.

use cedargate::storage::PolicyEdit;

use crate::support::test_database::{TestDatabase, record};

on_both! {
    an_accepted_edit_is_stored_once_and_its_record_with_it,
    only_the_newest_hundred_edits_are_kept,
}

fn edit(number: usize) -> PolicyEdit {
    PolicyEdit {
        from: format!("{number:064x}"),
        to: "f".repeat(64),
    }
}

async fn accept(db: &TestDatabase, number: usize) {
    let at = i64::try_from(number).unwrap();
    let record = record(1_700_000_000_000 + number as u64);
    let database = &db.database;
    database
        .accept_policy_edit(&edit(number), at, &record)
        .await
        .unwrap();
}

async fn an_accepted_edit_is_stored_once_and_its_record_with_it(db: TestDatabase) {
    accept(&db, 1).await;
    accept(&db, 1).await;
    let edits = db.database.list_accepted_policy_edits().await;
    assert_eq!(edits, Ok(vec![edit(1)]));
    let records = db.database.list_audit_records(None, 10).await.unwrap();
    assert_eq!(records.len(), 2);
}

async fn only_the_newest_hundred_edits_are_kept(db: TestDatabase) {
    for number in 0..103 {
        accept(&db, number).await;
    }
    let mut edits = db.database.list_accepted_policy_edits().await.unwrap();
    edits.sort();
    assert_eq!(edits, (3..103).map(edit).collect::<Vec<_>>());
}
