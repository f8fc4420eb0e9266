//! Failed cases by their causes: a new policy that fails eleven cases is one entry, and not eleven.
//!
//! A cause is what one policy does in all of the cases: it denies, permits, fails, or no longer determines. A case that
//! several policies fail belongs to the one that fails the most cases.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

use super::case_file::CaseDecision;
use super::case_result::CaseResult;
use super::explain::PolicyExplanation;

/// The most causes in the text.
const MAX_SHOWN_CAUSES: usize = 20;
/// The most cases of a cause that the text names.
const MAX_SHOWN_CASES: usize = 5;
/// The most policies that are explained for a cause that is no policy's.
const MAX_EXPLAINED: usize = 3;

/// What failed cases have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CaseFailureKind {
    /// A policy forbids what a case expects to be allowed.
    Denies,
    /// A policy permits what a case expects to be denied.
    Permits,
    /// A policy fails to evaluate.
    Fails,
    /// A policy does not determine the decision, as a case expects.
    DoesNotDetermine,
    /// No policy permits what a case expects to be allowed.
    NothingPermits,
    /// A case expects evaluation errors that there are not.
    LacksErrors,
}

/// Cases that fail for one cause.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CaseFailureGroup {
    /// What they have in common.
    pub kind: CaseFailureKind,
    /// The policy, if it is one policy's doing.
    pub policy: Option<String>,
    /// The cause and the number of cases, in a few words.
    pub message: String,
    /// The cases, each as `file:line: name`.
    pub cases: Vec<String>,
    /// The index of the first one.
    #[serde(skip)]
    first: usize,
}

type Cause = (CaseFailureKind, Option<String>);

/// Groups the failed ones of some results, the cause of the most failures first.
#[must_use]
pub fn group_failures(results: &[CaseResult]) -> Vec<CaseFailureGroup> {
    let mut causes: BTreeMap<Cause, Vec<usize>> = BTreeMap::new();
    let failed = results.iter().enumerate();
    for (index, result) in failed.filter(|(_, result)| !result.is_passed) {
        for cause in causes_of(result) {
            causes.entry(cause).or_default().push(index);
        }
    }
    let mut groups = Vec::new();
    loop {
        let most = causes
            .iter()
            .rev()
            .max_by_key(|(_, indexes)| indexes.len())
            .map(|(cause, indexes)| (cause.clone(), indexes.clone()));
        let Some((cause, indexes)) = most.filter(|(_, indexes)| !indexes.is_empty()) else {
            break;
        };
        causes.remove(&cause);
        for others in causes.values_mut() {
            others.retain(|index| indexes.binary_search(index).is_err());
        }
        let first = indexes.first().copied().unwrap_or_default();
        let failed = indexes.iter().filter_map(|index| results.get(*index));
        groups.push(CaseFailureGroup {
            message: describe(&cause, indexes.len()),
            kind: cause.0,
            policy: cause.1,
            cases: failed.map(name_of).collect(),
            first,
        });
    }
    groups
}

/// What may be the cause of a failure.
fn causes_of(result: &CaseResult) -> Vec<Cause> {
    use CaseFailureKind::{Denies, DoesNotDetermine, Fails, LacksErrors, NothingPermits, Permits};
    let of = |kind, ids: &[String]| -> Vec<Cause> {
        ids.iter().map(|id| (kind, Some(id.clone()))).collect()
    };
    if !result.failed_policies.is_empty() {
        return of(Fails, &result.failed_policies);
    }
    let missing: Vec<String> = result
        .expected_reasons
        .iter()
        .filter(|id| !result.actual_reasons.contains(id))
        .cloned()
        .collect();
    let causes = match (result.expected, result.actual) {
        (CaseDecision::Allow, CaseDecision::Deny) if !result.actual_reasons.is_empty() => {
            of(Denies, &result.actual_reasons)
        }
        (CaseDecision::Deny, CaseDecision::Allow) => of(Permits, &result.actual_reasons),
        (CaseDecision::Allow, CaseDecision::Deny) if missing.is_empty() => {
            vec![(NothingPermits, None)]
        }
        _ => of(DoesNotDetermine, &missing),
    };
    if causes.is_empty() {
        vec![(LacksErrors, None)]
    } else {
        causes
    }
}

