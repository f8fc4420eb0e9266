//! Roles: made, listed, removed, and who their members are.
//!
//! Who becomes a member is a change of the user. This module refuses to know what a role may do.

use crate::domain::action::Action;
use crate::domain::id::UserId;
use crate::domain::name::{ADMIN_ROLE, RoleName};
use crate::domain::resource::Resource;
use crate::service::identity::request_context::Visitor;
use crate::service::pagination::Page;
use crate::storage::{CatalogChange, UserFilter};

use super::super::error::ServiceError;
use super::users::KnownUser;
use super::{Administration, Errand, MOST_ATTEMPTS, overtaken};

impl Administration {
    /// Lists at most `limit` roles after `after`, in the order of their names.
    pub async fn list_roles(
        &self,
        visitor: &Visitor,
        after: Option<&RoleName>,
        limit: u32,
    ) -> Result<Page<RoleName>, ServiceError> {
        let mut errand = self.begin(visitor, Action::ViewUsers).await?;
        let answer = async {
            errand.require(Action::ViewUsers, &Resource::Server)?;
            let to_read = Page::<RoleName>::to_read(limit);
            Ok(Page::cut(
                self.database.role_page(after, to_read).await?,
                limit,
            ))
        };
        let answer = answer.await;
        self.end(errand, answer).await
    }

    /// Shows one role.
    pub async fn show_role(
        &self,
        visitor: &Visitor,
        role: &RoleName,
    ) -> Result<RoleName, ServiceError> {
        let mut errand = self.begin(visitor, Action::ViewUsers).await?;
        let answer = self.find_role(&mut errand, role).await;
        self.end(errand, answer.map(|()| role.clone())).await
    }

    /// Lists at most `limit` members of a role after `after`, in the order of their ids.
    pub async fn list_members(
        &self,
        visitor: &Visitor,
        role: &RoleName,
        after: Option<UserId>,
        limit: u32,
    ) -> Result<Page<KnownUser>, ServiceError> {
        let mut errand = self.begin(visitor, Action::ViewUsers).await?;
        let filter = UserFilter {
            role: Some(role.clone()),
            ..UserFilter::default()
        };
        let answer = match self.find_role(&mut errand, role).await {
            Ok(()) => self.visible_users(&errand, &filter, after, limit).await,
            Err(error) => Err(error),
        };
        self.end(errand, answer).await
    }

    /// Makes a role.
    pub async fn create_role(
        &self,
        visitor: &Visitor,
        role: &RoleName,
    ) -> Result<RoleName, ServiceError> {
        let mut errand = self.begin(visitor, Action::AdministerRoles).await?;
        let answer = self.add_role(&mut errand, role).await;
        self.end(errand, answer.map(|()| role.clone())).await
    }

    /// Removes a role with its memberships and shares, if it is still the one that `is_wanted`.
    pub async fn remove_role(
        &self,
        visitor: &Visitor,
        role: &RoleName,
        is_wanted: impl Fn(&RoleName) -> bool + Send,
    ) -> Result<(), ServiceError> {
        let mut errand = self.begin(visitor, Action::AdministerRoles).await?;
        let answer = self.drop_role(&mut errand, role, is_wanted).await;
        self.end(errand, answer).await
    }

    async fn find_role(&self, errand: &mut Errand, role: &RoleName) -> Result<(), ServiceError> {
        errand.require(Action::ViewUsers, &Resource::Server)?;
        if self.database.has_role(role).await? {
            return Ok(());
        }
        errand.note(format!("there is no role {role}"));
        Err(unknown())
    }

    async fn add_role(&self, errand: &mut Errand, role: &RoleName) -> Result<(), ServiceError> {
        require_administering(errand, role)?;
        let _turn = self.take_turn().await;
        for _ in 0..MOST_ATTEMPTS {
            let version = self.database.catalog_version().await?;
            if self.database.has_role(role).await? {
                return Err(ServiceError::Conflict {
                    field: "name",
                    detail: format!("there is a role {role} already"),
                });
            }
            errand.note(format!("made the role {role}"));
            let change = CatalogChange {
                roles_put: vec![role.clone()],
                ..CatalogChange::default()
            };
            if self.write(errand, change, version).await? {
                return Ok(());
            }
        }
        Err(overtaken())
    }

    async fn drop_role(
        &self,
        errand: &mut Errand,
        role: &RoleName,
        is_wanted: impl Fn(&RoleName) -> bool + Send,
    ) -> Result<(), ServiceError> {
        require_administering(errand, role)?;
        if role.as_str() == ADMIN_ROLE {
            return Err(ServiceError::Conflict {
                field: "name",
                detail: format!("the role {ADMIN_ROLE} is built in and cannot be removed"),
            });
        }
        let _turn = self.take_turn().await;
        for _ in 0..MOST_ATTEMPTS {
            let version = self.database.catalog_version().await?;
            if !self.database.has_role(role).await? {
                errand.note(format!("there is no role {role}"));
                return Err(unknown());
            }
            if !is_wanted(role) {
                return Err(ServiceError::Overtaken);
            }
            errand.note(format!(
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
        Err(overtaken())
    }
}

/// Asks whether the role may be administered. A record has no place for a role but its reason.
fn require_administering(errand: &mut Errand, role: &RoleName) -> Result<(), ServiceError> {
    let resource = Resource::Role(role.clone());
    errand
        .require(Action::AdministerRoles, &resource)
        .inspect_err(|_| errand.note(format!("the role {role} was not to be administered")))
}

fn unknown() -> ServiceError {
    ServiceError::NotFound { what: "role" }
}
