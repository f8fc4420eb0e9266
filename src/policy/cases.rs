//! The test cases of a policy folder: every `<name>.cases.json` is run against a bundle.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use cedar_policy::Schema;
use comfy_table::{Table, presets};
use serde::Serialize;

use crate::domain::decision::Revision;
use crate::domain::diagnostic::{SourceDiagnostic, sorted};
use crate::domain::shown::join_shown;

use super::bundle::{Bundle, PolicyInfo};

use super::case_answer::CaseAnswer;
use super::case_failures::{CaseFailureGroup, group_failures, render_failures};
use super::case_file::{self, Case};
pub use super::case_file::{CASES_SUFFIX, CaseDecision};
pub use super::case_result::CaseResult;
use super::caught_case::caught_by;
use super::coverage::{Coverage, measure_coverage};
use super::error::BundleError;
use super::explain::{PolicyExplanation, RequestExplainer};
use super::networks::Networks;
use super::sources::{SourceFiles, is_bundle_file};

/// The most policies explained for a failed case, besides the determining and the expected ones.
const MAX_NEAREST_POLICIES: usize = 3;
/// The most cases in the table.
const MAX_SHOWN_CASES: usize = 500;
/// The most determining policies in a line of the table.
const MAX_SHOWN_REASONS: usize = 10;
/// The most policies that are named as lacking a case.
const MAX_SHOWN_POLICIES: usize = 20;

/// The case files of a policy folder, and the entity files that they name.
#[derive(Clone, Debug)]
pub struct CaseFiles {
    sources: SourceFiles,
}

impl CaseFiles {
    /// The cases in the files ending in `.cases.json`. Fails if a file could not be used.
    pub(super) fn new(sources: SourceFiles) -> Result<Self, BundleError> {
        Ok(Self {
            sources: sources.without_problems()?,
        })
    }

    /// Parses every case. Fails with every one that is malformed or does not fit the schema.
    pub(super) fn parse(
        &self,
        schema: &Schema,
        networks: &Networks,
    ) -> Result<Vec<Case>, BundleError> {
        case_file::parse_all(&self.sources, schema, networks).map_err(|problems| {
            BundleError::Invalid {
                problems: sorted(problems),
            }
        })
    }

    /// Parses every case, with the entities of the bundle under its own.
    fn parse_for(&self, bundle: &Bundle) -> Result<Vec<Case>, BundleError> {
        let mut problems = Vec::new();
        let mut cases = Vec::new();
        for case in self.parse(&bundle.schema, &bundle.networks)? {
            let (file, line, name) = (case.file.clone(), case.line, case.name.clone());
            match case.over(&bundle.entities) {
                Ok(case) => cases.push(case),
                Err(reason) => {
                    let label = format!("{}:{line}", self.sources.label(&file));
                    let message = format!("case {name:?}: {reason}");
                    problems.push(SourceDiagnostic::for_file(&label, message));
                }
            }
        }
        if problems.is_empty() {
            return Ok(cases);
        }
        Err(BundleError::Invalid { problems })
    }

    /// Runs every case against a bundle.
    ///
    /// Fails with every case that is malformed or does not fit the bundle's schema. A valid case that
    /// does not pass is a failure in the report.
    pub fn run(&self, bundle: &Bundle) -> Result<CaseReport, BundleError> {
        let cases = self.parse_for(bundle)?;
        let expected = cases.iter().flat_map(|case| &case.reason);
        let expected: BTreeSet<&str> = expected.map(String::as_str).collect();
        let run = |case| run_case(case, &expected, bundle);
        let results: Vec<CaseResult> = cases.iter().map(run).collect();
        let passed = results.iter().filter(|result| result.is_passed).count();
        let without_case = |decision| -> Vec<String> {
            let has_case = |policy: &&PolicyInfo| {
                let mut results = results.iter();
                results.any(|result| result.demonstrates(policy, decision))
            };
            let policies = bundle.policies().values();
            policies
                .filter(|policy| !has_case(policy))
                .map(|policy| policy.id.clone())
                .collect()
        };
        Ok(CaseReport {
            revision: bundle.revision().clone(),
            passed,
            failed: results.len() - passed,
            without_allow_case: without_case(CaseDecision::Allow),
            without_deny_case: without_case(CaseDecision::Deny),
            failures: group_failures(&results),
            results,
            coverage: None,
        })
    }

