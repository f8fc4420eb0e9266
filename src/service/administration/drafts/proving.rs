//! Proofs of drafts: long work that its caller follows, and gives up by going away.

use std::sync::Arc;

use crate::domain::action::Action;
use crate::domain::id::DraftId;
use crate::policy::prove::{Proof, ProveError};
use crate::service::administration::Administration;
use crate::service::administration::operation::{AdminOperation, no_policies_in_force};
use crate::service::error::ServiceError;
use crate::service::fair_turns::{FairTurns, Turn};
use crate::service::identity::request_context::RequestContext;
use crate::service::long_work::LongWork;
use crate::service::policies::reload::run_on_policy_thread;

use super::opening::invalid_draft;

/// A proof of one version of a draft.
#[derive(Clone, Debug)]
pub struct DraftProof {
    /// The version.
    pub version: u64,
    /// What was proved.
    pub proof: Arc<Proof>,
}

impl Administration {
    /// Proves the invariants of a draft of the caller, and keeps the proof with it.
    pub async fn prove_draft(
        &self,
        request: &RequestContext,
        id: DraftId,
        work: LongWork,
    ) -> Result<DraftProof, ServiceError> {
        self.audited(request, Action::ViewPolicies, async |operation| {
            operation.set_summary(format!("draft {id} proved"));
            let (draft, bundle) = self.valid_draft(&operation, id).await?;
            let turn = take_turn(&self.proof_turns, &operation, &work).await?;
            work.begin("proving");
            let proofs = self.reloader()?.draft_proofs().clone();
            let proved = Arc::clone(&draft);
            let proving = run_on_policy_thread(move || {
                // Held by the thread: as long as anything runs for the proof, it takes the place of another one.
                let _turn = turn;
                proofs.prove(&proved.folder(), &bundle, &work)
            });
            let proof = match proving.await? {
                Ok(proof) => Arc::new(proof),
                Err(error) => {
                    if matches!(error, ProveError::GivenUp) {
                        operation.set_summary(format!("proof of draft {id} given up"));
                    }
                    return Err(proof_error(error));
                }
            };
            draft.set_proof(Arc::clone(&proof));
            Ok(DraftProof {
                version: draft.version,
                proof,
            })
        })
        .await
    }
}

/// Takes a turn of long work, unless it is given up meanwhile.
pub(super) async fn take_turn(
    turns: &FairTurns,
    operation: &AdminOperation,
    work: &LongWork,
) -> Result<Turn, ServiceError> {
    let authorizer = operation.authorizer().ok_or_else(no_policies_in_force)?;
    let taking = turns.take(Some(&authorizer.caller));
    let taken = work.cancellation().run_until_cancelled(taking).await;
    taken.unwrap_or(Err(ServiceError::GivenUp))
}

fn proof_error(error: ProveError) -> ServiceError {
    match error {
        ProveError::Invariants(error) => invalid_draft(&error),
        ProveError::SolverNotFound { .. } => {
            let detail = "proofs need the solver cvc5, which is not installed on the server";
            ServiceError::conflict("draft", detail)
        }
        ProveError::GivenUp => ServiceError::GivenUp,
        ProveError::SolverNotStarted { .. } | ProveError::UnknownSolver { .. } => {
            ServiceError::unavailable("the solver", error)
        }
        ProveError::TooManyNew { .. } | ProveError::Failed { .. } => {
            ServiceError::internal("proving a draft", error)
        }
    }
}
