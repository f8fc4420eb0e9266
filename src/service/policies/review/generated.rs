//! Generated bundles and catalogs, for properties of reviews.

use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::domain::attributes::Attributes;
use crate::domain::dataset::{Dataset, RecordStatus, Visibility};
use crate::domain::id::{DatasetId, UserId};
use crate::domain::name::RoleName;
use crate::domain::principal::{Tags, User};
use crate::policy::Bundle;
use crate::policy::context_literals::ContextLiterals;
use crate::storage::{Catalog, UserRecord};

use super::asked_contexts::ContextScope;

/// Questions about every address, time and way to authenticate that policies tell apart.
pub(super) fn scope() -> ContextScope {
    ContextScope {
        address: None,
        time: None,
        authentication: None,
        now: 1_772_366_400,
        literals: ContextLiterals::default(),
    }
}

/// Conditions that read all there is to read: names, attributes, sets and tags.
pub(super) const CONDITIONS: [&str; 45] = [
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
    r#"principal has issuer && principal.issuer == "https://one.example""#,
    r#"context.authentication == Authentication::"issuer""#,
    r#"context.authentication == Authentication::"api_key""#,
    r#"context.address.isInRange(ip("192.0.2.0/24"))"#,
    r#"context.time < datetime("2026-06-01")"#,
    r#"context.time.toTime() < duration("4h")"#,
    r#"context has key && context.key has actions && context.key.actions == [KeyAction::"read"]"#,
    r#"context has key && context.key has datasets && context.key.datasets.contains("00000000-0000-0000-0000-000000000003")"#,
    r#"resource.reader_roles.contains(Role::"b")"#,
    r#"resource.reader_roles == [Role::"a"]"#,
    "resource.reader_roles.isEmpty()",
    "resource has level && resource.level > 1",
    "principal has clearance && resource has level && principal.clearance >= resource.level",
    "resource has steward && resource.steward == principal",
    "resource has steward && resource.reader_users.contains(resource.steward)",
    "resource has unit && principal in resource.unit",
    "resource has unit && resource.reader_roles.contains(resource.unit)",
    "resource has until && context.time < resource.until",
    r#"resource has until && context.time < resource.until.offset(duration("1d"))"#,
    r"resource has until && context.time.durationSince(resource.until).toDays() <= 2",
    r"resource has until && context.time.toDate() == resource.until.toDate()",
    r#"context.time.offset(duration("-5h")).toTime() < duration("4h")"#,
    r#"context.time <= datetime("2026-06-02T04:00:00Z")"#,
    "context has key && context.key has datasets",
    r#"context has key && context.key has actions && context.key.actions.contains(KeyAction::"discover")"#,
    r#"context has key && context.key has datasets && resource.hasTag("twin") && context.key.datasets.containsAny(resource.getTag("twin"))"#,
    r#"context has key && context.key has datasets && principal.hasTag("twin") && principal.getTag("twin").containsAny(context.key.datasets)"#,
];

/// Those that read the context.
pub(super) fn context_conditions() -> Vec<&'static str> {
    let all = CONDITIONS.into_iter();
    all.filter(|condition| condition.contains("context"))
        .collect()
}

/// The times in attributes, as they are written and in seconds since 1970 UTC.
pub(super) const UNTIL: [(&str, i64); 2] = [
    ("2026-03-10", 1_773_100_800),
    ("2026-03-20T09:30:00Z", 1_773_999_000),
];

/// Attributes that the shipped schema does not have.
const OF_DATASETS: &str =
    "  \"level\"?: Long,\n  \"steward\"?: User,\n  \"unit\"?: Role,\n  \"until\"?: datetime,\n";
const OF_USERS: &str = "  \"clearance\"?: Long,\n";

/// The shipped schema with these attributes.
fn schema() -> String {
    let shipped = include_str!("../../../../policies/schema.cedarschema");
    let (title, username) = ("  \"title\": String,\n", "  \"username\": String,\n");
    shipped
        .replace(title, &format!("{title}{OF_DATASETS}"))
        .replace(username, &format!("{username}{OF_USERS}"))
}

/// Scopes, and what the slots of a template are filled with.
const PRINCIPALS: [&str; 3] = [
    r#"in Role::"a""#,
    r#"in Role::"b""#,
    r#"== User::"00000000-0000-0000-0000-000000000001""#,
];
const RESOURCES: [&str; 2] = [
    r#"== Dataset::"00000000-0000-0000-0000-000000000003""#,
    r#"== Dataset::"00000000-0000-0000-0000-000000000004""#,
];
const TEMPLATE: &str = r#"
@id("template")
permit (principal in ?principal, action == Action::"read", resource == ?resource);
"#;

