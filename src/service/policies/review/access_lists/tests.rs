//! Access lists equal deciding every pair of principal and dataset, in every context that is asked in.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;
use uuid::Uuid;

use super::classes::AccessClasses;
use super::*;
use crate::domain::action::Action;
use crate::domain::attributes::Attributes;
use crate::domain::dataset::{Dataset, RecordStatus, Visibility};
use crate::domain::id::{DatasetId, UserId};
use crate::domain::principal::{Principal, Tags, User};
use crate::domain::resource::Resource;
use crate::domain::share_ends::ShareEnds;
use crate::policy::Bundle;
use crate::service::policies::review::asked_contexts::ContextSet;
use crate::service::policies::review::asked_contexts::names::name_contexts;
use crate::service::policies::review::generated::{CONDITIONS, scope, some_bundle, some_catalog};
use crate::storage::Catalog;

const ACTIONS: [Action; 3] = Action::DATASET_ACTIONS;

fn any_bundle() -> impl Strategy<Value = Bundle> {
    proptest::sample::subsequence(&CONDITIONS[..], 1..=5).prop_flat_map(some_bundle)
}

fn users_of(catalog: &Catalog) -> Vec<Arc<User>> {
    let users = catalog.users.iter();
    users.map(|record| Arc::new(record.user.clone())).collect()
}

/// For each policy that permits the contexts in which it does, decided one by one.
fn decided(
    classes: &AccessClasses<'_>,
    action: Action,
    principal: &Principal,
    dataset: &Arc<Dataset>,
) -> BTreeMap<String, ContextSet> {
    let mut permitted: BTreeMap<String, ContextSet> = BTreeMap::new();
    for (index, place) in classes.asked.iter().enumerate() {
        let context = classes.asked.context(place, principal, dataset);
        let key = context.key.as_ref();
        if key.is_some_and(|key| key.scope.violation(action, Some(dataset.id)).is_some()) {
            continue;
        }
        let resource = Resource::Dataset(Arc::clone(dataset));
        let decision = classes
            .bundle
            .decide(principal, action, &resource, &context);
        if decision.is_permitted {
            for policy in decision.determining_policies {
                *permitted.entry(policy).or_default() |= 1 << index;
            }
        }
    }
    permitted
}

/// The names of the contexts in which each policy permits, as an answer has them. Relations split the contexts of a
/// policy, so only a policy with one relation is compared by name.
fn told(grants: &[AccessGrant]) -> BTreeMap<String, Vec<Vec<String>>> {
    let mut told: BTreeMap<String, BTreeSet<Vec<String>>> = BTreeMap::new();
    for grant in grants {
        let names = told.entry(grant.policy.clone()).or_default();
        names.insert(grant.when.clone());
    }
    told.into_iter()
        .map(|(policy, names)| (policy, names.into_iter().collect()))
        .collect()
}

