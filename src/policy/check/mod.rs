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
use super::diagnostic::{BundleError, Problem, in_reading_order};
use super::folder::PolicyFolder;
use super::prove::Invariants;
use super::source_policy::first_line;

/// The most that a valid bundle is told: finding the lines of more would take long, and reading them
/// longer.
const MOST_ADVICE: usize = 1_000;

/// What a check found.
#[derive(Debug, Serialize)]
pub struct Check {
    /// The revision of the bundle, if the folder is one.
    pub revision: Option<Revision>,
    /// How much there is.
    pub counts: Counts,
    /// What is wrong, by file and place.
    pub problems: Vec<Problem>,
    /// What deserves a look, by file and place.
    pub warnings: Vec<Problem>,
}

/// How much a folder has of each; what is broken is not counted.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Counts {
    /// The policies, linked ones too.
    pub policies: Option<usize>,
    /// The templates.
    pub templates: Option<usize>,
    /// The cases.
    pub cases: Option<usize>,
    /// The invariants.
    pub invariants: Option<usize>,
}

impl Check {
    /// Checks what was read, or tells why it could not be: a schema, policies and links, case files,
    /// invariants.
    ///
    /// Fails if the folder or a file in it cannot be read; whatever is wrong with what they say is
    /// in the check.
    pub fn of(folder: Result<PolicyFolder, BundleError>) -> Result<Self, BundleError> {
        let mut check = Self {
            revision: None,
            counts: Counts::default(),
            problems: Vec::new(),
            warnings: Vec::new(),
        };
        if let Some(folder) = check.take(folder)? {
            let schema = check.bundle(&folder)?;
            let cases = check.take(folder.cases())?;
            let invariants = check.take(folder.invariants())?;
            if let Some(schema) = schema {
                check.beside(&schema, cases, invariants)?;
            }
        }
        check.problems = told_once(check.problems);
        check.warnings = told_once(check.warnings);
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
        let Counts {
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
    fn take<T>(&mut self, made: Result<T, BundleError>) -> Result<Option<T>, BundleError> {
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
    fn bundle(&mut self, folder: &PolicyFolder) -> Result<Option<Schema>, BundleError> {
        let Some(bundle) = self.take(folder.bundle())? else {
            // Its problem is told already.
            return Ok(folder.schema());
        };
        self.revision = Some(bundle.revision().clone());
        self.counts.policies = Some(bundle.policies().len());
        self.counts.templates = Some(bundle.policies.templates.len());
        self.warnings.extend_from_slice(bundle.warnings());
        self.warnings.extend(advice(&bundle));
        Ok(Some(bundle.schema))
    }

    fn beside(
        &mut self,
        schema: &Schema,
        cases: Option<CaseFiles>,
        invariants: Option<Invariants>,
    ) -> Result<(), BundleError> {
        if let Some(cases) = cases {
            let count = cases.read(schema).map(|cases| cases.len());
            self.counts.cases = self.take(count)?;
        }
        if let Some(invariants) = invariants
            && let Some(valid) = self.take(invariants.read(schema))?
        {
            self.counts.invariants = Some(valid.invariants.len());
            self.warnings.extend(valid.warnings);
        }
        Ok(())
    }
}

/// A file that cannot be used may have been met more than once.
fn told_once(problems: Vec<Problem>) -> Vec<Problem> {
    let mut problems = in_reading_order(problems);
    problems.dedup_by_key(|problem| problem.order());
    problems
}

/// What a valid bundle can be told.
fn advice(bundle: &Bundle) -> Vec<Problem> {
    let mut warnings = without_reason(bundle);
    warnings.extend(without_links(bundle));
    warnings.extend(redundant::warnings(bundle));
    warnings.extend(unused::warnings(bundle));
    let count = warnings.len();
    if count > MOST_ADVICE {
        warnings = in_reading_order(warnings);
        warnings.truncate(MOST_ADVICE);
        let message = format!("{} more warnings are not told", count - MOST_ADVICE);
        let rest = Problem::of_file(&bundle.sources.label(""), message);
        warnings.push(rest.into_warning());
    }
    warnings
}

/// An auditor who reads that a policy permitted wants to read why. Linked policies have the reason
/// of their template.
fn without_reason(bundle: &Bundle) -> Vec<Problem> {
    let written = bundle.policies.listed.values();
    written
        .filter(|policy| policy.template.is_none())
        .chain(bundle.policies.templates.values())
        .filter(|policy| policy.is_permit)
        .filter(|policy| policy.reason.as_deref().is_none_or(str::is_empty))
        .map(|policy| {
            let message = format!("the permit {:?} has no @reason", policy.id);
            at_policy(bundle, &policy.id, message)
                .with_help("write @reason(\"...\"): auditors read it beside what was permitted")
        })
        .collect()
}

fn without_links(bundle: &Bundle) -> Vec<Problem> {
    let policies = bundle.policies.listed.values();
    let linked: BTreeSet<&String> = policies.filter_map(|p| p.template.as_ref()).collect();
    let templates = bundle.policies.templates.values();
    templates
        .filter(|template| !linked.contains(&template.id))
        .map(|template| {
            let message = format!(
                "nothing links the template {:?}, so it decides nothing",
                template.id
            );
            at_policy(bundle, &template.id, message)
                .with_help("link it in a file that ends in .links.json, or remove it")
        })
        .collect()
}

/// A warning at the first line of a policy, a link or a template.
fn at_policy(bundle: &Bundle, id: &str, message: String) -> Problem {
    let place = bundle.policies.places.get(id);
    let file = place.map_or("", |place| place.file.as_str());
    let label = bundle.sources.label(file);
    match (place, bundle.sources.text(file)) {
        (Some(place), Some(text)) => {
            Problem::at(&label, text, first_line(text, &place.span), message)
        }
        _ => Problem::of_file(&label, message),
    }
    .into_warning()
}
