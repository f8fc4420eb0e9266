//! Role changes: who may give which role, or take it away.
//!
//! Besides the action on the user or the role itself, `assign_role` is asked for each role that somebody
//! gains or loses. A schema that does not declare the action decides as before there was one.

use std::collections::BTreeSet;

use crate::domain::action::Action;
use crate::domain::id::UserId;
use crate::domain::name::RoleName;
use crate::domain::principal::{Principal, User};
use crate::domain::resource::Resource;
use crate::service::error::ServiceError;

use super::operation::AdminOperation;
use super::{AdminAccess, Administration};

impl AdminOperation {
    /// Authorizes giving and taking the roles in which two states of a user differ.
    pub(super) fn authorize_role_changes(
        &self,
        before: Option<&User>,
        after: &User,
    ) -> Result<(), ServiceError> {
        let none = BTreeSet::new();
        let before = before.map_or(&none, |before| &before.roles);
        let mut changed = before.symmetric_difference(&after.roles);
        changed.try_for_each(|role| self.authorize_assignment(role))
    }

    /// Authorizes giving or taking a role.
    pub(super) fn authorize_assignment(&self, role: &RoleName) -> Result<(), ServiceError> {
        let is_asked = self
            .authorizer()
            .is_some_and(|authorizer| authorizer.bundle().declares(Action::AssignRole));
        if !is_asked {
            return Ok(());
        }
        let resource = Resource::Role(role.clone());
        self.authorize_also(Action::AssignRole, &resource)
            .inspect_err(|_| {
                self.set_summary(format!("giving or taking the role {role} was denied"));
            })
    }

    /// Whether the caller uses an API key that is restricted to some actions or datasets.
    pub(super) fn has_restricted_key(&self) -> bool {
        let key = self.authorizer().and_then(|a| a.caller.key.clone());
        key.is_some_and(|key| !key.scope.is_unrestricted())
    }

    /// Requires that the caller does not change its own user with a restricted API key: with new credentials
    /// or roles of its owner, the key would be without its restrictions.
    pub(super) fn protect_own_user(&self, id: UserId) -> Result<(), ServiceError> {
        let own = self.authorizer().and_then(|a| a.caller.principal.user_id());
        if own == Some(id) && self.has_restricted_key() {
            return Err(self.deny_own_user());
        }
        Ok(())
    }

    /// Authorizes the deletion of a role, which takes it from all its members.
    pub(super) fn authorize_role_deletion(&self, role: &RoleName) -> Result<(), ServiceError> {
        self.authorize_assignment(role)?;
        let principal = self.authorizer().map(|a| a.caller.principal.clone());
        match principal {
            Some(Principal::User(user))
                if user.roles.contains(role) && self.has_restricted_key() =>
            {
                Err(self.deny_own_user())
            }
            Some(_) | None => Ok(()),
        }
    }

    fn deny_own_user(&self) -> ServiceError {
        self.deny("a restricted API key does not change its own user");
        ServiceError::OwnUserProtected
    }
}

impl Administration {
    /// Authorizes the creation of a role. If an identity provider can give it, its users are members at once.
    pub(super) fn authorize_role_creation(
        &self,
        operation: &AdminOperation,
        role: &RoleName,
    ) -> Result<(), ServiceError> {
        let AdminAccess::Policies(dependencies) = &self.access else {
            return Ok(());
        };
        if !dependencies.authenticator.identity_providers.can_give(role) {
            return Ok(());
        }
        operation.authorize_assignment(role)?;
        match operation.authorizer().map(|a| a.caller.principal.clone()) {
            Some(Principal::User(user))
                if user.issuer.is_some() && operation.has_restricted_key() =>
            {
                Err(operation.deny_own_user())
            }
            Some(_) | None => Ok(()),
        }
    }
}
