//! Proofs of drafts: they give way to those of the policy gate, and learn from them without telling them anything.

use std::sync::Arc;
use std::time::Duration;

use crate::policy::Bundle;
use crate::policy::folder::PolicyFolder;
use crate::policy::proof_memory::ProofMemory;
use crate::policy::proof_precedence::ProofPrecedence;
use crate::policy::prove::{Proof, ProofOptions, ProveError, prove_with_memory};
use crate::service::long_work::LongWork;

use super::proof_file::ProofFile;

/// What proofs of drafts have in common.
#[derive(Clone, Debug)]
pub struct DraftProofs {
    memory: Arc<ProofMemory>,
    precedence: Arc<ProofPrecedence>,
    time_limit: Duration,
}

impl DraftProofs {
    pub(super) fn new(gate: &ProofFile, time_limit: Duration) -> Self {
        Self {
            memory: Arc::new(ProofMemory::reading(&gate.memory)),
            precedence: Arc::clone(&gate.precedence),
            time_limit,
        }
    }

    /// Proves the invariants of a draft, and looks for what has no effect, until the time limit is over or the work is
    /// given up. Blocks; nothing runs for it when it returns, but after the limit a thread may still compile.
    pub fn prove(
        &self,
        folder: &PolicyFolder,
        bundle: &Bundle,
        work: &LongWork,
    ) -> Result<Proof, ProveError> {
        let invariants = folder.invariants()?;
        let options = ProofOptions {
            is_thorough: true,
            is_low_priority: true,
            cancellation: work.cancellation().clone(),
            gives_way_to: Some(Arc::clone(&self.precedence)),
            ..ProofOptions::within(self.time_limit)
        };
        let report = |done, total| work.report(done, total);
        let proved = prove_with_memory(bundle, &invariants, &options, &self.memory, report)?;
        Ok(proved.proof)
    }
}
