//! The access matrix: who may do something with what, before and after an edit, in groups of people and of datasets.
//!
//! A cell counts pairs of a principal and a dataset, by what is decided in the contexts that the policies can tell apart.
//! Pairs that the policies do not tell apart are decided once
//! ([`pair_classes`](crate::service::policies::review::pair_classes)), whatever the groups are; a question may ask into
//! groups of an answer before ([`keys`]), down to one user and one dataset.

mod counts;
pub mod keys;
mod people;
mod query;
mod report;
mod rows;

#[cfg(test)]
mod tests;
#[cfg(test)]
mod told_tests;

use std::sync::Arc;

use crate::domain::action::Action;
use crate::domain::dataset::Dataset;

use super::asked_contexts::names::name_contexts;
use super::asked_contexts::{AskedAuthentication, CallerKind, ContextScope, ContextSet};
use super::budget::ReviewBudget;
use super::bundle_pair::BundlePair;
use super::catalog_question::CatalogQuestion;
use super::pair_classes::{PairClasses, PairQuestion};
use super::shared_datasets::shared_at;
use counts::{CellSums, ExamplePair, OutcomeSums, PairCounter};
use people::{ChosenPeople, page};
use rows::ChosenDatasets;

pub use query::{
    DatasetGrouping, MatrixAxis, MatrixCatalog, MatrixError, MatrixQuery, PeopleGrouping,
};
pub use report::{
    AccessMatrix, ContextReach, ExampleContext, MatrixCell, MatrixColumn, MatrixRow, PairCounts,
    PairExample,
};

/// The matrix of two bundles over a catalog.
pub fn access_matrix(
    bundles: BundlePair<'_>,
    catalog: &MatrixCatalog,
    query: &MatrixQuery,
    budget: &ReviewBudget,
) -> Result<AccessMatrix, MatrixError> {
    let scope = &query.scope;
    let second = scope.time.unwrap_or(scope.now);
    let datasets = catalog.compared.datasets.iter();
    let datasets: Vec<_> = datasets.map(|dataset| shared_at(dataset, second)).collect();
    let actions = [query.action];
    let mut run = classes_of(bundles, catalog, &datasets, (&actions, scope));
    let people = ChosenPeople::new(&run, &query.people.within)?;
    let chosen = ChosenDatasets::new(catalog, &query.datasets.within)?;
    let shapes = run.decide_shapes(
        chosen.places(),
        &|user| people.contains(user),
        |decided, _| budget.check(decided),
    )?;
    let columns = people.groups(&run, query.people.by);
    let (columns, next_people) = page(columns, &query.people, query.limit, |group| &group.key)?;
    let rows = chosen.groups(catalog, &query.datasets.by);
    let (rows, next_datasets) = page(rows, &query.datasets, query.limit, |group| &group.key)?;
    let counter = PairCounter {
        run: &run,
        datasets: &datasets,
        people: &people,
        columns: &columns,
        rows: &rows,
        askable: run.decider.asked.askable(query.action),
    };
    let cells = counter.count(&shapes, || budget.check(run.decider.decided))?;
    let situations = Situations {
        run: &run,
        is_address_read: run.decider.asked.addresses.len() > 1 || scope.address.is_some(),
        is_time_read: run.decider.asked.reads_time() || scope.time.is_some(),
    };
    let cell = |sums: &CellSums| MatrixCell {
        counts: sums.counts(),
        example: sums
            .example
            .and_then(|example| situations.example(&example, &datasets)),
    };
    Ok(AccessMatrix {
        from: bundles.from.revision().clone(),
        to: bundles.to.revision().clone(),
        action: query.action,
        people: people.count(),
        datasets: chosen.count(),
        is_cut: run.decider.asked.is_cut,
        errors: run.decider.errors.iter().cloned().collect(),
        changes_token_lives: counter.changes_lives(&cells.totals),
        columns: columns
            .iter()
            .map(|column| column.column(run.users))
            .collect(),
        rows: rows.iter().map(|row| row.row(catalog)).collect(),
        cells: cells
            .cells
            .iter()
            .map(|row| row.iter().map(cell).collect())
            .collect(),
        totals: counter.total(&cells.totals),
        contexts: situations.reaches(&counter, &cells.totals),
        next_people,
        next_datasets,
    })
}

/// The classes that are counted; nothing is decided yet.
fn classes_of<'a>(
    bundles: BundlePair<'a>,
    catalog: &'a MatrixCatalog,
    datasets: &'a [Arc<Dataset>],
    (actions, scope): (&'a [Action], &ContextScope),
) -> PairClasses<'a> {
    let BundlePair { from, to } = bundles;
    let question = PairQuestion {
        actions,
        catalog: CatalogQuestion {
            users: &catalog.compared.users,
            datasets,
            literals: to
                .context_literals_for(actions)
                .and(from.context_literals_for(actions))
                .and(scope.literals.clone()),
            references: from
                .references_for(actions)
                .union(to.references_for(actions)),
        },
    };
    PairClasses::new(bundles, question, scope)
}

/// The contexts as they are told: of what the policies do not read, nothing.
struct Situations<'r, 'a> {
    run: &'r PairClasses<'a>,
    is_address_read: bool,
    is_time_read: bool,
}

impl Situations<'_, '_> {
    /// The first of some contexts.
    fn first_of(&self, contexts: ContextSet) -> Option<ExampleContext> {
        let mut all = self.run.decider.asked.iter().enumerate();
        let found = all.find(|(place, _)| contexts >> place & 1 == 1);
        let (_, (address, time, caller)) = found?;
        Some(ExampleContext {
            address: Some(address).filter(|_| self.is_address_read),
            time: Some(time).filter(|_| self.is_time_read),
            authentication: match caller {
                CallerKind::SignedIn => AskedAuthentication::SignedIn,
                CallerKind::Key(_) => AskedAuthentication::ApiKey,
                CallerKind::As(authentication) => AskedAuthentication::As(authentication),
            },
        })
    }

    fn example(&self, pair: &ExamplePair, datasets: &[Arc<Dataset>]) -> Option<PairExample> {
        let (before, after) = (pair.outcome.before, pair.outcome.after);
        let sets = [before ^ after, after, self.run.decider.asked.all()];
        let telling = sets.into_iter().find(|set| *set != 0)?;
        let dataset = datasets.get(pair.dataset)?;
        let user = pair.user.and_then(|place| self.run.users.get(place));
        Some(PairExample {
            user: user.map(|user| (user.id, user.username.clone())),
            dataset_id: dataset.id,
            dataset_title: dataset.title.clone(),
            context: self.first_of(telling)?,
        })
    }

    /// The reach in each context in which the action can be asked for.
    fn reaches(&self, counter: &PairCounter<'_, '_>, totals: &OutcomeSums) -> Vec<ContextReach> {
        let asked = &self.run.decider.asked;
        let places = (0..asked.len()).filter(|place| counter.askable >> place & 1 == 1);
        let reaches = places.filter_map(|place| {
            let [in_force, draft, gained, lost] = counter.reach(totals, place);
            Some(ContextReach {
                label: name_contexts(asked, 1 << place).join("; "),
                context: self.first_of(1 << place)?,
                in_force,
                draft,
                gained,
                lost,
            })
        });
        reaches.collect()
    }
}
