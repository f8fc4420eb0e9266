//! Access matrices over the catalog of the comparison.

use std::sync::Arc;
use std::time::{Duration, Instant};

use cedargate::domain::action::Action;
use cedargate::service::policies::review::asked_contexts::ContextScope;
use cedargate::service::policies::review::budget::ReviewBudget;
use cedargate::service::policies::review::bundle_pair::BundlePair;
use cedargate::service::policies::review::comparison::{
    BundleComparison, ChangeGroup, DecisionChange,
};
use cedargate::service::policies::review::matrix::{
    DatasetGrouping, MatrixAxis, MatrixCatalog, MatrixQuery, PeopleGrouping, access_matrix,
};
use cedargate::service::policies::review::visible::Viewer;
use cedargate::storage::Catalog;

use super::{ACTIONS, UNIX_SECONDS};

/// Counts the pairs of access matrices, and checks that they have the changes of the comparison.
pub(super) fn count_pairs(
    bundles: BundlePair<'_>,
    catalog: &Catalog,
    scope: &ContextScope,
    comparison: &BundleComparison,
) {
    let users = catalog.users.iter().map(|record| record.user.clone());
    let users: Vec<_> = users.map(Arc::new).collect();
    let datasets: Vec<_> = catalog.datasets.iter().cloned().map(Arc::new).collect();
    let started = Instant::now();
    let viewer = Viewer {
        user: &users[0],
        key_datasets: None,
        bundle: bundles.from,
        unix_seconds: UNIX_SECONDS,
    };
    let budget = ReviewBudget::new(u64::MAX, Duration::MAX);
    let keep_on = |decided| budget.check(decided);
    let users = viewer.users(Action::ViewUsers, &users, |_| true, keep_on);
    let users = users.unwrap();
    let datasets = viewer.datasets(Action::Administer, &datasets, |_| true, keep_on);
    let datasets = datasets.unwrap();
    let catalog = MatrixCatalog::new(&users, datasets);
    println!("what an author may see in {:.2?}", started.elapsed());
    for action in ACTIONS {
        let of_change = |change| {
            let groups = comparison.groups.iter();
            let groups = groups.filter(|one| (one.action, one.change) == (action, change));
            groups.map(ChangeGroup::size).sum::<u64>()
        };
        for (people, rows) in [
            (PeopleGrouping::Role, DatasetGrouping::Visibility),
            (PeopleGrouping::Class, DatasetGrouping::Owner),
            (PeopleGrouping::Person, DatasetGrouping::Dataset),
        ] {
            let started = Instant::now();
            let query = MatrixQuery {
                action,
                people: whole_axis(people),
                datasets: whole_axis(rows.clone()),
                scope: scope.clone(),
                limit: 200,
            };
            let budget = ReviewBudget::new(u64::MAX, Duration::MAX);
            let matrix = access_matrix(bundles, &catalog, &query, &budget).unwrap();
            println!(
                "matrix of {action} by {people:?} and {rows:?} in {:.2?}: {} columns, {} rows",
                started.elapsed(),
                matrix.columns.len(),
                matrix.rows.len()
            );
            assert_eq!(matrix.totals.gained, of_change(DecisionChange::Gains));
            assert_eq!(matrix.totals.lost, of_change(DecisionChange::Loses));
        }
    }
}

fn whole_axis<By, Key>(by: By) -> MatrixAxis<By, Key> {
    MatrixAxis {
        by,
        within: Vec::new(),
        after: None,
    }
}
