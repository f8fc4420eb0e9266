use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::domain::attributes::Attributes;
use crate::domain::dataset::{RecordStatus, Visibility};
use crate::domain::id::UserId;
use crate::domain::name::RoleName;
use crate::domain::principal::{Tags, User};
use crate::domain::share_ends::ShareEnds;
use crate::service::tests::empty_database;
use crate::storage::{
    CatalogChange, CommitConditions, SignInConditions, StagedDataset, UserRecord,
};

const IDS: u8 = 5;

fn dataset_id(number: u8) -> DatasetId {
    DatasetId(Uuid::from_u128(u128::from(number)))
}

fn user_id(number: u8) -> UserId {
    UserId(Uuid::from_u128(u128::from(number)))
}

fn role(number: u8) -> RoleName {
    format!("role{number}").parse().unwrap()
}

fn dataset(number: u8, owner: Option<u8>, readers: &[u8], title: usize) -> Dataset {
    Dataset {
        id: dataset_id(number),
        title: format!("title {title}"),
        visibility: Visibility::Private,
        record_status: RecordStatus::Draft,
        owner: owner.map(user_id),
        reader_users: readers.iter().copied().map(user_id).collect(),
        reader_roles: readers.iter().copied().map(role).collect(),
        share_ends: ShareEnds::default(),
        tags: Tags::new(),
        attributes: Attributes::new(),
        file: None,
    }
}

fn user(number: u8) -> User {
    User {
        id: user_id(number),
        username: format!("user{number}").parse().unwrap(),
        issuer: None,
        roles: BTreeSet::new(),
        claims: Tags::new(),
        attributes: Attributes::new(),
        display_name: None,
        is_disabled: false,
    }
}

fn put_users_and_roles() -> CatalogChange {
    let record = |number| UserRecord {
        user: user(number),
        password_hash: None,
    };
    CatalogChange {
        roles_put: (0..IDS).map(role).collect(),
        users_put: (0..IDS).map(record).collect(),
        ..CatalogChange::default()
    }
}

/// Writes a change that refers to what there is.
async fn write(database: &Database, change: &CatalogChange) {
    let version = database.catalog_version().await.unwrap();
    database.write_catalog(change, version).await.unwrap();
}

fn put(datasets: Vec<Dataset>) -> CatalogChange {
    CatalogChange {
        datasets_put: datasets,
        ..CatalogChange::default()
    }
}

async fn advance(cache: &DatasetCache, database: &Database) {
    cache.advance(&database.versions().await.unwrap()).await;
}

/// One change by another process, or what the cache does.
#[derive(Clone, Debug)]
enum Step {
    Put(u8, Option<u8>, Vec<u8>),
    Remove(u8),
    RemoveUser(u8),
    RemoveRole(u8),
    PutUsersAndRoles,
    AddExternalUser,
    Apply(Vec<u8>, bool),
    Settle,
    Sweep,
    Advance,
    LookUp(u8),
    Fill,
}

fn any_step() -> impl Strategy<Value = Step> {
    let number = || 0..IDS;
    let numbers = || vec(number(), 0..4);
    prop_oneof![
        6 => (number(), prop::option::of(number()), numbers())
            .prop_map(|(id, owner, readers)| Step::Put(id, owner, readers)),
        2 => number().prop_map(Step::Remove),
        1 => number().prop_map(Step::RemoveUser),
        1 => number().prop_map(Step::RemoveRole),
        1 => Just(Step::PutUsersAndRoles),
        1 => Just(Step::AddExternalUser),
        2 => (numbers(), any::<bool>()).prop_map(|(ids, is_removal)| Step::Apply(ids, is_removal)),
        1 => Just(Step::Settle),
        1 => Just(Step::Sweep),
        8 => Just(Step::Advance),
        8 => number().prop_map(Step::LookUp),
        2 => Just(Step::Fill),
    ]
}

/// Tries a change: one that refers to what is gone is refused.
async fn try_write(database: &Database, change: &CatalogChange) {
    let version = database.catalog_version().await.unwrap();
    database.write_catalog(change, version).await.ok();
}

async fn apply(database: &Database, staged: Vec<StagedDataset>) {
    let state = database.apply_state().await.unwrap();
    if state.is_committed() {
        return;
    }
    let lease = database.lease_apply(state).await.unwrap().unwrap();
    assert!(database.stage_datasets(lease, &staged).await.unwrap());
    let (change, conditions) = (CatalogChange::default(), SignInConditions::default());
    let conditions = CommitConditions::new(&conditions);
    let replan = |_: &_| Some(CatalogChange::default());
    let committed = database.commit_apply(lease, 0, &change, &conditions, replan);
    committed.await.unwrap();
}

