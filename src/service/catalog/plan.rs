//! The plan of what a catalog file changes in the current catalog.
//!
//! A plan is computed from values alone, so it can be computed again after a concurrent change.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::check::KnownNames;
use super::file::{CatalogFile, DatasetItem, UserItem};
use super::report::{ApplyReport, ItemKind, ItemOutcome, ItemReport};
use crate::domain::dataset::{Dataset, StoredFile};
use crate::domain::id::{DatasetId, UserId};
use crate::domain::name::{ADMIN_ROLE, Username};
use crate::domain::principal::{Tags, User};
use crate::domain::secret::Secret;
use crate::storage::{Catalog, CatalogChange, UserRecord};

/// The current catalog, by the names that a catalog file uses.
pub(super) struct CurrentCatalog<'a> {
    catalog: &'a Catalog,
    users: BTreeMap<&'a Username, &'a UserRecord>,
    datasets: BTreeMap<DatasetId, &'a Dataset>,
}

/// The values of a catalog file that take work to prepare.
#[derive(Default)]
pub(super) struct PreparedValues {
    /// The new hash of each user whose password changes.
    pub(super) hashes: BTreeMap<Username, Secret<String>>,
    /// Each file of the catalog file, as stored in the file store.
    pub(super) files: BTreeMap<PathBuf, StoredFile>,
}

/// The change to write, and the report of it.
pub(super) struct ApplyPlan {
    /// The change to write.
    pub(super) change: CatalogChange,
    /// The report of the change.
    pub(super) report: ApplyReport,
}

impl<'a> CurrentCatalog<'a> {
    /// Indexes a catalog. Users of identity providers are not managed by catalog files.
    pub(super) fn new(catalog: &'a Catalog) -> Self {
        let own = catalog.users.iter().filter(|r| r.user.issuer.is_none());
        Self {
            catalog,
            users: own.map(|record| (&record.user.username, record)).collect(),
            datasets: catalog.datasets.iter().map(|d| (d.id, d)).collect(),
        }
    }

    /// The stored hash of a user's password.
    pub(super) fn password_hash(&self, username: &Username) -> Option<&'a Secret<String>> {
        self.users.get(username)?.password_hash.as_ref()
    }

    /// The names that `file` may refer to: its own, and those that are not pruned.
    pub(super) fn names_known_to(&self, file: &CatalogFile, is_pruning: bool) -> KnownNames {
        let mut users = file.declared_users.clone();
        let mut roles: BTreeSet<_> = file.roles.iter().map(|r| r.get_ref().clone()).collect();
        if !is_pruning {
            users.extend(self.users.keys().copied().cloned());
            roles.extend(self.catalog.roles.iter().cloned());
        }
        KnownNames { users, roles }
    }
}

impl ApplyPlan {
    /// Plans what `file`, whose checks have passed, changes in `current`.
    ///
    /// An item of the file is complete: an omitted optional key means empty, enabled or no file. Only a
    /// password stays when it is omitted. Items that the file does not name are kept unless
    /// `is_pruning`; the admin role is always kept.
    pub(super) fn new(
        file: &CatalogFile,
        current: &CurrentCatalog<'_>,
        prepared: &PreparedValues,
        is_pruning: bool,
    ) -> Self {
        let mut plan = Self {
            change: CatalogChange::default(),
            report: ApplyReport::default(),
        };
        plan.put_roles(file, current);
        let ids = plan.put_users(file, current, prepared);
        for item in &file.datasets {
            plan.put_dataset(item, current, prepared, &ids);
        }
        plan.prune(file, current, is_pruning);
        plan
    }

    /// Whether there is nothing to write.
    pub(super) fn is_empty(&self) -> bool {
        let lines = &self.report.lines;
        lines
            .iter()
            .all(|line| line.outcome == ItemOutcome::Unchanged)
    }

    fn put_roles(&mut self, file: &CatalogFile, current: &CurrentCatalog<'_>) {
        for name in &file.roles {
            let name = name.get_ref();
            let is_there = current.catalog.roles.contains(name) || name.as_str() == ADMIN_ROLE;
            let outcome = if is_there {
                ItemOutcome::Unchanged
            } else {
                self.change.roles_put.push(name.clone());
                ItemOutcome::Created
            };
            self.report_item(ItemKind::Role, name.to_string(), outcome, Vec::new());
        }
    }

