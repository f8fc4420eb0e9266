//! Property: the policies found by the index decide as all policies do.
//!
//! The generated requests go beyond the shipped schema: chains of groups, resources in folders, groups of
//! actions, and entities that are named but missing.

use std::collections::{BTreeSet, HashSet};
use std::fmt::Write as _;

use cedar_policy::{
    Authorizer, Context, Decision, Entity, EntityId, PolicyId, Request, SlotId, Template,
};
use proptest::prelude::*;
use proptest::sample::select;
use strum::VariantArray;

use crate::domain::dataset::{RecordStatus, Visibility};
use crate::domain::principal::Principal;
use crate::domain::resource::Resource;
use crate::policy::Bundle;
use crate::policy::combined_decision::CombinedDecision;
use crate::policy::tests::fixtures::{ADA, BEA, bundle, context, dataset, signed_in};

use super::*;

/// The requests of each case. There are 256 cases, or as many as `PROPTEST_CASES` says.
const REQUESTS: usize = 6;

const PRINCIPALS: [&str; 8] = [
    r#"User::"0""#,
    r#"User::"1""#,
    r#"Robot::"0""#,
    r#"Robot::"1""#,
    r#"Group::"2""#,
    r#"Group::"3""#,
    r#"Group::"4""#,
    r#"Group::"5""#,
];
const RESOURCES: [&str; 7] = [
    r#"File::"0""#,
    r#"File::"1""#,
    r#"Table::"0""#,
    r#"Folder::"1""#,
    r#"Folder::"2""#,
    r#"Folder::"3""#,
    r#"Group::"5""#,
];
const ACTIONS: [&str; 6] = [
    r#"Action::"read""#,
    r#"Action::"write""#,
    r#"Action::"list""#,
    r#"Action::"look""#,
    r#"Action::"touch""#,
    r#"Action::"all""#,
];
const KINDS: [&str; 5] = ["User", "Robot", "File", "Folder", "Group"];
/// Conditions that hold, do not, depend on the request, or fail.
const CONDITIONS: [&str; 6] = [
    "",
    "when { false }",
    r#"when { principal in Group::"4" }"#,
    r#"unless { resource in Folder::"2" }"#,
    "when { 9223372036854775807 + 1 > 0 }",
    r#"when { action in Action::"look" || 9223372036854775807 + 1 > 0 }"#,
];

fn uid(text: &str) -> EntityUid {
    let (kind, id) = text.split_once("::\"").unwrap();
    EntityUid::from_type_name_and_id(
        kind.parse().unwrap(),
        EntityId::new(id.trim_end_matches('"')),
    )
}

/// A hierarchy without cycles: only later entities can be parents.
fn hierarchy(all: &'static [&'static str]) -> impl Strategy<Value = Vec<Entity>> {
    let each = prop::collection::vec((any::<u32>(), any::<bool>()), all.len());
    each.prop_map(|drawn| {
        let entities = drawn.iter().enumerate();
        // Some that policies and requests name are missing.
        let there = entities.filter(|(_, (bits, is_rare))| !is_rare || bits % 4 != 0);
        there
            .map(|(number, (bits, _))| {
                let later = all.iter().enumerate().skip(number + 1);
                let parents = later.filter(|(other, _)| (bits >> (other * 2)).is_multiple_of(4));
                let parents: HashSet<_> = parents.map(|(_, parent)| uid(parent)).collect();
                Entity::new_no_attrs(uid(all[number]), parents)
            })
            .collect()
    })
}

/// The scope of `variable`, perhaps with a slot that a link fills with one of `named`.
fn scope(
    variable: &'static str,
    named: &'static [&'static str],
) -> impl Strategy<Value = (String, Option<&'static str>)> {
    (0..5u8, select(named), select(&KINDS[..]), 0..4u8).prop_map(
        move |(form, named, kind, slot)| {
            let is_linked = slot == 0 && matches!(form, 1 | 2 | 4);
            let slot = format!("?{variable}");
            let value = if is_linked { &slot } else { named };
            let text = match form {
                0 => variable.to_owned(),
                1 => format!("{variable} == {value}"),
                2 => format!("{variable} in {value}"),
                3 => format!("{variable} is {kind}"),
                _ => format!("{variable} is {kind} in {value}"),
            };
            (text, is_linked.then_some(named))
        },
    )
}

fn action_scope() -> impl Strategy<Value = String> {
    let lists = prop::collection::vec(select(&ACTIONS[..]), 0..3);
    (0..4u8, select(&ACTIONS[..]), lists).prop_map(|(form, one, many)| match form {
        0 => "action".to_owned(),
        1 => format!("action == {one}"),
        2 => format!("action in {one}"),
        _ => format!("action in [{}]", many.join(", ")),
    })
}

#[derive(Clone, Debug)]
struct GeneratedPolicy {
    text: String,
    links: Vec<(&'static str, &'static str)>,
}

fn policy() -> impl Strategy<Value = GeneratedPolicy> {
    (
        any::<bool>(),
        scope("principal", &PRINCIPALS),
        action_scope(),
        scope("resource", &RESOURCES),
        select(&CONDITIONS[..]),
    )
        .prop_map(|(is_permit, principal, action, resource, condition)| {
            let effect = if is_permit { "permit" } else { "forbid" };
            let links = [("?principal", principal.1), ("?resource", resource.1)];
            GeneratedPolicy {
                text: format!(
                    "{effect} ({}, {action}, {}) {condition};",
                    principal.0, resource.0
                ),
                links: links
                    .into_iter()
                    .filter_map(|(slot, uid)| Some((slot, uid?)))
                    .collect(),
            }
        })
}

