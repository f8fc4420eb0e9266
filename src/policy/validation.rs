//! Validation: what Cedar says about policies that were read, at the places they were read from.
//!
//! This module refuses to know how files are read.

use std::collections::BTreeSet;
use std::ops::Range;
use std::thread;

use cedar_policy::{
    PolicySet, Schema, ValidationError, ValidationMode, ValidationResult, Validator,
};
use miette::Diagnostic;

use super::diagnostic::{BundleDiagnostic, message_with_causes};
use super::source_policy::first_line;
use super::sources::SourceFiles;

/// How many attributes deep a policy may reach: the principal's and the resource's own
/// (<https://docs.cedarpolicy.com/policies/level-validation.html>).
const MAX_ATTRIBUTE_LEVEL: u32 = 1;
/// The stack on which policies are validated, in bytes. Where Cedar's validator runs short of stack it
/// passes over the policy without a word, so it has more than whatever `nesting` lets through can take.
const VALIDATION_STACK_SIZE: usize = 64 * 1024 * 1024;

/// The resources of administration, which have none of a dataset's attributes.
const ADMINISTRATIVE_TYPES: [&str; 3] = ["Role", "Server", "User"];
/// What helps a policy that is meant for datasets and does not say so.
const DATASET_SCOPE_HELP: &str = "its scope takes in administration too, which is about users, roles and the \
    server: name its actions, or write `resource is Dataset`";

/// What policies are validated for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ValidationPurpose {
    /// They decide, about facts that reach as deep as policies may.
    Decisions,
    /// They state something about those that do.
    Invariants,
}

/// What Cedar says of policies, and of links little more than of their types; or why it could not be
/// asked.
pub(super) fn validate(
    set: &PolicySet,
    schema: &Schema,
    purpose: ValidationPurpose,
) -> Result<ValidationResult, Box<BundleDiagnostic>> {
    let validator = Validator::new(schema.clone());
    let ask = || match purpose {
        ValidationPurpose::Decisions => {
            validator.validate_with_level(set, ValidationMode::Strict, MAX_ATTRIBUTE_LEVEL)
        }
        ValidationPurpose::Invariants => validator.validate(set, ValidationMode::Strict),
    };
    let unasked = |said: &str| {
        let message = format!("the policies cannot be validated: {said}");
        Box::new(BundleDiagnostic::for_file("policies", message))
    };
    thread::scope(|scope| {
        let asked = thread::Builder::new()
            .stack_size(VALIDATION_STACK_SIZE)
            .spawn_scoped(scope, ask);
        let asked = asked.map_err(|error| unasked(&message_with_causes(&error)))?;
        asked.join().map_err(|_| unasked("the validator panicked"))
    })
}

/// What Cedar says of a policy, at its place where Cedar names none: some of it is about a policy as a
/// whole.
pub(super) fn problem_at(
    sources: &SourceFiles,
    place: Option<(&str, &Range<usize>)>,
    said: &dyn Diagnostic,
) -> BundleDiagnostic {
    let found = place.and_then(|(file, span)| Some((file, span, sources.text(file)?)));
    let Some((file, span, text)) = found else {
        return BundleDiagnostic::for_file(&sources.label(""), message_with_causes(said));
    };
    let problem = BundleDiagnostic::from_cedar(&sources.label(file), text, said);
    match problem.span() {
        Some(_) => problem,
        None => problem.with_span(&first_line(text, span)),
    }
}

/// Validation errors as problems.
///
/// Cedar tells a mistake once for every kind of question that meets it: once is enough, and the
/// kind that comes first in the alphabet, a dataset, is the one that authors have in mind.
pub(super) fn deduplicated<'a>(
    errors: impl Iterator<Item = &'a ValidationError>,
    problem_of: impl Fn(&ValidationError) -> BundleDiagnostic,
) -> Vec<BundleDiagnostic> {
    let mut errors: Vec<&ValidationError> = errors.collect();
    errors.sort_by_key(|error| (error.policy_id().to_string(), error.to_string()));
    let mut told = BTreeSet::new();
    let mut problems = Vec::new();
    for error in errors {
        let problem = problem_of(error);
        let start = problem.span().map(|span| span.start);
        let place = (error.policy_id().to_string(), start);
        if place.1.is_some() && !told.insert(place) {
            continue;
        }
        let said = error.to_string();
        let is_of_datasets_alone = ADMINISTRATIVE_TYPES
            .iter()
            .any(|name| said.contains(&format!("on entity type `{name}`")));
        problems.push(if is_of_datasets_alone {
            problem.with_help(DATASET_SCOPE_HELP)
        } else {
            problem
        });
    }
    problems
}
