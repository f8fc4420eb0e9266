//! What a matrix says beside its numbers, and when there is none.

use proptest::strategy::{Strategy, ValueTree};

use super::keys::{DatasetKey, PeopleKey};
use super::tests::{Asked, asked, catalog_of};
use super::*;
use crate::domain::id::{DatasetId, UserId};
use crate::policy::Bundle;
use crate::policy::context_literals::ContextLiterals;
use crate::service::policies::review::budget::ReviewStopped;
use crate::service::policies::review::generated::{bundle_of, some_catalog};

fn scope() -> ContextScope {
    ContextScope {
        address: None,
        time: None,
        authentication: None,
        now: 0,
        literals: ContextLiterals::default(),
    }
}

fn some_matrix_catalog() -> MatrixCatalog {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    catalog_of(some_catalog().new_tree(&mut runner).unwrap().current())
}

/// A bundle with one policy that permits everybody to read.
fn reading(annotations: &str, condition: &str) -> Bundle {
    bundle_of(&format!(
        "@id(\"a\") @reason(\"x\") {annotations} permit (principal, action == Action::\"read\", resource)\n\
         when {{ {condition} }};"
    ))
}

#[test]
fn a_matrix_says_that_tokens_live_longer_or_shorter() {
    let catalog = some_matrix_catalog();
    let [long, short] = ["", "@max_ttl(\"30\")"].map(|annotations| reading(annotations, "true"));
    let matrix = |from, to| asked((from, to), &catalog, (Action::Read, scope())).matrix();
    let same = matrix(&long, &long);
    assert!(same.totals.draft > 0 && !same.changes_token_lives);
    for (from, to) in [(&long, &short), (&short, &long)] {
        let matrix = matrix(from, to);
        assert_eq!(matrix.totals.gained + matrix.totals.lost, 0);
        assert!(matrix.changes_token_lives);
    }
}

#[test]
fn a_matrix_tells_the_errors_of_the_policies_after() {
    let catalog = some_matrix_catalog();
    let from = reading("", "true");
    let to = reading("", "9223372036854775807 + 1 > 0");
    let matrix = asked((&from, &to), &catalog, (Action::Read, scope())).matrix();
    assert_eq!(matrix.totals.lost, matrix.totals.in_force);
    let mut errors = matrix.errors.iter();
    assert!(errors.any(|error| error.contains("overflow")));
}

#[test]
fn a_group_without_members_is_unknown_and_a_review_may_be_stopped() {
    let bundle = Bundle::embedded().unwrap();
    let catalog = some_matrix_catalog();
    let asked = asked((&bundle, &bundle), &catalog, (Action::Read, scope()));
    let ask = |asked: &Asked<'_>, budget: &ReviewBudget| {
        access_matrix(asked.bundles, asked.catalog, &asked.query, budget).map(|_| ())
    };
    let unlimited = ReviewBudget::new(u64::MAX, std::time::Duration::MAX);
    assert_eq!(ask(&asked, &unlimited), Ok(()));
    let nobody = uuid::Uuid::max();
    for key in [
        PeopleKey::User(UserId(nobody)),
        PeopleKey::Class(UserId(nobody)),
        PeopleKey::Role(Some("unknown".parse().unwrap())),
    ] {
        let mut other = asked.clone();
        other.query.people.within = vec![key.clone()];
        assert_eq!(ask(&other, &unlimited), Err(MatrixError::UnknownGroup));
        let mut other = asked.clone();
        other.query.people.after = Some(key);
        assert_eq!(ask(&other, &unlimited), Err(MatrixError::UnknownGroup));
    }
    for key in [
        DatasetKey::Dataset(DatasetId(nobody)),
        DatasetKey::Owner(Some(UserId(nobody))),
        DatasetKey::Tag {
            name: "unknown".to_owned(),
            value: Some("y".to_owned()),
        },
    ] {
        let mut other = asked.clone();
        other.query.datasets.within = vec![key];
        assert_eq!(ask(&other, &unlimited), Err(MatrixError::UnknownGroup));
    }
    let stopped = |reason| Err(MatrixError::Stopped(reason));
    assert_eq!(
        ask(&asked, &ReviewBudget::new(1, std::time::Duration::MAX)),
        stopped(ReviewStopped::TooMuch)
    );
    assert_eq!(
        ask(
            &asked,
            &ReviewBudget::new(u64::MAX, std::time::Duration::ZERO)
        ),
        stopped(ReviewStopped::TooMuch)
    );
    unlimited
        .is_given_up
        .store(true, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(ask(&asked, &unlimited), stopped(ReviewStopped::GivenUp));
}
