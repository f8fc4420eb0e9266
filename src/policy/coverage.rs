//! Coverage: the policies and conditions that no case exercises.
//!
//! A condition counts in a case only if Cedar evaluates it: all parts before it are met.

use std::fmt::Write;

use serde::Serialize;

use super::bundle::Bundle;
use super::case_file::Case;
use super::conditions::{PolicyPart, SCOPE_PART_COUNT, line_number, policy_parts};
use super::explain::MAX_TEXT_LENGTH;
use super::part_value::PartValue;
use super::values::truncated;

/// The most policies or conditions of a kind in the text.
const MAX_SHOWN: usize = 50;

/// What no case covers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Coverage {
    /// The policies that no case satisfies.
    pub never_satisfied: Vec<Uncovered>,
    /// The conditions that are false in no case.
    pub never_false: Vec<Uncovered>,
    /// The conditions that are true in no case.
    pub never_true: Vec<Uncovered>,
}

/// A policy, or a condition of one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Uncovered {
    /// The policy's `@id`.
    pub id: String,
    /// Its file, relative to the folder.
    pub file: String,
    /// The line where it begins.
    pub line: Option<usize>,
    /// The source text of the condition; `None` for a policy.
    pub condition: Option<String>,
}

/// The values that one condition has in the cases.
#[derive(Clone, Copy, Default)]
struct ObservedOutcomes {
    is_true: bool,
    is_false: bool,
}

/// Finds what no case covers.
pub(super) fn measure_coverage(cases: &[Case], bundle: &Bundle) -> Coverage {
    let mut coverage = Coverage::default();
    for (policy, info) in bundle.policies_with_info() {
        let parts = policy_parts(policy);
        let mut outcomes = vec![ObservedOutcomes::default(); parts.len()];
        let mut is_satisfied = false;
        for case in cases {
            is_satisfied |= record_case(case, &parts, &mut outcomes);
        }
        let file = bundle.source_file(policy, info);
        let uncovered = |line, condition: Option<&str>| Uncovered {
            id: info.id.clone(),
            file: file.to_owned(),
            line,
            condition: condition.map(|text| truncated(text, MAX_TEXT_LENGTH)),
        };
        if !is_satisfied {
            let line = policy.as_ref().loc().and_then(line_number);
            coverage.never_satisfied.push(uncovered(line, None));
        }
        for (part, outcomes) in parts.iter().zip(outcomes).skip(SCOPE_PART_COUNT) {
            let condition = || uncovered(part.line, Some(&part.text));
            if !outcomes.is_false {
                coverage.never_false.push(condition());
            }
            if !outcomes.is_true {
                coverage.never_true.push(condition());
            }
        }
    }
    coverage
}

/// Records the values that the parts of a policy have in a case; returns whether it satisfies the
/// policy.
fn record_case(case: &Case, parts: &[PolicyPart], outcomes: &mut [ObservedOutcomes]) -> bool {
    for (part, outcomes) in parts.iter().zip(outcomes) {
        let result = part.evaluate(&case.request, &case.entities);
        outcomes.is_true |= result.value == PartValue::True;
        outcomes.is_false |= result.value == PartValue::False;
        if !result.is_met {
            return false;
        }
    }
    true
}

impl Coverage {
    /// The coverage as text.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = String::new();
        for (uncovered, what) in [
            (&self.never_satisfied, "policies that no case satisfies"),
            (&self.never_false, "conditions that are never false"),
            (&self.never_true, "conditions that are never true"),
        ] {
            // Writing to a String cannot fail.
            writeln!(text, "{what}: {}", uncovered.len()).ok();
            for one in uncovered.iter().take(MAX_SHOWN) {
                writeln!(text, "  {}", one.summary_line()).ok();
            }
            if let Some(more @ 1..) = uncovered.len().checked_sub(MAX_SHOWN) {
                writeln!(text, "  and {more} more; --json has them all").ok();
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
        let policy = format!("{}{line}: {}", self.file, self.id);
        let words: Vec<&str> = [policy.as_str()].into_iter().chain(condition).collect();
        words.join(" ")
    }
}
