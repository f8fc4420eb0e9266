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
use crate::service::policies::review::generated::{some_catalog, two_bundles};

fn scope() -> ContextScope {
    ContextScope {
        address: None,
        time: None,
        authentication: None,
        now: 1_772_366_400,
        literals: ContextLiterals::default(),
    }
}

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
    let mut run = classes_of(BundlePair { from, to }, &[], &[], &scope());
    let mut pairs = Vec::new();
    let users = catalog.users.iter().map(|record| &record.user);
    let principals = users
        .filter(|user| !user.is_disabled)
        .map(|user| Principal::User(Arc::new(user.clone())))
        .chain([Principal::Anonymous]);
    for principal in principals {
        for dataset in &catalog.datasets {
            let outcomes = run.decider.decide(&principal, &Arc::new(dataset.clone()));
            for (action, change, contexts) in changes_of(&outcomes) {
                let action = ACTIONS[action];
                pairs.push((principal.user_id(), action, change, dataset.id, contexts));
            }
        }
    }
    pairs.sort();
    pairs
}

/// A comparison of which little is listed.
fn compare_briefly(from: &Bundle, to: &Bundle, catalog: &Catalog) -> BundleComparison {
    let users = catalog.users.iter().map(|record| &record.user);
    let users = users.filter(|user| !user.is_disabled);
    let compared = ComparedCatalog {
        users: users.map(|user| Arc::new(user.clone())).collect(),
        datasets: catalog.datasets.iter().cloned().map(Arc::new).collect(),
    };
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
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn a_comparison_equals_deciding_every_pair(
        (from, to) in two_bundles(),
        catalog in some_catalog(),
    ) {
        let expected = decided_one_by_one(&from, &to, &catalog);
        let brief = compare_briefly(&from, &to, &catalog);
        let comparison = compare(&from, &to, catalog, &scope(), || {});
        prop_assert_eq!(comparison.changed, u64::try_from(expected.len()).unwrap());
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
        prop_assert_eq!(listed + brief.unlisted.decisions, comparison.changed);
        prop_assert!(brief.groups.iter().all(|group| group.datasets.len() == 1));
        let sentences: BTreeSet<String> =
            comparison.groups.iter().map(ChangeGroup::sentence).collect();
        for group in &brief.groups {
            prop_assert!(sentences.contains(&group.sentence()), "{}", group.sentence());
        }
    }
}

#[test]
fn a_comparison_renders_as_text() {
    let dataset = |number: u128, record_status| Dataset {
        id: DatasetId(Uuid::from_u128(number)),
        title: format!("Dataset {number}"),
        visibility: Visibility::Public,
        record_status,
        owner: None,
        reader_users: BTreeSet::new(),
        reader_roles: BTreeSet::new(),
        share_ends: crate::domain::share_ends::ShareEnds::default(),
        tags: Tags::new(),
        attributes: Attributes::new(),
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
    insta::assert_snapshot!(comparison.render());
}
