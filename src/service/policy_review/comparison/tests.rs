//! The law of comparisons: grouped, they say what asking about every pair says.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::domain::dataset::{RecordStatus, Visibility};
use crate::domain::id::{DatasetId, UserId};
use crate::domain::principal::Tags;
use crate::storage::UserRecord;

const CIRCUMSTANCES: Circumstances = Circumstances {
    address: std::net::IpAddr::V4(Ipv4Addr::LOCALHOST),
    unix_millis: 1_772_366_400_000,
};

/// Conditions that see all there is to see: names, attributes, sets and tags.
const CONDITIONS: [&str; 18] = [
    r#"resource.visibility == Visibility::"public""#,
    r#"resource.record_status == RecordStatus::"published""#,
    "resource has owner && resource.owner == principal",
    "resource.reader_users.contains(principal)",
    "principal in resource.reader_roles",
    "resource.reader_users.isEmpty()",
    "resource has owner && resource.reader_users.contains(resource.owner)",
    "resource has owner && resource.reader_users == [resource.owner]",
    "resource.reader_users == [principal]",
    r#"principal == User::"00000000-0000-0000-0000-000000000001""#,
    r#"resource has owner && resource.owner == User::"00000000-0000-0000-0000-000000000002""#,
    r#"resource.reader_users.containsAll([User::"00000000-0000-0000-0000-000000000001", principal])"#,
    r#"resource == Dataset::"00000000-0000-0000-0000-000000000003""#,
    r#"principal in Role::"a""#,
    r#"resource.title like "*1""#,
    r#"resource.hasTag("x") && resource.getTag("x").contains("y")"#,
    r#"principal.username == "u1""#,
    r#"principal.hasTag("x")"#,
];

fn some_policy() -> impl Strategy<Value = String> {
    (
        proptest::sample::select(vec!["permit", "permit", "forbid"]),
        proptest::sample::select(vec!["read", "discover", "administer"]),
        proptest::collection::vec(
            (proptest::sample::select(&CONDITIONS[..]), any::<bool>()),
            1..3,
        ),
    )
        .prop_map(|(effect, action, chosen)| {
            let is_of_users = chosen.iter().any(|(said, _)| said.contains("principal"));
            let principal = if is_of_users {
                "principal is User"
            } else {
                "principal"
            };
            let conditions = chosen.iter().map(|(said, is_positive)| {
                let clause = if *is_positive { "when" } else { "unless" };
                format!("{clause} {{ {said} }}")
            });
            let conditions: Vec<String> = conditions.collect();
            let conditions = conditions.join("\n");
            format!(
                "{effect} ({principal}, action == Action::\"{action}\", resource)\n{conditions};"
            )
        })
}

fn some_bundle() -> impl Strategy<Value = Bundle> {
    proptest::collection::vec(some_policy(), 1..6).prop_map(|policies| {
        let folder = tempfile::tempdir().unwrap();
        let schema = include_str!("../../../../policies/schema.cedarschema");
        std::fs::write(folder.path().join("schema.cedarschema"), schema).unwrap();
        let named = policies.iter().enumerate();
        let text: Vec<String> = named
            .map(|(number, policy)| format!("@id(\"p{number}\")\n{policy}\n"))
            .collect();
        std::fs::write(folder.path().join("all.cedar"), text.concat()).unwrap();
        Bundle::load(folder.path()).unwrap()
    })
}

fn some_tags() -> impl Strategy<Value = Tags> {
    any::<bool>().prop_map(|is_tagged| {
        let tag = ("x".to_owned(), BTreeSet::from(["y".to_owned()]));
        is_tagged.then_some(tag).into_iter().collect()
    })
}

fn some_roles() -> impl Strategy<Value = BTreeSet<RoleName>> {
    let roles = vec!["a".parse().unwrap(), "b".parse().unwrap()];
    proptest::sample::subsequence(roles, 0..=2).prop_map(|roles| roles.into_iter().collect())
}

