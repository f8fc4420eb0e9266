//! Policy revisions: one row an edit however many servers take it over, and the texts of the newest ones.

use std::collections::BTreeMap;
use std::sync::Arc;

use cedargate::domain::decision::Revision;
use cedargate::domain::id::UserId;
use cedargate::domain::policy_revision::{RevisionChange, RevisionChanges, RevisionOrigin};
use cedargate::storage::{Database, MAX_KEPT_REVISIONS, NewPolicyRevision};

use crate::support::test_database::{TestDatabase, record};

on_both! {
    a_revision_comes_back_as_it_was_stored_and_its_record_with_it,
    servers_that_take_over_one_edit_store_it_once,
    whoever_published_is_named_although_another_server_saw_the_edit_first,
    an_edit_that_is_undone_and_made_again_is_stored_each_time,
    servers_that_store_at_the_same_time_store_one_revision,
    only_the_newest_revisions_are_kept_and_their_texts_alone,
}

type Files = BTreeMap<String, Arc<str>>;

fn files(texts: &[(&str, &str)]) -> Files {
    let texts = texts.iter();
    texts
        .map(|(name, text)| ((*name).to_owned(), Arc::from(*text)))
        .collect()
}

fn edit(before: Option<&str>, folder: &str) -> NewPolicyRevision {
    NewPolicyRevision {
        folder_revision: folder.to_owned(),
        folder_before: before.map(str::to_owned),
        revision: Revision("ab".repeat(32).into()),
        unix_millis: 1_700_000_000_000,
        origin: RevisionOrigin::Folder,
        user: None,
        summary: String::new(),
        changes: RevisionChanges::default(),
        files: files(&[("same.cedar", "same"), ("a.cedar", folder)]),
    }
}

async fn add(database: &Database, before: Option<&str>, folder: &str) {
    let edit = edit(before, folder);
    database.add_policy_revision(&edit, None).await.unwrap();
}

/// The folder revisions, oldest first.
async fn stored(database: &Database) -> Vec<String> {
    let revisions = database.list_policy_revisions(None, 1000).await.unwrap();
    let revisions = revisions.into_iter().rev();
    revisions.map(|one| one.folder_revision).collect()
}

async fn a_revision_comes_back_as_it_was_stored_and_its_record_with_it(db: TestDatabase) {
    let database = &db.database;
    let user = UserId::random();
    let first = NewPolicyRevision {
        origin: RevisionOrigin::Start,
        ..edit(None, "first")
    };
    let second = NewPolicyRevision {
        origin: RevisionOrigin::Publish,
        user: Some(user),
        summary: "policy `\0` added".to_owned(),
        changes: RevisionChanges {
            files: vec![("ä b.cedar".to_owned(), RevisionChange::Removed)],
            policies: vec![("\0".to_owned(), RevisionChange::Added)],
            more_files: 1,
            more_policies: 2,
        },
        files: files(&[("a.cedar", ""), ("b.cedar", "\u{0}é\r\n"), ("c.cedar", "")]),
        ..edit(Some("first"), "second")
    };
    let entry = record(1);
    database.add_policy_revision(&first, None).await.unwrap();
    database
        .add_policy_revision(&second, Some(&entry))
        .await
        .unwrap();
    let records = database.list_audit_records(None, 10).await.unwrap();
    assert_eq!(records, [entry]);
    let listed = database.list_policy_revisions(None, 10).await.unwrap();
    let [newest, oldest] = listed.as_slice() else {
        panic!("{listed:?}");
    };
    assert_eq!((newest.number, oldest.number), (2, 1));
    assert_eq!(newest.folder_revision, "second");
    assert_eq!(newest.revision, second.revision);
    assert_eq!(newest.unix_millis, second.unix_millis);
    assert_eq!(
        (newest.origin, newest.user),
        (RevisionOrigin::Publish, Some(user))
    );
    assert_eq!(newest.summary, "policy `\u{fffd}` added");
    assert_eq!(newest.changes, second.changes);
    assert_eq!((oldest.origin, oldest.user), (RevisionOrigin::Start, None));
    assert!(newest.has_texts && oldest.has_texts);
    assert_eq!(
        database.list_policy_revisions(Some(2), 10).await.unwrap(),
        std::slice::from_ref(oldest)
    );
    assert_eq!(
        database.find_policy_revision("first").await,
        Ok(Some(oldest.clone()))
    );
    assert_eq!(database.find_policy_revision("third").await, Ok(None));
    for (number, expected) in [(1, Some(first.files)), (2, Some(second.files)), (3, None)] {
        let read = database.read_policy_revision_files(number).await;
        assert_eq!(read, Ok(expected), "{number}");
    }
    // Each text but the longest is another one than its digest says.
    db.execute(
        "UPDATE policy_texts SET text = (SELECT longest.text FROM policy_texts AS longest
            ORDER BY length(longest.text) DESC LIMIT 1)",
    )
    .await;
    assert!(database.read_policy_revision_files(1).await.is_err());
}

