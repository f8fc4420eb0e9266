//! Validation: what Cedar says about policies that were read, at the places they were read from.
//!
//! This module refuses to know how files are read.

use std::collections::BTreeSet;

use cedar_policy::{
    Policy, PolicyId, PolicySet, Schema, ValidationError, ValidationMode, Validator,
};

use crate::policy::links::instantiate;
use crate::policy::problem::{Problem, with_causes};
use crate::policy::written::first_line;

use super::Reading;

/// How many attributes deep a policy may reach: the principal's and the resource's own
/// (<https://docs.cedarpolicy.com/policies/level-validation.html>).
const DEEPEST_LEVEL: u32 = 1;

/// The resources of administration, which have none of a dataset's attributes.
const NOT_DATASETS: [&str; 3] = ["Role", "Server", "User"];
/// What helps a policy that is meant for datasets and does not say so.
const ONLY_DATASETS: &str = "its scope takes in administration too, which is about users, roles and the \
    server: name its actions, or write `resource is Dataset`";

impl Reading<'_> {
    pub(super) fn validate(&mut self, schema: &Schema) {
        let validator = Validator::new(schema.clone());
        let result =
            validator.validate_with_level(&self.set, ValidationMode::Strict, DEEPEST_LEVEL);
        let problems = told_once(result.validation_errors(), |error| {
            self.of_policy(error.policy_id(), error)
        });
        self.problems.extend(problems);
        for warning in result.validation_warnings() {
            let warning = self.of_policy(warning.policy_id(), warning).into_warning();
            self.warnings.push(warning);
        }
        if self.problems.is_empty() {
            self.validate_links(&validator);
        }
    }

    /// Cedar validates templates for whatever may fill them, and of links little more than types.
    /// Filled, a link must be as valid as any other policy.
    fn validate_links(&mut self, validator: &Validator) {
        let linked = self.set.policies().filter(|policy| !policy.is_static());
        let filled: Result<Vec<Policy>, _> = linked.map(instantiate).collect();
        let set = match filled.map(PolicySet::from_policies) {
            Ok(Ok(set)) => set,
            Ok(Err(error)) => return self.refuse_folder(&error),
            Err(error) => return self.refuse_folder(&error),
        };
        let result = validator.validate_with_level(&set, ValidationMode::Strict, DEEPEST_LEVEL);
        for error in result.validation_errors() {
            let problem = self.of_policy(error.policy_id(), error);
            self.problems.push(problem);
        }
        for warning in result.validation_warnings() {
            let warning = self.of_policy(warning.policy_id(), warning).into_warning();
            let is_told = |told: &Problem| told.to_string() == warning.to_string();
            if !self.warnings.iter().any(is_told) {
                self.warnings.push(warning);
            }
        }
    }

    fn refuse_folder(&mut self, error: &dyn std::error::Error) {
        let problem = Problem::of_file(&self.sources.label(""), with_causes(error));
        self.problems.push(problem);
    }

    fn of_policy<D: miette::Diagnostic>(&self, id: &PolicyId, said: &D) -> Problem {
        let id: &str = id.as_ref();
        let place = self.places.get(id);
        let file = place.map_or("", |place| place.file.as_str());
        let label = self.sources.label(file);
        match self.sources.text(file) {
            Some(text) if place.is_some_and(|place| place.is_link) => {
                let span = place.map_or(0..0, |place| place.span.clone());
                Problem::at(&label, text, span, with_causes(said))
            }
            Some(text) => {
                let problem = Problem::from_cedar(&label, text, said);
                // Some of what Cedar says is about a policy as a whole and has no span.
                match (problem.span(), place) {
                    (None, Some(place)) => problem.with_span(&first_line(text, &place.span)),
                    _ => problem,
                }
            }
            None => Problem::of_file(&label, said.to_string()),
        }
    }
}

/// Validation errors as problems.
///
/// Cedar tells a mistake once for every kind of question that meets it: once is enough, and the
/// kind that comes first in the alphabet, a dataset, is the one that authors have in mind.
pub(in crate::policy) fn told_once<'a>(
    errors: impl Iterator<Item = &'a ValidationError>,
    problem_of: impl Fn(&ValidationError) -> Problem,
) -> Vec<Problem> {
    let mut errors: Vec<&ValidationError> = errors.collect();
    errors.sort_by_key(|error| (error.policy_id().to_string(), error.to_string()));
    let mut told = BTreeSet::new();
    let mut problems = Vec::new();
    for error in errors {
        let problem = problem_of(error);
        let place = (error.policy_id().to_string(), problem.position());
        if place.1.is_some() && !told.insert(place) {
            continue;
        }
        let said = error.to_string();
        let is_of_datasets_alone = NOT_DATASETS
            .iter()
            .any(|name| said.contains(&format!("on entity type `{name}`")));
        problems.push(if is_of_datasets_alone {
            problem.with_help(ONLY_DATASETS)
        } else {
            problem
        });
    }
    problems
}
