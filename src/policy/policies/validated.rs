//! Validated: policies and links of a bundle, each as valid as if it were written out.
//!
//! This module refuses to know how files are read.

use std::collections::BTreeSet;

use cedar_policy::{Policy, PolicyId, PolicySet, Schema};
use miette::Diagnostic;

use crate::policy::diagnostic::{BundleDiagnostic, message_with_causes};
use crate::policy::links::instantiate;
use crate::policy::validation::{ValidationPurpose, deduplicated, problem_at, validate};

use super::PolicyParser;

impl PolicyParser<'_> {
    pub(super) fn validate(&mut self, schema: &Schema) {
        let result = match validate(&self.set, schema, ValidationPurpose::Decisions) {
            Ok(result) => result,
            Err(problem) => return self.problems.push(*problem),
        };
        let problems = deduplicated(result.validation_errors(), |error| {
            self.problem_of_policy(error.policy_id(), error)
        });
        self.problems.extend(problems);
        for warning in result.validation_warnings() {
            let warning = self
                .problem_of_policy(warning.policy_id(), warning)
                .into_warning();
            self.warnings.push(warning);
        }
        if self.problems.is_empty() {
            self.validate_links(schema);
        }
    }

    /// Cedar validates templates for whatever may fill them, and of links little more than types.
    /// Filled, a link must be as valid as any other policy.
    fn validate_links(&mut self, schema: &Schema) {
        let linked = self.set.policies().filter(|policy| !policy.is_static());
        let filled: Result<Vec<Policy>, _> = linked.map(instantiate).collect();
        let set = match filled.map(PolicySet::from_policies) {
            Ok(Ok(set)) => set,
            Ok(Err(error)) => return self.report_for_folder(&error),
            Err(error) => return self.report_for_folder(&error),
        };
        let result = match validate(&set, schema, ValidationPurpose::Decisions) {
            Ok(result) => result,
            Err(problem) => return self.problems.push(*problem),
        };
        for error in result.validation_errors() {
            let problem = self.problem_of_policy(error.policy_id(), error);
            self.problems.push(problem);
        }
        let mut told: BTreeSet<_> = self
            .warnings
            .iter()
            .map(BundleDiagnostic::sort_key)
            .collect();
        for warning in result.validation_warnings() {
            let warning = self
                .problem_of_policy(warning.policy_id(), warning)
                .into_warning();
            if told.insert(warning.sort_key()) {
                self.warnings.push(warning);
            }
        }
    }

    fn report_for_folder(&mut self, error: &dyn std::error::Error) {
        let problem =
            BundleDiagnostic::for_file(&self.sources.label(""), message_with_causes(error));
        self.problems.push(problem);
    }

    fn problem_of_policy(&self, id: &PolicyId, said: &dyn Diagnostic) -> BundleDiagnostic {
        let place = self.locations.get(AsRef::<str>::as_ref(id));
        if let Some(place) = place.filter(|place| place.is_link)
            && let Some(text) = self.sources.text(&place.file)
        {
            let label = self.sources.label(&place.file);
            return BundleDiagnostic::at_span(
                &label,
                text,
                place.span.clone(),
                message_with_causes(said),
            );
        }
        let place = place.map(|place| (place.file.as_str(), &place.span));
        problem_at(self.sources, place, said)
    }
}
