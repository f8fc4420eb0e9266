//! Roles: made, listed, removed, and who their members are.
//!
//! Who becomes a member is a change of the user. This module refuses to know what a role may do.

use crate::domain::action::Action;
use crate::domain::id::UserId;
use crate::domain::name::{ADMIN_ROLE, RoleName};
use crate::domain::resource::Resource;
use crate::service::identity::request_context::RequestContext;
use crate::service::pagination::Page;
use crate::storage::{CatalogChange, UserFilter};

use super::super::error::ServiceError;
use super::users::UserAccount;
use super::{AdminOperation, Administration, MAX_RETRIES, too_many_concurrent_changes};

impl Administration {
    /// Lists at most `limit` roles after `after`, in the order of their names.
    pub async fn list_roles(
        &self,
        visitor: &RequestContext,
        after: Option<&RoleName>,
        limit: u32,
    ) -> Result<Page<RoleName>, ServiceError> {
        let mut errand = self.begin(visitor, Action::ViewUsers).await?;
        let answer = async {
            errand.require(Action::ViewUsers, &Resource::Server)?;
            let to_read = Page::<RoleName>::fetch_size(limit);
            Ok(Page::from_fetched(
                self.database.list_roles(after, to_read).await?,
                limit,
            ))
        };
        let answer = answer.await;
        self.end(errand, answer).await
    }

    /// Shows one role.
    pub async fn get_role(
        &self,
        visitor: &RequestContext,
        role: &RoleName,
    ) -> Result<RoleName, ServiceError> {
        let mut errand = self.begin(visitor, Action::ViewUsers).await?;
        let answer = self.check_role_exists(&mut errand, role).await;
        self.end(errand, answer.map(|()| role.clone())).await
    }

    /// Lists at most `limit` members of a role after `after`, in the order of their ids.
    pub async fn list_role_members(
        &self,
        visitor: &RequestContext,
        role: &RoleName,
        after: Option<UserId>,
        limit: u32,
    ) -> Result<Page<UserAccount>, ServiceError> {
        let mut errand = self.begin(visitor, Action::ViewUsers).await?;
        let filter = UserFilter {
            role: Some(role.clone()),
            ..UserFilter::default()
        };
        let answer = match self.check_role_exists(&mut errand, role).await {
            Ok(()) => {
                self.list_visible_users(&errand, &filter, after, limit)
                    .await
            }
            Err(error) => Err(error),
        };
        self.end(errand, answer).await
    }

    /// Makes a role.
    pub async fn create_role(
        &self,
        visitor: &RequestContext,
        role: &RoleName,
    ) -> Result<RoleName, ServiceError> {
        let mut errand = self.begin(visitor, Action::AdministerRoles).await?;
        let answer = self.insert_role(&mut errand, role).await;
        self.end(errand, answer.map(|()| role.clone())).await
    }

    /// Removes a role with its memberships and shares, if it is still the one that `is_wanted`.
    pub async fn delete_role(
        &self,
        visitor: &RequestContext,
        role: &RoleName,
        is_wanted: impl Fn(&RoleName) -> bool + Send,
    ) -> Result<(), ServiceError> {
        let mut errand = self.begin(visitor, Action::AdministerRoles).await?;
        let answer = self
            .delete_matching_role(&mut errand, role, is_wanted)
            .await;
        self.end(errand, answer).await
    }

    async fn check_role_exists(
        &self,
        errand: &mut AdminOperation,
        role: &RoleName,
    ) -> Result<(), ServiceError> {
        errand.require(Action::ViewUsers, &Resource::Server)?;
        if self.database.has_role(role).await? {
            return Ok(());
        }
        errand.set_summary(format!("there is no role {role}"));
        Err(role_not_found())
    }

    async fn insert_role(
        &self,
        errand: &mut AdminOperation,
        role: &RoleName,
    ) -> Result<(), ServiceError> {
        require_role_admin(errand, role)?;
        let _turn = self.lock_writes().await;
        for _ in 0..MAX_RETRIES {
            let version = self.database.catalog_version().await?;
            if self.database.has_role(role).await? {
                return Err(ServiceError::Conflict {
                    field: "name",
                    detail: format!("there is a role {role} already"),
                });
            }
            errand.set_summary(format!("made the role {role}"));
            let change = CatalogChange {
                roles_put: vec![role.clone()],
                ..CatalogChange::default()
            };
            if self.write(errand, change, version).await? {
                return Ok(());
            }
        }
        Err(too_many_concurrent_changes())
    }

    async fn delete_matching_role(
        &self,
        errand: &mut AdminOperation,
        role: &RoleName,
        is_wanted: impl Fn(&RoleName) -> bool + Send,
    ) -> Result<(), ServiceError> {
        require_role_admin(errand, role)?;
        if role.as_str() == ADMIN_ROLE {
            return Err(ServiceError::Conflict {
                field: "name",
                detail: format!("the role {ADMIN_ROLE} is built in and cannot be removed"),
            });
        }
        let _turn = self.lock_writes().await;
        for _ in 0..MAX_RETRIES {
            let version = self.database.catalog_version().await?;
            if !self.database.has_role(role).await? {
                errand.set_summary(format!("there is no role {role}"));
                return Err(role_not_found());
            }
            if !is_wanted(role) {
                return Err(ServiceError::PreconditionFailed);
            }
            errand.set_summary(format!(
                "removed the role {role} with its memberships and shares"
            ));
            let change = CatalogChange {
                roles_removed: vec![role.clone()],
                ..CatalogChange::default()
            };
            if self.write(errand, change, version).await? {
                return Ok(());
            }
        }
        Err(too_many_concurrent_changes())
    }
}

/// Asks whether the role may be administered. A record has no place for a role but its reason.
fn require_role_admin(errand: &mut AdminOperation, role: &RoleName) -> Result<(), ServiceError> {
    let resource = Resource::Role(role.clone());
    errand
        .require(Action::AdministerRoles, &resource)
        .inspect_err(|_| errand.set_summary(format!("the role {role} was not to be administered")))
}

fn role_not_found() -> ServiceError {
    ServiceError::NotFound { what: "role" }
}
