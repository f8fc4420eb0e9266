//! Counting pairs: the cells of a page, and all pairs.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::domain::dataset::Dataset;

use super::people::{ChosenPeople, PeopleGroup};
use super::report::PairCounts;
use super::rows::MatrixRowGroup;
use crate::service::policies::review::asked_contexts::ContextSet;
use crate::service::policies::review::pair_classes::{
    ActionOutcome, DatasetShape, OutcomeIndex, PairClasses,
};

/// The place of the one action that is asked about.
const ACTION: usize = 0;

/// How telling an example is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum ExampleRank {
    #[default]
    Missing,
    Denied,
    Permitted,
    Changed,
}

/// A pair of a user, none for anonymous callers, and a dataset, by their places, and what is decided about it.
#[derive(Clone, Copy, Debug)]
pub(super) struct ExamplePair {
    pub(super) user: Option<usize>,
    pub(super) dataset: usize,
    pub(super) outcome: ActionOutcome,
}

/// The counts of a cell under way: what is counted for a class may be taken away for some of its members.
#[derive(Clone, Debug, Default)]
pub(super) struct CellSums {
    pairs: i64,
    in_force: i64,
    draft: i64,
    gained: i64,
    lost: i64,
    sometimes: i64,
    rank: ExampleRank,
    pub(super) example: Option<ExamplePair>,
}

/// Sums by outcome.
pub(super) type OutcomeSums = HashMap<OutcomeIndex, i64>;

/// Whom and what is counted.
pub(super) struct PairCounter<'r, 'a> {
    pub(super) run: &'r PairClasses<'a>,
    pub(super) datasets: &'r [Arc<Dataset>],
    pub(super) people: &'r ChosenPeople,
    pub(super) columns: &'r [PeopleGroup],
    pub(super) rows: &'r [MatrixRowGroup],
    /// The contexts in which the action can be asked for.
    pub(super) askable: ContextSet,
}

/// The datasets of a signature: how many take part, and the places of those of each row.
#[derive(Default)]
struct SignatureDatasets {
    count: usize,
    rows: BTreeMap<usize, Vec<usize>>,
}

/// The cells of each row, and all pairs by outcome.
pub(super) struct CountedPairs {
    pub(super) cells: Vec<Vec<CellSums>>,
    pub(super) totals: OutcomeSums,
}

impl PairCounter<'_, '_> {
    /// Counts the pairs of shapes; an error of `keep_on` ends it.
    pub(super) fn count<E>(
        &self,
        shapes: &[DatasetShape],
        keep_on: impl Fn() -> Result<(), E>,
    ) -> Result<CountedPairs, E> {
        let rows_of = places_of(
            self.datasets.len(),
            self.rows.iter().map(|row| &row.members),
        );
        let columns = self.columns.iter().map(|column| &column.members);
        let columns_of = places_of(self.run.users.len(), columns);
        let mut counted = CountedPairs {
            cells: vec![vec![CellSums::default(); self.columns.len()]; self.rows.len()],
            totals: OutcomeSums::new(),
        };
        let mut signatures: BTreeMap<usize, SignatureDatasets> = BTreeMap::new();
        for shape in shapes {
            let signature = signatures.entry(shape.signature).or_default();
            signature.count += shape.datasets.len();
            for dataset in &shape.datasets {
                for row in rows_of.get(*dataset).into_iter().flatten() {
                    signature.rows.entry(*row).or_default().push(*dataset);
                }
            }
        }
        let classes = self.classes(&columns_of);
        for (place, signature) in &signatures {
            keep_on()?;
            self.count_signature(&mut counted, (*place, signature), &classes);
        }
        for shape in shapes {
            keep_on()?;
            self.count_related(&mut counted, shape, (&rows_of, &columns_of));
        }
        Ok(counted)
    }

    /// For each class how many of its members take part, and those of each column.
    fn classes(&self, columns_of: &[Vec<usize>]) -> Vec<(usize, BTreeMap<usize, Vec<usize>>)> {
        let classes = self.run.classes.iter().map(|class| {
            let members = class.members.iter().copied();
            let mut count = 0;
            let mut columns: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
            for user in members.filter(|user| self.people.contains(*user)) {
                count += 1;
                for column in columns_of.get(user).into_iter().flatten() {
                    columns.entry(*column).or_default().push(user);
                }
            }
            (count, columns)
        });
        classes.collect()
    }

    /// Counts the pairs of a signature as if nobody owned or read a dataset by name.
    fn count_signature(
        &self,
        counted: &mut CountedPairs,
        (place, signature): (usize, &SignatureDatasets),
        classes: &[(usize, BTreeMap<usize, Vec<usize>>)],
    ) {
        if self.people.is_anonymous {
            let index = self.run.of_anonymous(place);
            let outcome = self.run.outcome(index, ACTION);
            *counted.totals.entry(index).or_default() += number(signature.count);
            let is_anonymous = |column: &PeopleGroup| column.members.is_empty();
            if let Some(column) = self.columns.iter().position(is_anonymous) {
                for (row, datasets) in &signature.rows {
                    let Some(cell) = counted.cell(*row, column) else {
                        continue;
                    };
                    cell.add(outcome, self.askable, number(datasets.len()));
                    cell.suggest(outcome, || Some((None, *datasets.first()?)));
                }
            }
        }
        for (class, (members, columns)) in classes.iter().enumerate() {
            if *members == 0 {
                continue;
            }
            let index = self.run.of_class(place, class);
            let outcome = self.run.outcome(index, ACTION);
            *counted.totals.entry(index).or_default() += number(signature.count * members);
            for (column, members) in columns {
                for (row, datasets) in &signature.rows {
                    let Some(cell) = counted.cell(*row, *column) else {
                        continue;
                    };
                    let pairs = number(datasets.len() * members.len());
                    cell.add(outcome, self.askable, pairs);
                    cell.suggest(outcome, || self.find_unrelated(members, datasets));
                }
            }
        }
    }

