//! Property: a decision that is kept, for the same facts or for a class of pairs, is the one that evaluating every
//! policy anew gives.

use std::sync::Arc;

use proptest::prelude::*;
use proptest::sample::{Index, select};
use strum::VariantArray;
use uuid::Uuid;

use super::fixtures::{
    ADA, BEA, bundle, bundle_with_schema, context, dataset, slow_property, user,
};
use crate::domain::action::Action;
use crate::domain::caller::{Authentication, DecisionContext};
use crate::domain::dataset::{Dataset, RecordStatus, Visibility};
use crate::domain::decision::Decision;
use crate::domain::id::{DatasetId, UserId};
use crate::domain::principal::Principal;
use crate::domain::resource::Resource;
use crate::policy::Bundle;

/// The questions that each bundle is asked, in turn, some of them again.
const QUESTIONS: usize = 90;
/// When a share ends, in seconds since 1970 UTC.
const SHARE_END: i64 = 1_772_366_400;

const PRINCIPAL_SCOPES: [&str; 5] = [
    "principal",
    "principal is User",
    r#"principal in Role::"hydrology""#,
    r#"principal == Anonymous::"anonymous""#,
    r#"principal == User::"00000000-0000-0000-0000-000000000bea""#,
];
const RESOURCE_SCOPES: [&str; 4] = [
    "resource",
    "resource",
    "resource is Dataset",
    r#"resource == Dataset::"00000000-0000-0000-0000-00000000da7a""#,
];
const ACTION_SCOPES: [&str; 3] = [
    "action",
    r#"action == Action::"read""#,
    r#"action in [Action::"read", Action::"discover"]"#,
];
/// Conditions about anything: some read the context, and one fails.
const CONDITIONS: [&str; 15] = [
    "",
    r#"when { resource is Dataset && resource.visibility == Visibility::"public" }"#,
    "when { resource is Dataset && resource.reader_users.contains(principal) }",
    r#"when { resource is Dataset && resource.reader_roles.contains(Role::"hydrology") }"#,
    "when { resource is Dataset && resource has owner && resource.owner == principal }",
    r"when { resource is Dataset && (principal in resource.reader_roles || !(resource has owner)) }",
    r#"when { if principal is User then resource is Dataset &&
        resource.record_status == RecordStatus::"draft" else false }"#,
    r#"when { resource is Dataset && resource.title == "another" }"#,
    r#"when { context.address.isInRange(ip("192.0.2.0/24")) }"#,
    r#"unless { context.time < datetime("2026-03-01T12:00:00Z") }"#,
    r#"when { context.authentication == Authentication::"password" }"#,
    "when { context has key }",
    r#"when { resource is Dataset && (resource.visibility == Visibility::"internal"
        || context.authentication == Authentication::"none") }"#,
    "when { 9223372036854775807 + 1 > 0 }",
    "when { false }",
];

pub(super) fn policies() -> impl Strategy<Value = Vec<String>> {
    let policy = (
        any::<bool>(),
        select(&PRINCIPAL_SCOPES[..]),
        select(&ACTION_SCOPES[..]),
        select(&RESOURCE_SCOPES[..]),
        select(&CONDITIONS[..]),
    );
    prop::collection::vec(policy, 1..8).prop_map(|policies| {
        let mut texts = Vec::new();
        for (number, policy) in policies.iter().enumerate() {
            let (is_permit, principal, action, resource, condition) = policy;
            let head = if *is_permit {
                format!("@max_ttl(\"{}\") permit", 10 + number)
            } else {
                "forbid".to_owned()
            };
            texts.push(format!(
                "@id(\"{number}\") @reason(\"x\") {head} ({principal}, {action}, {resource}) {condition};"
            ));
        }
        texts
    })
}

/// The bundle of those policies that validation takes; some can never apply.
pub(super) fn valid_bundle(policies: &[String]) -> Option<Bundle> {
    let valid: Vec<&str> = policies
        .iter()
        .map(String::as_str)
        .filter(|policy| bundle(policy).is_ok())
        .collect();
    bundle(&valid.join("\n")).ok()
}

pub(super) fn principals() -> Vec<Principal> {
    let of = |user| Principal::User(Arc::new(user));
    let disabled = crate::domain::principal::User {
        is_disabled: true,
        ..user(BEA, &["hydrology"])
    };
    vec![
        Principal::Anonymous,
        of(user(ADA, &[])),
        of(user(BEA, &["hydrology"])),
        of(user(UserId(Uuid::from_u128(0xcee)), &["hydrology"])),
        of(user(UserId(Uuid::from_u128(0xdee)), &[])),
        of(disabled),
    ]
}

