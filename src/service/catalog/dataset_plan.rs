//! The plan of what a catalog file changes in datasets.

use std::collections::{BTreeMap, BTreeSet};

use super::adoption::Gains;
use super::diagnostic::CatalogDiagnostic;
use super::file::{CatalogFile, DatasetItem};
use super::on_existing::OnExisting;
use super::prepared::PreparedValues;
use super::removals::{RemovalCount, RemovalKind};
use super::report::{ItemKind, ItemOutcome, ItemReport};
use super::update::{foreign_dataset, updated_dataset};
use super::user_plan::UserPlan;
use crate::domain::dataset::{Dataset, DatasetFile, StoredFile};
use crate::domain::id::{DatasetId, UserId};
use crate::domain::name::{RoleName, Username};
use crate::domain::share_ends::ShareEnds;
use crate::storage::{CatalogChange, CatalogDataset, StagedDataset};

/// The change of datasets, and its report.
#[derive(Default)]
pub(super) struct DatasetPlan {
    /// The datasets that change, in the order of their ids: so each transaction writes to few pages.
    pub(super) changes: Vec<StagedDataset>,
    /// The datasets of the file.
    pub(super) lines: Vec<ItemReport>,
    /// The datasets that are removed.
    pub(super) removed: Vec<ItemReport>,
    /// How many datasets the file does not name; they stay.
    pub(super) not_named: usize,
    /// Datasets of others that the file would update.
    pub(super) refused: Vec<CatalogDiagnostic>,
    /// How many datasets keep another visibility, record status or owner than the file has.
    pub(super) kept: usize,
    /// What datasets that stay lose.
    lost: PartTotals,
}

impl DatasetPlan {
    /// Plans what `file`, whose checks have passed, changes in the datasets of the catalog, and adds to the
    /// plan of users what they are given.
    ///
    /// A dataset of the file is complete: an omitted optional key means empty or no file.
    pub(super) fn new(
        file: &CatalogFile,
        current: &[CatalogDataset],
        prepared: &PreparedValues,
        users: &mut UserPlan,
        is_pruning: bool,
    ) -> Self {
        let (ids, gains) = (&users.ids, &mut users.gains);
        let gone = Gone::new(&users.change);
        let by_id: BTreeMap<DatasetId, &CatalogDataset> =
            current.iter().map(|row| (row.dataset.id, row)).collect();
        let mut plan = Self::default();
        for item in &file.datasets {
            let before = by_id.get(item.id.get_ref()).copied();
            let after = plan.put(item, before, prepared, ids, gains);
            if let Some(before) = before {
                plan.lost.add(&gone.lost_parts(&before.dataset, &after));
            }
        }
        let kept: BTreeSet<_> = file.datasets.iter().map(|d| *d.id.get_ref()).collect();
        for row in current {
            let dataset = &row.dataset;
            if kept.contains(&dataset.id) {
                continue;
            }
            if is_pruning {
                let line = ItemReport::new(
                    ItemKind::Dataset,
                    dataset_label(dataset),
                    ItemOutcome::Removed,
                );
                plan.removed.push(line);
                plan.changes.push(StagedDataset::Removed(dataset.id));
            } else {
                plan.not_named += 1;
            }
        }
        plan.changes.sort_unstable_by_key(StagedDataset::id);
        plan
    }

    /// How much is removed of a catalog with the datasets `before`, so many of them if that is known better.
    pub(super) fn removals(
        &self,
        file: &CatalogFile,
        before: &DatasetTotals,
        count_now: Option<usize>,
    ) -> [RemovalCount; 5] {
        let names = self.removed.iter().map(|line| line.name.clone());
        let count = count_now.unwrap_or(before.datasets);
        let count_in_file = file.datasets.len();
        let (lost, parts) = (&self.lost, &before.parts);
        [
            RemovalCount::of_items(RemovalKind::Datasets, names, count, count_in_file),
            RemovalCount::of_parts(RemovalKind::Shares, lost.shares, parts.shares),
            RemovalCount::of_parts(RemovalKind::Files, lost.files, parts.files),
            RemovalCount::of_parts(RemovalKind::Owners, lost.owners, parts.owners),
            RemovalCount::of_parts(RemovalKind::Tags, lost.tags, parts.tags),
        ]
    }

    /// About how many rows the change writes.
    pub(super) fn row_count(&self) -> usize {
        let rows = self.changes.iter().map(|change| match change {
            StagedDataset::Put(dataset) => {
                1 + dataset.reader_users.len() + dataset.reader_roles.len()
            }
            StagedDataset::Removed(_) => 1,
        });
        rows.sum()
    }

    fn put(
        &mut self,
        item: &DatasetItem,
        before: Option<&CatalogDataset>,
        prepared: &PreparedValues,
        ids: &BTreeMap<Username, UserId>,
        gains: &mut Gains,
    ) -> Dataset {
        let existing = before.map(|row| &row.dataset);
        let built = build_dataset(item, existing, prepared, ids);
        let after = match self.update(item, before, &built, gains.is_adopting()) {
            Some(updated) => updated,
            None => built,
        };
        let mut line = ItemReport::new(
            ItemKind::Dataset,
            dataset_label(&after),
            ItemOutcome::Created,
        );
        if let Some(before) = before {
            line.set_changed(before.dataset.changed_fields(&after));
            if line.outcome == ItemOutcome::Changed && !before.is_from_operator {
                line.set_taken_over();
            }
        }
        if line.outcome != ItemOutcome::Unchanged {
            add_gains(item, existing, &after, ids, gains);
            self.changes.push(StagedDataset::Put(after.clone()));
        }
        self.lines.push(line);
        after
    }

