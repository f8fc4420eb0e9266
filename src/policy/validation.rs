//! Validation of policies against a schema by Cedar's validator.

use std::collections::BTreeSet;
use std::thread;

use cedar_policy::{
    PolicySet, Schema, ValidationError, ValidationMode, ValidationResult, Validator,
};

use crate::domain::diagnostic::SourceDiagnostic;
use crate::domain::error_chain::error_chain;

/// How many attributes deep a policy may reach: the principal's and the resource's own
/// (<https://docs.cedarpolicy.com/policies/level-validation.html>).
const MAX_ATTRIBUTE_LEVEL: u32 = 1;
/// The stack on which policies are validated, in bytes. Where Cedar's validator runs short of stack it
/// skips the policy silently, so this is more than any policy that `complexity` accepts needs.
const VALIDATION_STACK_SIZE: usize = 64 * 1024 * 1024;

/// The types of administrative resources, which have none of a dataset's attributes.
const ADMINISTRATIVE_TYPES: [&str; 3] = ["Role", "Server", "User"];
/// The help for a policy that is meant for datasets and does not say so.
const DATASET_SCOPE_HELP: &str = "the scope also covers administrative actions on users, roles and the server: \
    name its actions, or write `resource is Dataset`";

/// What policies are validated for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ValidationPurpose {
    /// They decide, so they may read attributes only [`MAX_ATTRIBUTE_LEVEL`] deep.
    Decisions,
    /// They are invariants of the policies that decide.
    Invariants,
}

impl ValidationPurpose {
    /// One of the validated policies, in messages.
    pub(super) fn noun(self) -> &'static str {
        match self {
            Self::Decisions => "policy",
            Self::Invariants => "invariant",
        }
    }
}

/// Validates policies; of linked policies Cedar checks little more than the types. Fails if the
/// validator could not run.
pub(super) fn validate(
    set: &PolicySet,
    schema: &Schema,
    purpose: ValidationPurpose,
) -> Result<ValidationResult, Box<SourceDiagnostic>> {
    let validator = Validator::new(schema.clone());
    let run = || match purpose {
        ValidationPurpose::Decisions => {
            validator.validate_with_level(set, ValidationMode::Strict, MAX_ATTRIBUTE_LEVEL)
        }
        ValidationPurpose::Invariants => validator.validate(set, ValidationMode::Strict),
    };
    let failed = |reason: &str| {
        let message = format!("cannot validate the policies: {reason}");
        Box::new(SourceDiagnostic::for_file("policies", message))
    };
    thread::scope(|scope| {
        thread::Builder::new()
            .stack_size(VALIDATION_STACK_SIZE)
            .spawn_scoped(scope, run)
            .map_err(|error| failed(&error_chain(&error)))?
            .join()
            .map_err(|_| failed("the validator panicked"))
    })
}

/// The problems of validation errors, one for each mistake.
///
/// Cedar reports a mistake once for every request environment. The one that is first in the alphabet, with
/// a dataset, is most likely the one that the author has in mind.
pub(super) fn deduplicated<'a>(
    errors: impl Iterator<Item = &'a ValidationError>,
    problem_of: impl Fn(&ValidationError) -> SourceDiagnostic,
) -> Vec<SourceDiagnostic> {
    let mut errors: Vec<&ValidationError> = errors.collect();
    errors.sort_by_key(|error| (error.policy_id().to_string(), error.to_string()));
    let mut known = BTreeSet::new();
    let mut problems = Vec::new();
    for error in errors {
        let problem = problem_of(error);
        let start = problem.span().map(|span| span.start);
        let location = (error.policy_id().to_string(), start);
        if location.1.is_some() && !known.insert(location) {
            continue;
        }
        let message = error.to_string();
        let is_for_datasets = ADMINISTRATIVE_TYPES
            .iter()
            .any(|name| message.contains(&format!("on entity type `{name}`")));
        problems.push(if is_for_datasets {
            problem.with_help(DATASET_SCOPE_HELP)
        } else {
            problem
        });
    }
    problems
}
