//! The result of one case.

use serde::Serialize;

use super::bundle::PolicyInfo;
use super::case_file::{CASES_SUFFIX, CaseDecision};
use super::explain::PolicyExplanation;

/// The result of one case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CaseResult {
    /// The case's name.
    pub name: String,
    /// Its file, relative to the folder.
    pub file: String,
    /// The line where it begins.
    pub line: usize,
    /// Whether the bundle answered as expected.
    pub is_passed: bool,
    /// What differs, if it failed.
    pub failure: Option<String>,
    /// The expected decision.
    pub expected: CaseDecision,
    /// The bundle's decision; deny if a policy fails to evaluate.
    pub actual: CaseDecision,
    /// The expected determining policies.
    pub expected_reasons: Vec<String>,
    /// The determining policies, sorted.
    pub actual_reasons: Vec<String>,
    /// The evaluation errors.
    pub errors: Vec<String>,
    /// The policies that fail to evaluate, sorted.
    #[serde(skip)]
    pub failed_policies: Vec<String>,
    /// If it failed, the determining policies, the expected ones, and the nearest ones that would have
    /// given the expected decision.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub why: Vec<PolicyExplanation>,
}

impl PolicyInfo {
    /// The name of the case file beside its file, whose cases are about it.
    #[must_use]
    pub fn case_file(&self) -> Option<String> {
        self.stem().map(|stem| format!("{stem}{CASES_SUFFIX}"))
    }
}

impl CaseResult {
    /// Whether this case demonstrates a policy for requests with a decision.
    ///
    /// Where the policy has that effect (a permit allows, a forbid denies), it must be a determining
    /// policy. Otherwise the case must be in the file beside the policy.
    pub(super) fn demonstrates(&self, policy: &PolicyInfo, decision: CaseDecision) -> bool {
        let takes_effect = policy.is_permit == (decision == CaseDecision::Allow);
        self.is_passed
            && self.actual == decision
            && if takes_effect {
                self.actual_reasons.contains(&policy.id)
            } else {
                self.file.strip_suffix(CASES_SUFFIX) == policy.stem()
            }
    }

    /// The expected and the actual decision with their policies, and the explanation.
    #[must_use]
    pub fn describe(&self) -> String {
        let by = |decision: CaseDecision, policies: &[String]| match policies {
            [] => decision.as_str().to_owned(),
            policies => format!("{} by {}", decision.as_str(), policies.join(", ")),
        };
        let expected = by(self.expected, &self.expected_reasons);
        let actual = by(self.actual, &self.actual_reasons);
        let mut text = format!("expected {expected}\ngot {actual}\n");
        for error in &self.errors {
            text.extend([error, "\n"]);
        }
        text + &self.render_why()
    }

    pub(super) fn render_why(&self) -> String {
        self.why.iter().map(PolicyExplanation::render).collect()
    }
}
