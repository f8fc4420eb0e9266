//! A matrix equals deciding every pair of a principal and a dataset, whatever its groups are.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use proptest::strategy::ValueTree;

use super::keys::{DatasetKey, PeopleKey};
use super::*;
use crate::domain::caller::Authentication;
use crate::domain::client_address::AssumedAddress;
use crate::domain::principal::{Principal, User};
use crate::policy::Bundle;
use crate::policy::context_literals::ContextLiterals;
use crate::service::policies::review::generated::{some_catalog, two_bundles};
use crate::service::policies::review::pair_classes::ActionOutcome;
use crate::storage::Catalog;

const TAG: &str = "x";

fn some_scope() -> impl Strategy<Value = ContextScope> {
    let address = proptest::option::weighted(0.2, Just(AssumedAddress(None)));
    let authentication = proptest::option::weighted(
        0.4,
        proptest::sample::select(vec![
            AskedAuthentication::SignedIn,
            AskedAuthentication::ApiKey,
            AskedAuthentication::As(Authentication::Issuer),
            AskedAuthentication::As(Authentication::Password),
            AskedAuthentication::As(Authentication::None),
        ]),
    );
    (address, authentication).prop_map(|(address, authentication)| ContextScope {
        address,
        time: None,
        authentication,
        now: 1_772_366_400,
        literals: ContextLiterals::default(),
    })
}

pub(super) fn catalog_of(catalog: Catalog) -> MatrixCatalog {
    let users = catalog.users.into_iter();
    let users: Vec<_> = users.map(|record| Arc::new(record.user)).collect();
    let datasets = catalog.datasets.into_iter().map(Arc::new);
    MatrixCatalog::new(&users, datasets.collect())
}

fn axis<By, Key>(by: By) -> MatrixAxis<By, Key> {
    MatrixAxis {
        by,
        within: Vec::new(),
        after: None,
    }
}

/// One question, asked again with other groups.
#[derive(Clone)]
pub(super) struct Asked<'a> {
    pub(super) bundles: BundlePair<'a>,
    pub(super) catalog: &'a MatrixCatalog,
    pub(super) query: MatrixQuery,
}

impl Asked<'_> {
    pub(super) fn matrix(&self) -> AccessMatrix {
        let budget = ReviewBudget::new(u64::MAX, Duration::MAX);
        access_matrix(self.bundles, self.catalog, &self.query, &budget).unwrap()
    }

    fn by(&self, people: PeopleGrouping, datasets: DatasetGrouping) -> Self {
        let mut other = self.clone();
        (other.query.people.by, other.query.datasets.by) = (people, datasets);
        other
    }

    fn within(&self, people: &PeopleKey, datasets: &DatasetKey) -> Self {
        let mut other = self.clone();
        other.query.people.within.push(people.clone());
        other.query.datasets.within.push(datasets.clone());
        other
    }

    /// What is decided about every pair, one by one, and the contexts in which the action can be asked for.
    fn decided(&self) -> (Vec<Decided>, ContextSet) {
        let actions = [self.query.action];
        let datasets = &self.catalog.compared.datasets;
        let asked = (&actions[..], &self.query.scope);
        let mut run = classes_of(self.bundles, self.catalog, datasets, asked);
        let askable = run.decider.asked.askable(self.query.action);
        let users = self.catalog.compared.users.iter().cloned().map(Some);
        let mut all = Vec::new();
        for user in users.chain([None]) {
            if !can_authenticate(user.as_deref(), self.query.scope.authentication) {
                continue;
            }
            let principal = user.clone().map_or(Principal::Anonymous, Principal::User);
            for dataset in datasets {
                all.push(Decided {
                    user: user.clone(),
                    dataset: Arc::clone(dataset),
                    outcome: run.decider.decide(&principal, dataset)[0],
                });
            }
        }
        (all, askable)
    }
}

/// Whether a user, or somebody who did not sign in, can call so.
fn can_authenticate(user: Option<&User>, asked: Option<AskedAuthentication>) -> bool {
    match asked {
        None | Some(AskedAuthentication::SignedIn) => true,
        Some(AskedAuthentication::ApiKey) => user.is_some(),
        Some(AskedAuthentication::As(Authentication::None)) => user.is_none(),
        Some(AskedAuthentication::As(Authentication::Issuer)) => {
            user.is_some_and(|user| user.issuer.is_some())
        }
        Some(AskedAuthentication::As(_)) => user.is_some_and(|user| user.issuer.is_none()),
    }
}