fn policies(written: &[GeneratedPolicy]) -> PolicySet {
    let mut set = PolicySet::new();
    for (number, GeneratedPolicy { text, links }) in written.iter().enumerate() {
        let id = PolicyId::new(format!("policy {number}"));
        if links.is_empty() {
            set.add(Policy::parse(Some(id), text).unwrap()).unwrap();
            continue;
        }
        let template = PolicyId::new(format!("template {number}"));
        set.add_template(Template::parse(Some(template.clone()), text).unwrap())
            .unwrap();
        let slot = |name: &str| match name {
            "?principal" => SlotId::principal(),
            _ => SlotId::resource(),
        };
        let links = links.iter().map(|(name, named)| (slot(name), uid(named)));
        set.link(template, id, links.collect()).unwrap();
    }
    set
}

type Comparable = (bool, BTreeSet<String>, BTreeSet<String>);

fn comparable(verdict: &CombinedDecision) -> Comparable {
    let named = verdict
        .determining
        .iter()
        .map(ToString::to_string)
        .collect();
    let errors = verdict.errors.iter().map(ToString::to_string).collect();
    (verdict.is_allowed, named, errors)
}

proptest! {
    #[test]
    fn indexed_policies_decide_as_all_policies_do(
        written in prop::collection::vec(policy(), 1..9),
        principals in hierarchy(&PRINCIPALS),
        resources in hierarchy(&RESOURCES[..6]),
        actions in hierarchy(&ACTIONS),
        requests in prop::collection::vec(
            (select(&PRINCIPALS[..]), any::<prop::sample::Index>(), select(&RESOURCES[..])), REQUESTS),
    ) {
        let all = policies(&written);
        let known: Vec<EntityUid> = actions.iter().map(Entity::uid).collect();
        let groups = Entities::from_entities(actions.clone(), None).unwrap();
        let entities = principals.into_iter().chain(resources).chain(actions);
        let entities = Entities::from_entities(entities, None).unwrap();
        let index = PolicyIndex::new(&all, &groups).unwrap();
        let authorizer = Authorizer::new();
        for (principal, action, resource) in requests {
            if known.is_empty() {
                continue;
            }
            let (principal, action, resource) = (uid(principal), action.get(&known), uid(resource));
            let matching = index.matching(&principal, action, &resource, &entities).unwrap();
            let context = Context::empty();
            let request = Request::new(principal, action.clone(), resource, context, None).unwrap();
            let answer = authorizer.is_authorized(&request, &all, &entities);
            let full: Comparable = (
                answer.decision() == Decision::Allow,
                answer.diagnostics().reason().map(ToString::to_string).collect(),
                answer.diagnostics().errors().map(ToString::to_string).collect(),
            );
            let sliced = CombinedDecision::evaluate(&authorizer, &request, &matching, &entities);
            prop_assert_eq!(comparable(&sliced), full);
        }
    }
}

#[test]
fn an_action_that_the_schema_lacks_matches_nothing() {
    let all = policies(&[GeneratedPolicy {
        text: "permit (principal, action, resource);".to_owned(),
        links: vec![],
    }]);
    let index = PolicyIndex::new(&all, &Entities::empty()).unwrap();
    let [principal, action, resource] = [PRINCIPALS[0], ACTIONS[0], RESOURCES[0]].map(uid);
    assert!(
        index
            .matching(&principal, &action, &resource, &Entities::empty())
            .is_none()
    );
}

/// Evaluating the policies with other scopes would fail.
#[test]
fn policies_with_other_scopes_are_not_evaluated() {
    let mut text = String::from(r#"@id("all") @reason("x") permit (principal, action, resource);"#);
    for number in 0..50 {
        write!(
            text,
            r#"@id("{number}") @reason("x") forbid (principal in Role::"role-{number}",
               action == Action::"read", resource);"#
        )
        .unwrap();
    }
    let bundle = bundle(&text).unwrap();
    let matching = |roles: &[&str]| {
        let resource =
            Resource::Dataset(Arc::new(dataset(Visibility::Public, RecordStatus::Draft)));
        let facts = bundle
            .entity_cache
            .facts(&signed_in(ADA, roles), &resource, 0)
            .unwrap();
        let action = bundle.schema_names.action(Action::Read);
        let matching = bundle.policy_index.matching(
            &facts.principal,
            &action,
            &facts.resource,
            &facts.entities,
        );
        matching
            .unwrap()
            .iter()
            .map(|set| set.num_of_policies())
            .sum::<usize>()
    };
    assert_eq!(matching(&[]), 1);
    assert_eq!(matching(&["role-7"]), 2);
    assert_eq!(matching(&["role-7", "role-9", "another"]), 3);
}

#[test]
fn the_shipped_bundle_decides_alike_with_and_without_the_index() {
    let bundle = Bundle::embedded().unwrap();
    let principals = [
        Principal::Anonymous,
        signed_in(ADA, &[]),
        signed_in(BEA, &["admin"]),
        signed_in(BEA, &["hydrology"]),
    ];
    for visibility in Visibility::VARIANTS {
        for record_status in RecordStatus::VARIANTS {
            let mut dataset = dataset(*visibility, *record_status);
            dataset.reader_roles.insert("hydrology".parse().unwrap());
            let resource = Resource::Dataset(Arc::new(dataset));
            for (principal, action) in principals.iter().flat_map(|principal| {
                Action::VARIANTS
                    .iter()
                    .map(move |action| (principal, *action))
            }) {
                let context = context();
                let full = bundle.decide_unindexed(principal, action, &resource, &context);
                // The second time, the matching policies are cached.
                for _ in 0..2 {
                    let sliced = bundle.decide(principal, action, &resource, &context);
                    assert_eq!(sliced, full, "{action} {visibility} {record_status}");
                }
            }
        }
    }
}
