//! A large change of the catalog: leased, staged, committed by one row, settled.

use std::collections::BTreeSet;

use cedargate::domain::dataset::Dataset;
use cedargate::domain::id::UserId;
use cedargate::domain::share_ends::ShareEnds;
use cedargate::storage::{
    ApplyLease, CatalogChange, CommitConditions, CommitOutcome, Database, DatasetFilter, Directory,
    SignInConditions, StagedDataset,
};

use serde_json::json;

use super::dataset_facts::check_facts;
use crate::support::test_database::{
    TestDatabase, attributes, dataset, role, roles, tags, user, write_change,
};

on_both! {
    what_is_staged_counts_at_once_when_it_is_committed_and_stays_when_it_is_settled,
    what_is_staged_and_not_committed_is_discarded_by_the_next_process,
    a_process_that_lost_its_lease_writes_nothing_more,
    a_dataset_changed_after_the_commit_stays_as_it_was_changed,
    users_and_roles_removed_after_the_commit_leave_its_datasets,
    a_dataset_changed_while_it_is_staged_becomes_what_was_staged,
    a_commit_on_an_older_version_plans_users_again,
    a_commit_is_refused_by_the_number_of_datasets_that_it_finds,
    a_commit_that_would_leave_no_admin_who_can_sign_in_writes_nothing,
    the_last_enabled_admin_stays_where_none_can_sign_in,
    a_user_stays_the_operators_until_somebody_else_renames_it,
}

pub(super) async fn lease(database: &Database) -> ApplyLease {
    let state = database.apply_state().await.unwrap();
    database.lease_apply(state).await.unwrap().unwrap()
}

pub(super) async fn commit(
    database: &Database,
    lease: ApplyLease,
    change: &CatalogChange,
) -> CommitOutcome {
    let version = database.catalog_version().await.unwrap();
    let sign_in = SignInConditions::default();
    let conditions = CommitConditions::new(&sign_in);
    let committed = database.commit_apply(lease, version, change, &conditions, |_| None);
    committed.await.unwrap()
}

pub(super) async fn settle(database: &Database) {
    while database.settle_staged_datasets(2).await.unwrap().is_some() {}
    let state = database.apply_state().await.unwrap();
    assert!(!state.is_committed() && !state.is_leased());
}

pub(super) async fn datasets(database: &Database) -> Vec<Dataset> {
    let catalog = database.read_catalog().await.unwrap();
    for dataset in &catalog.datasets {
        let found = database.find_dataset(dataset.id).await.unwrap();
        assert_eq!(found.as_ref(), Some(dataset));
        let named = database.find_dataset_with_names(dataset.id).await.unwrap();
        let named = named.unwrap();
        assert_eq!(&named.dataset, dataset);
        assert_eq!(named.owner.is_some(), dataset.owner.is_some());
        let readers: BTreeSet<UserId> = named.reader_users.into_values().collect();
        assert_eq!(readers, dataset.reader_users);
    }
    let filter = DatasetFilter::default();
    let listed = database.list_datasets_with_names(&filter, None, 100).await;
    assert_eq!(listed.unwrap().len(), catalog.datasets.len());
    check_facts(database, &catalog.datasets).await;
    catalog.datasets
}

pub(super) fn sorted(mut datasets: Vec<Dataset>) -> Vec<Dataset> {
    datasets.sort_by_key(|dataset| dataset.id);
    datasets
}

/// A dataset, read by a user and a role.
fn shared(title: &str, user: UserId) -> Dataset {
    Dataset {
        owner: Some(user),
        reader_users: [user].into(),
        reader_roles: roles(&["hydrology"]),
        share_ends: ShareEnds {
            users: [(user, 4_102_444_800)].into(),
            ..ShareEnds::default()
        },
        tags: tags("theme", &["elevation"]),
        attributes: attributes(&json!({"licence": "CC0", "levels": [1, 2]})),
        ..dataset(title, None)
    }
}

struct Staged {
    lease: ApplyLease,
    before: Vec<Dataset>,
    after: Vec<Dataset>,
    change: CatalogChange,
}

