//! The cost and the correctness of `policy diff`, `policy who`, `policy what` and access matrices at size:
//! `cargo bench --bench comparison`.
//!
//! With 100,000 datasets and 1,000 users in memory, the shipped policies are compared with an edit of
//! them that reads tags, roles, owners and names. Then pairs are sampled, as many among the changes as
//! among all pairs, and each is decided by both bundles: the bench fails where the comparison differs.
//! Times and counts are printed, and none is asserted.
//!
//! `SEED` repeats a run; `DATASETS` and `USERS` make it smaller.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a bench prints, and fails by panicking"
)]

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use strum::VariantArray;

use cedargate::domain::action::Action;
use cedargate::domain::attributes::Attributes;
use cedargate::domain::caller::{Authentication, DecisionContext};
use cedargate::domain::client_address::AssumedAddress;
use cedargate::domain::dataset::{Dataset, RecordStatus, Visibility};
use cedargate::domain::id::{DatasetId, UserId};
use cedargate::domain::name::RoleName;
use cedargate::domain::principal::{Principal, Tags, User};
use cedargate::domain::resource::Resource;
use cedargate::policy::Bundle;
use cedargate::policy::context_literals::ContextLiterals;
use cedargate::service::policies::review::access_lists::{
    DatasetGroup, DatasetsQuery, PrincipalGroup, PrincipalsQuery, list_datasets, list_principals,
};
use cedargate::service::policies::review::asked_contexts::ContextScope;
use cedargate::service::policies::review::bundle_pair::BundlePair;
use cedargate::service::policies::review::comparison::{
    BundleComparison, ChangeGroup, DecisionChange, compare,
};
use cedargate::storage::{Catalog, UserRecord};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use uuid::Uuid;

#[path = "comparison_parts/matrices.rs"]
mod matrices;

use matrices::count_pairs;

const DATASETS: u64 = 100_000;
const USERS: u64 = 1_000;
const ROLES: u64 = 20;
/// How many pairs are decided by both bundles.
const SAMPLE: usize = 20_000;
const ACTIONS: [Action; 3] = [Action::Read, Action::Discover, Action::Administer];
/// Where and when everybody asks.
const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const UNIX_SECONDS: i64 = 1_772_366_400;
/// The policies that the edit adds.
const EDIT: &str = r#"
@id("embargo") @reason("The dataset is under embargo.")
forbid (principal, action in [Action::"read", Action::"discover"], resource)
when { resource.hasTag("embargo") && resource.getTag("embargo").contains("yes") }
unless { resource has owner && resource.owner == principal };

@id("one-user") @reason("A user helps out.")
permit (principal == User::"00000000-0000-0000-0000-000000000007", action == Action::"read", resource is Dataset)
when { resource.visibility == Visibility::"restricted" };

@id("owners-administer") @reason("Owners of drafts with their role administer them.")
permit (principal in Role::"role-3", action == Action::"administer", resource is Dataset)
when { resource has owner && resource.owner == principal && resource.record_status == RecordStatus::"draft" };
"#;

/// A user (`None` is the anonymous principal), an action and a dataset.
type Pair = (Option<UserId>, Action, DatasetId);
/// The groups of changes of each action and dataset.
type GroupsByDataset<'a> = HashMap<(Action, DatasetId), Vec<&'a ChangeGroup>>;

fn main() {
    let number = |name: &str, default: u64| {
        std::env::var(name).map_or(default, |text| text.parse().unwrap())
    };
    let seed = number("SEED", rand::random());
    let (datasets, users) = (number("DATASETS", DATASETS), number("USERS", USERS));
    println!("SEED={seed} DATASETS={datasets} USERS={users}");
    let mut rng = StdRng::seed_from_u64(seed);
    let (from, to) = (Bundle::embedded().unwrap(), edited());
    let catalog = catalog(&mut rng, users, datasets);

    let copy = catalog.clone();
    let started = Instant::now();
    let scope = ContextScope {
        address: Some(AssumedAddress(Some(ADDRESS))),
        time: Some(UNIX_SECONDS),
        authentication: None,
        now: UNIX_SECONDS,
        literals: ContextLiterals::default(),
    };
    let comparison = compare(&from, &to, copy, &scope, || {});
    let taken = started.elapsed();
    println!(
        "compared in {taken:.2?}: {} pairs of a caller and a dataset, {} decisions, {} changes in {} groups",
        (users + 1) * datasets,
        comparison.decided,
        comparison.changed,
        comparison.groups.len(),
    );
    list_access(&to, &catalog, &scope);
    let bundles = BundlePair {
        from: &from,
        to: &to,
    };
    count_pairs(bundles, &catalog, &scope, &comparison);
    let started = Instant::now();
    let changed = spot_check(&mut rng, &from, &to, &catalog, &comparison);
    println!(
        "{SAMPLE} pairs decided by both bundles in {:.2?}: all as compared, {changed} of them changes",
        started.elapsed()
    );
}

