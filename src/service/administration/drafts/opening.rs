//! Opening a draft for an operation on it.

use std::sync::Arc;

use crate::domain::action::Action;
use crate::domain::id::{DraftId, UserId};
use crate::domain::resource::Resource;
use crate::policy::{Bundle, BundleError};
use crate::service::administration::Administration;
use crate::service::administration::operation::{AdminOperation, no_policies_in_force};
use crate::service::error::ServiceError;
use crate::service::fair_turns::Turn;
use crate::service::policies::drafts::{BuiltBundle, Draft, DraftEditError, DraftsError};
use crate::service::policies::reload::run_on_policy_thread;

impl Administration {
    /// Authorizes an operation on drafts, and returns the caller.
    pub(super) fn authorize_drafts(operation: &AdminOperation) -> Result<UserId, ServiceError> {
        operation.authorize(Action::ViewPolicies, &Resource::Server)?;
        operation.user_id().ok_or_else(no_policies_in_force)
    }

    /// Returns a draft of the caller, who must be permitted to view the policies.
    pub(super) fn open_draft(
        &self,
        operation: &AdminOperation,
        id: DraftId,
    ) -> Result<Arc<Draft>, ServiceError> {
        let owner = Self::authorize_drafts(operation)?;
        Ok(self.drafts.find(owner, id, self.clock.unix_millis())?)
    }

    /// Returns a draft of the caller with its bundle; a conflict with its first problem if it is not valid.
    pub(super) async fn valid_draft(
        &self,
        operation: &AdminOperation,
        id: DraftId,
    ) -> Result<(Arc<Draft>, Arc<Bundle>), ServiceError> {
        let draft = self.open_draft(operation, id)?;
        let bundle = self.build_draft(operation, &draft).await?;
        let bundle = bundle.map_err(|error| invalid_draft(&error))?;
        Ok((draft, bundle))
    }

    /// Builds the bundle of a draft, unless it is built.
    pub(super) async fn build_draft(
        &self,
        operation: &AdminOperation,
        draft: &Arc<Draft>,
    ) -> Result<BuiltBundle, ServiceError> {
        if let Some(built) = draft.built_bundle() {
            return Ok(built);
        }
        let draft = Arc::clone(draft);
        self.run_draft_work(operation, move || draft.bundle()).await
    }

    /// Runs blocking work on a draft on a thread of its own, when it is the caller's turn.
    pub(in crate::service::administration) async fn run_draft_work<T: Send + 'static>(
        &self,
        operation: &AdminOperation,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, ServiceError> {
        let turn = self.draft_turn(operation).await?;
        Ok(run_during(turn, work).await?.0)
    }

    /// Waits for the caller's turn of work on a draft.
    pub(super) async fn draft_turn(
        &self,
        operation: &AdminOperation,
    ) -> Result<Turn, ServiceError> {
        let authorizer = operation.authorizer().ok_or_else(no_policies_in_force)?;
        self.draft_turns.take(Some(&authorizer.caller)).await
    }
}

/// Runs blocking work in a turn, which goes on. The thread holds it: the request may be cancelled meanwhile.
pub(super) async fn run_during<T: Send + 'static>(
    turn: Turn,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<(T, Turn), ServiceError> {
    run_on_policy_thread(move || (work(), turn)).await
}

/// The conflict of an operation with the first problem of a draft.
pub(super) fn invalid_draft(error: &BundleError) -> ServiceError {
    let first = error.problems().first().map(ToString::to_string);
    let detail = first.unwrap_or_else(|| error.to_string());
    ServiceError::conflict("draft", format!("the draft is not valid: {detail}"))
}

impl From<DraftsError> for ServiceError {
    fn from(error: DraftsError) -> Self {
        match error {
            DraftsError::NotFound => Self::NotFound { what: "draft" },
            DraftsError::Changed => Self::PreconditionFailed,
            DraftsError::Full => Self::unavailable("room for drafts", error),
        }
    }
}

impl From<DraftEditError> for ServiceError {
    fn from(error: DraftEditError) -> Self {
        Self::invalid("files", error.to_string())
    }
}