fn some_policy(conditions: Vec<&'static str>) -> impl Strategy<Value = String> {
    (
        proptest::sample::select(vec!["permit", "permit", "forbid"]),
        proptest::sample::select(vec!["read", "discover", "administer"]),
        proptest::collection::vec((proptest::sample::select(conditions), any::<bool>()), 1..3),
        proptest::option::weighted(0.3, proptest::sample::select(&PRINCIPALS[..])),
        proptest::option::weighted(0.2, proptest::sample::select(&RESOURCES[..])),
    )
        .prop_map(|(effect, action, chosen, principal, resource)| {
            let is_of_users = chosen.iter().any(|(said, _)| said.contains("principal"));
            let principal = match principal {
                Some(named) => named,
                None if is_of_users => "is User",
                None => "",
            };
            let resource = resource.unwrap_or_default();
            let conditions = chosen.iter().map(|(said, is_positive)| {
                let clause = if *is_positive { "when" } else { "unless" };
                format!("{clause} {{ {said} }}")
            });
            let conditions: Vec<String> = conditions.collect();
            let conditions = conditions.join("\n");
            format!(
                "{effect} (principal {principal}, action == Action::\"{action}\", \
                 resource {resource})\n{conditions};"
            )
        })
}

/// Two bundles about a few things, so that many catalogs have what distinguishes them.
pub(super) fn two_bundles() -> impl Strategy<Value = (Bundle, Bundle)> {
    two_bundles_of(CONDITIONS.to_vec(), 4)
}

/// Two bundles with a few of some conditions, at most so many.
pub(super) fn two_bundles_of(
    conditions: Vec<&'static str>,
    most: usize,
) -> impl Strategy<Value = (Bundle, Bundle)> {
    proptest::sample::subsequence(conditions, 1..=most)
        .prop_flat_map(|conditions| (some_bundle(conditions.clone()), some_bundle(conditions)))
}

/// A bundle with the schema of the others and these policies.
pub(super) fn bundle_of(policies: &str) -> Bundle {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("schema.cedarschema"), schema()).unwrap();
    std::fs::write(folder.path().join("all.cedar"), policies).unwrap();
    Bundle::load(folder.path()).unwrap()
}

pub(super) fn some_bundle(conditions: Vec<&'static str>) -> impl Strategy<Value = Bundle> {
    let links = (
        proptest::sample::subsequence(&PRINCIPALS[..], 0..=2),
        proptest::sample::select(&RESOURCES[..]),
    );
    let policies = proptest::collection::vec(some_policy(conditions), 1..4);
    (policies, links).prop_map(|(policies, (linked, resource))| {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("schema.cedarschema"), schema()).unwrap();
        let named = policies.iter().enumerate();
        let text: Vec<String> = named
            .map(|(number, policy)| format!("@id(\"p{number}\")\n{policy}\n"))
            .collect();
        std::fs::write(folder.path().join("all.cedar"), text.concat() + TEMPLATE).unwrap();
        let entity = |scope: &str| scope.split_once(' ').unwrap().1.to_owned();
        let link = |(number, principal): (usize, &&str)| {
            serde_json::json!({
                "template_id": "template",
                "link_id": format!("link{number}"),
                "args": {"?principal": entity(principal), "?resource": entity(resource)},
            })
        };
        let links: Vec<_> = linked.iter().enumerate().map(link).collect();
        let links = serde_json::to_string(&links).unwrap();
        std::fs::write(folder.path().join("all.links.json"), links).unwrap();
        Bundle::load(folder.path()).unwrap()
    })
}

/// What is usual, or the other one: datasets differ in few things, so that each thing matters.
fn rarely<T: Clone + std::fmt::Debug>(usual: T, other: T) -> impl Strategy<Value = T> {
    proptest::bool::weighted(0.1).prop_map(move |is_other| {
        if is_other {
            other.clone()
        } else {
            usual.clone()
        }
    })
}

fn some_tags() -> impl Strategy<Value = Tags> {
    let twin = proptest::option::weighted(0.3, 0..3_usize);
    (proptest::bool::weighted(0.2), twin).prop_map(|(is_tagged, twin)| {
        let tag = ("x".to_owned(), BTreeSet::from(["y".to_owned()]));
        let twin = twin.map(|place| dataset_id(place).to_string());
        let twin = twin.map(|id| ("twin".to_owned(), BTreeSet::from([id])));
        is_tagged.then_some(tag).into_iter().chain(twin).collect()
    })
}