async fn servers_that_take_over_one_edit_store_it_once(db: TestDatabase) {
    let database = &db.database;
    // The second server is one edit behind, and then two.
    for (before, folder) in [
        (None, "a"),
        (None, "a"),
        (Some("a"), "b"),
        (Some("a"), "b"),
        (Some("b"), "c"),
        (Some("c"), "d"),
        (Some("b"), "c"),
        (Some("c"), "d"),
    ] {
        add(database, before, folder).await;
    }
    assert_eq!(stored(database).await, ["a", "b", "c", "d"]);
}

async fn whoever_published_is_named_although_another_server_saw_the_edit_first(db: TestDatabase) {
    let database = &db.database;
    add(database, None, "a").await;
    add(database, Some("a"), "b").await;
    let user = UserId::random();
    let published = NewPolicyRevision {
        origin: RevisionOrigin::Publish,
        user: Some(user),
        ..edit(Some("a"), "b")
    };
    database
        .add_policy_revision(&published, None)
        .await
        .unwrap();
    add(database, Some("a"), "b").await;
    let listed = database.list_policy_revisions(None, 10).await.unwrap();
    let origins: Vec<_> = listed.iter().map(|one| (one.origin, one.user)).collect();
    assert_eq!(
        origins,
        [
            (RevisionOrigin::Publish, Some(user)),
            (RevisionOrigin::Folder, None)
        ]
    );
}

async fn an_edit_that_is_undone_and_made_again_is_stored_each_time(db: TestDatabase) {
    let database = &db.database;
    for (before, folder) in [
        (None, "a"),
        (Some("a"), "b"),
        (Some("b"), "a"),
        (Some("a"), "b"),
        (Some("b"), "a"),
    ] {
        // Each of two servers.
        add(database, before, folder).await;
        add(database, before, folder).await;
    }
    assert_eq!(stored(database).await, ["a", "b", "a", "b", "a"]);
}

async fn servers_that_store_at_the_same_time_store_one_revision(db: TestDatabase) {
    add(&db.database, None, "a").await;
    let other = Database::open(&db.url, 4).await.unwrap();
    let edit = edit(Some("a"), "b");
    let adding = (0..8).map(|place| {
        let database = [&db.database, &other][place % 2];
        database.add_policy_revision(&edit, None)
    });
    for added in futures_util::future::join_all(adding).await {
        added.unwrap();
    }
    assert_eq!(stored(&db.database).await, ["a", "b"]);
}

async fn only_the_newest_revisions_are_kept_and_their_texts_alone(db: TestDatabase) {
    let database = &db.database;
    let kept = usize::try_from(MAX_KEPT_REVISIONS).unwrap();
    let mut before = None;
    for number in 1..=kept + 2 {
        let folder = number.to_string();
        add(database, before.as_deref(), &folder).await;
        before = Some(folder);
    }
    let stored = stored(database).await;
    assert_eq!(stored.len(), kept);
    assert_eq!(stored[0], "3");
    assert_eq!(database.read_policy_revision_files(2).await, Ok(None));
    let files = database.read_policy_revision_files(3).await.unwrap();
    assert_eq!(files.unwrap()["a.cedar"].as_ref(), "3");
    // One is shared by all; nothing is left of the first two.
    db.execute(&format!(
        "INSERT INTO policy_texts (sha256, text) SELECT 'not as many texts', ''
            FROM (SELECT count(*) AS texts FROM policy_texts) AS counted WHERE texts <> {}",
        kept + 1
    ))
    .await;
}