fn some_catalog() -> impl Strategy<Value = Catalog> {
    let users = proptest::collection::vec((some_roles(), some_tags(), any::<u8>()), 1..7);
    let datasets = proptest::collection::vec(
        (
            proptest::sample::select(Visibility::ALL),
            proptest::sample::select(RecordStatus::ALL),
            proptest::option::of(0..8_u128),
            proptest::collection::btree_set(0..8_u128, 0..4),
            some_roles(),
            some_tags(),
        ),
        1..12,
    );
    (users, datasets).prop_map(|(users, datasets)| Catalog {
        version: 1,
        roles: ["admin", "a", "b"].map(|role| role.parse().unwrap()).into(),
        users: users
            .into_iter()
            .zip(0_u128..)
            .map(|((roles, claims, chance), number)| UserRecord {
                user: User {
                    id: UserId(Uuid::from_u128(number)),
                    username: format!("u{number}").parse().unwrap(),
                    issuer: None,
                    roles,
                    claims,
                    is_disabled: chance < 20,
                },
                password_hash: None,
            })
            .collect(),
        datasets: datasets
            .into_iter()
            .zip(0_u128..)
            .map(
                |((visibility, record_status, owner, readers, reader_roles, tags), number)| {
                    Dataset {
                        id: DatasetId(Uuid::from_u128(number)),
                        title: format!("Dataset {number}"),
                        visibility,
                        record_status,
                        owner: owner.map(|id| UserId(Uuid::from_u128(id))),
                        reader_users: readers
                            .into_iter()
                            .map(|id| UserId(Uuid::from_u128(id)))
                            .collect(),
                        reader_roles,
                        tags,
                        file: None,
                    }
                },
            )
            .collect(),
    })
}

/// One change: nobody's id stands for anonymous.
type Pair = (Option<UserId>, Action, Change, DatasetId);

fn pairs_of(comparison: &Comparison) -> Vec<Pair> {
    let mut pairs = Vec::new();
    for group in &comparison.groups {
        let users = group.users.iter().map(|user| Some(user.id));
        let askers: Vec<Option<UserId>> = users.chain(group.is_anonymous.then_some(None)).collect();
        for asker in askers {
            for dataset in &group.datasets {
                pairs.push((asker, group.action, group.change, dataset.id));
            }
        }
    }
    pairs.sort();
    pairs
}

fn asked_one_by_one(from: &Bundle, to: &Bundle, catalog: &Catalog) -> Vec<Pair> {
    let mut work = Work::new(from, to, Vec::new(), CIRCUMSTANCES);
    let mut pairs = Vec::new();
    let users = catalog.users.iter().map(|record| &record.user);
    let askers = users
        .filter(|user| !user.is_disabled)
        .map(|user| Principal::User(Arc::new(user.clone())))
        .chain([Principal::Anonymous]);
    for asker in askers {
        for dataset in &catalog.datasets {
            let resource = Resource::Dataset(Arc::new(dataset.clone()));
            for (action, change) in each(work.decide(&asker, &resource)) {
                pairs.push((asker.user_id(), ACTIONS[action], change, dataset.id));
            }
        }
    }
    pairs.sort();
    pairs
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn a_comparison_says_what_asking_about_every_pair_says(
        from in some_bundle(),
        to in some_bundle(),
        catalog in some_catalog(),
    ) {
        let expected = asked_one_by_one(&from, &to, &catalog);
        let comparison = compare(&from, &to, catalog, CIRCUMSTANCES, || {});
        prop_assert_eq!(comparison.changed, u64::try_from(expected.len()).unwrap());
        prop_assert_eq!(pairs_of(&comparison), expected);
    }
}

#[test]
fn a_comparison_is_read_as_sentences() {
    let dataset = |number: u128, record_status| Dataset {
        id: DatasetId(Uuid::from_u128(number)),
        title: format!("Dataset {number}"),
        visibility: Visibility::Public,
        record_status,
        owner: None,
        reader_users: BTreeSet::new(),
        reader_roles: BTreeSet::new(),
        tags: Tags::new(),
        file: None,
    };
    let catalog = Catalog {
        version: 1,
        roles: BTreeSet::new(),
        users: Vec::new(),
        datasets: vec![
            dataset(1, RecordStatus::Published),
            dataset(2, RecordStatus::Draft),
        ],
    };
    let folder = tempfile::tempdir().unwrap();
    let schema = include_str!("../../../../policies/schema.cedarschema");
    std::fs::write(folder.path().join("schema.cedarschema"), schema).unwrap();
    let public = include_str!("../../../../policies/public.cedar");
    let forgotten = public.replace(
        "resource.record_status == RecordStatus::\"published\"",
        "true",
    );
    assert_ne!(public, forgotten);
    std::fs::write(folder.path().join("public.cedar"), forgotten).unwrap();
    let to = Bundle::load(folder.path()).unwrap();
    let comparison = compare(
        &Bundle::embedded().unwrap(),
        &to,
        catalog,
        CIRCUMSTANCES,
        || {},
    );
    assert!(comparison.has_changes());
    insta::assert_snapshot!(comparison.render());
}
