//! The gate: what an edit of the policies has to pass before it comes into force.
//!
//! Valid, its cases met, its invariants proved, in this order; the first that fails refuses. This
//! module refuses to know what is in force and who is told.

use std::sync::Arc;
use std::time::Duration;

use crate::config::{GateCases, GateProofs, Settings};
use crate::domain::decision::Revision;
use crate::policy::cases::CaseResult;
use crate::policy::folder::PolicyFolder;
use crate::policy::prove::{
    InvariantVerdict, Proof, ProofOptions, ProveError, ProvedInvariant, prove,
};
use crate::policy::{Bundle, BundleError};

/// How many reasons of a refusal are told, each on a line; the rest are counted.
pub const MAX_REASON_LINES: usize = 100;
/// How many of them are told in one text.
const MAX_SUMMARY_REASONS: usize = 20;
/// The longest line, in characters: it may tell a part of a file.
const MAX_LINE_LENGTH: usize = 1_000;

/// What edits have to pass.
#[derive(Clone, Copy, Debug)]
pub struct PolicyGate {
    cases: GateCases,
    proofs: GateProofs,
    proof_limit: Duration,
}

/// An edit that passed.
#[derive(Debug)]
pub struct AcceptedBundle {
    /// What comes into force.
    pub bundle: Arc<Bundle>,
    /// Why its invariants were not proved although they should have been, if they were not.
    pub unproved: Option<String>,
}

/// An edit that was refused; the policies before it stay in force.
#[derive(Debug)]
pub struct RejectedBundle {
    /// The revision that it would have had; none when the folder cannot be read.
    pub revision: Option<Revision>,
    /// When it was refused, in milliseconds since 1970 UTC.
    pub unix_millis: i64,
    /// Why.
    pub reason: RejectionReason,
}

/// Why an edit was refused.
#[derive(Debug)]
pub enum RejectionReason {
    /// The folder is no valid bundle, or its cases or invariants are not.
    Invalid(BundleError),
    /// Cases are not met.
    FailedCases(Vec<CaseResult>),
    /// Invariants are violated or unproven, or a policy can fail.
    FailedProof(Box<Proof>),
    /// Nothing can be proved, and that is required.
    SolverFailure(String),
}

impl RejectionReason {
    /// The reasons, each on a line, at most [`MAX_REASON_LINES`] of them and one that counts the rest.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        bounded_lines(&self.reasons(), MAX_REASON_LINES)
    }

    fn reasons(&self) -> Vec<String> {
        match self {
            Self::Invalid(error) => error.lines(),
            Self::FailedCases(failed) => failed.iter().map(describe_case).collect(),
            Self::FailedProof(proof) => proof.failure_lines(),
            Self::SolverFailure(why) => vec![why.clone()],
        }
    }

    /// What kind of reason it is, without a word of any file.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Invalid(_) => "it is not valid",
            Self::FailedCases(_) => "its cases are not met",
            Self::FailedProof(_) => "its invariants are not proved",
            Self::SolverFailure(_) => "its invariants cannot be proved without a solver",
        }
    }

    /// The reasons on one line, the first of them if there are many.
    #[must_use]
    pub fn summary(&self) -> String {
        let lines = bounded_lines(&self.reasons(), MAX_SUMMARY_REASONS);
        format!("{}: {}", self.kind(), lines.join("; "))
    }

    /// The invariants that are not proved.
    #[must_use]
    pub fn unproved_invariants(&self) -> Vec<&ProvedInvariant> {
        let Self::FailedProof(proof) = self else {
            return Vec::new();
        };
        let all = proof.invariants.iter();
        all.filter(|invariant| invariant.verdict != InvariantVerdict::Holds)
            .collect()
    }
}

fn bounded_lines(lines: &[String], most: usize) -> Vec<String> {
    let shorten = |line: &String| line.chars().take(MAX_LINE_LENGTH).collect();
    let mut told: Vec<String> = lines.iter().take(most).map(shorten).collect();
    if let Some(more) = lines.len().checked_sub(most).filter(|more| *more > 0) {
        told.push(format!("and {more} more"));
    }
    told
}

fn describe_case(case: &CaseResult) -> String {
    let failure = case.failure.as_deref().unwrap_or("not met");
    format!("{}:{}: {}: {failure}", case.file, case.line, case.name)
}

impl PolicyGate {
    /// The gate that the settings ask for.
    #[must_use]
    pub fn from_settings(settings: &Settings) -> Self {
        Self {
            cases: settings.gate_cases,
            proofs: settings.gate_proofs,
            proof_limit: settings.gate_proof_limit,
        }
    }

    /// Judges a folder; blocks for as long as its proofs may take.
    pub fn check(self, folder: &PolicyFolder) -> Result<AcceptedBundle, RejectionReason> {
        let bundle = folder.bundle().map_err(RejectionReason::Invalid)?;
        if self.cases == GateCases::Require && folder.has_cases() {
            let report = folder
                .cases()
                .and_then(|cases| cases.run(&bundle))
                .map_err(RejectionReason::Invalid)?;
            if report.failed > 0 {
                let results = report.results.into_iter();
                return Err(RejectionReason::FailedCases(
                    results.filter(|result| !result.is_passed).collect(),
                ));
            }
        }
        let unproved = self.prove(folder, &bundle)?;
        Ok(AcceptedBundle {
            bundle: Arc::new(bundle),
            unproved,
        })
    }

    fn prove(
        self,
        folder: &PolicyFolder,
        bundle: &Bundle,
    ) -> Result<Option<String>, RejectionReason> {
        if self.proofs == GateProofs::Off || !folder.has_invariants() {
            return Ok(None);
        }
        let invariants = folder.invariants().map_err(RejectionReason::Invalid)?;
        let effort = ProofOptions {
            time_limit: self.proof_limit,
            is_thorough: false,
            is_low_priority: true,
        };
        match prove(bundle, &invariants, effort, |_, _| {}) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_or_long_reasons_are_truncated_and_the_rest_counted() {
        let lines: Vec<String> = (0..105)
            .map(|n| format!("{n} {}", "ä".repeat(2_000)))
            .collect();
        let told = bounded_lines(&lines, MAX_REASON_LINES);
        assert_eq!(told.len(), MAX_REASON_LINES + 1);
        assert_eq!(told.last().unwrap(), "and 5 more");
        assert!(
            told.iter()
                .all(|line| line.chars().count() <= MAX_LINE_LENGTH)
        );
        let few = ["one".to_owned(), "two".to_owned()];
        assert_eq!(bounded_lines(&few, 2), few);
    }
}
