//! Validation of policies against a schema by Cedar's validator.

use std::collections::BTreeSet;
use std::thread;

use cedar_policy::{
    PolicySet, Schema, ValidationError, ValidationMode, ValidationResult, Validator,
};

use crate::domain::diagnostic::SourceDiagnostic;
use crate::domain::error_chain::error_chain;

use super::policy_id::id_text;

/// How many attributes deep a policy may reach: the principal's and the resource's own
/// (<https://docs.cedarpolicy.com/policies/level-validation.html>).
const MAX_ATTRIBUTE_LEVEL: u32 = 1;
/// The stack on which policies are validated, in bytes. Where Cedar's validator runs short of stack it
/// skips the policy silently, so this is more than any policy that `complexity` accepts needs.
const VALIDATION_STACK_SIZE: usize = 64 * 1024 * 1024;

/// The most problems with a hint, which takes some validations more.
const MAX_HINTS: usize = 50;

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

/// A problem of validation with its hint.
pub(super) struct HintedProblem {
    pub(super) problem: SourceDiagnostic,
    /// Whether nothing else is wrong with the policy once the hint is followed.
    pub(super) is_all: bool,
}

impl From<SourceDiagnostic> for HintedProblem {
    fn from(problem: SourceDiagnostic) -> Self {
        Self {
            problem,
            is_all: false,
        }
    }
}

/// The problems of validation errors, one for each mistake, with hints.
///
/// Cedar reports a mistake once for every request environment. The one that is first in the alphabet, with
/// a dataset, is most likely the one that the author has in mind.
pub(super) fn deduplicated<'a>(
    errors: impl Iterator<Item = &'a ValidationError>,
    problem_of: impl Fn(&ValidationError) -> SourceDiagnostic,
    with_hint: impl Fn(&ValidationError, SourceDiagnostic) -> HintedProblem,
) -> Vec<SourceDiagnostic> {
    let mut errors: Vec<&ValidationError> = errors.collect();
    errors.sort_by_key(|error| (error.policy_id().to_string(), error.to_string()));
    let mut known = BTreeSet::new();
    let mut known_hints = BTreeSet::new();
    let mut problems: Vec<(String, SourceDiagnostic)> = Vec::new();
    // The policies in which one hint mends everything: their other problems were its consequences.
    let mut mended = BTreeSet::new();
    for error in errors {
        let id = id_text(error.policy_id());
        let problem = problem_of(error);
        let start = problem.span().map(|span| span.start);
        let is_known = start.is_some() && !known.insert((id.clone(), start));
        if is_known || mended.contains(&id) {
            continue;
        }
        let hinted = if known_hints.len() < MAX_HINTS {
            with_hint(error, problem)
        } else {
            problem.into()
        };
        let HintedProblem { problem, is_all } = hinted;
        if is_all {
            problems.retain(|(other, _)| *other != id);
            mended.insert(id.clone());
        }
        // Two problems with one remedy are one mistake.
        let hint = problem.help().filter(|help| help.starts_with("write "));
        let span = problem.span().map(|span| (span.start, span.end));
        let hint = hint.map(|hint| (problem.file().to_owned(), span, hint.to_owned()));
        if hint.is_none_or(|hint| known_hints.insert(hint)) || is_all {
            problems.push((id, problem));
        }
    }
    problems.into_iter().map(|(_, problem)| problem).collect()
}