async fn take(step: Step, number: usize, cache: &DatasetCache, database: &Database) {
    match step {
        Step::Put(id, owner, readers) => {
            try_write(database, &put(vec![dataset(id, owner, &readers, number)])).await;
        }
        Step::Remove(id) => {
            let datasets_removed = vec![dataset_id(id)];
            let change = CatalogChange {
                datasets_removed,
                ..CatalogChange::default()
            };
            try_write(database, &change).await;
        }
        Step::RemoveUser(id) => {
            let users_removed = vec![user_id(id)];
            let change = CatalogChange {
                users_removed,
                ..CatalogChange::default()
            };
            try_write(database, &change).await;
        }
        Step::RemoveRole(id) => {
            let roles_removed = vec![role(id)];
            let change = CatalogChange {
                roles_removed,
                ..CatalogChange::default()
            };
            try_write(database, &change).await;
        }
        Step::PutUsersAndRoles => try_write(database, &put_users_and_roles()).await,
        Step::AddExternalUser => {
            let issuer = Some("https://example.org".to_owned());
            let username = format!("external{number}").parse().unwrap();
            let user = User {
                id: UserId::random(),
                username,
                issuer,
                ..user(0)
            };
            database
                .add_external_user(&user, &number.to_string(), 0)
                .await
                .unwrap();
        }
        Step::Apply(ids, is_removal) => {
            let ids: BTreeSet<u8> = ids.into_iter().collect();
            let staged = ids.into_iter().map(|id| {
                if is_removal {
                    StagedDataset::Removed(dataset_id(id))
                } else {
                    StagedDataset::Put(dataset(id, Some(id), &[id], number))
                }
            });
            apply(database, staged.collect()).await;
        }
        Step::Settle => drop(database.settle_staged_datasets(2).await.unwrap()),
        Step::Sweep => drop(database.sweep_removed().await.unwrap()),
        Step::Advance => {
            advance(cache, database).await;
            for id in (0..IDS).map(dataset_id) {
                let stored = database.find_dataset(id).await.unwrap();
                if let Some(cached) = cache.cached(id) {
                    assert_eq!(Some(&*cached), stored.as_ref());
                }
                let loaded = cache.load(id).await.unwrap();
                assert_eq!(loaded.as_deref(), stored.as_ref());
            }
        }
        Step::LookUp(id) => {
            let id = dataset_id(id);
            if cache.cached(id).is_none() {
                cache.load(id).await.unwrap();
            }
        }
        Step::Fill => cache.fill_once().await,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6))]

    #[test]
    fn whatever_others_change_what_is_cached_for_a_version_is_what_is_stored(
        steps in vec(any_step(), 60),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let folder = tempfile::tempdir().unwrap();
            let database = empty_database(folder.path()).await;
            let cache = DatasetCache::new(empty_database(folder.path()).await);
            write(&database, &put_users_and_roles()).await;
            advance(&cache, &database).await;
            for (number, step) in steps.into_iter().enumerate() {
                take(step, number, &cache, &database).await;
            }
            take(Step::Advance, 0, &cache, &database).await;
        });
    }
}

#[tokio::test]
async fn a_dataset_that_did_not_change_stays_cached() {
    let folder = tempfile::tempdir().unwrap();
    let database = empty_database(folder.path()).await;
    let cache = DatasetCache::new(empty_database(folder.path()).await);
    write(&database, &put_users_and_roles()).await;
    write(
        &database,
        &put(vec![dataset(1, None, &[], 1), dataset(2, None, &[], 1)]),
    )
    .await;
    advance(&cache, &database).await;
    let before = cache.load(dataset_id(1)).await.unwrap().unwrap();
    cache.load(dataset_id(2)).await.unwrap();

    write(&database, &put(vec![dataset(2, None, &[], 2)])).await;
    let users_put = put_users_and_roles().users_put;
    let change = CatalogChange {
        users_put,
        ..CatalogChange::default()
    };
    write(&database, &change).await;
    advance(&cache, &database).await;
    assert!(Arc::ptr_eq(&cache.cached(dataset_id(1)).unwrap(), &before));
    assert!(cache.cached(dataset_id(2)).is_none());

    let roles_removed = vec![role(1)];
    let change = CatalogChange {
        roles_removed,
        ..CatalogChange::default()
    };
    write(&database, &change).await;
    advance(&cache, &database).await;
    assert!(cache.cached(dataset_id(1)).is_none());
}

#[tokio::test]
async fn what_was_read_before_a_change_is_not_cached_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let database = empty_database(folder.path()).await;
    let cache = DatasetCache::new(empty_database(folder.path()).await);
    let all = (0..IDS).map(|number| dataset(number, None, &[], 1));
    write(&database, &put(all.collect())).await;
    advance(&cache, &database).await;
    let moment = cache.state.read().moment;
    let page = database.list_datasets(None, 100).await.unwrap();
    write(&database, &put(vec![dataset(1, None, &[], 2)])).await;
    advance(&cache, &database).await;
    cache.add_page(moment, &page);
    let cached: BTreeMap<u8, bool> = (0..IDS)
        .map(|number| (number, cache.cached(dataset_id(number)).is_some()))
        .collect();
    let expected = (0..IDS).map(|number| (number, number != 1)).collect();
    assert_eq!(cached, expected);

    // Nor after so many changes that they are not all remembered.
    for title in 0..MAX_REMEMBERED_CHANGES {
        write(&database, &put(vec![dataset(1, None, &[], title)])).await;
        advance(&cache, &database).await;
    }
    write(&database, &put(vec![dataset(2, None, &[], 2)])).await;
    advance(&cache, &database).await;
    cache.add_page(moment, &page);
    assert!(cache.cached(dataset_id(1)).is_none() && cache.cached(dataset_id(2)).is_none());
}

#[tokio::test]
async fn datasets_that_were_read_ahead_need_no_statement() {
    let folder = tempfile::tempdir().unwrap();
    let database = empty_database(folder.path()).await;
    let cache = DatasetCache::new(empty_database(folder.path()).await);
    write(&database, &put_users_and_roles()).await;
    let all: Vec<_> = (0..IDS)
        .map(|number| dataset(number, Some(1), &[1, 2], 1))
        .collect();
    write(&database, &put(all.clone())).await;
    advance(&cache, &database).await;
    cache.fill_once().await;
    for dataset in all {
        assert_eq!(cache.cached(dataset.id).as_deref(), Some(&dataset));
    }
}