/// Asks who may read a dataset, and what a user may do, and checks that the answers agree.
fn list_access(bundle: &Bundle, catalog: &Catalog, scope: &ContextScope) {
    let users = catalog.users.iter();
    let users: Vec<_> = users.map(|record| Arc::new(record.user.clone())).collect();
    let (user, dataset) = (&users[users.len() / 2], &catalog.datasets[0]);
    let query = PrincipalsQuery {
        action: Action::Read,
        dataset: dataset.clone(),
        scope: scope.clone(),
    };
    let started = Instant::now();
    let who = list_principals(bundle, &query, users.clone());
    println!(
        "who may read a dataset in {:.2?}: {} users in {} groups",
        started.elapsed(),
        who.permitted,
        who.groups.len()
    );
    let query = DatasetsQuery {
        actions: ACTIONS.to_vec(),
        principal: Principal::User(Arc::clone(user)),
        scope: scope.clone(),
    };
    let datasets = catalog.datasets.clone();
    let started = Instant::now();
    let what = list_datasets(bundle, &query, datasets);
    let counts = what.actions.iter().map(|one| one.permitted.to_string());
    println!(
        "what a user may do in {:.2?}: {} datasets",
        started.elapsed(),
        counts.collect::<Vec<_>>().join(", ")
    );
    let is_listed = |group: &DatasetGroup| group.datasets.iter().any(|one| one.id == dataset.id);
    let by_user = what.actions[0].groups.iter().any(is_listed);
    let has_user = |group: &PrincipalGroup| group.users.iter().any(|one| one.id == user.id);
    assert_eq!(by_user, who.groups.iter().any(has_user));
}

fn edited() -> Bundle {
    let folder = tempfile::tempdir().unwrap();
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies");
    for entry in std::fs::read_dir(shipped).unwrap() {
        let entry = entry.unwrap();
        if entry.path().is_file() {
            std::fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
        }
    }
    std::fs::write(folder.path().join("edit.cedar"), EDIT).unwrap();
    Bundle::load(folder.path()).unwrap()
}

fn role(number: u64) -> RoleName {
    format!("role-{number}").parse().unwrap()
}

fn user_id(number: u64) -> UserId {
    UserId(Uuid::from_u128(u128::from(number)))
}

fn catalog(rng: &mut StdRng, users: u64, datasets: u64) -> Catalog {
    let some_roles = |rng: &mut StdRng, max: u64| -> BTreeSet<RoleName> {
        let count = rng.random_range(0..=max);
        (0..count)
            .map(|_| role(rng.random_range(0..ROLES)))
            .collect()
    };
    let user = |rng: &mut StdRng, number: u64| UserRecord {
        user: User {
            id: user_id(number),
            username: format!("user-{number}").parse().unwrap(),
            issuer: None,
            roles: some_roles(rng, 3),
            claims: Tags::new(),
            attributes: Attributes::new(),
            display_name: None,
            is_disabled: false,
        },
        password_hash: None,
    };
    let dataset = |rng: &mut StdRng, number: u64| {
        let readers = rng.random_range(0..4_u64);
        let tag = rng
            .random_bool(0.02)
            .then(|| ("embargo".to_owned(), BTreeSet::from(["yes".to_owned()])));
        Dataset {
            id: DatasetId(Uuid::from_u128(u128::from(number))),
            title: format!("Dataset {number}"),
            visibility: Visibility::VARIANTS[rng.random_range(0..Visibility::VARIANTS.len())],
            record_status: RecordStatus::VARIANTS
                [rng.random_range(0..RecordStatus::VARIANTS.len())],
            owner: rng
                .random_bool(0.8)
                .then(|| user_id(rng.random_range(0..users))),
            reader_users: (0..readers)
                .map(|_| user_id(rng.random_range(0..users)))
                .collect(),
            reader_roles: some_roles(rng, 2),
            share_ends: cedargate::domain::share_ends::ShareEnds::default(),
            tags: tag.into_iter().collect(),
            attributes: Attributes::new(),
            file: None,
        }
    };
    let roles = (0..ROLES).map(role).chain(["admin".parse().unwrap()]);
    Catalog {
        version: 1,
        roles: roles.collect(),
        users: (0..users).map(|number| user(rng, number)).collect(),
        datasets: (0..datasets).map(|number| dataset(rng, number)).collect(),
    }
}