    /// What the cases do not cover in a bundle. Fails as [`CaseFiles::run`] does.
    pub fn coverage(&self, bundle: &Bundle) -> Result<Coverage, BundleError> {
        Ok(measure_coverage(&self.parse_for(bundle)?, bundle))
    }
}

/// Whether a file has cases or the entities of cases; links are part of the bundle.
pub(super) fn is_case_or_entity_file(name: &str) -> bool {
    // The case of letters counts, as for the Cedar command line.
    let is_json = name
        .rsplit_once('.')
        .is_some_and(|(_, extension)| extension == "json");
    is_json && !is_bundle_file(name)
}

/// The results of all cases of a folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CaseReport {
    /// The revision of the bundle.
    pub revision: Revision,
    /// The number of cases that passed.
    pub passed: usize,
    /// The number of cases that failed.
    pub failed: usize,
    /// The policies that no passed case demonstrates with an allowed request.
    pub without_allow_case: Vec<String>,
    /// The policies that no passed case demonstrates with a denied request.
    pub without_deny_case: Vec<String>,
    /// The failures by their causes, the cause of the most failures first.
    pub failures: Vec<CaseFailureGroup>,
    /// Every case, in the order of the files and of the cases in them.
    pub results: Vec<CaseResult>,
    /// What the cases do not cover, if requested.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub coverage: Option<Coverage>,
}

/// Runs one case. It passes, as for the Cedar command line, with the same decision, the expected
/// reasons among the determining policies, and the same number of errors.
/// Runs a case; `expected` are the policies that some case expects.
fn run_case(case: &Case, expected: &BTreeSet<&str>, bundle: &Bundle) -> CaseResult {
    let answer = CaseAnswer::evaluate(bundle, &case.request, &case.entities);
    let mut failures = failures(case, &answer);
    failures.extend(caught_by(case, &answer, expected, bundle));
    let why = if failures.is_empty() {
        Vec::new()
    } else {
        explain_failure(case, bundle, &answer.determining_policies)
    };
    CaseResult {
        name: case.name.clone(),
        file: case.file.clone(),
        line: case.line,
        is_passed: failures.is_empty(),
        failure: (!failures.is_empty()).then(|| failures.join("; ")),
        expected: case.decision,
        actual: answer.decision,
        expected_reasons: case.reason.clone(),
        actual_reasons: answer.determining_policies.into_iter().collect(),
        errors: answer.errors,
        failed_policies: answer.failed_policies,
        why,
    }
}

/// What differs between an answer and the expected one.
fn failures(case: &Case, answer: &CaseAnswer) -> Vec<String> {
    let mut failures = Vec::new();
    if answer.decision != case.decision {
        let (expected, actual) = (case.decision.as_str(), answer.decision.as_str());
        failures.push(format!("expected {expected}, got {actual}"));
    }
    let missing = missing_reasons(case, &answer.determining_policies);
    if !missing.is_empty() {
        failures.push(format!("not determined by {}", missing.join(", ")));
    }
    if answer.errors.len() != case.num_errors {
        let (expected, actual) = (case.num_errors, answer.errors.len());
        failures.push(format!("expected {expected} errors, got {actual}"));
    }
    if !failures.is_empty() {
        failures.extend(answer.errors.iter().cloned());
    }
    failures
}

/// The expected reasons that are not among the determining policies.
fn missing_reasons<'c>(case: &'c Case, determining: &BTreeSet<String>) -> Vec<&'c str> {
    let missing = case.reason.iter().filter(|id| !determining.contains(*id));
    missing.map(String::as_str).collect()
}

