//! Checks: all there is to say about a policy folder, short of running its cases and proving its
//! invariants.
//!
//! Problems refuse the folder, warnings do not. This module refuses to know who asks, and it is on
//! no request's way.
//!
//! - `covered` finds policies beside which another leaves nothing to do.
//! - `unused` finds what an author declared in the schema and nothing speaks of.

mod redundant;
mod unused;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use cedar_policy::Schema;
use serde::Serialize;

use crate::domain::decision::Revision;

use super::bundle::Bundle;
use super::cases::CaseFiles;
use super::diagnostic::{BundleDiagnostic, BundleError, sorted};
use super::folder::PolicyFolder;
use super::prove::InvariantFiles;
use super::source_policy::first_line;

/// The most that a valid bundle is told: finding the lines of more would take long, and reading them
/// longer.
const MAX_WARNINGS: usize = 1_000;

/// What a check found.
#[derive(Debug, Serialize)]
pub struct PolicyCheck {
    /// The revision of the bundle, if the folder is one.
    pub revision: Option<Revision>,
    /// How much there is.
    pub counts: PolicyCounts,
    /// What is wrong, by file and place.
    pub problems: Vec<BundleDiagnostic>,
    /// What deserves a look, by file and place.
    pub warnings: Vec<BundleDiagnostic>,
}

/// How much a folder has of each; what is broken is not counted.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct PolicyCounts {
    /// The policies, linked ones too.
    pub policies: Option<usize>,
    /// The templates.
    pub templates: Option<usize>,
    /// The cases.
    pub cases: Option<usize>,
    /// The invariants.
    pub invariants: Option<usize>,
}

impl PolicyCheck {
    /// Checks what was read, or tells why it could not be: a schema, policies and links, case files,
    /// invariants.
    ///
    /// Fails if the folder or a file in it cannot be read; whatever is wrong with what they say is
    /// in the check.
    pub fn run(folder: Result<PolicyFolder, BundleError>) -> Result<Self, BundleError> {
        let mut check = Self {
            revision: None,
            counts: PolicyCounts::default(),
            problems: Vec::new(),
            warnings: Vec::new(),
        };
        if let Some(folder) = check.collect(folder)? {
            let schema = check.check_bundle(&folder)?;
            let cases = check.collect(folder.cases())?;
            let invariants = check.collect(folder.invariants())?;
            if let Some(schema) = schema {
                check.check_cases_and_invariants(&schema, cases, invariants)?;
            }
        }
        check.problems = sorted_and_deduplicated(check.problems);
        check.warnings = sorted_and_deduplicated(check.warnings);
        Ok(check)
    }

    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_passed(&self) -> bool {
        self.problems.is_empty()
    }

    /// One line about a folder that is in order.
    #[must_use]
    pub fn summary(&self) -> Option<String> {
        let revision = self.revision.as_ref().filter(|_| self.is_passed())?;
        let told = |count: Option<usize>, one: &str| {
            let count = count.unwrap_or_default();
            let ending = if count == 1 { "" } else { "s" };
            format!("{count} {one}{ending}")
        };
        let PolicyCounts {
            policies,
            templates,
            cases,
            invariants,
        } = self.counts;
        let policies = policies.unwrap_or_default();
        let (templates, cases) = (told(templates, "template"), told(cases, "case"));
        let invariants = told(invariants, "invariant");
        Some(format!(
            "{policies} policies are valid, with {templates}, {cases} and {invariants}; \
             revision {revision}"
        ))
    }

    /// What was made, or its problems; what cannot be read ends the check.
    fn collect<T>(&mut self, made: Result<T, BundleError>) -> Result<Option<T>, BundleError> {
        match made {
            Ok(made) => Ok(Some(made)),
            Err(BundleError::Invalid { problems }) => {
                self.problems.extend(problems);
                Ok(None)
            }
            Err(error @ BundleError::Unreadable { .. }) => Err(error),
        }
    }

