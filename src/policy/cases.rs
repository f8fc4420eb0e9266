//! Cases: what the policies are expected to say, and whether they do.
//!
//! Every `<name>.cases.json` of a policy folder is put to a bundle. This module refuses to know
//! who asked for it and what becomes of a failure.

use std::collections::BTreeSet;

use cedar_policy::{Decision as CedarDecision, Schema};
use comfy_table::{Table, presets};
use serde::Serialize;

use crate::domain::decision::Revision;

use super::bundle::{Bundle, PolicyInfo};

pub use super::case_file::CaseDecision;
use super::case_file::{self, CASES_SUFFIX, Case};
use super::coverage::{Coverage, measure_coverage};
use super::diagnostic::{BundleError, sorted};
use super::explain::{PolicyExplanation, RequestExplainer};
use super::sources::{SourceFiles, is_bundle_file};

/// The most policies that are told of a failed case besides those that determined its answer and those
/// that were expected to.
const MAX_NEAREST_POLICIES: usize = 3;

/// The case files of a policy folder, and the entity files that they name.
#[derive(Clone, Debug)]
pub struct CaseFiles {
    sources: SourceFiles,
}

impl CaseFiles {
    /// The cases in the files ending in `.cases.json`; a file that cannot be used refuses all.
    pub(super) fn new(sources: SourceFiles) -> Result<Self, BundleError> {
        if sources.problems().is_empty() {
            return Ok(Self { sources });
        }
        Err(BundleError::Invalid {
            problems: sorted(sources.problems().to_vec()),
        })
    }

    /// Reads every case, or tells every one that does not read or does not fit the schema.
    pub(super) fn parse(&self, schema: &Schema) -> Result<Vec<Case>, BundleError> {
        case_file::parse_all(&self.sources, schema).map_err(|problems| BundleError::Invalid {
            problems: sorted(problems),
        })
    }

    /// Puts every case to a bundle.
    ///
    /// Fails with every case that does not read or does not fit the bundle's schema. A case that
    /// reads and is not met is a failure in the report.
    pub fn run(&self, bundle: &Bundle) -> Result<CaseReport, BundleError> {
        let cases = self.parse(&bundle.schema)?;
        let results: Vec<CaseResult> = cases.iter().map(|case| run_case(case, bundle)).collect();
        let passed = results.iter().filter(|result| result.is_passed).count();
        let lacking = |answer| -> Vec<String> {
            let listed = bundle.policies().values();
            listed
                .filter(|policy| {
                    !results
                        .iter()
                        .any(|result| result.demonstrates(policy, answer))
                })
                .map(|policy| policy.id.clone())
                .collect()
        };
        Ok(CaseReport {
            revision: bundle.revision().clone(),
            passed,
            failed: results.len() - passed,
            without_allow_case: lacking(CaseDecision::Allow),
            without_deny_case: lacking(CaseDecision::Deny),
            results,
            coverage: None,
        })
    }

    /// What the cases leave untried of a bundle; fails as [`CaseFiles::run`] does.
    pub fn coverage(&self, bundle: &Bundle) -> Result<Coverage, BundleError> {
        Ok(measure_coverage(&self.parse(&bundle.schema)?, bundle))
    }
}

/// Whether a file holds cases, or the entities of some; links are part of the bundle itself.
pub(super) fn is_case_or_entity_file(name: &str) -> bool {
    // The whole name is compared: the Cedar command line does not fold letter case either.
    let is_json = name
        .rsplit_once('.')
        .is_some_and(|(_, ending)| ending == "json");
    is_json && !is_bundle_file(name)
}

/// How all cases of a folder went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CaseReport {
    /// The bundle that answered.
    pub revision: Revision,
    /// How many cases were met.
    pub passed: usize,
    /// How many were not.
    pub failed: usize,
    /// The policies that no met case shows at an allowed request.
    pub without_allow_case: Vec<String>,
    /// The policies that no met case shows at a denied request.
    pub without_deny_case: Vec<String>,
    /// Every case, in the order of files and of cases in them.
    pub results: Vec<CaseResult>,
    /// What the cases leave untried, if that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub coverage: Option<Coverage>,
}

/// How one case went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CaseResult {
    /// The case's name.
    pub name: String,
    /// Its file, relative to the folder.
    pub file: String,
    /// The line it begins on.
    pub line: usize,
    /// Whether the bundle answered as expected.
    pub is_passed: bool,
    /// Why it did not.
    pub failure: Option<String>,
    /// The expected answer.
    pub expected: CaseDecision,
    /// The bundle's answer; always deny when a policy failed to evaluate.
    pub actual: CaseDecision,
    /// The policies that were expected among the determining ones.
    pub expected_reasons: Vec<String>,
    /// The determining policies, sorted.
    pub actual_reasons: Vec<String>,
    /// What went wrong in evaluating policies.
    pub errors: Vec<String>,
    /// If it failed, what decided: the policies that determined the answer, those that were expected
    /// to, and the nearest ones that would have brought the expected answer.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub why: Vec<PolicyExplanation>,
}

impl CaseResult {
    /// Whether this case shows what a policy does to requests that are answered with `answer`.
    ///
    /// Where the policy takes effect (a permit allows, a forbid denies), it must be one of the
    /// determining policies. Where it does not, the case must stand in the file beside the policy.
    fn demonstrates(&self, policy: &PolicyInfo, answer: CaseDecision) -> bool {
        let takes_effect = policy.is_permit == (answer == CaseDecision::Allow);
        self.is_passed
            && self.actual == answer
            && if takes_effect {
                self.actual_reasons.contains(&policy.id)
            } else {
                self.file.strip_suffix(CASES_SUFFIX) == policy.stem()
            }
    }
}