fn explain_failure(
    case: &Case,
    bundle: &Bundle,
    determining: &BTreeSet<String>,
) -> Vec<PolicyExplanation> {
    let explainer = RequestExplainer::new(bundle, &case.request, &case.entities);
    let determining_ids = determining.iter().map(String::as_str);
    let ids: Vec<&str> = determining_ids
        .chain(missing_reasons(case, determining))
        .collect();
    let mut explanations = explainer.explain(ids.iter().copied());
    let would_decide =
        |policy: &PolicyExplanation| policy.is_permit == (case.decision == CaseDecision::Allow);
    let others = explainer.others(&ids.into_iter().collect()).nearest;
    let nearest = others.into_iter().filter(would_decide);
    explanations.extend(nearest.take(MAX_NEAREST_POLICIES));
    explanations
}

impl CaseReport {
    /// The ids of the policies that take effect in a case that passed.
    pub(super) fn effective_policies(&self) -> BTreeSet<&str> {
        let passed = self.results.iter().filter(|result| result.is_passed);
        passed
            .flat_map(|result| result.actual_reasons.iter().map(String::as_str))
            .collect()
    }

    /// The causes of failures, each with its first cases and what decided the first of them; none if all passed.
    #[must_use]
    pub fn render_failures(&self) -> Option<String> {
        let text = render_failures(&self.failures, &self.results);
        (!text.is_empty()).then_some(text)
    }

    /// Whether there are cases and all of them passed.
    #[must_use]
    pub fn is_passed(&self) -> bool {
        self.failed == 0 && self.passed > 0
    }

    /// Whether every policy is demonstrated both with an allowed and with a denied request.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.without_allow_case.is_empty() && self.without_deny_case.is_empty()
    }

    /// The report as a table, with the causes of failures and a summary below.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = self.render_table();
        text.push_str(&render_failures(&self.failures, &self.results));
        if let Some(coverage) = &self.coverage {
            text.extend(["\n", &coverage.render()]);
        }
        text.push('\n');
        for (policies, decision) in [
            (&self.without_allow_case, "an allowed"),
            (&self.without_deny_case, "a denied"),
        ] {
            if !policies.is_empty() {
                let names = join_shown(policies.iter().map(String::as_str), MAX_SHOWN_POLICIES);
                writeln!(text, "no case with {decision} request: {names}").ok();
            }
        }
        write!(text, "{} passed, {} failed", self.passed, self.failed).ok();
        if let [_, _, ..] = self.failures.as_slice() {
            write!(text, ", for {} causes", self.failures.len()).ok();
        } else if let [cause] = self.failures.as_slice() {
            text.extend([": ", &cause.message]);
        }
        text.push('\n');
        text
    }

    /// Every case on a line; of very many, the first failed ones.
    fn render_table(&self) -> String {
        let mut table = Table::new();
        table.load_preset(presets::NOTHING).set_header([
            "",
            "answer",
            "determined by",
            "case",
            "where",
        ]);
        let is_long = self.results.len() > MAX_SHOWN_CASES;
        let is_shown = |result: &&CaseResult| !(is_long && result.is_passed);
        let shown = self.results.iter().filter(is_shown).take(MAX_SHOWN_CASES);
        for result in shown.clone() {
            let mark = if result.is_passed { "ok" } else { "FAILED" };
            let location = format!("{}:{}", result.file, result.line);
            let name = match &result.failure {
                Some(failure) => format!("{}\n{}", result.name, failure.replace("; ", "\n")),
                None => result.name.clone(),
            };
            let reasons = result.actual_reasons.iter().map(String::as_str);
            table.add_row([
                mark,
                result.actual.as_str(),
                &join_shown(reasons, MAX_SHOWN_REASONS),
                &name,
                &location,
            ]);
        }
        let left_off = self.results.len() - shown.count();
        if left_off == 0 {
            format!("{table}\n")
        } else {
            format!("{table}\n and {left_off} more cases; --json has them all\n")
        }
    }
}
