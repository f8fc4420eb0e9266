//! A second look at a refused edit: whether something outside of the policy folder has changed, so that it may pass.

use crate::service::error::ServiceError;
use crate::storage::Database;

use super::rejection::{RejectedBundle, RejectionReason};

/// Whether an operator has accepted the edit that was refused for want of that, or the catalog has changed so that it
/// fits the edit that was refused because of it.
pub(super) async fn may_pass_now(
    database: &Database,
    rejected: Option<&RejectedBundle>,
    is_forced: bool,
) -> Result<bool, ServiceError> {
    let may_pass = match rejected.map(|rejected| &rejected.reason) {
        Some(RejectionReason::NotAccepted { edit, .. }) => {
            let accepted = database.list_accepted_policy_edits().await;
            accepted.map(|accepted| accepted.contains(edit))
        }
        Some(RejectionReason::CatalogMisfit(fit)) => fit.is_fit_now(database).await,
        Some(_) | None => return Ok(false),
    };
    match may_pass {
        Ok(may_pass) => Ok(may_pass),
        // The watcher asks again soon.
        Err(_) if !is_forced => Ok(false),
        Err(error) => Err(error.into()),
    }
}