/// A catalog of three datasets, and a staged change of it: one is created, one is changed, one is removed and one
/// stays; their readers are created by the same change.
async fn stage(db: &TestDatabase) -> Staged {
    let ada = user("ada", &["admin"]);
    let (kept, changed, removed) = (
        dataset("kept", Some(ada.user.id)),
        shared("changed", ada.user.id),
        shared("removed", ada.user.id),
    );
    let before = vec![kept.clone(), changed.clone(), removed.clone()];
    let first = CatalogChange {
        roles_put: vec![role("hydrology")],
        users_put: vec![ada],
        datasets_put: before.clone(),
        ..CatalogChange::default()
    };
    write_change(db, &first).await;
    let ben = user("ben", &["geology"]);
    let mut other = shared("other", ben.user.id);
    other.id = changed.id;
    other.reader_roles = roles(&["geology"]);
    let created = shared("created", ben.user.id);
    let lease = lease(&db.database).await;
    let staged = [
        StagedDataset::Put(other.clone()),
        StagedDataset::Put(created.clone()),
        StagedDataset::Removed(removed.id),
    ];
    let is_staged = db.database.stage_datasets(lease, &staged).await;
    assert_eq!(is_staged, Ok(true));
    Staged {
        lease,
        before: sorted(before),
        after: sorted(vec![kept, other, created]),
        change: CatalogChange {
            roles_put: vec![role("geology")],
            users_put: vec![ben],
            ..CatalogChange::default()
        },
    }
}

async fn what_is_staged_counts_at_once_when_it_is_committed_and_stays_when_it_is_settled(
    db: TestDatabase,
) {
    let staged = stage(&db).await;
    assert_eq!(datasets(&db.database).await, staged.before);
    let version = db.database.catalog_version().await.unwrap();
    let committed = commit(&db.database, staged.lease, &staged.change).await;
    assert_eq!(committed, CommitOutcome::Committed(version + 1));
    assert_eq!(datasets(&db.database).await, staged.after);
    settle(&db.database).await;
    assert_eq!(datasets(&db.database).await, staged.after);
    assert_eq!(db.database.catalog_version().await, Ok(version + 1));
}

async fn what_is_staged_and_not_committed_is_discarded_by_the_next_process(db: TestDatabase) {
    let staged = stage(&db).await;
    let lease = lease(&db.database).await;
    let mut discarded = 0;
    while let Some(count @ 1..) = db.database.discard_staged_datasets(lease, 1).await.unwrap() {
        discarded += count;
    }
    assert!(discarded >= 3, "{discarded}");
    let committed = commit(&db.database, lease, &CatalogChange::default()).await;
    assert!(matches!(committed, CommitOutcome::Committed(_)));
    assert_eq!(datasets(&db.database).await, staged.before);
}

async fn a_process_that_lost_its_lease_writes_nothing_more(db: TestDatabase) {
    let staged = stage(&db).await;
    let seen = db.database.apply_state().await.unwrap();
    assert!(seen.is_leased());
    assert_eq!(db.database.keep_apply_lease(staged.lease).await, Ok(true));
    assert_eq!(db.database.lease_apply(seen).await, Ok(None), "it lives");
    lease(&db.database).await;
    let old = staged.lease;
    assert_eq!(db.database.keep_apply_lease(old).await, Ok(false));
    assert_eq!(db.database.stage_datasets(old, &[]).await, Ok(false));
    assert_eq!(db.database.discard_staged_datasets(old, 9).await, Ok(None));
    let committed = commit(&db.database, old, &staged.change).await;
    assert_eq!(committed, CommitOutcome::LeaseLost);
    assert_eq!(datasets(&db.database).await, staged.before);
}