    fn put_users<'a>(
        &mut self,
        file: &'a CatalogFile,
        current: &CurrentCatalog<'a>,
        prepared: &PreparedValues,
    ) -> BTreeMap<&'a Username, UserId> {
        let stored = current.users.iter();
        let mut ids: BTreeMap<_, _> = stored
            .map(|(name, record)| (*name, record.user.id))
            .collect();
        for item in &file.users {
            let name = item.username.get_ref();
            let before = current.users.get(name).copied();
            let after = build_user(item, before, prepared.hashes.get(name));
            ids.insert(name, after.user.id);
            let (outcome, fields) = match before {
                None => (ItemOutcome::Created, Vec::new()),
                Some(before) => outcome_of(changed_user_fields(before, &after)),
            };
            if outcome != ItemOutcome::Unchanged {
                self.change.users_put.push(after);
            }
            self.report_item(ItemKind::User, name.to_string(), outcome, fields);
        }
        ids
    }

    fn put_dataset(
        &mut self,
        item: &DatasetItem,
        current: &CurrentCatalog<'_>,
        prepared: &PreparedValues,
        ids: &BTreeMap<&Username, UserId>,
    ) {
        let before = current.datasets.get(item.id.get_ref()).copied();
        let after = build_dataset(item, before, prepared, ids);
        let (outcome, fields) = match before {
            None => (ItemOutcome::Created, Vec::new()),
            Some(before) => outcome_of(before.changed_fields(&after)),
        };
        let name = dataset_label(&after);
        if outcome != ItemOutcome::Unchanged {
            self.change.datasets_put.push(after);
        }
        self.report_item(ItemKind::Dataset, name, outcome, fields);
    }

    /// Deletes what the file does not name, or counts it unless `is_pruning`.
    fn prune(&mut self, file: &CatalogFile, current: &CurrentCatalog<'_>, is_pruning: bool) {
        let kept: BTreeSet<_> = file.datasets.iter().map(|d| *d.id.get_ref()).collect();
        let datasets = current.catalog.datasets.iter();
        let datasets: Vec<_> = datasets.filter(|d| !kept.contains(&d.id)).collect();
        let users = current.users.iter();
        let users: Vec<_> = users
            .filter(|(name, _)| !file.declared_users.contains(**name))
            .collect();
        let kept: BTreeSet<_> = file.roles.iter().map(toml::Spanned::get_ref).collect();
        let roles = current.catalog.roles.iter();
        let roles: Vec<_> = roles
            .filter(|role| !kept.contains(role) && role.as_str() != ADMIN_ROLE)
            .collect();
        if !is_pruning {
            self.report.not_named = datasets.len() + users.len() + roles.len();
            return;
        }
        for dataset in datasets {
            self.change.datasets_removed.push(dataset.id);
            self.report_removed(ItemKind::Dataset, dataset_label(dataset));
        }
        for (name, record) in users {
            self.change.users_removed.push(record.user.id);
            self.report_removed(ItemKind::User, name.to_string());
        }
        for role in roles {
            self.change.roles_removed.push(role.clone());
            self.report_removed(ItemKind::Role, role.to_string());
        }
    }

    fn report_removed(&mut self, kind: ItemKind, name: String) {
        self.report_item(kind, name, ItemOutcome::Removed, Vec::new());
    }

    fn report_item(
        &mut self,
        kind: ItemKind,
        name: String,
        outcome: ItemOutcome,
        fields: Vec<&'static str>,
    ) {
        self.report.lines.push(ItemReport {
            outcome,
            kind,
            name,
            fields,
        });
    }
}

fn dataset_label(dataset: &Dataset) -> String {
    format!("{} {}", dataset.id, dataset.title)
}

fn build_user(
    item: &UserItem,
    before: Option<&UserRecord>,
    new_hash: Option<&Secret<String>>,
) -> UserRecord {
    let kept_hash = || before.and_then(|before| before.password_hash.clone());
    UserRecord {
        user: User {
            id: before.map_or_else(UserId::random, |before| before.user.id),
            username: item.username.get_ref().clone(),
            issuer: None,
            roles: item.roles.iter().map(|r| r.get_ref().clone()).collect(),
            claims: before.map_or_else(Tags::new, |before| before.user.claims.clone()),
            is_disabled: item.is_disabled,
        },
        password_hash: new_hash.cloned().or_else(kept_hash),
    }
}

fn build_dataset(
    item: &DatasetItem,
    before: Option<&Dataset>,
    prepared: &PreparedValues,
    ids: &BTreeMap<&Username, UserId>,
) -> Dataset {
    let file = item
        .file
        .as_ref()
        .and_then(|path| prepared.files.get(path.get_ref()));
    let kept = before.and_then(|before| before.file.as_ref());
    // The same content keeps the time it was first stored: its Last-Modified must not change.
    let is_kept = |new: &StoredFile, old: &StoredFile| new.sha256 == old.sha256;
    let modified = match (file, kept) {
        (Some(new), Some(old)) if is_kept(new, old) => Some(old.modified),
        _ => None,
    };
    let id_of = |name: &toml::Spanned<Username>| ids.get(name.get_ref()).copied();
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
        tags: item.tags.clone(),
        file: file.map(|file| StoredFile {
            modified: modified.unwrap_or(file.modified),
            ..file.clone()
        }),
    }
}

fn changed_user_fields(before: &UserRecord, after: &UserRecord) -> Vec<&'static str> {
    let fields = [
        ("password", before.password_hash != after.password_hash),
        ("roles", before.user.roles != after.user.roles),
        (
            "disabled",
            before.user.is_disabled != after.user.is_disabled,
        ),
    ];
    let changed = fields.into_iter().filter(|(_, is_changed)| *is_changed);
    changed.map(|(field, _)| field).collect()
}

fn outcome_of(changed: Vec<&'static str>) -> (ItemOutcome, Vec<&'static str>) {
    let outcome = if changed.is_empty() {
        ItemOutcome::Unchanged
    } else {
        ItemOutcome::Changed
    };
    (outcome, changed)
}
