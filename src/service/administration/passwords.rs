//! Passwords of users, as administrators set them or have random ones generated.
//!
//! A new password ends the user's sessions at once. Nobody sets the password of somebody who may do more
//! than the caller may ([`mod@super::privileges`]).

use std::sync::Arc;

use crate::domain::action::Action;
use crate::domain::id::UserId;
use crate::domain::principal::User;
use crate::domain::secret::Secret;
use crate::service::error::ServiceError;
use crate::service::identity::password::{PasswordError, random_password};
use crate::service::identity::request_context::RequestContext;
use crate::storage::{CatalogChange, UserRecord};

use super::Administration;
use super::attempts::Attempt;
use super::operation::AdminOperation;

impl Administration {
    /// Sets a user's password; if none is given, a random one is generated and returned this once.
    pub async fn set_password(
        &self,
        request: &RequestContext,
        id: UserId,
        password: Option<Secret<String>>,
    ) -> Result<Option<Secret<String>>, ServiceError> {
        let set = async |operation: Arc<AdminOperation>| {
            // The policies decide before the hash is computed, and again for the user that is changed.
            let asked = self.load_settable(&operation, id, None).await?;
            let asked = (operation.authorizer(), asked.user);
            let is_generated = password.is_none();
            let password = password.unwrap_or_else(random_password);
            let hash = self.hash_password(&password).await?;
            let attempt = || async {
                let compared = operation.is_decided_by(asked.0.as_ref());
                let compared = compared.then_some(&asked.1);
                let before = self.load_settable(&operation, id, compared).await?;
                if before.user.issuer.is_some() {
                    let detail = "the user signs in with an identity provider";
                    return Err(ServiceError::conflict("password", detail));
                }
                operation.set_summary(format!(
                    "set the password of the user {}",
                    before.user.username
                ));
                let change = CatalogChange {
                    users_put: vec![UserRecord {
                        password_hash: Some(hash.clone()),
                        ..before
                    }],
                    ..CatalogChange::default()
                };
                Ok(Attempt::Write(change, ()))
            };
            self.optimistically(&operation, attempt).await?;
            Ok(is_generated.then_some(password))
        };
        self.audited(request, Action::AdministerUsers, set).await
    }

    /// Loads a user whose credentials the caller may set; `compared` is the state that was compared already.
    async fn load_settable(
        &self,
        operation: &AdminOperation,
        id: UserId,
        compared: Option<&User>,
    ) -> Result<UserRecord, ServiceError> {
        let record = self
            .load_user(operation, id, Action::AdministerUsers)
            .await?;
        operation.protect_own_user(id)?;
        if compared != Some(&record.user) {
            self.require_no_greater_user(operation, &record.user)
                .await?;
        }
        Ok(record)
    }

    /// Hashes a new password.
    pub(super) async fn hash_password(
        &self,
        password: &Secret<String>,
    ) -> Result<Secret<String>, ServiceError> {
        self.passwords
            .hash(password)
            .await
            .map_err(|error| match error {
                PasswordError::TooShort | PasswordError::TooLong => {
                    ServiceError::invalid("password", error.to_string())
                }
                PasswordError::UnusableHash { .. }
                | PasswordError::Busy
                | PasswordError::Failed { .. } => error.into(),
            })
    }
}
