//! Attempts: a change is decided, waits for its turn to write, and is written if nothing changed meanwhile.

use std::sync::Arc;

use crate::service::error::ServiceError;
use crate::service::fair_turns::Turn;
use crate::storage::{CatalogChange, StorageError};

use super::operation::AdminOperation;
use super::{AdminAccess, Administration};

/// How often a change is attempted while others keep changing the catalog.
const MAX_ATTEMPTS: u32 = 10;
/// How many attempts decide before they take a turn to write. Whoever lost all of them to others takes
/// its turn first: it was permitted, and is slower than they are.
const MAX_ATTEMPTS_WITHOUT_TURN: u32 = 3;

/// What one attempt at a change of the catalog came to.
#[allow(
    clippy::large_enum_variant,
    reason = "one is made for each operation and used at once"
)]
pub(super) enum Attempt<T> {
    /// The change to write, and what to return once it is written.
    Write(CatalogChange, T),
    /// The catalog is already as requested.
    Unchanged(T),
}

impl Administration {
    /// Attempts a change of the catalog again while others change it in between; a change is written
    /// together with the operation's record.
    ///
    /// Each attempt authenticates the caller and asks the policies in force, however long ago that was
    /// done before. A refused caller never gets as far as waiting for the others.
    pub(super) async fn optimistically<T, F>(
        &self,
        operation: &AdminOperation,
        attempt: impl Fn() -> F,
    ) -> Result<T, ServiceError>
    where
        F: Future<Output = Result<Attempt<T>, ServiceError>>,
    {
        for number in 0..MAX_ATTEMPTS {
            let mut turn = None;
            if number >= MAX_ATTEMPTS_WITHOUT_TURN {
                turn = Some(self.take_write_turn(operation).await?);
            }
            let version = self.database.catalog_version().await?;
            if let AdminAccess::Policies(dependencies) = &self.access {
                dependencies.catalog_cache.catch_up(version).await?;
            }
            self.reauthenticate(operation).await?;
            let (mut change, result) = match attempt().await? {
                Attempt::Write(change, result) => (change, result),
                Attempt::Unchanged(result) => return Ok(result),
            };
            if turn.is_none() {
                turn = Some(self.take_write_turn(operation).await?);
            }
            if self.reauthenticate(operation).await? {
                // What was decided was decided for another caller, or by other policies.
                continue;
            }
            change.is_by_operator = matches!(self.access, AdminAccess::Local);
            let write = async |record| {
                change.records.push(record);
                match self.database.write_catalog(&change, version).await {
                    Ok(_) => Ok(true),
                    Err(StorageError::Conflict { .. }) => Ok(false),
                    Err(error) => Err(error),
                }
            };
            let is_written = self.write_recorded(operation, write).await?;
            drop(turn);
            if is_written {
                return Ok(result);
            }
        }
        let source = "too many concurrent changes";
        Err(ServiceError::unavailable("the catalog", source))
    }

    async fn take_write_turn(&self, operation: &AdminOperation) -> Result<Turn, ServiceError> {
        let authorizer = operation.authorizer();
        let caller = authorizer.as_ref().map(|authorizer| &authorizer.caller);
        self.write_turns.take(caller).await
    }

    /// Authenticates the caller of an operation again and takes the policies in force; returns whether
    /// they, the caller or the context changed, so that what was decided has to be decided again.
    pub(super) async fn reauthenticate(
        &self,
        operation: &AdminOperation,
    ) -> Result<bool, ServiceError> {
        let AdminAccess::Policies(dependencies) = &self.access else {
            return Ok(false);
        };
        let Some(before) = operation.authorizer() else {
            return Ok(false);
        };
        let (request, source) = (&operation.request, operation.source.as_ref());
        let again = dependencies
            .authenticator
            .authenticate_again(request, &before.caller, source)
            .await
            .inspect_err(|_| operation.clear_summary())?;
        let now = dependencies.decisions.for_caller(again)?;
        if before.is_same(&now) {
            return Ok(false);
        }
        *operation.authorizer.lock() = Some(Arc::new(now));
        Ok(true)
    }
}
