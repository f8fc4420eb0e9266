//! A comparison, grouped, equals deciding every pair of principal and dataset.

use std::collections::BTreeSet;

use proptest::prelude::*;
use uuid::Uuid;

use super::affected::changes_of;
use super::*;
use crate::domain::attributes::Attributes;
use crate::domain::dataset::{RecordStatus, Visibility};
use crate::domain::id::{DatasetId, UserId};
use crate::domain::principal::Tags;
use crate::service::policies::review::generated::{bundle_of, scope, some_catalog, two_bundles};

/// One change; no id stands for anonymous.
type Pair = (
    Option<UserId>,
    Action,
    DecisionChange,
    DatasetId,
    ContextSet,
);

fn pairs_of(comparison: &BundleComparison) -> Vec<Pair> {
    let mut pairs = Vec::new();
    for group in &comparison.groups {
        let users = group.users.iter().map(|user| Some(user.id));
        let principals: Vec<Option<UserId>> =
            users.chain(group.is_anonymous.then_some(None)).collect();
        for principal in principals {
            for dataset in &group.datasets {
                let (action, change) = (group.action, group.change);
                pairs.push((principal, action, change, dataset.id, group.contexts));
            }
        }
    }
    pairs.sort();
    pairs
}

fn decided_one_by_one(from: &Bundle, to: &Bundle, catalog: &Catalog) -> Vec<Pair> {
    let ComparedCatalog { users, datasets } = compared(catalog);
    let mut run = classes_of(BundlePair { from, to }, &users, &datasets, &scope());
    let mut pairs = Vec::new();
    let principals = users.iter().cloned().map(Principal::User);
    for principal in principals.chain([Principal::Anonymous]) {
        for dataset in &datasets {
            let outcomes = run.decider.decide(&principal, dataset);
            for (action, change, contexts) in changes_of(&outcomes) {
                let action = ACTIONS[action];
                pairs.push((principal.user_id(), action, change, dataset.id, contexts));
            }
        }
    }
    pairs.sort();
    pairs
}

fn compared(catalog: &Catalog) -> ComparedCatalog {
    let users = catalog.users.iter().map(|record| &record.user);
    let users = users.filter(|user| !user.is_disabled);
    ComparedCatalog {
        users: users.map(|user| Arc::new(user.clone())).collect(),
        datasets: catalog.datasets.iter().cloned().map(Arc::new).collect(),
    }
}

/// A comparison of which little is listed.
fn compare_briefly(from: &Bundle, to: &Bundle, catalog: &Catalog) -> BundleComparison {
    let compared = compared(catalog);
    let limits = ComparisonLimits {
        groups: 2,
        users: 5,
        datasets: 1,
    };
    let keep_on = |_, _| Ok::<(), Infallible>(());
    let Ok(brief) = compare_within(
        BundlePair { from, to },
        &compared,
        &scope(),
        limits,
        keep_on,
    );
    brief
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn a_comparison_equals_deciding_every_pair(
        (from, to) in two_bundles(),
        catalog in some_catalog(),
    ) {
        let expected = decided_one_by_one(&from, &to, &catalog);
        let brief = compare_briefly(&from, &to, &catalog);
        let comparison = compare(&from, &to, catalog, &scope(), || {});
        // What changes in two ways is one decision.
        let decisions: BTreeSet<_> =
            expected.iter().map(|(id, action, _, dataset, _)| (id, action, dataset)).collect();
        prop_assert_eq!(comparison.changed, u64::try_from(decisions.len()).unwrap());
        let all: u64 = comparison.groups.iter().map(ChangeGroup::size).sum();
        prop_assert_eq!(pairs_of(&comparison), expected);
        // What is not listed is counted all the same.
        prop_assert_eq!(brief.changed, comparison.changed);
        prop_assert_eq!(brief.decided, comparison.decided);
        prop_assert_eq!(brief.unchanged_in, comparison.unchanged_in);
        prop_assert_eq!(brief.groups.len(), comparison.groups.len().min(2));
        prop_assert_eq!(
            brief.unlisted.groups + brief.groups.len(),
            comparison.groups.len()
        );
        let listed: u64 = brief.groups.iter().map(ChangeGroup::size).sum();
        prop_assert_eq!(listed + brief.unlisted.decisions, all);
        prop_assert!(brief.groups.iter().all(|group| group.datasets.len() == 1));
        let sentences: BTreeSet<String> =
            comparison.groups.iter().map(ChangeGroup::sentence).collect();
        for group in &brief.groups {
            prop_assert!(sentences.contains(&group.sentence()), "{}", group.sentence());
        }
    }
}

/// A private dataset that nobody owns.
fn dataset(number: u128) -> Dataset {
    Dataset {
        id: DatasetId(Uuid::from_u128(number)),
        title: format!("Dataset {number}"),
        visibility: Visibility::Private,
        record_status: RecordStatus::Published,
        owner: None,
        reader_users: BTreeSet::new(),
        reader_roles: BTreeSet::new(),
        share_ends: crate::domain::share_ends::ShareEnds::default(),
        tags: Tags::new(),
        attributes: Attributes::new(),
        file: None,
    }
}

/// A catalog of one user and these datasets.
fn catalog_of(datasets: Vec<Dataset>) -> Catalog {
    let user = crate::domain::principal::User {
        id: UserId(Uuid::from_u128(1)),
        username: "ada".parse().unwrap(),
        issuer: None,
        roles: BTreeSet::new(),
        claims: Tags::new(),
        attributes: Attributes::new(),
        display_name: None,
        is_disabled: false,
    };
    let user = crate::storage::UserRecord {
        user,
        password_hash: None,
    };
    Catalog {
        version: 1,
        roles: BTreeSet::new(),
        users: vec![user],
        datasets,
    }
}