    /// A user and a dataset that it neither owns nor reads by name.
    fn find_unrelated(
        &self,
        members: &[usize],
        datasets: &[usize],
    ) -> Option<(Option<usize>, usize)> {
        datasets.iter().find_map(|place| {
            let dataset = self.datasets.get(*place)?;
            let is_unrelated = |user: &&usize| {
                let user = self.run.users.get(**user);
                user.is_some_and(|user| {
                    dataset.owner != Some(user.id) && !dataset.reader_users.contains(&user.id)
                })
            };
            let user = members.iter().find(is_unrelated)?;
            Some((Some(*user), *place))
        })
    }

    /// Counts those again who own the datasets of a shape or read them by name, in place of their class.
    fn count_related(
        &self,
        counted: &mut CountedPairs,
        shape: &DatasetShape,
        (rows_of, columns_of): (&[Vec<usize>], &[Vec<usize>]),
    ) {
        for related in &shape.related {
            let of_class = self.run.of_class(shape.signature, related.class);
            let count = number(shape.datasets.len());
            *counted.totals.entry(of_class).or_default() -= count;
            *counted.totals.entry(related.outcome).or_default() += count;
            let before = self.run.outcome(of_class, ACTION);
            let outcome = self.run.outcome(related.outcome, ACTION);
            for column in columns_of.get(related.user).into_iter().flatten() {
                for dataset in &shape.datasets {
                    for row in rows_of.get(*dataset).into_iter().flatten() {
                        let Some(cell) = counted.cell(*row, *column) else {
                            continue;
                        };
                        cell.add(before, self.askable, -1);
                        cell.add(outcome, self.askable, 1);
                        cell.suggest(outcome, || Some((Some(related.user), *dataset)));
                    }
                }
            }
        }
    }

    /// All pairs of some sums.
    pub(super) fn total(&self, totals: &OutcomeSums) -> PairCounts {
        let mut sums = CellSums::default();
        for (outcome, count) in totals {
            sums.add(self.run.outcome(*outcome, ACTION), self.askable, *count);
        }
        sums.counts()
    }

    /// Whether tokens of some pairs that stay permitted would live shorter or longer.
    pub(super) fn changes_lives(&self, totals: &OutcomeSums) -> bool {
        totals.iter().any(|(outcome, count)| {
            let outcome = self.run.outcome(*outcome, ACTION);
            *count > 0 && outcome.shorter | outcome.longer != 0
        })
    }

    /// How many pairs of some sums are in a context, by its place: permitted before, after, gained and lost.
    pub(super) fn reach(&self, totals: &OutcomeSums, context: usize) -> [u64; 4] {
        let mut sums = CellSums::default();
        for (outcome, count) in totals {
            let outcome = self.run.outcome(*outcome, ACTION);
            let here = |set: ContextSet| set & (1 << context);
            let here = ActionOutcome {
                before: here(outcome.before),
                after: here(outcome.after),
                ..ActionOutcome::default()
            };
            sums.add(here, 1 << context, *count);
        }
        let PairCounts {
            in_force,
            draft,
            gained,
            lost,
            ..
        } = sums.counts();
        [in_force, draft, gained, lost]
    }
}

impl CountedPairs {
    fn cell(&mut self, row: usize, column: usize) -> Option<&mut CellSums> {
        self.cells.get_mut(row)?.get_mut(column)
    }
}

impl CellSums {
    fn add(&mut self, outcome: ActionOutcome, askable: ContextSet, count: i64) {
        let ActionOutcome { before, after, .. } = outcome;
        let if_any = |contexts: ContextSet| if contexts == 0 { 0 } else { count };
        self.pairs += count;
        self.in_force += if_any(before);
        self.draft += if_any(after);
        self.gained += if_any(after & !before);
        self.lost += if_any(before & !after);
        if after & askable != askable {
            self.sometimes += if_any(after);
        }
    }

    /// Takes another example if it is more telling.
    fn suggest(
        &mut self,
        outcome: ActionOutcome,
        find: impl FnOnce() -> Option<(Option<usize>, usize)>,
    ) {
        let rank = match outcome {
            ActionOutcome { before, after, .. } if before != after => ExampleRank::Changed,
            ActionOutcome { after: 0, .. } => ExampleRank::Denied,
            ActionOutcome { .. } => ExampleRank::Permitted,
        };
        if rank <= self.rank {
            return;
        }
        if let Some((user, dataset)) = find() {
            self.rank = rank;
            self.example = Some(ExamplePair {
                user,
                dataset,
                outcome,
            });
        }
    }

    /// The counts at the end.
    pub(super) fn counts(&self) -> PairCounts {
        let count = |sum: i64| u64::try_from(sum).unwrap_or_default();
        PairCounts {
            pairs: count(self.pairs),
            in_force: count(self.in_force),
            draft: count(self.draft),
            gained: count(self.gained),
            lost: count(self.lost),
            sometimes: count(self.sometimes),
        }
    }
}

/// For each of so many the groups that it is a member of.
fn places_of<'g>(count: usize, groups: impl Iterator<Item = &'g Vec<usize>>) -> Vec<Vec<usize>> {
    let mut places = vec![Vec::new(); count];
    for (place, members) in groups.enumerate() {
        for member in members {
            if let Some(groups) = places.get_mut(*member) {
                groups.push(place);
            }
        }
    }
    places
}

fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
