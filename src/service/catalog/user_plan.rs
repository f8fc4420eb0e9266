//! The plan of what a catalog file changes in roles and users.
//!
//! A plan is computed from values alone, so it can be computed again after a concurrent change, within the
//! transaction that writes it.

use std::collections::{BTreeMap, BTreeSet};

use super::adoption::Gains;
use super::current::CurrentUsers;
use super::file::{CatalogFile, UserItem};
use super::options::ApplyOptions;
use super::prepared::{NotPrepared, PreparedValues};
use super::removals::{RemovalCount, RemovalKind};
use super::report::{ItemKind, ItemOutcome, ItemReport};
use crate::domain::attributes::Attributes;
use crate::domain::id::UserId;
use crate::domain::name::{ADMIN_ROLE, RoleName, Username};
use crate::domain::principal::{Tags, User};
use crate::domain::secret::Secret;
use crate::storage::{CatalogChange, UserRecord};

/// The change of roles and users, and its report.
pub(super) struct UserPlan {
    /// The change to write, without datasets.
    pub(super) change: CatalogChange,
    /// The roles and users of the file.
    pub(super) lines: Vec<ItemReport>,
    /// The users and roles that are removed.
    pub(super) removed: Vec<ItemReport>,
    /// The id of each user that sign in here, those of the file included.
    pub(super) ids: BTreeMap<Username, UserId>,
    /// What users of others would gain.
    pub(super) gains: Gains,
    /// How many users and roles the file does not name; they stay.
    pub(super) not_named: usize,
    /// How many users, roles and memberships are removed.
    pub(super) removals: Vec<RemovalCount>,
    /// Whether no admin who can sign in would remain.
    pub(super) leaves_no_admin: bool,
}

impl UserPlan {
    /// Plans what `file`, whose references have been checked, changes in the users and roles.
    ///
    /// An item of the file is complete: an omitted optional key means empty or enabled. Only a password stays
    /// when it is omitted. Items that the file does not name are kept unless the file is pruning; the admin
    /// role is always kept.
    pub(super) fn new(
        file: &CatalogFile,
        current: &CurrentUsers<'_>,
        prepared: &PreparedValues,
        options: &ApplyOptions<'_>,
    ) -> Result<Self, NotPrepared> {
        let own = current.own.iter();
        let mut plan = Self {
            change: CatalogChange {
                is_by_operator: true,
                ..CatalogChange::default()
            },
            lines: Vec::new(),
            removed: Vec::new(),
            ids: own
                .map(|(name, record)| ((*name).clone(), record.user.id))
                .collect(),
            gains: Gains::new(current, options.is_adopting),
            not_named: 0,
            removals: Vec::new(),
            leaves_no_admin: false,
        };
        plan.put_roles(file, current);
        for item in &file.users {
            plan.put_user(item, current, prepared)?;
        }
        plan.prune(file, current, options.is_pruning);
        plan.count_removals(file, current);
        Ok(plan)
    }

    /// Adopts the users that gain something.
    pub(super) fn adopt_gaining(&mut self) {
        let adopted = self.gains.adopted();
        let adopted: Vec<_> = adopted.map(|(id, name)| (id, name.clone())).collect();
        for (id, name) in adopted {
            self.adopt(id, &name);
        }
    }

    /// Adopts a user that the file may only refer to.
    pub(super) fn adopt(&mut self, id: UserId, name: &Username) {
        if self.change.users_adopted.contains(&id) {
            return;
        }
        self.change.users_adopted.push(id);
        let mut line = ItemReport::new(ItemKind::User, name.to_string(), ItemOutcome::Changed);
        line.set_adopted();
        self.lines.push(line);
    }

    fn put_roles(&mut self, file: &CatalogFile, current: &CurrentUsers<'_>) {
        for name in &file.roles {
            let name = name.get_ref();
            let is_there = current.roles().contains(name) || name.as_str() == ADMIN_ROLE;
            let outcome = if is_there {
                ItemOutcome::Unchanged
            } else {
                self.change.roles_put.push(name.clone());
                ItemOutcome::Created
            };
            let line = ItemReport::new(ItemKind::Role, name.to_string(), outcome);
            self.lines.push(line);
        }
    }

    fn put_user(
        &mut self,
        item: &UserItem,
        current: &CurrentUsers<'_>,
        prepared: &PreparedValues,
    ) -> Result<(), NotPrepared> {
        let name = item.username.get_ref();
        let before = current.own.get(name).copied();
        let new_id = prepared.new_ids.get(name).copied().ok_or(NotPrepared)?;
        let new_hash = prepared.new_hash(item, current.password_hash(name))?;
        let attributes = prepared.attributes.of_user(name);
        let after = build_user(item, before, new_id, new_hash, attributes);
        let mut line = ItemReport::new(ItemKind::User, name.to_string(), ItemOutcome::Created);
        self.ids.insert(name.clone(), after.user.id);
        if let Some(before) = before {
            line.set_changed(changed_user_fields(before, &after));
            if self.gains.add_user(item, before, &after) {
                line.set_adopted();
                self.change.users_adopted.push(after.user.id);
            }
        }
        let is_written = before.is_none_or(|before| *before != after);
        if is_written {
            self.change.users_put.push(after);
        }
        self.lines.push(line);
        Ok(())
    }

