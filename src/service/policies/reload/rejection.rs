//! Rejected bundles: an edit that did not pass the policy gate, and the reasons.

use crate::domain::decision::Revision;
use crate::domain::diagnostic::SourceDiagnostic;
use crate::policy::BundleError;
use crate::policy::case_failures::CaseFailureGroup;
use crate::policy::prove::{InvariantVerdict, Proof, ProvedInvariant};
use crate::policy::safeguards::SafeguardChanges;
use crate::storage::PolicyEdit;

use super::catalog_fit::CatalogFit;

/// The most reasons that are listed, each on a line; the rest are counted.
pub const MAX_REASON_LINES: usize = 100;
/// The most reasons in a summary.
const MAX_SUMMARY_REASONS: usize = 20;
/// The longest line, in characters; a line may quote a part of a file.
const MAX_LINE_LENGTH: usize = 1_000;

/// An edit that was refused; the policies before it stay in force.
#[derive(Debug)]
pub struct RejectedBundle {
    /// The revision that it would have had; none when the folder cannot be read.
    pub revision: Option<Revision>,
    /// The SHA-256 over its policies, cases and invariants, which is its own where the revision is that of the
    /// policies in force; none when the folder cannot be read.
    pub folder_revision: Option<String>,
    /// When it was refused, in milliseconds since 1970 UTC.
    pub unix_millis: i64,
    /// Why it was refused.
    pub reason: RejectionReason,
}

/// Why an edit was refused.
#[derive(Debug)]
pub enum RejectionReason {
    /// The folder is no valid bundle, or its cases or invariants are not valid.
    Invalid(BundleError),
    /// Cases fail, by their causes.
    FailedCases(Vec<CaseFailureGroup>),
    /// New or changed policies have no case, and the settings ask for one.
    UncoveredPolicies(Vec<SourceDiagnostic>),
    /// Invariants or cases in force are lost, or locked invariants are changed, and nobody accepted that.
    NotAccepted {
        /// What the edit changes.
        changes: Box<SafeguardChanges>,
        /// What would have to be accepted.
        edit: Box<PolicyEdit>,
        /// Whether it is a draft: only an edit in the policy folder can be accepted.
        is_draft: bool,
    },
    /// Invariants are violated or unproven, or a policy can fail to evaluate.
    FailedProof(Box<Proof>),
    /// So many policies are still to be proved that a start does not wait for it: the check goes on in the background.
    NotYetProved(String),
    /// The solver is not installed, and proofs are required.
    SolverMissing(String),
    /// The solver could not be started, or what was started is no solver.
    SolverFailure(String),
    /// The catalog has attributes that do not fit the schema, or lacks some that it requires.
    CatalogMisfit(Box<CatalogFit>),
}

impl RejectedBundle {
    /// Whether its check is not over.
    #[must_use]
    pub fn is_under_way(&self) -> bool {
        matches!(self.reason, RejectionReason::NotYetProved(_))
    }

    /// Logs the refusal; without any policies in force, none stay.
    pub(super) fn log(&self, is_closed: bool) {
        let in_force = if is_closed {
            "no policies are in force, and nothing is decided"
        } else {
            "the policies before it stay in force"
        };
        tracing::error!(
            folder_revision = self.folder_revision,
            reasons = ?self.reason.lines(),
            "an edit of the policies is refused: {in_force}"
        );
    }

    /// What an auditor has to know: which folder, and why it was refused.
    #[must_use]
    pub fn record(&self) -> String {
        let summary = self.reason.summary();
        match &self.folder_revision {
            Some(folder) => format!("policy folder {folder} refused, {summary}"),
            None => format!("policy folder refused, {summary}"),
        }
    }
}