/// What is decided about one pair.
struct Decided {
    user: Option<Arc<User>>,
    dataset: Arc<Dataset>,
    outcome: ActionOutcome,
}

fn count<'a>(decided: impl Iterator<Item = &'a Decided>, askable: ContextSet) -> PairCounts {
    let mut counts = PairCounts::default();
    for Decided { outcome, .. } in decided {
        let ActionOutcome { before, after, .. } = *outcome;
        counts.pairs += 1;
        counts.in_force += u64::from(before != 0);
        counts.draft += u64::from(after != 0);
        counts.gained += u64::from(after & !before != 0);
        counts.lost += u64::from(before & !after != 0);
        counts.sometimes += u64::from(after != 0 && after & askable != askable);
    }
    counts
}

fn is_in_column(user: Option<&User>, key: &PeopleKey) -> bool {
    match (key, user) {
        (PeopleKey::Anonymous, user) => user.is_none(),
        (_, None) => false,
        (PeopleKey::Role(Some(role)), Some(user)) => user.roles.contains(role),
        (PeopleKey::Role(None), Some(user)) => user.roles.is_empty(),
        (PeopleKey::User(id), Some(user)) => user.id == *id,
        (PeopleKey::Class(_), Some(_)) => panic!("classes are looked into"),
    }
}

fn is_in_row(dataset: &Dataset, key: &DatasetKey) -> bool {
    match key {
        DatasetKey::Visibility(visibility) => dataset.visibility == *visibility,
        DatasetKey::RecordStatus(status) => dataset.record_status == *status,
        DatasetKey::Owner(owner) => dataset.owner == *owner,
        DatasetKey::Tag { name, value } => {
            let values = dataset.tags.get(name).cloned().unwrap_or_default();
            match value {
                Some(value) => values.contains(value),
                None => values.is_empty(),
            }
        }
        DatasetKey::Dataset(id) => dataset.id == *id,
    }
}

/// The example is a pair of its cell that is as telling as it says, in the context that it names.
fn check_example(
    matrix: &AccessMatrix,
    cell: &MatrixCell,
    pairs: &[&Decided],
) -> Result<(), TestCaseError> {
    let Some(example) = &cell.example else {
        prop_assert!(pairs.is_empty(), "{matrix:?}");
        return Ok(());
    };
    let id = example.user.as_ref().map(|(id, _)| *id);
    let found = pairs.iter().find(|pair| {
        pair.user.as_ref().map(|user| user.id) == id && pair.dataset.id == example.dataset_id
    });
    prop_assert!(found.is_some(), "{:?}", example);
    let ActionOutcome { before, after, .. } = found.unwrap().outcome;
    if cell.counts.gained + cell.counts.lost > 0 {
        prop_assert_ne!(before, after);
    } else if cell.counts.draft > 0 {
        prop_assert_ne!(after, 0);
    }
    Ok(())
}