    /// Checks what decides, and gives the schema for what stands beside it.
    fn check_bundle(&mut self, folder: &PolicyFolder) -> Result<Option<Schema>, BundleError> {
        let Some(bundle) = self.collect(folder.bundle())? else {
            // Its problem is told already.
            return Ok(folder.schema());
        };
        self.revision = Some(bundle.revision().clone());
        self.counts.policies = Some(bundle.policies().len());
        self.counts.templates = Some(bundle.policies.templates.len());
        self.warnings.extend_from_slice(bundle.warnings());
        self.warnings.extend(bundle_warnings(&bundle));
        Ok(Some(bundle.schema))
    }

    fn check_cases_and_invariants(
        &mut self,
        schema: &Schema,
        cases: Option<CaseFiles>,
        invariants: Option<InvariantFiles>,
    ) -> Result<(), BundleError> {
        if let Some(cases) = cases {
            let count = cases.parse(schema).map(|cases| cases.len());
            self.counts.cases = self.collect(count)?;
        }
        if let Some(invariants) = invariants
            && let Some(valid) = self.collect(invariants.parse(schema))?
        {
            self.counts.invariants = Some(valid.invariants.len());
            self.warnings.extend(valid.warnings);
        }
        Ok(())
    }
}

/// A file that cannot be used may have been met more than once.
fn sorted_and_deduplicated(problems: Vec<BundleDiagnostic>) -> Vec<BundleDiagnostic> {
    let mut problems = sorted(problems);
    problems.dedup_by_key(|problem| problem.sort_key());
    problems
}

/// What a valid bundle can be told.
fn bundle_warnings(bundle: &Bundle) -> Vec<BundleDiagnostic> {
    let mut warnings = missing_reasons(bundle);
    warnings.extend(unlinked_templates(bundle));
    warnings.extend(redundant::warnings(bundle));
    warnings.extend(unused::warnings(bundle));
    let count = warnings.len();
    if count > MAX_WARNINGS {
        warnings = sorted(warnings);
        warnings.truncate(MAX_WARNINGS);
        let message = format!("{} more warnings are not told", count - MAX_WARNINGS);
        let rest = BundleDiagnostic::for_file(&bundle.sources.label(""), message);
        warnings.push(rest.into_warning());
    }
    warnings
}

/// An auditor who reads that a policy permitted wants to read why. Linked policies have the reason
/// of their template.
fn missing_reasons(bundle: &Bundle) -> Vec<BundleDiagnostic> {
    let written = bundle.policies.info.values();
    written
        .filter(|policy| policy.template.is_none())
        .chain(bundle.policies.templates.values())
        .filter(|policy| policy.is_permit)
        .filter(|policy| policy.reason.as_deref().is_none_or(str::is_empty))
        .map(|policy| {
            let message = format!("the permit {:?} has no @reason", policy.id);
            warning_at_policy(bundle, &policy.id, message)
                .with_help("write @reason(\"...\"): auditors read it beside what was permitted")
        })
        .collect()
}

fn unlinked_templates(bundle: &Bundle) -> Vec<BundleDiagnostic> {
    let policies = bundle.policies.info.values();
    let linked: BTreeSet<&String> = policies.filter_map(|p| p.template.as_ref()).collect();
    let templates = bundle.policies.templates.values();
    templates
        .filter(|template| !linked.contains(&template.id))
        .map(|template| {
            let message = format!(
                "nothing links the template {:?}, so it decides nothing",
                template.id
            );
            warning_at_policy(bundle, &template.id, message)
                .with_help("link it in a file that ends in .links.json, or remove it")
        })
        .collect()
}

/// A warning at the first line of a policy, a link or a template.
fn warning_at_policy(bundle: &Bundle, id: &str, message: String) -> BundleDiagnostic {
    let place = bundle.policies.locations.get(id);
    let file = place.map_or("", |place| place.file.as_str());
    let label = bundle.sources.label(file);
    match (place, bundle.sources.text(file)) {
        (Some(place), Some(text)) => {
            BundleDiagnostic::at_span(&label, text, first_line(text, &place.span), message)
        }
        _ => BundleDiagnostic::for_file(&label, message),
    }
    .into_warning()
}