    /// Deletes the users and roles that the file does not name, or counts them unless `is_pruning`.
    ///
    /// The last admins stay, whatever the flags: with them gone, nobody could administer anything.
    fn prune(&mut self, file: &CatalogFile, current: &CurrentUsers<'_>, is_pruning: bool) {
        let users = current.own.iter();
        let mut users: Vec<_> = users
            .filter(|(name, _)| !file.declared_users.contains(**name))
            .collect();
        let kept: BTreeSet<_> = file.roles.iter().map(toml::Spanned::get_ref).collect();
        let roles = current.roles().iter();
        let roles: Vec<&RoleName> = roles
            .filter(|role| !kept.contains(role) && role.as_str() != ADMIN_ROLE)
            .collect();
        let pruned = users.iter().filter(|_| is_pruning);
        let pruned: BTreeSet<_> = pruned.map(|(_, record)| record.user.id).collect();
        if self.has_no_admin_without(current, &pruned) {
            let is_admin = |id| is_pruning && current.directory.admins.ids.contains(&id);
            self.leaves_no_admin = !users.iter().any(|(_, record)| is_admin(record.user.id));
            for (name, _) in users.extract_if(.., |(_, record)| is_admin(record.user.id)) {
                let mut line =
                    ItemReport::new(ItemKind::User, name.to_string(), ItemOutcome::Unchanged);
                line.set_kept_as_last_admin();
                self.lines.push(line);
            }
        }
        if !is_pruning {
            self.not_named = users.len() + roles.len();
            return;
        }
        let removed = |kind, name| ItemReport::new(kind, name, ItemOutcome::Removed);
        for (name, record) in users {
            self.change.users_removed.push(record.user.id);
            self.removed.push(removed(ItemKind::User, name.to_string()));
        }
        for role in roles {
            self.change.roles_removed.push(role.clone());
            self.removed.push(removed(ItemKind::Role, role.to_string()));
        }
    }

    /// Whether there are admins now, and none of their kind would remain once `pruned` are gone.
    fn has_no_admin_without(&self, current: &CurrentUsers<'_>, pruned: &BTreeSet<UserId>) -> bool {
        let admins = &current.directory.admins;
        if admins.ids.is_empty() {
            return false;
        }
        let can_sign_in = |record: &UserRecord| {
            !admins.can_sign_in
                || record.password_hash.is_some()
                || admins.ids.contains(&record.user.id)
        };
        let is_admin = |record: &UserRecord| {
            let roles = &record.user.roles;
            !record.user.is_disabled && roles.iter().any(|role| role.as_str() == ADMIN_ROLE)
        };
        let mut put = self.change.users_put.iter();
        if put.any(|record| is_admin(record) && can_sign_in(record)) {
            return false;
        }
        let put = self.change.users_put.iter();
        let put: BTreeSet<_> = put.map(|record| record.user.id).collect();
        let mut others = admins.ids.iter();
        others.all(|id| put.contains(id) || pruned.contains(id))
    }

    fn count_removals(&mut self, file: &CatalogFile, current: &CurrentUsers<'_>) {
        let names = |kind| {
            let removed = self.removed.iter().filter(move |line| line.kind == kind);
            removed.map(|line| line.name.clone())
        };
        let built_in = usize::from(current.roles().iter().any(|r| r.as_str() == ADMIN_ROLE));
        let (users, roles) = (current.own.len(), current.roles().len() - built_in);
        let removed_roles: BTreeSet<_> = self.change.roles_removed.iter().collect();
        let lost = self.change.users_put.iter().filter_map(|after| {
            let before = current.own.get(&after.user.username)?;
            let lost = before.user.roles.difference(&after.user.roles);
            Some(lost.filter(|role| !removed_roles.contains(role)).count())
        });
        let lost = lost.sum();
        let members = current.own.values().map(|record| record.user.roles.len());
        self.removals = vec![
            RemovalCount::of_items(
                RemovalKind::Users,
                names(ItemKind::User),
                users,
                file.users.len(),
            ),
            RemovalCount::of_items(
                RemovalKind::Roles,
                names(ItemKind::Role),
                roles,
                file.roles.len(),
            ),
            RemovalCount::of_parts(RemovalKind::Memberships, lost, members.sum()),
        ];
    }
}

fn build_user(
    item: &UserItem,
    before: Option<&UserRecord>,
    new_id: UserId,
    new_hash: Option<&Secret<String>>,
    attributes: Attributes,
) -> UserRecord {
    let kept_hash = || before.and_then(|before| before.password_hash.clone());
    UserRecord {
        user: User {
            id: before.map_or(new_id, |before| before.user.id),
            username: item.username.get_ref().clone(),
            issuer: None,
            roles: item.roles.iter().map(|r| r.get_ref().clone()).collect(),
            claims: before.map_or_else(Tags::new, |before| before.user.claims.clone()),
            attributes,
            display_name: None,
            is_disabled: item.is_disabled,
        },
        password_hash: new_hash.cloned().or_else(kept_hash),
    }
}

fn changed_user_fields(before: &UserRecord, after: &UserRecord) -> Vec<&'static str> {
    let fields = [
        ("password", before.password_hash != after.password_hash),
        ("roles", before.user.roles != after.user.roles),
        (
            "attributes",
            before.user.attributes != after.user.attributes,
        ),
        (
            "disabled",
            before.user.is_disabled != after.user.is_disabled,
        ),
    ];
    let changed = fields.into_iter().filter(|(_, is_changed)| *is_changed);
    changed.map(|(field, _)| field).collect()
}
