//! The state of the reloader: what is in force, and the last check of the folder.

use std::sync::Arc;

use super::folder_in_force::FolderInForce;
use super::initial::InitialPolicies;
use super::origin::{CameIntoForce, EditOrigin};
use super::rejection::{RejectedBundle, RejectionReason};
use super::status::ReloadStatus;
use super::warnings::FolderWarnings;

/// When to prove the folder again although it is the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NextAttempt {
    /// The result would be the same.
    None,
    /// When the solver may be there, or work again, or the machine have more time for it.
    Later,
    /// There was no time for all of it.
    Now,
}

pub(super) struct ReloadState {
    /// The fingerprint of the folder that was checked last.
    pub(super) fingerprint: String,
    /// Whether checking it again would give the same result.
    pub(super) is_settled: bool,
    pub(super) in_force: Arc<FolderInForce>,
    /// What is to be warned of in what is in force.
    pub(super) warnings: Arc<FolderWarnings>,
    /// Whether what is in force passed the gate of this process.
    pub(super) is_in_force_checked: bool,
    /// Whether nothing was in force before: there is nothing to compare an edit with.
    pub(super) is_first: bool,
    /// When it came into force, as far as this process knows.
    pub(super) came: CameIntoForce,
    pub(super) status: ReloadStatus,
}

/// The folders that need no check, by fingerprint.
pub(super) struct KnownFolders {
    /// The one that was checked last, if another check would have the same result.
    pub(super) checked: Option<String>,
    /// The one in force, if its invariants were proved.
    pub(super) proved: Option<String>,
}

impl ReloadState {
    pub(super) fn new(initial: &InitialPolicies, unix_millis: i64) -> Self {
        Self {
            fingerprint: initial.fingerprint.clone(),
            is_settled: initial.is_settled,
            in_force: Arc::clone(&initial.in_force),
            warnings: Arc::clone(&initial.warnings),
            is_in_force_checked: initial.status.rejected.is_none(),
            is_first: initial.is_first,
            came: CameIntoForce {
                unix_millis,
                origin: EditOrigin::Start,
            },
            status: initial.status.clone(),
        }
    }

    /// What an edit is compared with.
    pub(super) fn baseline(&self) -> Option<Arc<FolderInForce>> {
        (!self.is_first).then(|| Arc::clone(&self.in_force))
    }

    /// The status, with the revision of the folder in force.
    pub(super) fn status(&self) -> ReloadStatus {
        ReloadStatus {
            folder_revision: self.in_force.fingerprint.clone(),
            ..self.status.clone()
        }
    }

    /// The folders that need no check; `must_check` if what was checked last has to be checked again.
    pub(super) fn known_folders(&self, must_check: bool) -> KnownFolders {
        let is_proved = self.is_in_force_checked && self.status.unproved.is_none();
        KnownFolders {
            checked: (!must_check).then(|| self.fingerprint.clone()),
            proved: is_proved.then(|| self.in_force.fingerprint.clone()),
        }
    }

    /// Whether another check of the same folder could have another result because of the solver. Without any policies in
    /// force, what is not decided is attempted until it is: nobody may be there to edit the folder.
    pub(super) fn next_attempt(&self, is_closed: bool) -> NextAttempt {
        let rejected = self.status.rejected.as_deref();
        match rejected.map(|rejected| &rejected.reason) {
            Some(RejectionReason::SolverMissing(_) | RejectionReason::SolverFailure(_)) => {
                NextAttempt::Later
            }
            // What was proved of it is remembered, so that the next attempt gets further.
            Some(RejectionReason::FailedProof(proof)) if proof.may_be_continued() => {
                NextAttempt::Now
            }
            Some(RejectionReason::FailedProof(proof)) if is_closed && !proof.is_decided() => {
                NextAttempt::Later
            }
            Some(RejectionReason::NotYetProved(_)) => NextAttempt::Now,
            None if self.status.unproved.is_some() => NextAttempt::Later,
            Some(_) | None => NextAttempt::None,
        }
    }

    /// Whether a folder was the last one checked, and was refused.
    pub(super) fn is_rejected(&self, fingerprint: &str) -> bool {
        let rejected = self.status.rejected.as_deref();
        self.fingerprint == fingerprint && rejected.is_some_and(|rejected| !rejected.is_under_way())
    }

    /// The folder was refused; what is in force stays.
    pub(super) fn set_rejected(
        &mut self,
        fingerprint: String,
        is_settled: bool,
        rejected: RejectedBundle,
    ) {
        self.fingerprint = fingerprint;
        self.is_settled = is_settled;
        self.status.rejected = Some(Arc::new(rejected));
    }

    /// The folder is again what is in force.
    pub(super) fn set_restored(&mut self) {
        self.fingerprint.clone_from(&self.in_force.fingerprint);
        self.is_settled = true;
        self.status.rejected = None;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::policy::folder::PolicyFolder;
    use crate::policy::prove::{ProofOptions, prove};
    use crate::policy::uncovered::UncoveredPolicies;

    use super::*;

    #[test]
    fn a_proof_without_enough_time_is_attempted_again_as_long_as_no_policies_are_in_force() {
        let folder = PolicyFolder::embedded().unwrap();
        let (bundle, invariants) = (folder.bundle().unwrap(), folder.invariants().unwrap());
        let options = ProofOptions::within(Duration::ZERO);
        let proof = prove(&bundle, &invariants, &options, |_, _| {})
            .unwrap()
            .proof;
        assert!(!proof.may_be_continued(), "nothing was learned");
        assert_eq!(proof.work.proved, 0);
        let uncovered = UncoveredPolicies::default();
        let warnings = FolderWarnings::new(&folder, &bundle, &uncovered);
        let mut state = ReloadState {
            fingerprint: String::new(),
            is_settled: false,
            in_force: Arc::new(FolderInForce::new(folder)),
            warnings: Arc::new(warnings),
            is_in_force_checked: false,
            is_first: true,
            came: CameIntoForce {
                unix_millis: 0,
                origin: EditOrigin::Start,
            },
            status: ReloadStatus::default(),
        };
        let rejected = RejectedBundle {
            revision: None,
            folder_revision: None,
            unix_millis: 0,
            reason: RejectionReason::FailedProof(Box::new(proof)),
        };
        state.set_rejected("x".to_owned(), false, rejected);
        assert_eq!(state.next_attempt(true), NextAttempt::Later);
        assert_eq!(state.next_attempt(false), NextAttempt::None);
    }
}