async fn a_dataset_changed_after_the_commit_stays_as_it_was_changed(db: TestDatabase) {
    let mut staged = stage(&db).await;
    commit(&db.database, staged.lease, &staged.change).await;
    let mut changed = staged.after.clone();
    for dataset in &mut changed {
        dataset.title.push_str(", again");
        dataset.reader_users.clear();
        dataset.share_ends = ShareEnds::default();
    }
    let removed = changed.pop().unwrap().id;
    let change = CatalogChange {
        datasets_put: changed.clone(),
        datasets_removed: vec![removed],
        ..CatalogChange::default()
    };
    write_change(&db, &change).await;
    assert_eq!(datasets(&db.database).await, changed);
    settle(&db.database).await;
    assert_eq!(datasets(&db.database).await, changed);
    // A dataset that the change removed may be created anew.
    staged.before.retain(|dataset| dataset.title == "removed");
    let change = CatalogChange {
        datasets_put: staged.before.clone(),
        ..CatalogChange::default()
    };
    write_change(&db, &change).await;
    changed.append(&mut staged.before);
    assert_eq!(datasets(&db.database).await, sorted(changed));
}

async fn users_and_roles_removed_after_the_commit_leave_its_datasets(db: TestDatabase) {
    let mut staged = stage(&db).await;
    commit(&db.database, staged.lease, &staged.change).await;
    let change = CatalogChange {
        users_removed: vec![staged.change.users_put[0].user.id],
        roles_removed: vec![role("geology")],
        ..CatalogChange::default()
    };
    write_change(&db, &change).await;
    for dataset in &mut staged.after {
        if dataset.title != "kept" {
            dataset.owner = None;
        }
        dataset.reader_users.clear();
        dataset.share_ends = ShareEnds::default();
        dataset.reader_roles.remove(&role("geology"));
    }
    assert_eq!(datasets(&db.database).await, staged.after);
    settle(&db.database).await;
    while db.database.sweep_removed().await.unwrap() {}
    // A new role of the same name has no members and no shares.
    let change = CatalogChange {
        roles_put: vec![role("geology")],
        ..CatalogChange::default()
    };
    write_change(&db, &change).await;
    assert_eq!(datasets(&db.database).await, staged.after);
}

async fn a_dataset_changed_while_it_is_staged_becomes_what_was_staged(db: TestDatabase) {
    let staged = stage(&db).await;
    let mut changed = staged.after.clone();
    changed.retain(|dataset| dataset.title != "kept");
    for dataset in &mut changed {
        dataset.title.push_str(", meanwhile");
        dataset.owner = None;
        dataset.reader_users.clear();
        dataset.reader_roles.clear();
    }
    let removed = staged.before.iter().find(|d| d.title == "removed").unwrap();
    let change = CatalogChange {
        datasets_put: changed.clone(),
        datasets_removed: vec![removed.id],
        ..CatalogChange::default()
    };
    write_change(&db, &change).await;
    assert_eq!(datasets(&db.database).await.len(), 3);
    commit(&db.database, staged.lease, &staged.change).await;
    assert_eq!(datasets(&db.database).await, staged.after);
    settle(&db.database).await;
    assert_eq!(datasets(&db.database).await, staged.after);
}

async fn a_commit_on_an_older_version_plans_users_again(db: TestDatabase) {
    let staged = stage(&db).await;
    let old = db.database.catalog_version().await.unwrap();
    let eve = user("eve", &[]);
    let meanwhile = CatalogChange {
        users_put: vec![eve.clone()],
        ..CatalogChange::default()
    };
    write_change(&db, &meanwhile).await;
    let (planned, sign_in) = (CatalogChange::default(), SignInConditions::default());
    let conditions = CommitConditions::new(&sign_in);
    let refuse = |_: &Directory| None;
    let outcome = db
        .database
        .commit_apply(staged.lease, old, &planned, &conditions, refuse)
        .await;
    assert_eq!(outcome, Ok(CommitOutcome::Outdated));
    assert_eq!(datasets(&db.database).await, staged.before);
    let replan = |directory: &Directory| {
        assert!(directory.users.contains(&eve));
        Some(staged.change.clone())
    };
    let outcome = db
        .database
        .commit_apply(staged.lease, old, &planned, &conditions, replan)
        .await;
    assert_eq!(outcome, Ok(CommitOutcome::Committed(old + 2)));
    assert_eq!(datasets(&db.database).await, staged.after);
}

