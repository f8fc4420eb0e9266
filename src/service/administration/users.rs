//! Users as administrators create, list, read, update and delete them.
//!
//! An update is authorized for the user as it is and as it would be, and for each role that it gains or
//! loses. At least one admin who can sign in always remains.

use std::sync::Arc;

use uuid::Uuid;

use crate::domain::action::Action;
use crate::domain::attributes::AttributeOwner;
use crate::domain::id::UserId;
use crate::domain::principal::User;
use crate::domain::resource::Resource;
use crate::service::error::ServiceError;
use crate::service::identity::request_context::RequestContext;
use crate::service::pagination::{FilteredRead, Page, ReadBounds};
use crate::storage::{CatalogChange, UserFilter, UserRecord};

use super::Administration;
use super::attempts::Attempt;
use super::change_summary::{describe_user, summarize_user_change};
use super::operation::{AdminOperation, Precondition};
use super::user_input::{NewUser, check_bounds};

/// A user, and whether it has a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserAccount {
    /// The user.
    pub user: Arc<User>,
    /// Whether it has a password.
    pub has_password: bool,
}

impl From<UserRecord> for UserAccount {
    fn from(record: UserRecord) -> Self {
        Self {
            has_password: record.password_hash.is_some(),
            user: Arc::new(record.user),
        }
    }
}

impl Administration {
    /// Creates a user.
    pub async fn create_user(
        &self,
        request: &RequestContext,
        input: NewUser,
    ) -> Result<UserAccount, ServiceError> {
        let create = async |operation: Arc<AdminOperation>| {
            self.require_disk_space()?;
            let (mut user, password, subject) = input.into_user();
            check_bounds(&user)?;
            let requested = std::mem::take(&mut user.attributes);
            let read = || self.read_attributes(&operation, AttributeOwner::User, &requested, None);
            let input = read().await?;
            user.attributes.clone_from(&input.attributes);
            let resource = Resource::ChangedUser(Arc::new(user.clone()));
            operation.authorize(Action::AdministerUsers, &resource)?;
            operation.authorize_role_changes(None, &user)?;
            input.into_result()?;
            self.require_no_gain(&operation, None, &user).await?;
            let compared_by = operation.authorizer();
            self.check_issuer(&user, password.is_some(), subject.as_deref())?;
            let password_hash = match &password {
                Some(password) => Some(self.hash_password(password).await?),
                None => None,
            };
            let attempt = || async {
                // Again, because hashing the password may have waited.
                let record = UserRecord {
                    user: User {
                        attributes: read().await?.into_result()?,
                        ..user.clone()
                    },
                    password_hash: password_hash.clone(),
                };
                let resource = Resource::ChangedUser(Arc::new(record.user.clone()));
                operation.authorize(Action::AdministerUsers, &resource)?;
                operation.authorize_role_changes(None, &record.user)?;
                if !operation.is_decided_by(compared_by.as_ref()) {
                    self.require_no_gain(&operation, None, &record.user).await?;
                }
                self.check_names(&record.user, None).await?;
                self.check_subject(&record.user, subject.as_deref()).await?;
                operation.set_summary(format!("created {}", describe_user(&record.user)));
                let change = CatalogChange {
                    subjects_bound: subject
                        .iter()
                        .map(|s| (record.user.id, s.clone()))
                        .collect(),
                    ..put(record.clone())
                };
                Ok(Attempt::Write(change, record.into()))
            };
            self.optimistically(&operation, attempt).await
        };
        self.audited(request, Action::AdministerUsers, create).await
    }

    /// Lists up to `limit` users after `after`, in the order of their ids.
    pub async fn list_users(
        &self,
        request: &RequestContext,
        filter: &UserFilter,
        after: Option<UserId>,
        limit: u32,
    ) -> Result<Page<UserAccount>, ServiceError> {
        self.audited(request, Action::ViewUsers, async |operation| {
            self.require_disk_space()?;
            operation.authorize(Action::ViewUsers, &Resource::Server)?;
            self.list_visible_users(&operation, filter, after, limit)
                .await
        })
        .await
    }

    /// Lists the users that the caller may see.
    pub(super) async fn list_visible_users(
        &self,
        operation: &AdminOperation,
        filter: &UserFilter,
        after: Option<UserId>,
        limit: u32,
    ) -> Result<Page<UserAccount>, ServiceError> {
        let resource = |account: &UserAccount| Resource::User(Arc::clone(&account.user));
        let list = FilteredRead {
            read: |after: Option<Uuid>, limit| async move {
                let turn = operation.list_turn().await?;
                let batch = self.database.list_users(after.map(UserId), limit, filter);
                let accounts = batch.await?.into_iter().map(UserAccount::from);
                Ok((turn, accounts.collect()))
            },
            id_of: |account: &UserAccount| account.user.id.0,
            filter: |turn, batch| {
                operation.filter_permitted(turn, Action::ViewUsers, batch, resource)
            },
            charge: || self.charge(operation),
            bounds: ReadBounds::LIST,
        };
        Page::read_filtered(after.map(|id| id.0), limit, list).await
    }

