//! A failed case that another policy catches: which one, and whether by its scope alone.
//!
//! A new policy whose scope is wider than what it is about changes the answer to cases that have nothing to do with
//! it. The case is then right, and the policy is to be narrowed.

use std::collections::BTreeSet;

use super::bundle::Bundle;
use super::case_answer::CaseAnswer;
use super::case_file::Case;
use super::conditions::{SCOPE_PART_COUNT, policy_parts};

/// The most policies that are named.
const MAX_NAMED: usize = 3;

/// The policies that decide a case otherwise than it expects, in a sentence without its beginning; none if no policy
/// does that the case does not expect itself. `expected` are the reasons of all cases.
pub(super) fn caught_by(
    case: &Case,
    answer: &CaseAnswer,
    expected: &BTreeSet<&str>,
    bundle: &Bundle,
) -> Option<String> {
    if answer.decision == case.decision {
        return None;
    }
    let determining = answer.determining_policies.iter();
    let unexpected = determining.filter(|id| !case.reason.contains(id));
    let described: Vec<String> = unexpected
        .take(MAX_NAMED)
        .filter_map(|id| describe(id, expected, bundle))
        .collect();
    (!described.is_empty()).then(|| described.join("; "))
}

fn describe(id: &str, expected: &BTreeSet<&str>, bundle: &Bundle) -> Option<String> {
    let (policy, info) = bundle.policy(id)?;
    let parts = policy_parts(policy);
    let scope: Vec<&str> = parts
        .iter()
        .take(SCOPE_PART_COUNT)
        .map(|part| part.text.as_str())
        .collect();
    let effect = if info.is_permit { "permit" } else { "forbid" };
    let scope = scope.join(", ");
    let mut text = format!("the scope of {effect} `{id}` catches it: {scope}");
    if parts.len() > SCOPE_PART_COUNT {
        text.push_str(", and its conditions hold");
    }
    if !expected.contains(id) {
        text.push_str(" (no case expects this policy)");
    }
    Some(text)
}