impl CaseResult {
    /// The expected and the actual answer with the policies that determine them, and what decided.
    #[must_use]
    pub fn describe(&self) -> String {
        let by = |answer: CaseDecision, policies: &[String]| match policies {
            [] => answer.as_str().to_owned(),
            policies => format!("{} by {}", answer.as_str(), policies.join(", ")),
        };
        let expected = by(self.expected, &self.expected_reasons);
        let actual = by(self.actual, &self.actual_reasons);
        let mut text = format!("expected {expected}\ngot {actual}\n");
        for error in &self.errors {
            text.extend([error, "\n"]);
        }
        text + &self.render_why()
    }

    fn render_why(&self) -> String {
        self.why.iter().map(PolicyExplanation::render).collect()
    }
}

/// Puts one case to a bundle. Met means, as for the Cedar command line: the same answer, the
/// expected reasons among the determining policies, and the same number of errors.
fn run_case(case: &Case, bundle: &Bundle) -> CaseResult {
    let response =
        bundle
            .authorizer
            .is_authorized(&case.request, &bundle.policies.set, &case.entities);
    let diagnostics = response.diagnostics();
    let errors: Vec<String> = diagnostics.errors().map(ToString::to_string).collect();
    let actual_reasons: BTreeSet<String> = diagnostics.reason().map(ToString::to_string).collect();
    let actual = match response.decision() {
        CedarDecision::Allow if errors.is_empty() => CaseDecision::Allow,
        _ => CaseDecision::Deny,
    };
    let missing: Vec<&str> = case
        .reason
        .iter()
        .filter(|reason| !actual_reasons.contains(*reason))
        .map(String::as_str)
        .collect();
    let mut failures = Vec::new();
    if actual != case.decision {
        let (expected, actual) = (case.decision.as_str(), actual.as_str());
        failures.push(format!("expected {expected}, got {actual}"));
    }
    if !missing.is_empty() {
        failures.push(format!("not determined by {}", missing.join(", ")));
    }
    if errors.len() != case.num_errors {
        let (expected, actual) = (case.num_errors, errors.len());
        failures.push(format!("expected {expected} errors, got {actual}"));
    }
    if !failures.is_empty() {
        failures.extend(errors.iter().cloned());
    }
    let why = if failures.is_empty() {
        Vec::new()
    } else {
        explain_failure(case, bundle, &actual_reasons)
    };
    CaseResult {
        name: case.name.clone(),
        file: case.file.clone(),
        line: case.line,
        is_passed: failures.is_empty(),
        failure: (!failures.is_empty()).then(|| failures.join("; ")),
        expected: case.decision,
        actual,
        expected_reasons: case.reason.clone(),
        actual_reasons: actual_reasons.into_iter().collect(),
        errors,
        why,
    }
}

fn explain_failure(
    case: &Case,
    bundle: &Bundle,
    determining: &BTreeSet<String>,
) -> Vec<PolicyExplanation> {
    let question = RequestExplainer::new(bundle, &case.request, &case.entities);
    let wanted = case.reason.iter().filter(|id| !determining.contains(*id));
    let named: Vec<String> = determining.iter().chain(wanted).cloned().collect();
    let mut told = question.explain(&named);
    let besides: BTreeSet<&str> = named.iter().map(String::as_str).collect();
    let brings_it =
        |policy: &PolicyExplanation| policy.is_permit == (case.decision == CaseDecision::Allow);
    let others = question.others(&besides).nearest.into_iter();
    told.extend(others.filter(brings_it).take(MAX_NEAREST_POLICIES));
    told
}

impl CaseReport {
    /// Whether there are cases and all of them were met.
    #[must_use]
    pub fn is_passed(&self) -> bool {
        self.failed == 0 && self.passed > 0
    }

    /// Whether every policy is shown both at an allowed and at a denied request.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.without_allow_case.is_empty() && self.without_deny_case.is_empty()
    }

    /// The report as a table with a summary below it.
    #[must_use]
    pub fn render(&self) -> String {
        let mut table = Table::new();
        table.load_preset(presets::NOTHING).set_header([
            "",
            "answer",
            "determined by",
            "case",
            "where",
        ]);
        for result in &self.results {
            let mark = if result.is_passed { "ok" } else { "FAILED" };
            let place = format!("{}:{}", result.file, result.line);
            let name = match &result.failure {
                Some(failure) => format!("{}\n{failure}", result.name),
                None => result.name.clone(),
            };
            table.add_row([
                mark,
                result.actual.as_str(),
                &result.actual_reasons.join(", "),
                &name,
                &place,
            ]);
        }
        let mut text = format!(
            "{table}\n\n{} passed, {} failed\n",
            self.passed, self.failed
        );
        for result in self.results.iter().filter(|result| !result.is_passed) {
            let lead = format!(
                "\nWhat decided {} ({}:{})\n",
                result.name, result.file, result.line
            );
            text.extend([lead, result.render_why()]);
        }
        for (lacking, what) in [
            (&self.without_allow_case, "allowed"),
            (&self.without_deny_case, "denied"),
        ] {
            if !lacking.is_empty() {
                let lead = ["no case of a request that is ", what, ": "].concat();
                text.extend([lead, lacking.join(", "), "\n".to_owned()]);
            }
        }
        if let Some(coverage) = &self.coverage {
            text.extend(["\n", &coverage.render()]);
        }
        text
    }
}