    /// Returns one user.
    pub async fn get_user(
        &self,
        request: &RequestContext,
        id: UserId,
    ) -> Result<UserAccount, ServiceError> {
        self.audited(request, Action::ViewUsers, async |operation| {
            let record = self.load_user(&operation, id, Action::ViewUsers).await?;
            Ok(record.into())
        })
        .await
    }

    /// Changes a user to what `edit` makes of it; its id and its issuer stay.
    pub async fn update_user(
        &self,
        request: &RequestContext,
        id: UserId,
        precondition: Precondition<'_, UserAccount>,
        edit: impl Fn(&UserAccount) -> Result<User, ServiceError> + Send + Sync,
    ) -> Result<UserAccount, ServiceError> {
        let update = async |operation: Arc<AdminOperation>| {
            let attempt = || async {
                let before = self
                    .load_matching_user(&operation, id, precondition)
                    .await?;
                let account = UserAccount::from(before.clone());
                let edited = edit(&account)?;
                let stored = Some(&before.user.attributes);
                let (owner, requested) = (AttributeOwner::User, &edited.attributes);
                let input = self
                    .read_attributes(&operation, owner, requested, stored)
                    .await?;
                let user = User {
                    id,
                    issuer: before.user.issuer.clone(),
                    display_name: before.user.display_name.clone(),
                    attributes: input.attributes.clone(),
                    ..edited
                };
                check_bounds(&user)?;
                let resource = Resource::ChangedUser(Arc::new(user.clone()));
                operation.authorize(Action::AdministerUsers, &resource)?;
                operation.authorize_role_changes(Some(&before.user), &user)?;
                input.into_result()?;
                self.require_no_gain(&operation, Some(&before.user), &user)
                    .await?;
                self.check_names(&user, Some(&before.user)).await?;
                self.check_admin_remains(&before.user, Some(&user)).await?;
                let Some(summary) = summarize_user_change(&before.user, &user) else {
                    return Ok(Attempt::Unchanged(account));
                };
                operation.set_summary(summary);
                let after = UserRecord { user, ..before };
                Ok(Attempt::Write(put(after.clone()), after.into()))
            };
            self.optimistically(&operation, attempt).await
        };
        self.audited(request, Action::AdministerUsers, update).await
    }

    /// Deletes a user with its sessions, API keys, memberships and shares; its datasets lose their
    /// owner.
    pub async fn delete_user(
        &self,
        request: &RequestContext,
        id: UserId,
        precondition: Precondition<'_, UserAccount>,
    ) -> Result<(), ServiceError> {
        let delete = async |operation: Arc<AdminOperation>| {
            let attempt = || async {
                let before = self
                    .load_matching_user(&operation, id, precondition)
                    .await?;
                self.check_admin_remains(&before.user, None).await?;
                operation.set_summary(format!(
                    "deleted the user {}; its datasets have no owner now",
                    before.user.username
                ));
                let change = CatalogChange {
                    users_removed: vec![id],
                    ..CatalogChange::default()
                };
                Ok(Attempt::Write(change, ()))
            };
            self.optimistically(&operation, attempt).await
        };
        self.audited(request, Action::AdministerUsers, delete).await
    }

    /// Loads a user that the caller may do `action` to, password hash included.
    ///
    /// A caller who may list users learns only which of the users that it may see exist; any other
    /// caller is denied either way.
    pub(super) async fn load_user(
        &self,
        operation: &AdminOperation,
        id: UserId,
        action: Action,
    ) -> Result<UserRecord, ServiceError> {
        let denied = Err(ServiceError::AdministrationDenied { action });
        let unknown = Err(ServiceError::NotFound { what: "user" });
        let Some(record) = self.database.find_user_record(id).await? else {
            let may_list = operation.is_permitted(Action::ViewUsers, &Resource::Server);
            operation.set_summary(format!("there is no user {id}"));
            return if may_list { unknown } else { denied };
        };
        let resource = Resource::User(Arc::new(record.user.clone()));
        if operation.authorize(action, &resource).is_ok() {
            return Ok(record);
        }
        let may_list = operation.is_permitted(Action::ViewUsers, &Resource::Server);
        let is_hidden = may_list && !operation.is_permitted(Action::ViewUsers, &resource);
        if is_hidden { unknown } else { denied }
    }

    /// Loads a user that the caller may administer and that is still as the caller saw it.
    async fn load_matching_user(
        &self,
        operation: &AdminOperation,
        id: UserId,
        precondition: Precondition<'_, UserAccount>,
    ) -> Result<UserRecord, ServiceError> {
        let record = self
            .load_user(operation, id, Action::AdministerUsers)
            .await?;
        operation.protect_own_user(id)?;
        precondition(&UserAccount::from(record.clone()))?;
        Ok(record)
    }
}

fn put(record: UserRecord) -> CatalogChange {
    CatalogChange {
        users_put: vec![record],
        ..CatalogChange::default()
    }
}