/// The id of a dataset by its place: those first that policies name, and that other things had as their numbers.
fn dataset_id(place: usize) -> DatasetId {
    let number = [1, 16, 3, 4].get(place).copied();
    let number = number.unwrap_or(100 + u128::try_from(place).unwrap());
    DatasetId(Uuid::from_u128(number))
}

/// Attributes; one of them may have a value that is not of its type.
fn some_attributes(values: Vec<(&'static str, Vec<Value>)>) -> impl Strategy<Value = Attributes> {
    let one = proptest::sample::select(values).prop_flat_map(|(name, values)| {
        let named = move |value| (name.to_owned(), value);
        proptest::sample::select(values).prop_map(named)
    });
    proptest::collection::btree_map(Just(()), one, 0..2)
        .prop_map(|chosen| chosen.into_values().collect())
}

fn dataset_attributes() -> impl Strategy<Value = Attributes> {
    let steward = |number: u128| json!(Uuid::from_u128(number).to_string());
    some_attributes(vec![
        ("level", vec![json!(1), json!(2), json!("high")]),
        ("steward", (0..4).map(steward).collect()),
        ("unit", vec![json!("a"), json!("c")]),
        ("until", UNTIL.map(|(text, _)| json!(text)).to_vec()),
        ("until", UNTIL.map(|(text, _)| json!(text)).to_vec()),
    ])
}

fn user_attributes() -> impl Strategy<Value = Attributes> {
    some_attributes(vec![("clearance", vec![json!(1), json!(2), json!(null)])])
}

fn some_roles() -> impl Strategy<Value = BTreeSet<RoleName>> {
    let roles = ["a", "b", "c", "d"].map(|role| role.parse().unwrap());
    proptest::sample::subsequence(roles.to_vec(), 0..=2)
        .prop_map(|roles| roles.into_iter().collect())
}

pub(super) fn some_catalog() -> impl Strategy<Value = Catalog> {
    let issuers = vec![
        None,
        Some("https://one.example"),
        Some("https://two.example"),
    ];
    let issuer = proptest::sample::select(issuers);
    let users = (
        some_roles(),
        some_tags(),
        any::<u8>(),
        issuer,
        user_attributes(),
    );
    let users = proptest::collection::vec(users, 1..7);
    let datasets = proptest::collection::vec(
        (
            rarely(Visibility::Public, Visibility::Restricted),
            rarely(RecordStatus::Published, RecordStatus::Draft),
            proptest::option::weighted(0.8, 0..4_u128),
            proptest::collection::btree_set(0..4_u128, 0..3),
            prop_oneof![2 => Just(BTreeSet::new()), 1 => some_roles()],
            some_tags(),
            dataset_attributes(),
        ),
        1..24,
    );
    (users, datasets).prop_map(|(users, datasets)| {
        sorted(Catalog {
            version: 1,
            roles: ["admin", "a", "b", "c", "d"]
                .map(|role| role.parse().unwrap())
                .into(),
            users: users
                .into_iter()
                .zip(0_u128..)
                .map(
                    |((roles, claims, chance, issuer, attributes), number)| UserRecord {
                        user: User {
                            id: UserId(Uuid::from_u128(number)),
                            username: format!("u{number}").parse().unwrap(),
                            issuer: issuer.map(str::to_owned),
                            roles,
                            claims,
                            attributes,
                            display_name: None,
                            is_disabled: chance < 20,
                        },
                        password_hash: None,
                    },
                )
                .collect(),
            datasets: datasets
                .into_iter()
                .zip(0..)
                .map(
                    |(
                        (visibility, record_status, owner, readers, reader_roles, tags, attributes),
                        number,
                    )| {
                        Dataset {
                            id: dataset_id(number),
                            title: format!("Dataset {number}"),
                            visibility,
                            record_status,
                            owner: owner.map(|id| UserId(Uuid::from_u128(id))),
                            reader_users: readers
                                .into_iter()
                                .map(|id| UserId(Uuid::from_u128(id)))
                                .collect(),
                            reader_roles,
                            share_ends: crate::domain::share_ends::ShareEnds::default(),
                            tags,
                            attributes,
                            file: None,
                        }
                    },
                )
                .collect(),
        })
    })
}

/// A catalog with its datasets by id.
fn sorted(mut catalog: Catalog) -> Catalog {
    catalog.datasets.sort_by_key(|dataset| dataset.id);
    catalog
}
