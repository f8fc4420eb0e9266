//! The policy gate: the checks that a policy folder passes before it comes into force.
//!
//! In this order: the bundle is valid, its cases pass, it keeps the invariants and cases in force, its
//! invariants are proved, the catalog fits it (`catalog_fit`). The first failure refuses the edit.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::config::{GateCases, GateInvariants, GateProofs, Settings};
use crate::domain::decision::Revision;
use crate::policy::Bundle;
use crate::policy::edited_attributes::EditedAttributes;
use crate::policy::folder::PolicyFolder;
use crate::policy::prove::{ProofOptions, ProofTime, ProofWork, ProveError, prove_at_most};
use crate::policy::safeguards::SafeguardChanges;
use crate::policy::uncovered::UncoveredPolicies;
use crate::service::long_work::LongWork;
use crate::storage::PolicyEdit;

use super::folder_in_force::FolderInForce;
use super::policy_thread::run_both;
use super::proof_file::{ProofFile, SAVE_INTERVAL};
use super::rejection::RejectionReason;
use super::snapshot::{FolderSnapshot, PolicySource};
use super::warnings::FolderWarnings;

/// The most policies that a start proves before it serves; of more, they are proved in the background.
const MAX_PROVED_AT_START: usize = 200;

/// The checks that the settings ask for.
#[derive(Clone, Copy)]
pub(super) struct PolicyGate {
    cases: GateCases,
    proofs: GateProofs,
    invariants: GateInvariants,
    requires_case_per_policy: bool,
    proof_limit: Duration,
    /// The most policies that are proved now; `None` for any number.
    max_new: Option<usize>,
    /// Whether the folder is inside the program, whose cases and invariants were checked when it was built.
    is_embedded: bool,
}

/// What a folder is checked against.
#[derive(Clone, Copy)]
pub(super) struct GateBaseline<'a> {
    /// The folder in force, if there is one.
    pub(super) in_force: Option<&'a FolderInForce>,
    /// The edits that an operator accepted.
    pub(super) accepted: &'a [PolicyEdit],
    /// What was proved before, and where to save what is proved.
    pub(super) proofs: &'a ProofFile,
    /// Who follows the check, and may give it up.
    pub(super) work: Option<&'a LongWork>,
}

/// A snapshot of the policy folder, checked.
pub(super) struct CheckedFolder {
    pub(super) fingerprint: String,
    pub(super) revision: Option<Revision>,
    /// The fingerprint, if the folder could be read.
    pub(super) folder_revision: Option<String>,
    pub(super) result: Result<AcceptedBundle, RejectionReason>,
}

/// A bundle that passed.
pub(super) struct AcceptedBundle {
    pub(super) bundle: Arc<Bundle>,
    /// The folder that it was made of.
    pub(super) folder: Arc<FolderInForce>,
    /// What it has to warn of.
    pub(super) warnings: Arc<FolderWarnings>,
    /// What it changes about the invariants and cases in force.
    pub(super) changes: SafeguardChanges,
    /// Whether it passed only because an operator accepted it.
    pub(super) needed_acceptance: bool,
    /// Why its invariants were not proved although the settings ask for it, if they were not.
    pub(super) unproved: Option<String>,
    /// The attributes of its schema, compared with those in force.
    pub(super) edited: EditedAttributes,
    /// What else it means for the catalog, a sentence each.
    pub(super) notes: Vec<String>,
}

impl GateBaseline<'_> {
    /// Is cancelled when nobody waits for the check any more.
    fn cancellation(&self) -> CancellationToken {
        let work = self.work.map(LongWork::cancellation);
        work.cloned().unwrap_or_default()
    }
}

impl CheckedFolder {
    /// Whether checking the same folder again would give the same result.
    pub(super) fn is_settled(&self) -> bool {
        match &self.result {
            Ok(accepted) => accepted.unproved.is_none(),
            Err(reason) => reason.is_settled(),
        }
    }
}

impl AcceptedBundle {
    /// Whether it changes what an auditor has to know of.
    pub(super) fn is_notable(&self, before: &Revision) -> bool {
        *before != self.folder.revision || self.changes.is_notable()
    }

    pub(super) fn log_notes(&self) {
        for note in &self.notes {
            tracing::warn!(
                note,
                "attributes of the catalog differ from the schema in force"
            );
        }
    }

    pub(super) fn log_unproved(&self) {
        if let Some(reason) = &self.unproved {
            tracing::warn!(
                reason,
                "the invariants of the policies in force were not proved"
            );
        }
    }

    /// What comes into force, in one sentence for auditors; `before` is what was in force, if anything was.
    pub(super) fn summary(&self, before: Option<&Revision>) -> String {
        let mut parts = vec![match before {
            None => "the first policies came into force".to_owned(),
            Some(before) if *before == self.folder.revision => {
                "an edit of invariants or cases came into force".to_owned()
            }
            Some(before) => format!("the edit came into force, replacing revision {before}"),
        }];
        parts.push(format!("policy folder {}", self.folder.fingerprint));
        parts.extend(self.remarks());
        parts.join("; ")
    }

