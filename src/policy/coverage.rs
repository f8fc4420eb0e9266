//! Coverage: what of the policies their cases leave untried.
//!
//! A condition counts where Cedar comes to it: all before it held. This module refuses to know
//! whether a case passes.

use std::fmt::Write;

use serde::Serialize;

use super::bundle::Bundle;
use super::case_file::Case;
use super::conditions::{PartResult, PolicyPart, SCOPE_PART_COUNT, line_number, policy_parts};
use super::explain::MAX_TEXT_LENGTH;
use super::values::truncated;

/// What no case tries.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Coverage {
    /// The policies that no case satisfies.
    pub never_satisfied: Vec<Uncovered>,
    /// The conditions that are false in no case, as they are written.
    pub never_false: Vec<Uncovered>,
    /// The conditions that are true in no case, as they are written.
    pub never_true: Vec<Uncovered>,
}

/// A policy, or a condition of one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Uncovered {
    /// The policy's `@id`.
    pub id: String,
    /// The file it stands in, relative to the folder.
    pub file: String,
    /// The line it begins on.
    pub line: Option<usize>,
    /// The condition as it is written; nothing for a policy.
    pub condition: Option<String>,
}

/// What one condition was found to be.
#[derive(Clone, Copy, Default)]
struct ObservedOutcomes {
    is_true: bool,
    is_false: bool,
}

/// Looks what cases leave untried.
pub(super) fn measure_coverage(cases: &[Case], bundle: &Bundle) -> Coverage {
    let mut coverage = Coverage::default();
    for (policy, listed) in bundle.policies_with_info() {
        let parts = policy_parts(policy);
        let mut found = vec![ObservedOutcomes::default(); parts.len()];
        let mut is_satisfied = false;
        for case in cases {
            is_satisfied |= record_case(case, &parts, &mut found);
        }
        let file = bundle.source_file(policy, listed);
        let untried = |line, condition: Option<&str>| Uncovered {
            id: listed.id.clone(),
            file: file.to_owned(),
            line,
            condition: condition.map(|text| truncated(text, MAX_TEXT_LENGTH)),
        };
        if !is_satisfied {
            let line = policy.as_ref().loc().and_then(line_number);
            coverage.never_satisfied.push(untried(line, None));
        }
        for (part, found) in parts.iter().zip(found).skip(SCOPE_PART_COUNT) {
            let condition = || untried(part.line, Some(&part.text));
            if !found.is_false {
                coverage.never_false.push(condition());
            }
            if !found.is_true {
                coverage.never_true.push(condition());
            }
        }
    }
    coverage
}

/// Notes what a case finds the parts of a policy to be, and says whether it satisfies the policy.
fn record_case(case: &Case, parts: &[PolicyPart], found: &mut [ObservedOutcomes]) -> bool {
    for (part, found) in parts.iter().zip(found) {
        let outcome = part.evaluate(&case.request, &case.entities);
        let is_met = outcome == PartResult::Holds;
        if !matches!(outcome, PartResult::Error(_)) {
            found.is_true |= is_met != part.is_negated;
            found.is_false |= is_met == part.is_negated;
        }
        if !is_met {
            return false;
        }
    }
    true
}

impl Coverage {
    /// The coverage for a person.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = String::new();
        for (untried, what) in [
            (&self.never_satisfied, "policies that no case satisfies"),
            (&self.never_false, "conditions that are false in no case"),
            (&self.never_true, "conditions that are true in no case"),
        ] {
            // Writing to a String cannot fail.
            writeln!(text, "{what}: {}", untried.len()).ok();
            for one in untried {
                writeln!(text, "  {}", one.summary_line()).ok();
            }
        }
        text
    }
}

impl Uncovered {
    fn summary_line(&self) -> String {
        let line = self.line.map_or(String::new(), |line| format!(":{line}"));
        let condition = self.condition.iter();
        let condition = condition.flat_map(|text| text.split_whitespace());
        let place = format!("{}{line}: {}", self.file, self.id);
        let told: Vec<&str> = [place.as_str()].into_iter().chain(condition).collect();
        told.join(" ")
    }
}