pub(super) fn datasets() -> Vec<Resource> {
    let mut shared = dataset(Visibility::Restricted, RecordStatus::Published);
    shared.reader_users.insert(BEA);
    shared.share_ends.users.insert(BEA, SHARE_END);
    shared.reader_roles.insert("hydrology".parse().unwrap());
    let all = [
        shared,
        dataset(Visibility::Public, RecordStatus::Published),
        Dataset {
            owner: None,
            ..dataset(Visibility::Internal, RecordStatus::Draft)
        },
    ];
    // Others of the same classes, which some policies tell apart all the same.
    let others = all.clone().map(|dataset| Dataset {
        id: DatasetId(Uuid::from_u128(0xda7b)),
        title: "another".to_owned(),
        ..dataset
    });
    let resource = |dataset| Resource::Dataset(Arc::new(dataset));
    all.into_iter().chain(others).map(resource).collect()
}

fn contexts() -> impl Strategy<Value = DecisionContext> {
    let millis = SHARE_END * 1000;
    let times = [
        0,
        millis - 1,
        millis,
        millis + 999,
        millis + 1000,
        i64::MAX,
        i64::MIN,
    ];
    let addresses = [Some("192.0.2.7"), Some("2001:db8::1"), None];
    (
        select(times.to_vec()),
        select(addresses.to_vec()),
        select(Authentication::VARIANTS),
    )
        .prop_map(|(unix_millis, address, authentication)| DecisionContext {
            address: address.map(|address| address.parse().unwrap()),
            unix_millis,
            authentication,
            ..context()
        })
}

/// The decision about equal values at other addresses, of which nothing is cached, by every policy.
fn decide_anew(
    bundle: &Bundle,
    principal: &Principal,
    action: Action,
    resource: &Resource,
    context: &DecisionContext,
) -> Decision {
    let principal = match principal {
        Principal::Anonymous => Principal::Anonymous,
        Principal::User(user) => Principal::User(Arc::new((**user).clone())),
    };
    let resource = match resource {
        Resource::Dataset(dataset) => Resource::Dataset(Arc::new((**dataset).clone())),
        other => other.clone(),
    };
    bundle.decide_unindexed(&principal, action, &resource, context)
}

proptest! {
    #![proptest_config(slow_property(16))]

    #[test]
    fn a_kept_decision_is_what_every_policy_decides_anew(
        policies in policies(),
        questions in prop::collection::vec(
            (any::<Index>(), any::<Index>(), select(vec![Action::Read, Action::Discover]), contexts()),
            QUESTIONS,
        ),
    ) {
        let Some(bundle) = valid_bundle(&policies) else { return Ok(()) };
        let (principals, datasets) = (principals(), datasets());
        for (principal, dataset, action, context) in &questions {
            let (principal, dataset) = (principal.get(&principals), dataset.get(&datasets));
            let kept = bundle.decide(principal, *action, dataset, context);
            let anew = decide_anew(&bundle, principal, *action, dataset, context);
            prop_assert_eq!(kept, anew, "{} {:?}\n{}", action, context, policies.join("\n"));
        }
    }
}

#[test]
fn only_a_decision_that_no_candidate_takes_from_the_context_is_kept() {
    let by_visibility = r#"@id("a") @reason("x") permit (principal, action == Action::"read", resource)
        when { resource.visibility == Visibility::"public" };"#;
    let by_time = r#"@id("b") @reason("x") permit (principal is User, action == Action::"read", resource)
        when { context.time < datetime("2030-01-01T00:00:00Z") };"#;
    let bundle = bundle(&format!("{by_visibility}\n{by_time}")).unwrap();
    let resource = Resource::Dataset(Arc::new(dataset(
        Visibility::Public,
        RecordStatus::Published,
    )));
    for (principal, is_kept) in [
        (Principal::Anonymous, true),
        (Principal::User(Arc::new(user(ADA, &[]))), false),
    ] {
        let decision = bundle.decide(&principal, Action::Read, &resource, &context());
        assert!(decision.is_permitted);
        let facts = bundle.entity_cache.facts(&principal, &resource, SHARE_END);
        let facts = facts.unwrap();
        let matched = facts.policy_matches.get_or_match(Action::Read, || None);
        let kept = matched.unwrap().kept_decision();
        assert_eq!(kept, is_kept.then_some(&decision), "{principal:?}");
    }
}

#[test]
fn users_whose_roles_the_schema_does_not_list_share_no_decision_with_those_whose_roles_it_does() {
    let shipped = include_str!("../../../policies/schema.cedarschema");
    let listing = r#"entity Role enum ["admin", "probe", "hydrology"];"#;
    let schema = shipped.replacen("entity Role;", listing, 1);
    let policy = r#"@id("a") @reason("x") permit (principal is User, action == Action::"read", resource)
        when { resource.visibility == Visibility::"internal" };"#;
    let bundle = bundle_with_schema(&schema, policy).unwrap();
    let resource = Resource::Dataset(Arc::new(dataset(
        Visibility::Internal,
        RecordStatus::Published,
    )));
    let decide = |role| {
        let principal = Principal::User(Arc::new(user(ADA, &[role])));
        bundle.decide(&principal, Action::Read, &resource, &context())
    };
    assert!(decide("hydrology").is_permitted);
    let unlisted = decide("analysts");
    assert!(!unlisted.is_permitted && !unlisted.errors.is_empty());
}