    /// What there is to say beside which policies changed, a sentence each.
    pub(super) fn remarks(&self) -> Vec<String> {
        let mut remarks = self.changes.lines();
        if self.needed_acceptance {
            remarks.push("accepted with cedargate policy accept".to_owned());
        }
        remarks.extend(self.notes.iter().cloned());
        if let Some(reason) = &self.unproved {
            remarks.push(format!("its invariants were not proved: {reason}"));
        }
        remarks
    }
}

impl PolicyGate {
    pub(super) fn from_settings(settings: &Settings) -> Self {
        let source = PolicySource::from_settings(settings);
        Self {
            cases: settings.gate_cases,
            proofs: settings.gate_proofs,
            invariants: settings.gate_invariants,
            requires_case_per_policy: settings.require_case_per_policy,
            proof_limit: settings.gate_proof_limit,
            max_new: None,
            is_embedded: source.folder().is_none(),
        }
    }

    /// The same gate for a start, which does not wait until very many policies are proved.
    pub(super) fn for_start(self) -> Self {
        Self {
            max_new: Some(MAX_PROVED_AT_START),
            ..self
        }
    }

    /// Checks a snapshot; blocks for as long as its proofs may take.
    pub(super) fn check(
        self,
        snapshot: FolderSnapshot,
        baseline: GateBaseline<'_>,
    ) -> CheckedFolder {
        let folder = snapshot.folder.map_err(RejectionReason::Invalid);
        CheckedFolder {
            fingerprint: snapshot.fingerprint,
            revision: folder.as_ref().ok().map(PolicyFolder::revision),
            folder_revision: folder.as_ref().ok().map(PolicyFolder::fingerprint),
            result: folder.and_then(|folder| self.accept(&folder, baseline)),
        }
    }

    fn accept(
        self,
        folder: &PolicyFolder,
        baseline: GateBaseline<'_>,
    ) -> Result<AcceptedBundle, RejectionReason> {
        let (bundle, edit) = run_both(
            || folder.bundle_with_memory(&baseline.proofs.memory),
            || FolderInForce::new(folder.clone()),
        );
        let bundle = bundle.map_err(RejectionReason::Invalid)?;
        let uncovered = self.check_cases(folder, &bundle)?;
        self.check_coverage(&uncovered, &bundle, baseline)?;
        let changes = baseline
            .in_force
            .map_or_else(SafeguardChanges::default, |before| before.changes_to(&edit));
        let needed_acceptance = self.needs_acceptance(&changes);
        if let Some(before) = baseline.in_force.filter(|_| needed_acceptance) {
            let edit = before.edit_to(&edit);
            if !baseline.accepted.contains(&edit) {
                return Err(RejectionReason::NotAccepted {
                    changes: Box::new(changes),
                    edit: Box::new(edit),
                    // Somebody follows the check of a draft alone.
                    is_draft: baseline.work.is_some(),
                });
            }
        }
        let (proved, warnings) = run_both(
            || self.prove_invariants((folder, &bundle), &changes, baseline),
            || FolderWarnings::new(folder, &bundle, &uncovered),
        );
        let (unproved, time) = proved?;
        let in_force = baseline.in_force.map(|before| &before.folder);
        let slow = time.and_then(|time| time.gate_warning(self.proof_limit));
        Ok(AcceptedBundle {
            edited: EditedAttributes::new(bundle.declared_attributes(), in_force),
            warnings: Arc::new(warnings.with_slow_proof(slow)),
            bundle: Arc::new(bundle),
            folder: Arc::new(edit),
            changes,
            needed_acceptance,
            unproved,
            notes: Vec::new(),
        })
    }

    /// Whether an edit with these changes needs to be accepted by an operator.
    pub(super) fn needs_acceptance(self, changes: &SafeguardChanges) -> bool {
        let is_locked = self.invariants == GateInvariants::Locked;
        (is_locked && changes.touches_invariants())
            || (self.proofs != GateProofs::Off && changes.loses_invariants())
            || (self.cases != GateCases::Off && changes.loses_cases())
    }

    /// Whether the solver is to be asked about a folder.
    pub(super) fn uses_solver(self) -> bool {
        !self.is_embedded && self.proofs != GateProofs::Off
    }

