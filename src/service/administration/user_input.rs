//! The requested state of a user, and the checks that it has to pass.

use std::collections::BTreeSet;

use crate::domain::dataset::{MAX_TAG_LENGTH, MAX_TAGS};
use crate::domain::id::UserId;
use crate::domain::name::{ADMIN_ROLE, RoleName, Username};
use crate::domain::principal::{Tags, User};
use crate::domain::secret::Secret;
use crate::service::error::ServiceError;

use super::{AdminAccess, Administration};

/// The most roles of one user.
pub const MAX_ROLES: usize = 256;

/// The requested state of a new user.
#[derive(Clone, Debug)]
pub struct NewUser {
    /// The name it signs in with.
    pub username: Username,
    /// The identity provider whose first subject of this name becomes the user; none for a user of this
    /// catalog.
    pub issuer: Option<String>,
    /// The roles it is a member of.
    pub roles: BTreeSet<RoleName>,
    /// Its claims.
    pub claims: Tags,
    /// Whether all its credentials are invalid.
    pub is_disabled: bool,
    /// Its password; without one it cannot sign in with a password.
    pub password: Option<Secret<String>>,
}

impl NewUser {
    /// The user, with a new id, and its password.
    pub(super) fn into_user(self) -> (User, Option<Secret<String>>) {
        let user = User {
            id: UserId::random(),
            username: self.username,
            issuer: self.issuer,
            roles: self.roles,
            claims: self.claims,
            is_disabled: self.is_disabled,
        };
        (user, self.password)
    }
}

impl Administration {
    /// Checks that a federated user has no password here and that its identity provider is configured.
    pub(super) fn check_issuer(&self, user: &User, has_password: bool) -> Result<(), ServiceError> {
        let Some(issuer) = &user.issuer else {
            return Ok(());
        };
        if has_password {
            let detail = "a user of an identity provider has no password here";
            return Err(ServiceError::invalid("issuer", detail));
        }
        match &self.access {
            AdminAccess::Policies(dependencies)
                if !dependencies
                    .authenticator
                    .identity_providers
                    .contains(issuer) =>
            {
                let detail = "no identity provider with this URL is configured";
                Err(ServiceError::invalid("issuer", detail))
            }
            AdminAccess::Policies(_) | AdminAccess::Local => Ok(()),
        }
    }

    /// Checks that a user's name is free and that its new roles exist.
    pub(super) async fn check_names(
        &self,
        user: &User,
        before: Option<&User>,
    ) -> Result<(), ServiceError> {
        if before.is_none_or(|before| before.username != user.username)
            && self
                .database
                .find_user_by_username(&user.username)
                .await?
                .is_some()
        {
            let detail = format!("the user name {} is taken", user.username);
            return Err(ServiceError::conflict("username", detail));
        }
        let is_new = |role: &&RoleName| before.is_none_or(|before| !before.roles.contains(*role));
        let new_roles = user.roles.iter().filter(is_new).collect();
        match self.database.find_unknown_role(&new_roles).await? {
            Some(role) => {
                let detail = format!("there is no role {role}");
                Err(ServiceError::invalid("roles", detail))
            }
            None => Ok(()),
        }
    }

    /// Checks that an enabled admin remains when `before` becomes `after`, or is deleted.
    pub(super) async fn check_admin_remains(
        &self,
        before: &User,
        after: Option<&User>,
    ) -> Result<(), ServiceError> {
        let is_enabled_admin = |user: &User| {
            !user.is_disabled && user.roles.iter().any(|role| role.as_str() == ADMIN_ROLE)
        };
        if !is_enabled_admin(before)
            || after.is_some_and(is_enabled_admin)
            || self.database.has_another_admin(before.id).await?
        {
            return Ok(());
        }
        let field = match after {
            None => "id",
            Some(after) if after.is_disabled => "is_disabled",
            Some(_) => "roles",
        };
        let name = &before.username;
        let detail = format!("{name} is the last enabled admin; create another one first");
        Err(ServiceError::conflict(field, detail))
    }
}

/// Checks how many roles and claims a user has, and how long its claims are.
pub(super) fn check_bounds(user: &User) -> Result<(), ServiceError> {
    let invalid = |field, detail: String| Err(ServiceError::invalid(field, detail));
    if user.roles.len() > MAX_ROLES {
        return invalid("roles", format!("a user has at most {MAX_ROLES} roles"));
    }
    if user.claims.len() > MAX_TAGS {
        return invalid("claims", format!("a user has at most {MAX_TAGS} claims"));
    }
    for (name, values) in &user.claims {
        if values.len() > MAX_TAGS {
            return invalid("claims", format!("a claim has at most {MAX_TAGS} values"));
        }
        let mut texts = values.iter().chain([name]);
        if texts.any(|text| text.chars().count() > MAX_TAG_LENGTH || text.contains('\0')) {
            let detail = format!(
                "the name and the values of a claim have at most {MAX_TAG_LENGTH} characters, none of \
                 them NUL"
            );
            return invalid("claims", detail);
        }
    }
    Ok(())
}
