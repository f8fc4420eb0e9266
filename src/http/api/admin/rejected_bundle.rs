//! Refused edits of the policies, as responses tell them.

use poem_openapi::Object;

use crate::http::reply::timestamp::Timestamp;
use crate::policy::prove::{InvariantVerdict, ProvedInvariant};
use crate::service::policies::reload::{MAX_REASON_LINES, RejectedBundle, RejectionReason};

use super::policy_diagnostic::PolicyDiagnostic;

/// An edit of the policy folder that was refused.
#[derive(Object)]
#[oai(rename = "RefusedEditAnswer")]
pub struct RejectedBundleResponse {
    /// The revision of the edited policies; that of the policies in force if only cases or invariants were
    /// edited. Absent if the folder cannot be read.
    #[oai(skip_serializing_if_is_none)]
    pub revision: Option<String>,
    /// The SHA-256 over the policies, cases and invariants of the edit, which `cedargate policy accept` takes.
    /// Absent if the folder cannot be read.
    #[oai(skip_serializing_if_is_none)]
    pub folder_revision: Option<String>,
    /// When it was refused.
    pub refused_at: Timestamp,
    /// The kind of reason.
    pub reason: String,
    /// The reasons, one line each: the first hundred, then the number of further ones.
    pub details: Vec<String>,
    /// The errors in the files if the edit is invalid, at most a hundred.
    pub diagnostics: Vec<PolicyDiagnostic>,
    /// The invariants that are violated or not proved.
    pub invariants: Vec<BrokenInvariant>,
}

/// An invariant that an edit violates, or that could not be proved for it.
#[derive(Object)]
pub struct BrokenInvariant {
    /// Its `@id`.
    pub id: String,
    /// The file that contains it.
    pub file: String,
    /// The line it starts on.
    pub line: u64,
    /// Its `@reason`.
    pub reason: String,
    /// Whether it is violated; else it could not be proved, for example in time.
    pub is_violated: bool,
    /// The policies that violate it, by `@id`.
    pub policies: Vec<String>,
    /// What to do: how to narrow each policy, or the exception to write, one line each.
    pub suggestions: Vec<String>,
    /// A readable request and entities for which it does not hold.
    #[oai(skip_serializing_if_is_none)]
    pub counterexample: Option<String>,
    /// How to get by other means what the policies that violate it are probably for, such as stopping a user.
    #[oai(skip_serializing_if_is_none)]
    pub hint: Option<String>,
}

impl From<&RejectedBundle> for RejectedBundleResponse {
    fn from(edit: &RejectedBundle) -> Self {
        let diagnostics = match &edit.reason {
            RejectionReason::Invalid(error) => error.problems(),
            RejectionReason::UncoveredPolicies(policies) => policies,
            _ => &[],
        };
        let invariant = |invariant: &ProvedInvariant| BrokenInvariant {
            id: invariant.id.clone(),
            file: invariant.file.clone(),
            line: invariant.line as u64,
            reason: invariant.reason.clone(),
            is_violated: invariant.verdict == InvariantVerdict::Violated,
            policies: invariant.ways_on.policy_ids(),
            suggestions: invariant.suggestions(),
            counterexample: invariant.counterexamples.first().map(|one| one.render("")),
            hint: invariant.hint.clone(),
        };
        Self {
            revision: edit.revision.as_ref().map(ToString::to_string),
            folder_revision: edit.folder_revision.clone(),
            refused_at: Timestamp(edit.unix_millis.div_euclid(1000)),
            reason: edit.reason.kind().to_owned(),
            details: edit.reason.lines(),
            diagnostics: diagnostics
                .iter()
                .take(MAX_REASON_LINES)
                .map(PolicyDiagnostic::from)
                .collect(),
            invariants: edit
                .reason
                .unproved_invariants()
                .into_iter()
                .take(MAX_REASON_LINES)
                .map(invariant)
                .collect(),
        }
    }
}