    /// What is missing to guard a folder although the settings ask for it, a sentence each.
    pub(super) fn missing_safeguards(self, in_force: &FolderInForce) -> Vec<&'static str> {
        let mut missing = Vec::new();
        if self.proofs != GateProofs::Off && !in_force.safeguards.has_invariants() {
            missing
                .push("the policies in force have no invariants: the policy gate proves nothing");
        }
        if self.cases != GateCases::Off && !in_force.safeguards.has_cases() {
            missing.push("the policies in force have no cases: the policy gate tests nothing");
        }
        missing
    }

    /// Runs the cases, and returns the policies that none shows to take effect.
    fn check_cases(
        self,
        folder: &PolicyFolder,
        bundle: &Bundle,
    ) -> Result<UncoveredPolicies, RejectionReason> {
        if self.is_embedded || self.cases != GateCases::Require {
            return Ok(UncoveredPolicies::default());
        }
        if !folder.has_cases() {
            return Ok(UncoveredPolicies::find(bundle, None));
        }
        let report = folder
            .cases()
            .and_then(|cases| cases.run(bundle))
            .map_err(RejectionReason::Invalid)?;
        if report.failed == 0 {
            return Ok(UncoveredPolicies::find(bundle, Some(&report)));
        }
        Err(RejectionReason::FailedCases(report.failures))
    }

    /// The policies without a case, of a folder that is in force whatever its cases say.
    pub(super) fn uncovered_policies(
        self,
        folder: &PolicyFolder,
        bundle: &Bundle,
    ) -> UncoveredPolicies {
        self.check_cases(folder, bundle).unwrap_or_default()
    }

    /// Refuses an edit whose new or changed policies have no case, if the settings ask for one each.
    fn check_coverage(
        self,
        uncovered: &UncoveredPolicies,
        bundle: &Bundle,
        baseline: GateBaseline<'_>,
    ) -> Result<(), RejectionReason> {
        if !self.requires_case_per_policy || uncovered.is_empty() {
            return Ok(());
        }
        // Policies in force that this program no longer accepts count as different.
        let before = baseline
            .in_force
            .and_then(|before| before.folder.bundle().ok());
        let new = uncovered.changed_from(bundle, before.as_ref());
        if new.is_empty() {
            return Ok(());
        }
        Err(RejectionReason::UncoveredPolicies(new.warnings(bundle)))
    }

    /// Why the invariants were not proved, if that does not refuse the edit; and how long they took if they were.
    fn prove_invariants(
        self,
        (folder, bundle): (&PolicyFolder, &Bundle),
        changes: &SafeguardChanges,
        baseline: GateBaseline<'_>,
    ) -> Result<(Option<String>, Option<ProofTime>), RejectionReason> {
        if !self.uses_solver() || !folder.has_invariants() {
            return Ok((None, None));
        }
        let invariants = folder.invariants().map_err(RejectionReason::Invalid)?;
        let options = ProofOptions {
            is_low_priority: true,
            must_have_effect: changes.may_lack_effect.clone(),
            cancellation: baseline.cancellation(),
            ..ProofOptions::within(self.proof_limit)
        };
        let proofs = baseline.proofs;
        let memory = (&proofs.memory, self.max_new);
        let _first = proofs.precedence.go_first();
        // At the start there may be no sealing key yet, and little is proved.
        let mut save = self.max_new.is_none().then(|| proofs.saver(SAVE_INTERVAL));
        let proved = prove_at_most(bundle, &invariants, &options, memory, |done, total| {
            if let Some(save) = &mut save {
                save();
            }
            if let Some(work) = baseline.work {
                work.report(done, total);
            }
        });
        if let Ok(proved) = &proved {
            count_work(proved.proof.work);
        }
        match proved {
            Ok(proved) if proved.proof.is_complete() => {
                let time = proved.proof.time;
                let ProofWork {
                    policies, proved, ..
                } = proved.proof.work;
                tracing::info!(
                    time = time.summary(),
                    policies,
                    proved,
                    "the invariants of an edit are proved"
                );
                Ok((None, Some(time)))
            }
            Ok(proved) => Err(RejectionReason::FailedProof(Box::new(proved.proof))),
            Err(ProveError::Invariants(error)) => Err(RejectionReason::Invalid(error)),
            // Only a solver that is not installed lets an edit pass unproved; one that fails does not.
            Err(error @ ProveError::SolverNotFound { .. }) => match self.proofs {
                GateProofs::IfAvailable => Ok((Some(error.to_string()), None)),
                GateProofs::Require | GateProofs::Off => {
                    Err(RejectionReason::SolverMissing(error.to_string()))
                }
            },
            Err(error @ ProveError::TooManyNew { .. }) => {
                Err(RejectionReason::NotYetProved(error.to_string()))
            }
            Err(error) => Err(RejectionReason::SolverFailure(error.to_string())),
        }
    }
}

/// Counts the policies that were proved, and those of which everything was remembered.
fn count_work(work: ProofWork) {
    for (result, policies) in [("proved", work.proved), ("remembered", work.remembered)] {
        let policies = u64::try_from(policies).unwrap_or(u64::MAX);
        metrics::counter!("cedargate_policy_proofs_total", "result" => result).increment(policies);
    }
}