impl RejectionReason {
    /// The reasons, each on a line: at most [`MAX_REASON_LINES`], and one line that counts the rest.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        bounded_lines(&self.reasons(), MAX_REASON_LINES)
    }

    fn reasons(&self) -> Vec<String> {
        match self {
            Self::Invalid(error) => error.lines(),
            Self::FailedCases(cases) => cases.iter().map(CaseFailureGroup::line).collect(),
            Self::UncoveredPolicies(policies) => policies.iter().map(describe_policy).collect(),
            Self::NotAccepted {
                changes,
                edit,
                is_draft,
            } => {
                let hint = if *is_draft {
                    "such a draft cannot be published: apply its patch to the policy folder, and accept the edit there \
                     with `cedargate policy accept`"
                        .to_owned()
                } else {
                    let to = &edit.to;
                    format!("review it, and accept it with `cedargate policy accept {to}`")
                };
                changes.lines().into_iter().chain([hint]).collect()
            }
            Self::FailedProof(proof) => proof.failure_lines(),
            Self::NotYetProved(reason)
            | Self::SolverMissing(reason)
            | Self::SolverFailure(reason) => vec![reason.clone()],
            Self::CatalogMisfit(fit) => fit.misfit_lines(),
        }
    }

    /// The kind of reason; quotes nothing from the files, so that anybody may see it. It has no colon: what
    /// follows the first one in a summary is for those who may view policies.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Invalid(_) => "it is not valid",
            Self::FailedCases(_) => "its cases are not met",
            Self::UncoveredPolicies(_) => "a new or changed policy has no case",
            Self::NotAccepted { changes, .. }
                if changes.loses_invariants() || changes.loses_cases() =>
            {
                "it loses invariants or cases that are in force"
            }
            Self::NotAccepted { .. } => "it changes invariants, which are locked",
            Self::FailedProof(proof) if proof.has_violation() => "an invariant is violated",
            Self::FailedProof(proof) if !proof.failing.is_empty() => {
                "a policy can fail to evaluate"
            }
            Self::FailedProof(_) => "its invariants are not proved",
            Self::NotYetProved(_) => "it is still being proved",
            Self::SolverMissing(_) => "its invariants cannot be proved without a solver",
            Self::SolverFailure(_) => {
                "its invariants cannot be proved because the solver does not work"
            }
            Self::CatalogMisfit(_) => "the catalog does not fit its schema",
        }
    }

    /// Whether checking the same folder again would give the same reason: not where it is about the solver or the
    /// catalog.
    pub(super) fn is_settled(&self) -> bool {
        match self {
            Self::Invalid(_)
            | Self::FailedCases(_)
            | Self::UncoveredPolicies(_)
            | Self::NotAccepted { .. } => true,
            Self::FailedProof(proof) => proof.has_violation() || !proof.failing.is_empty(),
            Self::NotYetProved(_)
            | Self::SolverMissing(_)
            | Self::SolverFailure(_)
            | Self::CatalogMisfit(_) => false,
        }
    }

    /// The kind and the first reasons, on one line.
    #[must_use]
    pub fn summary(&self) -> String {
        let lines = bounded_lines(&self.reasons(), MAX_SUMMARY_REASONS);
        format!("{}: {}", self.kind(), lines.join("; "))
    }

    /// The invariants that are violated or unproven.
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

fn bounded_lines(lines: &[String], max: usize) -> Vec<String> {
    let shorten = |line: &String| line.chars().take(MAX_LINE_LENGTH).collect();
    let mut shown: Vec<String> = lines.iter().take(max).map(shorten).collect();
    if let Some(more) = lines.len().checked_sub(max).filter(|more| *more > 0) {
        shown.push(format!("and {more} more"));
    }
    shown
}

fn describe_policy(policy: &SourceDiagnostic) -> String {
    match policy.help() {
        Some(help) => format!("{policy}; {help}"),
        None => policy.to_string(),
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
        let shown = bounded_lines(&lines, MAX_REASON_LINES);
        assert_eq!(shown.len(), MAX_REASON_LINES + 1);
        assert_eq!(shown.last().unwrap(), "and 5 more");
        assert!(
            shown
                .iter()
                .all(|line| line.chars().count() <= MAX_LINE_LENGTH)
        );
        let few = ["one".to_owned(), "two".to_owned()];
        assert_eq!(bounded_lines(&few, 2), few);
    }
}