    /// The dataset that an item updates, if it updates one.
    ///
    /// One that others made may have been given its id so that the import fills it for them: it is replaced, and only
    /// if datasets of others are taken over.
    fn update(
        &mut self,
        item: &DatasetItem,
        before: Option<&CatalogDataset>,
        built: &Dataset,
        is_adopting: bool,
    ) -> Option<Dataset> {
        let (OnExisting::Update(update), Some(before)) = (item.on_existing, before) else {
            return None;
        };
        if !before.is_from_operator {
            if !is_adopting {
                self.refused.push(foreign_dataset(item));
            }
            return None;
        }
        let (updated, is_kept) = updated_dataset(&before.dataset, built, update);
        self.kept += usize::from(is_kept);
        Some(updated)
    }
}

/// How many datasets there are, with how many parts.
pub(super) struct DatasetTotals {
    datasets: usize,
    parts: PartTotals,
}

/// How many parts of datasets there are.
#[derive(Default)]
struct PartTotals {
    shares: usize,
    files: usize,
    owners: usize,
    tags: usize,
}

impl DatasetTotals {
    /// Counts the datasets of the catalog.
    pub(super) fn new(current: &[CatalogDataset]) -> Self {
        let mut parts = PartTotals::default();
        for CatalogDataset { dataset, .. } in current {
            parts.add(&PartTotals {
                shares: dataset.reader_count(),
                files: usize::from(dataset.file.is_some()),
                owners: usize::from(dataset.owner.is_some()),
                tags: dataset.tags.len(),
            });
        }
        Self {
            datasets: current.len(),
            parts,
        }
    }
}

impl PartTotals {
    fn add(&mut self, more: &Self) {
        self.shares += more.shares;
        self.files += more.files;
        self.owners += more.owners;
        self.tags += more.tags;
    }
}

/// The users and roles that the same file removes, and their shares with them.
struct Gone<'a> {
    users: BTreeSet<&'a UserId>,
    roles: BTreeSet<&'a RoleName>,
}

impl<'a> Gone<'a> {
    fn new(change: &'a CatalogChange) -> Self {
        Self {
            users: change.users_removed.iter().collect(),
            roles: change.roles_removed.iter().collect(),
        }
    }

    /// What a dataset loses; of readers and owners those who stay.
    fn lost_parts(&self, before: &Dataset, after: &Dataset) -> PartTotals {
        let users = before.reader_users.difference(&after.reader_users);
        let roles = before.reader_roles.difference(&after.reader_roles);
        let owner = before.owner.filter(|id| !self.users.contains(id));
        let tags = before.tags.keys();
        PartTotals {
            shares: users.filter(|id| !self.users.contains(id)).count()
                + roles.filter(|role| !self.roles.contains(role)).count(),
            files: usize::from(before.file.is_some() && after.file.is_none()),
            owners: usize::from(owner.is_some() && after.owner.is_none()),
            tags: tags.filter(|key| !after.tags.contains_key(*key)).count(),
        }
    }
}

fn add_gains(
    item: &DatasetItem,
    before: Option<&Dataset>,
    after: &Dataset,
    ids: &BTreeMap<Username, UserId>,
    gains: &mut Gains,
) {
    if let Some(name) = &item.owner
        && let Some(id) = ids.get(name.get_ref())
        && before.and_then(|before| before.owner) != Some(*id)
        && after.owner == Some(*id)
    {
        gains.add_owner(name, *id);
    }
    for name in &item.reader_users {
        if let Some(id) = ids.get(name.get_ref())
            && before.is_none_or(|before| !before.reader_users.contains(id))
        {
            gains.add_reader(name, *id);
        }
    }
}

fn dataset_label(dataset: &Dataset) -> String {
    format!("{} {}", dataset.id, dataset.title)
}

fn build_dataset(
    item: &DatasetItem,
    before: Option<&Dataset>,
    prepared: &PreparedValues,
    ids: &BTreeMap<Username, UserId>,
) -> Dataset {
    let file = item
        .file
        .as_ref()
        .and_then(|path| prepared.files.get(path.get_ref()));
    let kept = before.and_then(|before| before.file.as_ref()?.stored());
    // The same content keeps the time it was first stored: its Last-Modified must not change.
    let is_kept = |new: &StoredFile, old: &StoredFile| new.sha256 == old.sha256;
    let modified = match (file, kept) {
        (Some(new), Some(old)) if is_kept(new, old) => Some(old.modified),
        _ => None,
    };
    let stored = file.map(|file| {
        DatasetFile::Stored(StoredFile {
            modified: modified.unwrap_or(file.modified),
            ..file.clone()
        })
    });
    let remote = item.remote_file.as_ref();
    let remote = remote.map(|place| DatasetFile::Remote(place.get_ref().clone()));
    let id_of = |name: &toml::Spanned<Username>| ids.get(name.get_ref()).copied();
    let ends = item.share_ends.users.iter();
    let user_ends = ends.filter_map(|(name, until)| Some((*ids.get(name)?, *until)));
    Dataset {
        id: *item.id.get_ref(),
        title: item.title.clone(),
        visibility: item.visibility,
        record_status: item.record_status,
        owner: item.owner.as_ref().and_then(id_of),
        reader_users: item.reader_users.iter().filter_map(id_of).collect(),
        reader_roles: item
            .reader_roles
            .iter()
            .map(|r| r.get_ref().clone())
            .collect(),
        share_ends: ShareEnds {
            users: user_ends.collect(),
            roles: item.share_ends.roles.clone(),
        },
        tags: item.tags.clone(),
        attributes: prepared.attributes.of_dataset(*item.id.get_ref()),
        file: stored.or(remote),
    }
}
