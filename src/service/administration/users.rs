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
use crate::service::identity::request_context::Visitor;
use crate::service::pagination::{LONGEST_PAGE, Page};
use crate::storage::{CatalogChange, UserFilter, UserRecord};

use super::super::error::ServiceError;
use super::change_summary::{described, difference};
use super::user_input::{NewUser, check_bounds};
use super::{Administration, Errand, MOST_ATTEMPTS, overtaken};

/// How many users one step of a list reads, and decides about before others get a turn.
const STEP: u32 = 100;

/// A user as it is administered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownUser {
    /// The user.
    pub user: Arc<User>,
    /// Whether it has a password.
    pub has_password: bool,
}

impl From<UserRecord> for KnownUser {
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
        visitor: &Visitor,
        wish: NewUser,
    ) -> Result<KnownUser, ServiceError> {
        let mut errand = self.begin(visitor, Action::AdministerUsers).await?;
        let answer = self.add_user(&mut errand, wish).await;
        self.end(errand, answer).await
    }

    async fn add_user(
        &self,
        errand: &mut Errand,
        wish: NewUser,
    ) -> Result<KnownUser, ServiceError> {
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
            Some(password) => Some(self.hash(password).await?),
            None => None,
        };
        let record = UserRecord {
            user,
            password_hash,
        };
        let _turn = self.take_turn().await;
        for _ in 0..MOST_ATTEMPTS {
            let version = self.database.catalog_version().await?;
            self.check_names(&record.user, None).await?;
            errand.note(format!("made {}", described(&record.user)));
            let change = CatalogChange {
                users_put: vec![record.clone()],
                ..CatalogChange::default()
            };
            if self.write(errand, change, version).await? {
                return Ok(record.into());
            }
        }
        Err(overtaken())
    }

    /// Lists at most `limit` users after `after`, in the order of their ids.
    pub async fn list_users(
        &self,
        visitor: &Visitor,
        filter: &UserFilter,
        after: Option<UserId>,
        limit: u32,
    ) -> Result<Page<KnownUser>, ServiceError> {
        let mut errand = self.begin(visitor, Action::ViewUsers).await?;
        let answer = match errand.require(Action::ViewUsers, &Resource::Server) {
            Ok(()) => self.visible_users(&errand, filter, after, limit).await,
            Err(error) => Err(error),
        };
        self.end(errand, answer).await
    }

    /// Those of the users that whoever asks may see.
    pub(super) async fn visible_users(
        &self,
        errand: &Errand,
        filter: &UserFilter,
        after: Option<UserId>,
        limit: u32,
    ) -> Result<Page<KnownUser>, ServiceError> {
        let limit = limit.clamp(1, LONGEST_PAGE) as usize;
        let mut items: Vec<KnownUser> = Vec::with_capacity(limit);
        let mut looked_at = after;
        loop {
            let step = self.database.user_page(looked_at, STEP, filter).await?;
            let is_last_step = step.len() < STEP as usize;
            for record in step {
                looked_at = Some(record.user.id);
                let known = KnownUser::from(record);
                let resource = Resource::User(Arc::clone(&known.user));
                if !errand.may(Action::ViewUsers, &resource) {
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
    pub async fn show_user(
        &self,
        visitor: &Visitor,
        id: UserId,
    ) -> Result<KnownUser, ServiceError> {
        let mut errand = self.begin(visitor, Action::ViewUsers).await?;
        let answer = self.user_for(&mut errand, id, Action::ViewUsers).await;
        self.end(errand, answer.map(KnownUser::from)).await
    }

    /// Makes a user as `wish` says of it, if it is still the one that `is_wanted`; its id and its
    /// issuer stay.
    pub async fn change_user(
        &self,
        visitor: &Visitor,
        id: UserId,
        is_wanted: impl Fn(&KnownUser) -> bool + Send,
        wish: impl Fn(&KnownUser) -> Result<User, ServiceError> + Send,
    ) -> Result<KnownUser, ServiceError> {
        let mut errand = self.begin(visitor, Action::AdministerUsers).await?;
        let answer = self.replace_user(&mut errand, id, is_wanted, wish).await;
        self.end(errand, answer).await
    }

    async fn replace_user(
        &self,
        errand: &mut Errand,
        id: UserId,
        is_wanted: impl Fn(&KnownUser) -> bool + Send,
        wish: impl Fn(&KnownUser) -> Result<User, ServiceError> + Send,
    ) -> Result<KnownUser, ServiceError> {
        let _turn = self.take_turn().await;
        for _ in 0..MOST_ATTEMPTS {
            let version = self.database.catalog_version().await?;
            let before = self.user_for(errand, id, Action::AdministerUsers).await?;
            let seen = KnownUser::from(before.clone());
            if !is_wanted(&seen) {
                return Err(ServiceError::Overtaken);
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
            let Some(difference) = difference(&before.user, &user) else {
                return Ok(seen);
            };
            errand.note(difference);
            let after = UserRecord { user, ..before };
            let change = CatalogChange {
                users_put: vec![after.clone()],
                ..CatalogChange::default()
            };
            if self.write(errand, change, version).await? {
                return Ok(after.into());
            }
        }
        Err(overtaken())
    }

    /// Removes a user with its sessions, API keys, memberships and shares, if it is still the one
    /// that `is_wanted`; its datasets lose their owner.
    pub async fn remove_user(
        &self,
        visitor: &Visitor,
        id: UserId,
        is_wanted: impl Fn(&KnownUser) -> bool + Send,
    ) -> Result<(), ServiceError> {
        let mut errand = self.begin(visitor, Action::AdministerUsers).await?;
        let answer = self.drop_user(&mut errand, id, is_wanted).await;
        self.end(errand, answer).await
    }

    async fn drop_user(
        &self,
        errand: &mut Errand,
        id: UserId,
        is_wanted: impl Fn(&KnownUser) -> bool + Send,
    ) -> Result<(), ServiceError> {
        let _turn = self.take_turn().await;
        for _ in 0..MOST_ATTEMPTS {
            let version = self.database.catalog_version().await?;
            let before = self.user_for(errand, id, Action::AdministerUsers).await?;
            if !is_wanted(&KnownUser::from(before.clone())) {
                return Err(ServiceError::Overtaken);
            }
            self.check_an_admin_is_left(&before.user, None).await?;
            errand.note(format!(
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
        Err(overtaken())
    }

    /// The user with an id as the database has it, for whoever may do this to it.
    ///
    /// Whoever may list users learns which ids there are among those it may see, and nobody else
    /// learns any.
    pub(super) async fn user_for(
        &self,
        errand: &mut Errand,
        id: UserId,
        action: Action,
    ) -> Result<UserRecord, ServiceError> {
        let denied = Err(ServiceError::AdministrationDenied { action });
        let unknown = Err(ServiceError::NotFound { what: "user" });
        let Some(record) = self.database.find_user_record(id).await? else {
            let may_list = errand.may(Action::ViewUsers, &Resource::Server);
            errand.note(format!("there is no user {id}"));
            return if may_list { unknown } else { denied };
        };
        let resource = Resource::User(Arc::new(record.user.clone()));
        if errand.require(action, &resource).is_ok() {
            return Ok(record);
        }
        let may_list = errand.may(Action::ViewUsers, &Resource::Server);
        let is_hidden = may_list && !errand.may(Action::ViewUsers, &resource);
        if is_hidden { unknown } else { denied }
    }
}