/// A policy that permits users to read under a condition.
fn reading(condition: &str) -> Bundle {
    bundle_of(&format!(
        "@id(\"a\") @reason(\"x\") permit (principal is User, action == Action::\"read\", resource)\n\
         when {{ {condition} }};"
    ))
}

#[test]
fn a_span_after_a_time_in_an_attribute_is_compared() {
    let until = |at: &str| Dataset {
        attributes: [("until".to_owned(), serde_json::json!(at))].into(),
        ..dataset(2)
    };
    let [before, after] = ["1d", "30d"].map(|span| {
        let moved = format!("resource.until.offset(duration(\"{span}\"))");
        reading(&format!("resource has until && context.time < {moved}"))
    });
    let catalog = catalog_of(vec![until("2027-01-01")]);
    let comparison = compare(&before, &after, catalog, &scope(), || {});
    assert_eq!(comparison.changed, 1);
    assert_eq!(
        comparison.groups[0].when,
        ["from 2027-01-02T00:00:00Z until 2027-01-31T00:00:00Z"]
    );
}

#[test]
fn a_decision_that_changes_in_two_ways_counts_once() {
    let from = reading("context.time < datetime(\"2026-06-01\")");
    let to = reading("context.time >= datetime(\"2026-06-01\")");
    let comparison = compare(&from, &to, catalog_of(vec![dataset(2)]), &scope(), || {});
    assert_eq!((comparison.changed, comparison.groups.len()), (1, 2));
}

#[test]
fn a_policy_that_says_the_same_in_other_words_was_permitted_before() {
    let from = reading("resource.title like \"*2\"");
    let to = reading("resource.title == \"Dataset 2\"");
    let comparison = compare(&from, &to, catalog_of(vec![dataset(2)]), &scope(), || {});
    let sentences = comparison.ineffective.iter();
    let sentences = sentences.map(|one| one.sentence(ComparisonHints::HTTP));
    assert_eq!(
        sentences.collect::<Vec<_>>(),
        [
            "the change of policy `a` changes nothing, because whatever it permits is permitted \
             already, by `a` as it was"
        ]
    );
}

#[test]
fn a_policy_that_was_tried_against_some_requests_is_told_so() {
    let datasets: Vec<Dataset> = (1..=2_001).map(dataset).collect();
    // Each title is a class of its own, and the last one is not among those that are tried.
    let from = reading("resource.title == \"Dataset 2001\"");
    let to = reading("resource.title like \"*2001\"");
    let comparison = compare(&from, &to, catalog_of(datasets), &scope(), || {});
    let [only] = comparison.ineffective.as_slice() else {
        panic!("{:?}", comparison.ineffective);
    };
    assert!(only.why.contains("none of the first "), "{}", only.why);
}

#[test]
fn datasets_whose_ids_are_numbers_of_something_else_are_compared_like_others() {
    let catalog = catalog_of([1, 16, 30, 0xabc].map(dataset).to_vec());
    let from = reading("false");
    let to = reading("context has key && context.key has datasets");
    let comparison = compare(&from, &to, catalog, &scope(), || {});
    assert_eq!(comparison.changed, 4);
}

#[test]
fn datasets_that_are_named_in_tags_are_told_apart_if_keys_are_compared_with_tags() {
    let tagged = |number| {
        let twin = DatasetId(Uuid::from_u128(3)).to_string();
        Dataset {
            tags: [("twin".to_owned(), BTreeSet::from([twin]))].into(),
            ..dataset(number)
        }
    };
    let from = reading("false");
    // A key for the dataset alone, and not for one more.
    let to = reading(
        "context has key && context.key has datasets && resource.hasTag(\"twin\")\
         && context.key.datasets == resource.getTag(\"twin\")",
    );
    for numbers in [[2, 3], [3, 4]] {
        let catalog = catalog_of(numbers.map(tagged).to_vec());
        let comparison = compare(&from, &to, catalog, &scope(), || {});
        assert_eq!(comparison.changed, 1, "{numbers:?}");
        assert_eq!(comparison.groups[0].datasets[0].id, dataset(3).id);
    }
}

#[test]
fn a_comparison_renders_as_text() {
    let public = |number, record_status| Dataset {
        visibility: Visibility::Public,
        record_status,
        ..dataset(number)
    };
    let catalog = Catalog {
        users: Vec::new(),
        ..catalog_of(vec![
            public(1, RecordStatus::Published),
            public(2, RecordStatus::Draft),
        ])
    };
    let folder = tempfile::tempdir().unwrap();
    let schema = include_str!("../../../../../policies/schema.cedarschema");
    std::fs::write(folder.path().join("schema.cedarschema"), schema).unwrap();
    let public = include_str!("../../../../../policies/public.cedar");
    let forgotten = public.replace(
        "resource.record_status == RecordStatus::\"published\"",
        "true",
    );
    assert_ne!(public, forgotten);
    std::fs::write(folder.path().join("public.cedar"), forgotten).unwrap();
    let to = Bundle::load(folder.path()).unwrap();
    let comparison = compare(&Bundle::embedded().unwrap(), &to, catalog, &scope(), || {});
    assert!(comparison.has_changes());
    insta::assert_snapshot!(comparison.render(ComparisonHints::COMMAND_LINE));
}
