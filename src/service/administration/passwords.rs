//! Passwords of users: set, or made up and shown once.
//!
//! A new password ends the user's sessions at once. This module refuses to know the old one.

use crate::domain::action::Action;
use crate::domain::id::UserId;
use crate::domain::secret::Secret;
use crate::service::identity::password::{PasswordError, random_password};
use crate::service::identity::request_context::RequestContext;
use crate::storage::{CatalogChange, UserRecord};

use super::super::error::ServiceError;
use super::{AdminOperation, Administration, MAX_RETRIES, too_many_concurrent_changes};

impl Administration {
    /// Gives a user a password; when none is given, one is made up and returned this once.
    pub async fn set_password(
        &self,
        visitor: &RequestContext,
        id: UserId,
        given: Option<Secret<String>>,
    ) -> Result<Option<Secret<String>>, ServiceError> {
        let mut errand = self.begin(visitor, Action::AdministerUsers).await?;
        let made_up = given.is_none().then(random_password);
        let answer = match given.as_ref().or(made_up.as_ref()) {
            Some(password) => self.replace_password(&mut errand, id, password).await,
            None => Ok(()),
        };
        self.end(errand, answer.map(|()| made_up)).await
    }

    async fn replace_password(
        &self,
        errand: &mut AdminOperation,
        id: UserId,
        password: &Secret<String>,
    ) -> Result<(), ServiceError> {
        // Asked before the hash is paid for, and again of the user that is changed.
        self.load_user(errand, id, Action::AdministerUsers).await?;
        let hash = self.hash_password(password).await?;
        let _turn = self.lock_writes().await;
        for _ in 0..MAX_RETRIES {
            let version = self.database.catalog_version().await?;
            let before = self.load_user(errand, id, Action::AdministerUsers).await?;
            if before.user.issuer.is_some() {
                return Err(ServiceError::Conflict {
                    field: "password",
                    detail: "the user comes from an outside issuer, and signs in there".to_owned(),
                });
            }
            errand.set_summary(format!("gave the user {} a password", before.user.username));
            let change = CatalogChange {
                users_put: vec![UserRecord {
                    password_hash: Some(hash.clone()),
                    ..before
                }],
                ..CatalogChange::default()
            };
            if self.write(errand, change, version).await? {
                return Ok(());
            }
        }
        Err(too_many_concurrent_changes())
    }

    /// The hash of a new password.
    pub(super) async fn hash_password(
        &self,
        password: &Secret<String>,
    ) -> Result<Secret<String>, ServiceError> {
        self.passwords
            .hash(password)
            .await
            .map_err(|error| match error {
                PasswordError::TooShort | PasswordError::TooLong => ServiceError::Invalid {
                    field: "password",
                    detail: error.to_string(),
                },
                PasswordError::UnusableHash { .. }
                | PasswordError::Busy
                | PasswordError::Failed { .. } => error.into(),
            })
    }
}