/// Decides sampled pairs with both bundles, half of them from the changes; returns how many are changes.
fn spot_check(
    rng: &mut StdRng,
    from: &Bundle,
    to: &Bundle,
    catalog: &Catalog,
    comparison: &BundleComparison,
) -> usize {
    let users: BTreeMap<UserId, &User> = catalog
        .users
        .iter()
        .map(|record| (record.user.id, &record.user))
        .collect();
    let datasets: BTreeMap<DatasetId, &Dataset> = catalog
        .datasets
        .iter()
        .map(|dataset| (dataset.id, dataset))
        .collect();
    let mut groups_by_dataset: GroupsByDataset<'_> = HashMap::new();
    for group in &comparison.groups {
        for dataset in &group.datasets {
            groups_by_dataset
                .entry((group.action, dataset.id))
                .or_default()
                .push(group);
        }
    }
    let mut changed = 0;
    for round in 0..SAMPLE {
        let pair = if round % 2 == 0 && comparison.has_changes() {
            sample_change(rng, comparison)
        } else {
            let user = rng.random_range(0..=catalog.users.len());
            let dataset = &catalog.datasets[rng.random_range(0..catalog.datasets.len())];
            let user = catalog.users.get(user).map(|record| record.user.id);
            (
                user,
                ACTIONS[rng.random_range(0..ACTIONS.len())],
                dataset.id,
            )
        };
        let (user, action, dataset) = pair;
        let principal = user.map_or(Principal::Anonymous, |id| {
            Principal::User(Arc::new(users[&id].clone()))
        });
        let resource = Resource::Dataset(Arc::new(datasets[&dataset].clone()));
        let expected = actual_change(from, to, &principal, action, &resource);
        assert_eq!(
            listed_change(&groups_by_dataset, pair),
            expected,
            "{pair:?}"
        );
        changed += usize::from(expected.is_some());
    }
    changed
}

fn sample_change(rng: &mut StdRng, comparison: &BundleComparison) -> Pair {
    let group = &comparison.groups[rng.random_range(0..comparison.groups.len())];
    let principals = group.users.len() + usize::from(group.is_anonymous);
    let user = group
        .users
        .get(rng.random_range(0..principals))
        .map(|user| user.id);
    let dataset = &group.datasets[rng.random_range(0..group.datasets.len())];
    (user, group.action, dataset.id)
}

/// The change of a pair according to a comparison, which must list it once.
fn listed_change(
    groups_by_dataset: &GroupsByDataset<'_>,
    (user, action, dataset): Pair,
) -> Option<DecisionChange> {
    let groups = groups_by_dataset
        .get(&(action, dataset))
        .into_iter()
        .flatten();
    let includes_user = |group: &&&ChangeGroup| match user {
        Some(id) => group.users.iter().any(|user| user.id == id),
        None => group.is_anonymous,
    };
    let changes: Vec<DecisionChange> = groups
        .filter(includes_user)
        .map(|group| group.change)
        .collect();
    assert!(changes.len() <= 1, "a pair is listed twice");
    changes.first().copied()
}

fn actual_change(
    from: &Bundle,
    to: &Bundle,
    principal: &Principal,
    action: Action,
    resource: &Resource,
) -> Option<DecisionChange> {
    let context = DecisionContext {
        address: Some(ADDRESS),
        unix_millis: UNIX_SECONDS * 1000,
        authentication: match principal {
            Principal::Anonymous => Authentication::None,
            Principal::User(_) => Authentication::Password,
        },
        key: None,
    };
    let before = from
        .decide(principal, action, resource, &context)
        .is_permitted;
    let after = to
        .decide(principal, action, resource, &context)
        .is_permitted;
    match (before, after) {
        (false, true) => Some(DecisionChange::Gains),
        (true, false) => Some(DecisionChange::Loses),
        _ => None,
    }
}
