//! The requested state of a user, and the checks that it has to pass.

use std::collections::BTreeSet;

use crate::domain::attributes::Attributes;
use crate::domain::dataset::{MAX_TAG_LENGTH, MAX_TAGS};
use crate::domain::id::UserId;
use crate::domain::name::{ADMIN_ROLE, RoleName, Username};
use crate::domain::principal::{Tags, User};
use crate::domain::secret::Secret;
use crate::service::error::ServiceError;
use crate::storage::SignInConditions;

use super::{AdminAccess, Administration};

/// The most roles of one user.
pub const MAX_ROLES: usize = 256;

/// The longest subject of a user at an identity provider, in bytes (`OpenID` Connect Core section 2).
const MAX_SUBJECT_LENGTH: usize = 255;

/// The requested state of a new user.
#[derive(Clone, Debug)]
pub struct NewUser {
    /// The name it signs in with.
    pub username: Username,
    /// The identity provider that the user comes from; none for a user of this catalog.
    pub issuer: Option<String>,
    /// Its subject at the identity provider, if it is known; then no token needs to show the name.
    pub subject: Option<String>,
    /// The roles it is a member of.
    pub roles: BTreeSet<RoleName>,
    /// Its claims.
    pub claims: Tags,
    /// Attributes that the policy schema declares, as they were given.
    pub attributes: Attributes,
    /// Whether all its credentials are invalid.
    pub is_disabled: bool,
    /// Its password; without one it cannot sign in with a password.
    pub password: Option<Secret<String>>,
}

impl NewUser {
    /// The user, with a new id, its password, and its subject.
    pub(super) fn into_user(self) -> (User, Option<Secret<String>>, Option<String>) {
        let user = User {
            id: UserId::random(),
            username: self.username,
            issuer: self.issuer,
            roles: self.roles,
            claims: self.claims,
            attributes: self.attributes,
            display_name: None,
            is_disabled: self.is_disabled,
        };
        (user, self.password, self.subject)
    }
}

impl Administration {
    /// Checks that a federated user has no password here and that its identity provider is configured.
    pub(super) fn check_issuer(
        &self,
        user: &User,
        has_password: bool,
        subject: Option<&str>,
    ) -> Result<(), ServiceError> {
        let Some(issuer) = &user.issuer else {
            return match subject {
                None => Ok(()),
                Some(_) => Err(ServiceError::invalid(
                    "subject",
                    "only a user of an identity provider has a subject",
                )),
            };
        };
        let is_valid = |text: &str| {
            (1..=MAX_SUBJECT_LENGTH).contains(&text.len()) && !text.chars().any(char::is_control)
        };
        if !subject.is_none_or(is_valid) {
            let detail =
                format!("a subject has 1 to {MAX_SUBJECT_LENGTH} bytes and no control characters");
            return Err(ServiceError::invalid("subject", detail));
        }
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

    /// What it depends on whether an admin can sign in.
    pub(super) fn sign_in_conditions(&self) -> SignInConditions {
        SignInConditions {
            now: self.clock.unix_seconds(),
            admin_issuers: self.admin_issuers.clone(),
        }
    }

    /// Checks that a user's name is free and that its new roles exist.
    pub(super) async fn check_names(
        &self,
        user: &User,
        before: Option<&User>,
    ) -> Result<(), ServiceError> {
        let name = &user.username;
        if before.is_none_or(|before| before.username != *name) {
            if name.is_reserved() {
                let detail = "anonymous and UUIDs name other principals: choose another name";
                return Err(ServiceError::invalid("username", detail));
            }
            if self.database.find_user_by_username(name).await?.is_some() {
                let detail = format!("the user name {name} is taken");
                return Err(ServiceError::conflict("username", detail));
            }
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

    /// Checks that a subject of an identity provider is no user yet.
    pub(super) async fn check_subject(
        &self,
        user: &User,
        subject: Option<&str>,
    ) -> Result<(), ServiceError> {
        if let (Some(issuer), Some(subject)) = (&user.issuer, subject)
            && self
                .database
                .find_external_user(issuer, subject)
                .await?
                .is_some()
        {
            let detail = "another user is bound to this subject";
            return Err(ServiceError::conflict("subject", detail));
        }
        Ok(())
    }

    /// Checks that an admin who can sign in remains when `before` becomes `after`, or is deleted.
    pub(super) async fn check_admin_remains(
        &self,
        before: &User,
        after: Option<&User>,
    ) -> Result<(), ServiceError> {
        let is_enabled_admin = |user: &User| {
            !user.is_disabled && user.roles.iter().any(|role| role.as_str() == ADMIN_ROLE)
        };
        if !is_enabled_admin(before) || after.is_some_and(is_enabled_admin) {
            return Ok(());
        }
        let conditions = self.sign_in_conditions();
        let admins = self.database.admins_who_can_sign_in(&conditions).await?;
        if admins.iter().any(|admin| *admin != before.id) {
            return Ok(());
        }
        let field = match after {
            None => "id",
            Some(after) if after.is_disabled => "is_disabled",
            Some(_) => "roles",
        };
        let name = &before.username;
        let detail = format!("{name} is the last admin who can sign in; create another one first");
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