fn describe((kind, policy): &Cause, count: usize) -> String {
    let policy = policy.as_deref().unwrap_or_default();
    let cases = if count == 1 {
        "1 case".to_owned()
    } else {
        format!("{count} cases")
    };
    match kind {
        CaseFailureKind::Denies => format!("`{policy}` denies {cases} that expected allow"),
        CaseFailureKind::Permits => format!("`{policy}` permits {cases} that expected deny"),
        CaseFailureKind::Fails => format!("`{policy}` fails to evaluate in {cases}"),
        CaseFailureKind::DoesNotDetermine => {
            format!("`{policy}` does not determine {cases} that expected it to")
        }
        CaseFailureKind::NothingPermits => format!("no policy permits {cases} that expected allow"),
        CaseFailureKind::LacksErrors => {
            format!("{cases} expected another number of evaluation errors")
        }
    }
}

fn name_of(result: &CaseResult) -> String {
    format!("{}:{}: {}", result.file, result.line, result.name)
}

impl CaseFailureGroup {
    /// The cause and the first cases, on one line.
    #[must_use]
    pub fn line(&self) -> String {
        let mut cases: Vec<&str> = self.shown_cases().collect();
        let more = self.more_cases().map(|more| format!("and {more} more"));
        cases.extend(more.as_deref());
        format!("{}: {}", self.message, cases.join("; "))
    }

    fn shown_cases(&self) -> impl Iterator<Item = &str> {
        self.cases.iter().map(String::as_str).take(MAX_SHOWN_CASES)
    }

    fn more_cases(&self) -> Option<usize> {
        let more = self.cases.len().checked_sub(MAX_SHOWN_CASES);
        more.filter(|more| *more > 0)
    }

    /// What is told of the first case: the policy that is the cause, or what would have decided. Of a case that is
    /// the only one, everything.
    fn explanations<'a>(
        &'a self,
        first: &'a CaseResult,
    ) -> impl Iterator<Item = &'a PolicyExplanation> {
        let is_only = self.cases.len() == 1;
        let is_told = move |policy: &&PolicyExplanation| {
            is_only || self.policy.as_ref().is_none_or(|cause| *cause == policy.id)
        };
        let max = if is_only { usize::MAX } else { MAX_EXPLAINED };
        first.why.iter().filter(is_told).take(max)
    }

    fn write(&self, text: &mut String, results: &[CaseResult]) {
        // Writing to a String cannot fail.
        writeln!(text, "\n{}", self.message).ok();
        for case in self.shown_cases() {
            writeln!(text, "  {case}").ok();
        }
        if let Some(more) = self.more_cases() {
            writeln!(text, "  and {more} more").ok();
        }
        let Some(first) = results.get(self.first) else {
            return;
        };
        let mut explained = String::new();
        for error in &first.errors {
            writeln!(explained, "  {error}").ok();
        }
        for policy in self.explanations(first) {
            explained.push_str(&policy.render());
        }
        if !explained.is_empty() {
            let of_first = if self.cases.len() == 1 {
                "What decided"
            } else {
                "What decided the first"
            };
            writeln!(text, "{of_first}\n{}", explained.trim_end()).ok();
        }
    }
}

/// The causes as text, each with its first cases and what decided the first of them.
pub(super) fn render_failures(groups: &[CaseFailureGroup], results: &[CaseResult]) -> String {
    let mut text = String::new();
    for group in groups.iter().take(MAX_SHOWN_CAUSES) {
        group.write(&mut text, results);
    }
    let left_off = groups.iter().skip(MAX_SHOWN_CAUSES);
    let causes = left_off.clone().count();
    if causes > 0 {
        let failures: usize = left_off.map(|group| group.cases.len()).sum();
        writeln!(
            text,
            "\nand {causes} more causes of {failures} failures; --json has them all"
        )
        .ok();
    }
    text
}