fn check_pair(
    classes: &AccessClasses<'_>,
    action: Action,
    (principal, dataset): (&Principal, &Arc<Dataset>),
    access: &PairAccess,
) -> Result<(), TestCaseError> {
    let grants = &access.grants;
    let expected = decided(classes, action, principal, dataset);
    let askable = classes.asked.askable(action);
    let contexts = expected.values().fold(0, |all, contexts| all | contexts);
    prop_assert_eq!(access.is_always, contexts & askable == askable);
    let told = told(grants);
    prop_assert_eq!(
        told.keys().collect::<Vec<_>>(),
        expected.keys().collect::<Vec<_>>()
    );
    for (policy, contexts) in expected {
        let names = if contexts & askable == askable {
            Vec::new()
        } else {
            name_contexts(&classes.asked, contexts)
        };
        if let [only] = told[&policy].as_slice() {
            prop_assert_eq!(only, &names, "{}", policy);
        }
    }
    for grant in grants {
        let holds = match (&grant.through, principal) {
            (AccessRelation::Anonymous, principal) => principal.is_anonymous(),
            (AccessRelation::Owner, _) => dataset.owner == principal.user_id(),
            (AccessRelation::Reader, Principal::User(user)) => {
                dataset.reader_users.contains(&user.id)
            }
            (AccessRelation::Role(role), Principal::User(user)) => user.roles.contains(role),
            (AccessRelation::Policy, Principal::User(_)) => true,
            _ => false,
        };
        prop_assert!(holds, "{:?}", grant);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn who_may_equals_deciding_every_user(bundle in any_bundle(), catalog in some_catalog()) {
        let users = users_of(&catalog);
        for (place, dataset) in catalog.datasets.iter().enumerate().take(6) {
            let action = ACTIONS[place % ACTIONS.len()];
            let query = PrincipalsQuery { action, dataset: dataset.clone(), scope: scope() };
            let (of_users, of_anonymous) = grants_of_principals(&bundle, &query, users.clone());
            let dataset = Arc::new(dataset.clone());
            let actions = [action];
            let datasets = [Arc::clone(&dataset)];
            let classes = AccessClasses::new(&bundle, &actions, &users, &datasets, &scope());
            check_pair(&classes, action, (&Principal::Anonymous, &dataset), &of_anonymous)?;
            let mut permitted = BTreeSet::new();
            for one in &of_users {
                let principal = Principal::User(Arc::clone(&one.user));
                check_pair(&classes, action, (&principal, &dataset), &one.access)?;
                if !one.access.is_denied() {
                    permitted.insert(one.user.id);
                }
            }
            let listed = list_principals(&bundle, &query, users.clone());
            let in_groups = listed.groups.iter().flat_map(|group| &group.users);
            let in_groups: BTreeSet<_> = in_groups.map(|user| user.id).collect();
            prop_assert_eq!(&in_groups, &permitted);
            prop_assert_eq!(listed.permitted, permitted.len());
            prop_assert_eq!(listed.is_anonymous, !of_anonymous.is_denied());
        }
    }

    #[test]
    fn what_equals_deciding_every_dataset(bundle in any_bundle(), catalog in some_catalog()) {
        let users = users_of(&catalog).into_iter().take(3).map(Principal::User);
        for principal in users.chain([Principal::Anonymous]) {
            let query = DatasetsQuery {
                actions: ACTIONS.to_vec(),
                principal: principal.clone(),
                scope: scope(),
            };
            let users: Vec<_> = match &principal {
                Principal::User(user) => vec![Arc::clone(user)],
                Principal::Anonymous => Vec::new(),
            };
            let datasets: Vec<_> = catalog.datasets.iter().cloned().map(Arc::new).collect();
            let of_datasets = grants_on_datasets(&bundle, &query, &datasets);
            let classes = AccessClasses::new(&bundle, &ACTIONS, &users, &datasets, &scope());
            let listed = list_datasets(&bundle, &query, catalog.datasets.clone());
            for (place, action) in ACTIONS.into_iter().enumerate() {
                let mut permitted = BTreeSet::new();
                for one in &of_datasets {
                    let access = &one.access[place];
                    check_pair(&classes, action, (&principal, &one.dataset), access)?;
                    if !access.is_denied() {
                        permitted.insert(one.dataset.id);
                    }
                }
                let of_action = &listed.actions[place];
                let in_groups = of_action.groups.iter().flat_map(|group| &group.datasets);
                let in_groups: BTreeSet<_> = in_groups.map(|dataset| dataset.id).collect();
                prop_assert_eq!(&in_groups, &permitted);
                prop_assert_eq!(of_action.permitted, permitted.len());
            }
        }
    }
}

/// A schema whose type lists its roles refuses everybody with another one, although no policy names a role.
#[test]
fn users_with_a_role_that_the_schema_does_not_list_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let shipped = include_str!("../../../../../policies/schema.cedarschema");
    let listing = shipped.replace(
        "entity Role;",
        r#"entity Role enum ["admin", "probe", "a"];"#,
    );
    assert_ne!(listing, shipped);
    std::fs::write(folder.path().join("schema.cedarschema"), listing).unwrap();
    let public = include_str!("../../../../../policies/public.cedar");
    std::fs::write(folder.path().join("public.cedar"), public).unwrap();
    let bundle = Bundle::load(folder.path()).unwrap();
    let user = |number: u128, role: &str| {
        Arc::new(User {
            id: UserId(Uuid::from_u128(number)),
            username: format!("u{number}").parse().unwrap(),
            issuer: None,
            roles: [role.parse().unwrap()].into(),
            claims: Tags::new(),
            attributes: Attributes::new(),
            display_name: None,
            is_disabled: false,
        })
    };
    let users = vec![user(1, "a"), user(2, "b"), user(3, "a")];
    let query = PrincipalsQuery {
        action: Action::Read,
        dataset: Dataset {
            id: DatasetId(Uuid::from_u128(9)),
            title: "Tides".to_owned(),
            visibility: Visibility::Public,
            record_status: RecordStatus::Published,
            owner: None,
            reader_users: BTreeSet::new(),
            reader_roles: BTreeSet::new(),
            share_ends: ShareEnds::default(),
            tags: Tags::new(),
            attributes: Attributes::new(),
            file: None,
        },
        scope: scope(),
    };
    let (of_users, of_anonymous) = grants_of_principals(&bundle, &query, users);
    let permitted: Vec<bool> = of_users.iter().map(|one| one.access.is_always).collect();
    assert_eq!(permitted, [true, false, true]);
    assert!(of_anonymous.is_always);
}