fn check(
    asked: &Asked<'_>,
    matrix: &AccessMatrix,
    (decided, askable): &(Vec<Decided>, ContextSet),
) -> Result<(), TestCaseError> {
    prop_assert_eq!(matrix.totals, count(decided.iter(), *askable));
    for (row, cells) in matrix.rows.iter().zip(&matrix.cells) {
        for (column, cell) in matrix.columns.iter().zip(cells) {
            let is_class = matches!(column.key, PeopleKey::Class(_));
            let members: BTreeSet<_> = if is_class {
                let zoomed = asked.within(&column.key, &row.key);
                let persons = zoomed.by(PeopleGrouping::Person, DatasetGrouping::Dataset);
                let persons = persons.matrix().columns.into_iter();
                persons.filter_map(|person| person.user_id).collect()
            } else {
                let users = decided.iter().filter_map(|pair| pair.user.as_deref());
                let users = users.filter(|user| is_in_column(Some(user), &column.key));
                users.map(|user| user.id).collect()
            };
            let is_in = |pair: &&Decided| {
                is_in_row(&pair.dataset, &row.key)
                    && match &pair.user {
                        None => column.key == PeopleKey::Anonymous,
                        Some(user) => members.contains(&user.id),
                    }
            };
            let pairs: Vec<&Decided> = decided.iter().filter(is_in).collect();
            let expected = count(pairs.iter().copied(), *askable);
            prop_assert_eq!(cell.counts, expected, "{:?} {:?}", column, row);
            let size = u64::try_from(column.people * row.datasets).unwrap();
            prop_assert_eq!(cell.counts.pairs, size);
            check_example(matrix, cell, &pairs)?;
            let zoomed = asked.within(&column.key, &row.key).matrix();
            prop_assert_eq!(zoomed.totals, cell.counts);
        }
    }
    for reach in &matrix.contexts {
        prop_assert!(reach.draft <= matrix.totals.draft && reach.lost <= matrix.totals.lost);
    }
    let most = |part: fn(&ContextReach) -> u64| matrix.contexts.iter().map(part).max();
    if let [only] = matrix.contexts.as_slice() {
        prop_assert_eq!(only.draft, matrix.totals.draft);
        prop_assert_eq!(only.gained, matrix.totals.gained);
    }
    prop_assert_eq!(most(|one| one.lost) > Some(0), matrix.totals.lost > 0);
    prop_assert_eq!(
        most(|one| one.in_force) > Some(0),
        matrix.totals.in_force > 0
    );
    Ok(())
}

pub(super) fn asked<'a>(
    (from, to): (&'a Bundle, &'a Bundle),
    catalog: &'a MatrixCatalog,
    (action, scope): (Action, ContextScope),
) -> Asked<'a> {
    Asked {
        bundles: BundlePair { from, to },
        catalog,
        query: MatrixQuery {
            action,
            people: axis(PeopleGrouping::Person),
            datasets: axis(DatasetGrouping::Dataset),
            scope,
            limit: 200,
        },
    }
}

const PEOPLE: [PeopleGrouping; 3] = [
    PeopleGrouping::Class,
    PeopleGrouping::Role,
    PeopleGrouping::Person,
];

fn datasets_groupings() -> [DatasetGrouping; 5] {
    [
        DatasetGrouping::Visibility,
        DatasetGrouping::RecordStatus,
        DatasetGrouping::Owner,
        DatasetGrouping::Tag(TAG.to_owned()),
        DatasetGrouping::Dataset,
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    #[test]
    fn a_matrix_equals_deciding_every_pair(
        (from, to) in two_bundles(),
        catalog in some_catalog(),
        action in proptest::sample::select(Action::DATASET_ACTIONS.to_vec()),
        scope in some_scope(),
    ) {
        let catalog = catalog_of(catalog);
        let asked = asked((&from, &to), &catalog, (action, scope));
        let decided = asked.decided();
        for people in PEOPLE {
            for datasets in datasets_groupings() {
                let asked = asked.by(people, datasets);
                check(&asked, &asked.matrix(), &decided)?;
            }
        }
    }

    #[test]
    fn the_pages_of_a_matrix_are_the_matrix(
        (from, to) in two_bundles(),
        catalog in some_catalog(),
        people in proptest::sample::select(PEOPLE.to_vec()),
    ) {
        let catalog = catalog_of(catalog);
        let scope = some_scope().new_tree(&mut proptest::test_runner::TestRunner::deterministic());
        let scope = scope.unwrap().current();
        let whole = asked((&from, &to), &catalog, (Action::Read, scope));
        let whole = whole.by(people, DatasetGrouping::Owner);
        let expected = whole.matrix();
        let mut paged = whole.clone();
        paged.query.limit = 2;
        let mut columns = Vec::new();
        loop {
            let mut rows = Vec::new();
            paged.query.datasets.after = None;
            let page = loop {
                let page = paged.matrix();
                prop_assert_eq!(page.totals, expected.totals);
                prop_assert!(page.columns.len() <= 2 && page.rows.len() <= 2);
                rows.extend(page.rows.clone());
                paged.query.datasets.after.clone_from(&page.next_datasets);
                if page.next_datasets.is_none() {
                    break page;
                }
            };
            prop_assert_eq!(&rows, &expected.rows);
            columns.extend(page.columns);
            paged.query.people.after.clone_from(&page.next_people);
            if page.next_people.is_none() {
                break;
            }
        }
        prop_assert_eq!(columns, expected.columns);
    }
}
