//! The plan of what a catalog file changes in the whole catalog, and its report.

use super::current::CurrentUsers;
use super::dataset_plan::{DatasetPlan, DatasetTotals};
use super::error::ApplyError;
use super::file::CatalogFile;
use super::options::ApplyOptions;
use super::prepared::PreparedValues;
use super::removals::{RemovalCount, RemovalRefusal, check_removals};
use super::report::{ApplyReport, ItemKind, ItemOutcome, ItemReport};
use super::summary::summarize;
use super::user_plan::UserPlan;
use crate::domain::audit::{AuditEvent, AuditOutcome, AuditRecord};
use crate::domain::caller::Authentication;
use crate::service::identity::request_context::RequestContext;
use crate::storage::{CatalogChange, CatalogDataset, Directory, StagedDataset};

/// The most rows of datasets that are written in the last transaction; more are staged.
const MAX_DIRECT_ROWS: usize = 500;

/// The change to write, and the report of it.
pub(super) struct ApplyPlan<'a> {
    file: &'a CatalogFile,
    options: &'a ApplyOptions<'a>,
    users: UserPlan,
    datasets: DatasetPlan,
    totals: DatasetTotals,
}

impl<'a> ApplyPlan<'a> {
    /// Plans what `file`, whose checks have passed, changes.
    ///
    /// An error if users of others would gain something, unless they are adopted, and if no admin would remain.
    pub(super) fn new(
        file: &'a CatalogFile,
        directory: &Directory,
        datasets: &[CatalogDataset],
        prepared: &PreparedValues,
        options: &'a ApplyOptions<'a>,
    ) -> Result<Self, ApplyError> {
        let current = CurrentUsers::new(directory);
        let users = UserPlan::new(file, &current, prepared, options);
        let mut users = users.map_err(|_| ApplyError::TooManyConcurrentChanges)?;
        let totals = DatasetTotals::new(datasets);
        let datasets = DatasetPlan::new(file, datasets, prepared, &mut users, options.is_pruning);
        let refused = users.gains.refused().into_iter();
        let refused = refused.chain(datasets.refused.iter().cloned());
        if let Some(refused) = file.located(refused.collect()) {
            return Err(ApplyError::NeedsAdoption(refused));
        }
        if users.leaves_no_admin {
            return Err(ApplyError::NoAdminLeft);
        }
        users.adopt_gaining();
        Ok(Self {
            file,
            options,
            users,
            datasets,
            totals,
        })
    }

    /// Why the plan removes too much, if it does, of a catalog with so many datasets.
    pub(super) fn refusal(&self, dataset_count: Option<usize>) -> Option<RemovalRefusal> {
        check_removals(
            &self.removals(&self.users, dataset_count),
            self.options.removal_limits,
        )
    }

    /// Whether the number of datasets in the catalog matters.
    pub(super) fn removes_datasets(&self) -> bool {
        !self.datasets.removed.is_empty()
    }

    fn removals(&self, users: &UserPlan, dataset_count: Option<usize>) -> Vec<RemovalCount> {
        let datasets = &self.datasets;
        let of_datasets = datasets.removals(self.file, &self.totals, dataset_count);
        users.removals.iter().cloned().chain(of_datasets).collect()
    }

    /// The plan on newer users and roles, if the datasets of this plan are right for them.
    pub(super) fn for_newer(
        &self,
        directory: &Directory,
        prepared: &PreparedValues,
    ) -> Option<UserPlan> {
        let current = CurrentUsers::new(directory);
        let known = current.names_known_to(self.file, self.options.is_pruning);
        if !super::check::check_references(self.file, &known).is_empty() {
            return None;
        }
        let mut users = UserPlan::new(self.file, &current, prepared, self.options).ok()?;
        let mut given = self.users.gains.given_datasets.iter();
        let is_same =
            given.all(|id| users.gains.is_foreign(*id) == self.users.gains.is_foreign(*id));
        let is_refused = !users.gains.refused().is_empty();
        // Users that others created or deleted do not matter unless the file names them.
        let mut named = self.file.user_names();
        let is_outdated = named.any(|name| users.ids.get(name) != self.users.ids.get(name));
        let removals = self.removals(&users, None);
        let removes_too_much = check_removals(&removals, self.options.removal_limits).is_some();
        if !is_same || is_refused || is_outdated || removes_too_much || users.leaves_no_admin {
            return None;
        }
        for (id, name) in self.users.gains.adopted() {
            users.adopt(id, name);
        }
        Some(users)
    }

    /// Whether there is nothing to write.
    pub(super) fn is_empty(&self) -> bool {
        let (users, datasets) = (&self.users, &self.datasets);
        let mut lines = users.lines.iter().chain(&datasets.lines);
        lines.all(|line| line.outcome == ItemOutcome::Unchanged)
            && users.removed.is_empty()
            && datasets.removed.is_empty()
    }

    /// The datasets to stage before the change is committed.
    pub(super) fn staged(&self) -> &[StagedDataset] {
        if self.datasets.row_count() > MAX_DIRECT_ROWS {
            &self.datasets.changes
        } else {
            &[]
        }
    }

    /// What to commit, with its audit record; `newer` replaces the plan of users and roles.
    pub(super) fn change(&self, newer: Option<&UserPlan>) -> CatalogChange {
        let mut change = newer.unwrap_or(&self.users).change.clone();
        if self.staged().is_empty() {
            for dataset in &self.datasets.changes {
                match dataset {
                    StagedDataset::Put(dataset) => change.datasets_put.push(dataset.clone()),
                    StagedDataset::Removed(id) => change.datasets_removed.push(*id),
                }
            }
        }
        change.records = vec![self.record(newer)];
        change
    }

    /// The report, as if the catalog had the version `version` now.
    pub(super) fn report(&self, newer: Option<&UserPlan>, version: i64) -> ApplyReport {
        let users = newer.unwrap_or(&self.users);
        let roles = |line: &&ItemReport| line.kind == ItemKind::Role;
        let (roles, accounts): (Vec<_>, Vec<_>) = users.lines.iter().partition(roles);
        let lines = roles
            .into_iter()
            .chain(accounts)
            .chain(&self.datasets.lines)
            .chain(&self.datasets.removed)
            .chain(&users.removed);
        ApplyReport {
            lines: lines.cloned().collect(),
            not_named: users.not_named + self.datasets.not_named,
            removals: self.removals(users, None),
            kept: self.datasets.kept,
            is_dry_run: self.options.is_dry_run,
            refused: None,
            version,
        }
    }

    fn record(&self, newer: Option<&UserPlan>) -> AuditRecord {
        let report = self.report(newer, 0);
        let context = RequestContext::local();
        let mut record = context.open_record(AuditEvent::Administer, &self.options.clock);
        record.outcome = AuditOutcome::Granted;
        record.authentication = Authentication::CommandLine;
        record.request_id = None;
        record.reason = Some(summarize(&self.file.name, &report, self.options));
        record
    }
}
