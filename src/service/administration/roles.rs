//! Roles as administrators create, list and delete them, and their members.
//!
//! Adding a member to a role is a change of the user ([`mod@super::users`]).

use std::sync::Arc;

use crate::domain::action::Action;
use crate::domain::id::UserId;
use crate::domain::name::{ADMIN_ROLE, RoleName};
use crate::domain::resource::Resource;
use crate::service::error::ServiceError;
use crate::service::identity::request_context::RequestContext;
use crate::service::pagination::Page;
use crate::storage::{CatalogChange, UserFilter};

use super::Administration;
use super::attempts::Attempt;
use super::operation::{AdminOperation, Precondition};
use super::users::UserAccount;

impl Administration {
    /// Lists up to `limit` roles after `after`, in the order of their names.
    pub async fn list_roles(
        &self,
        request: &RequestContext,
        after: Option<&RoleName>,
        limit: u32,
    ) -> Result<Page<RoleName>, ServiceError> {
        self.audited(request, Action::ViewUsers, async |operation| {
            operation.authorize(Action::ViewUsers, &Resource::Server)?;
            let read = async |limit| self.database.list_roles(after, limit).await;
            Ok(Page::read(limit, read).await?)
        })
        .await
    }

    /// Returns a role, if it exists.
    pub async fn get_role(
        &self,
        request: &RequestContext,
        role: &RoleName,
    ) -> Result<RoleName, ServiceError> {
        self.audited(request, Action::ViewUsers, async |operation| {
            operation.authorize(Action::ViewUsers, &Resource::Server)?;
            self.check_role_exists(&operation, role).await?;
            Ok(role.clone())
        })
        .await
    }

    /// Lists up to `limit` members of a role after `after`, in the order of their ids.
    pub async fn list_role_members(
        &self,
        request: &RequestContext,
        role: &RoleName,
        after: Option<UserId>,
        limit: u32,
    ) -> Result<Page<UserAccount>, ServiceError> {
        self.audited(request, Action::ViewUsers, async |operation| {
            operation.authorize(Action::ViewUsers, &Resource::Server)?;
            self.check_role_exists(&operation, role).await?;
            let filter = UserFilter {
                role: Some(role.clone()),
                ..UserFilter::default()
            };
            self.list_visible_users(&operation, &filter, after, limit)
                .await
        })
        .await
    }

    /// Creates a role.
    pub async fn create_role(
        &self,
        request: &RequestContext,
        role: &RoleName,
    ) -> Result<RoleName, ServiceError> {
        let create = async |operation: Arc<AdminOperation>| {
            self.require_disk_space()?;
            let attempt = || async {
                require_role_admin(&operation, role)?;
                self.authorize_role_creation(&operation, role)?;
                if self.database.has_role(role).await? {
                    let detail = format!("the role {role} already exists");
                    return Err(ServiceError::conflict("name", detail));
                }
                operation.set_summary(format!("created the role {role}"));
                let change = CatalogChange {
                    roles_put: vec![role.clone()],
                    ..CatalogChange::default()
                };
                Ok(Attempt::Write(change, role.clone()))
            };
            self.optimistically(&operation, attempt).await
        };
        self.audited(request, Action::AdministerRoles, create).await
    }

    /// Deletes a role with its memberships and shares.
    pub async fn delete_role(
        &self,
        request: &RequestContext,
        role: &RoleName,
        precondition: Precondition<'_, RoleName>,
    ) -> Result<(), ServiceError> {
        let delete = async |operation: Arc<AdminOperation>| {
            let attempt = || async {
                require_role_admin(&operation, role)?;
                operation.authorize_role_deletion(role)?;
                if role.as_str() == ADMIN_ROLE {
                    let detail = format!("the role {ADMIN_ROLE} is built in and cannot be deleted");
                    return Err(ServiceError::conflict("name", detail));
                }
                self.check_role_exists(&operation, role).await?;
                precondition(role)?;
                operation.set_summary(format!(
                    "deleted the role {role} with its memberships and shares"
                ));
                let change = CatalogChange {
                    roles_removed: vec![role.clone()],
                    ..CatalogChange::default()
                };
                Ok(Attempt::Write(change, ()))
            };
            self.optimistically(&operation, attempt).await
        };
        self.audited(request, Action::AdministerRoles, delete).await
    }

    async fn check_role_exists(
        &self,
        operation: &AdminOperation,
        role: &RoleName,
    ) -> Result<(), ServiceError> {
        if self.database.has_role(role).await? {
            return Ok(());
        }
        operation.set_summary(format!("there is no role {role}"));
        Err(ServiceError::NotFound { what: "role" })
    }
}

/// Authorizes administering a role. An audit record has no member for a role, so its reason names it.
fn require_role_admin(operation: &AdminOperation, role: &RoleName) -> Result<(), ServiceError> {
    let resource = Resource::Role(role.clone());
    let decided = operation.authorize(Action::AdministerRoles, &resource);
    if decided.is_err() {
        operation.set_summary(format!("administering the role {role} was denied"));
    }
    decided
}
