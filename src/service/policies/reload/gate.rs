//! The policy gate: the checks that a policy folder passes before it comes into force.
//!
//! In this order: the bundle is valid, its cases pass, its invariants are proved. The first failure
//! refuses the edit.

use std::sync::Arc;
use std::time::Duration;

use crate::config::{GateCases, GateProofs, Settings};
use crate::domain::decision::Revision;
use crate::policy::Bundle;
use crate::policy::folder::PolicyFolder;
use crate::policy::prove::{ProofOptions, ProveError, prove};

use super::rejection::RejectionReason;
use super::snapshot::FolderSnapshot;

/// The checks that the settings ask for.
#[derive(Clone, Copy)]
pub(super) struct PolicyGate {
    cases: GateCases,
    proofs: GateProofs,
    proof_limit: Duration,
}

/// A snapshot of the policy folder, checked.
pub(super) struct CheckedFolder {
    pub(super) fingerprint: String,
    pub(super) revision: Option<Revision>,
    pub(super) result: Result<AcceptedBundle, RejectionReason>,
}

/// A bundle that passed.
pub(super) struct AcceptedBundle {
    pub(super) bundle: Arc<Bundle>,
    /// The folder that it was made of.
    pub(super) folder: PolicyFolder,
    /// Why its invariants were not proved although the settings ask for it, if they were not.
    pub(super) unproved: Option<String>,
}

impl AcceptedBundle {
    pub(super) fn log_unproved(&self) {
        if let Some(reason) = &self.unproved {
            tracing::warn!(
                reason,
                "the invariants of the policies in force were not proved"
            );
        }
    }
}

impl PolicyGate {
    pub(super) fn from_settings(settings: &Settings) -> Self {
        Self {
            cases: settings.gate_cases,
            proofs: settings.gate_proofs,
            proof_limit: settings.gate_proof_limit,
        }
    }

    /// Checks a snapshot; blocks for as long as its proofs may take.
    pub(super) fn check(self, snapshot: FolderSnapshot) -> CheckedFolder {
        let folder = snapshot.folder.map_err(RejectionReason::Invalid);
        CheckedFolder {
            fingerprint: snapshot.fingerprint,
            revision: folder.as_ref().ok().map(PolicyFolder::revision),
            result: folder.and_then(|folder| self.accept(folder)),
        }
    }

    fn accept(self, folder: PolicyFolder) -> Result<AcceptedBundle, RejectionReason> {
        let bundle = folder.bundle().map_err(RejectionReason::Invalid)?;
        self.check_cases(&folder, &bundle)?;
        let unproved = self.prove_invariants(&folder, &bundle)?;
        Ok(AcceptedBundle {
            bundle: Arc::new(bundle),
            folder,
            unproved,
        })
    }

    fn check_cases(self, folder: &PolicyFolder, bundle: &Bundle) -> Result<(), RejectionReason> {
        if self.cases != GateCases::Require || !folder.has_cases() {
            return Ok(());
        }
        let report = folder
            .cases()
            .and_then(|cases| cases.run(bundle))
            .map_err(RejectionReason::Invalid)?;
        if report.failed == 0 {
            return Ok(());
        }
        let results = report.results.into_iter();
        Err(RejectionReason::FailedCases(
            results.filter(|result| !result.is_passed).collect(),
        ))
    }

    /// Why the invariants were not proved, if that does not refuse the edit.
    fn prove_invariants(
        self,
        folder: &PolicyFolder,
        bundle: &Bundle,
    ) -> Result<Option<String>, RejectionReason> {
        if self.proofs == GateProofs::Off || !folder.has_invariants() {
            return Ok(None);
        }
        let invariants = folder.invariants().map_err(RejectionReason::Invalid)?;
        let options = ProofOptions {
            time_limit: self.proof_limit,
            is_thorough: false,
            is_low_priority: true,
        };
        match prove(bundle, &invariants, options, |_, _| {}) {
            Ok(proved) if proved.proof.is_complete() => Ok(None),
            Ok(proved) => Err(RejectionReason::FailedProof(Box::new(proved.proof))),
            Err(ProveError::Invariants(error)) => Err(RejectionReason::Invalid(error)),
            // Only a solver that is missing lets an edit pass unproved; one that fails does not.
            Err(error @ ProveError::SolverNotStarted { .. })
                if self.proofs == GateProofs::IfAvailable =>
            {
                Ok(Some(error.to_string()))
            }
            Err(error) => Err(RejectionReason::SolverFailure(error.to_string())),
        }
    }
}
