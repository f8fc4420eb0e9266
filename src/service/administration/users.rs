//! Users: made, listed, shown, changed and removed.
//!
//! A change is asked of the policies for the user as it is and as it would be, so that nobody makes
//! an admin of whom it may not administer. There is always an admin who is not disabled. This module
//! refuses to know passwords beyond their hash, and what can be wished ([`mod@super::user_input`]).

use std::sync::Arc;

use crate::domain::action::Action;
use crate::domain::id::UserId;
use crate::domain::principal::User;
use crate::domain::resource::Resource;
use crate::service::identity::request_context::RequestContext;
use crate::service::pagination::{MAX_PAGE_SIZE, Page};
use crate::storage::{CatalogChange, UserFilter, UserRecord};

use super::super::error::ServiceError;
use super::change_summary::{describe_user, summarize_user_change};
use super::user_input::{NewUser, check_bounds};
use super::{AdminOperation, Administration, MAX_RETRIES, too_many_concurrent_changes};

/// How many users one step of a list reads, and decides about before others get a turn.
const BATCH_SIZE: u32 = 100;

/// A user as it is administered.
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
    /// Makes a user.
    pub async fn create_user(
        &self,
        visitor: &RequestContext,
        wish: NewUser,
    ) -> Result<UserAccount, ServiceError> {
        let mut errand = self.begin(visitor, Action::AdministerUsers).await?;
        let answer = self.insert_user(&mut errand, wish).await;
        self.end(errand, answer).await
    }

    async fn insert_user(
        &self,
        errand: &mut AdminOperation,
        wish: NewUser,
    ) -> Result<UserAccount, ServiceError> {
        let user = User {
            id: UserId::random(),
            username: wish.username,
            issuer: wish.issuer,
            roles: wish.roles,
            claims: wish.claims,
            is_disabled: wish.is_disabled,
        };
        check_bounds(&user)?;
        let resource = Resource::User(Arc::new(user.clone()));
        errand.require(Action::AdministerUsers, &resource)?;
        self.check_issuer(&user, wish.password.is_some())?;
        let password_hash = match &wish.password {
            Some(password) => Some(self.hash_password(password).await?),
            None => None,
        };
        let record = UserRecord {
            user,
            password_hash,
        };
        let _turn = self.lock_writes().await;
        for _ in 0..MAX_RETRIES {
            let version = self.database.catalog_version().await?;
            self.check_names(&record.user, None).await?;
            errand.set_summary(format!("made {}", describe_user(&record.user)));
            let change = CatalogChange {
                users_put: vec![record.clone()],
                ..CatalogChange::default()
            };
            if self.write(errand, change, version).await? {
                return Ok(record.into());
            }
        }
        Err(too_many_concurrent_changes())
    }

    /// Lists at most `limit` users after `after`, in the order of their ids.
    pub async fn list_users(
        &self,
        visitor: &RequestContext,
        filter: &UserFilter,
        after: Option<UserId>,
        limit: u32,
    ) -> Result<Page<UserAccount>, ServiceError> {
        let mut errand = self.begin(visitor, Action::ViewUsers).await?;
        let answer = match errand.require(Action::ViewUsers, &Resource::Server) {
            Ok(()) => self.list_visible_users(&errand, filter, after, limit).await,
            Err(error) => Err(error),
        };
        self.end(errand, answer).await
    }

    /// Those of the users that whoever asks may see.
    pub(super) async fn list_visible_users(
        &self,
        errand: &AdminOperation,
        filter: &UserFilter,
        after: Option<UserId>,
        limit: u32,
    ) -> Result<Page<UserAccount>, ServiceError> {
        let limit = limit.clamp(1, MAX_PAGE_SIZE) as usize;
        let mut items: Vec<UserAccount> = Vec::with_capacity(limit);
        let mut looked_at = after;
        loop {
            let step = self
                .database
                .list_users(looked_at, BATCH_SIZE, filter)
                .await?;
            let is_last_step = step.len() < BATCH_SIZE as usize;
            for record in step {
                looked_at = Some(record.user.id);
                let known = UserAccount::from(record);
                let resource = Resource::User(Arc::clone(&known.user));
                if !errand.is_permitted(Action::ViewUsers, &resource) {
                    continue;
                }
                if items.len() == limit {
                    return Ok(Page {
                        items,
                        has_more: true,
                    });
                }
                items.push(known);
            }
            if is_last_step {
                return Ok(Page {
                    items,
                    has_more: false,
                });
            }
            // Deciding takes no breath by itself, and others want their turn.
            tokio::task::yield_now().await;
        }
    }

    /// Shows one user.
    pub async fn get_user(
        &self,
        visitor: &RequestContext,
        id: UserId,
    ) -> Result<UserAccount, ServiceError> {
        let mut errand = self.begin(visitor, Action::ViewUsers).await?;
        let answer = self.load_user(&mut errand, id, Action::ViewUsers).await;
        self.end(errand, answer.map(UserAccount::from)).await
    }

    /// Makes a user as `wish` says of it, if it is still the one that `is_wanted`; its id and its
    /// issuer stay.
    pub async fn update_user(
        &self,
        visitor: &RequestContext,
        id: UserId,
        is_wanted: impl Fn(&UserAccount) -> bool + Send,
        wish: impl Fn(&UserAccount) -> Result<User, ServiceError> + Send,
    ) -> Result<UserAccount, ServiceError> {
        let mut errand = self.begin(visitor, Action::AdministerUsers).await?;
        let answer = self.replace_user(&mut errand, id, is_wanted, wish).await;
        self.end(errand, answer).await
    }

    async fn replace_user(
        &self,
        errand: &mut AdminOperation,
        id: UserId,
        is_wanted: impl Fn(&UserAccount) -> bool + Send,
        wish: impl Fn(&UserAccount) -> Result<User, ServiceError> + Send,
    ) -> Result<UserAccount, ServiceError> {
        let _turn = self.lock_writes().await;
        for _ in 0..MAX_RETRIES {
            let version = self.database.catalog_version().await?;
            let before = self.load_user(errand, id, Action::AdministerUsers).await?;
            let seen = UserAccount::from(before.clone());
            if !is_wanted(&seen) {
                return Err(ServiceError::PreconditionFailed);
            }
            let user = User {
                id,
                issuer: before.user.issuer.clone(),
                ..wish(&seen)?
            };
            check_bounds(&user)?;
            let resource = Resource::User(Arc::new(user.clone()));
            errand.require(Action::AdministerUsers, &resource)?;
            self.check_names(&user, Some(&before.user)).await?;
            self.check_an_admin_is_left(&before.user, Some(&user))
                .await?;
            let Some(difference) = summarize_user_change(&before.user, &user) else {
                return Ok(seen);
            };
            errand.set_summary(difference);
            let after = UserRecord { user, ..before };
            let change = CatalogChange {
                users_put: vec![after.clone()],
                ..CatalogChange::default()
            };
            if self.write(errand, change, version).await? {
                return Ok(after.into());
            }
        }
        Err(too_many_concurrent_changes())
    }

    /// Removes a user with its sessions, API keys, memberships and shares, if it is still the one
    /// that `is_wanted`; its datasets lose their owner.
    pub async fn delete_user(
        &self,
        visitor: &RequestContext,
        id: UserId,
        is_wanted: impl Fn(&UserAccount) -> bool + Send,
    ) -> Result<(), ServiceError> {
        let mut errand = self.begin(visitor, Action::AdministerUsers).await?;
        let answer = self.delete_matching_user(&mut errand, id, is_wanted).await;
        self.end(errand, answer).await
    }

    async fn delete_matching_user(
        &self,
        errand: &mut AdminOperation,
        id: UserId,
        is_wanted: impl Fn(&UserAccount) -> bool + Send,
    ) -> Result<(), ServiceError> {
        let _turn = self.lock_writes().await;
        for _ in 0..MAX_RETRIES {
            let version = self.database.catalog_version().await?;
            let before = self.load_user(errand, id, Action::AdministerUsers).await?;
            if !is_wanted(&UserAccount::from(before.clone())) {
                return Err(ServiceError::PreconditionFailed);
            }
            self.check_an_admin_is_left(&before.user, None).await?;
            errand.set_summary(format!(
                "removed the user {}; its datasets have no owner now",
                before.user.username
            ));
            let change = CatalogChange {
                users_removed: vec![id],
                ..CatalogChange::default()
            };
            if self.write(errand, change, version).await? {
                return Ok(());
            }
        }
        Err(too_many_concurrent_changes())
    }

    /// The user with an id as the database has it, for whoever may do this to it.
    ///
    /// Whoever may list users learns which ids there are among those it may see, and nobody else
    /// learns any.
    pub(super) async fn load_user(
        &self,
        errand: &mut AdminOperation,
        id: UserId,
        action: Action,
    ) -> Result<UserRecord, ServiceError> {
        let denied = Err(ServiceError::AdministrationDenied { action });
        let unknown = Err(ServiceError::NotFound { what: "user" });
        let Some(record) = self.database.find_user_record(id).await? else {
            let may_list = errand.is_permitted(Action::ViewUsers, &Resource::Server);
            errand.set_summary(format!("there is no user {id}"));
            return if may_list { unknown } else { denied };
        };
        let resource = Resource::User(Arc::new(record.user.clone()));
        if errand.require(action, &resource).is_ok() {
            return Ok(record);
        }
        let may_list = errand.is_permitted(Action::ViewUsers, &Resource::Server);
        let is_hidden = may_list && !errand.is_permitted(Action::ViewUsers, &resource);
        if is_hidden { unknown } else { denied }
    }
}