async fn a_commit_is_refused_by_the_number_of_datasets_that_it_finds(db: TestDatabase) {
    let staged = stage(&db).await;
    let version = db.database.catalog_version().await.unwrap();
    // Three; the one that is only staged does not count yet.
    let (sign_in, is_allowed) = (SignInConditions::default(), |count| count != 3);
    let conditions = CommitConditions {
        sign_in: &sign_in,
        allows_dataset_count: Some(&is_allowed),
    };
    let (lease, change) = (staged.lease, &staged.change);
    let outcome = db
        .database
        .commit_apply(lease, version, change, &conditions, |_| None)
        .await;
    assert_eq!(outcome, Ok(CommitOutcome::Outdated));
    assert_eq!(datasets(&db.database).await, staged.before);
    assert!(!db.database.apply_state().await.unwrap().is_committed());
}

async fn the_last_enabled_admin_stays_where_none_can_sign_in(db: TestDatabase) {
    let (ada, mut disabled) = (user("ada", &["admin"]), user("eve", &["admin"]));
    disabled.user.is_disabled = true;
    let first = CatalogChange {
        users_put: vec![ada.clone(), disabled],
        ..CatalogChange::default()
    };
    write_change(&db, &first).await;
    let lease = lease(&db.database).await;
    let removal = CatalogChange {
        users_removed: vec![ada.user.id],
        ..CatalogChange::default()
    };
    let outcome = commit(&db.database, lease, &removal).await;
    assert_eq!(outcome, CommitOutcome::NoAdminLeft);
}

async fn a_commit_that_would_leave_no_admin_who_can_sign_in_writes_nothing(db: TestDatabase) {
    use cedargate::domain::secret::Secret;
    let mut ada = user("ada", &["admin"]);
    ada.password_hash = Some(Secret::new(String::from("$argon2id$")));
    let keyless = user("keyless", &["admin"]);
    let first = CatalogChange {
        users_put: vec![ada.clone(), keyless],
        ..CatalogChange::default()
    };
    write_change(&db, &first).await;
    let before = db.database.read_catalog().await.unwrap();
    let lease = lease(&db.database).await;
    let mut disabled = ada.clone();
    disabled.user.is_disabled = true;
    let mut member = ada.clone();
    member.user.roles.clear();
    let put = |record| CatalogChange {
        users_put: vec![record],
        ..CatalogChange::default()
    };
    let removal = CatalogChange {
        users_removed: vec![ada.user.id],
        ..CatalogChange::default()
    };
    for change in [put(disabled), put(member), removal] {
        let outcome = commit(&db.database, lease, &change).await;
        assert_eq!(outcome, CommitOutcome::NoAdminLeft);
        assert_eq!(db.database.read_catalog().await.as_ref(), Ok(&before));
    }
}

async fn a_user_stays_the_operators_until_somebody_else_renames_it(db: TestDatabase) {
    let (mut ada, mut ben, eve) = (user("ada", &[]), user("ben", &[]), user("eve", &[]));
    let operators = async || {
        let directory = db.database.read_directory().await.unwrap();
        directory.operator_users
    };
    let put = |record, is_by_operator| CatalogChange {
        users_put: vec![record],
        is_by_operator,
        ..CatalogChange::default()
    };
    write_change(&db, &put(ada.clone(), true)).await;
    write_change(&db, &put(ben.clone(), true)).await;
    write_change(&db, &put(eve.clone(), false)).await;
    write_change(&db, &put(eve.clone(), true)).await;
    ada.user.is_disabled = true;
    write_change(&db, &put(ada.clone(), false)).await;
    assert_eq!(operators().await, [ada.user.id, ben.user.id].into());
    ben.user.username = "benjamin".parse().unwrap();
    write_change(&db, &put(ben.clone(), true)).await;
    assert!(operators().await.contains(&ben.user.id));
    ben.user.username = "ben".parse().unwrap();
    write_change(&db, &put(ben.clone(), false)).await;
    assert_eq!(operators().await, [ada.user.id].into());
    let adoption = CatalogChange {
        users_adopted: vec![ben.user.id, eve.user.id],
        ..CatalogChange::default()
    };
    write_change(&db, &adoption).await;
    assert_eq!(operators().await.len(), 3);
}
