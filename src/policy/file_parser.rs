//! The parts of parsing policy files that policies and invariants share: unique names, source
//! locations and validation.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use cedar_policy::{
    Policy, PolicyId, PolicySet, PolicySetError, Schema, Template, ValidationError,
    ValidationWarning,
};
use miette::Diagnostic;

use crate::domain::diagnostic::SourceDiagnostic;
use crate::domain::error_chain::error_chain;
use crate::domain::text_position::line_at;

use super::confusable::is_usual_text;
use super::enumerations::entity_advice;
use super::error::from_cedar;
use super::hints::{self, PolicyPlace};
use super::known_valid::{KnownValid, findings_of};
use super::policy_id::id_text;
use super::proof_memory::ProofMemory;
use super::reach::{self, RequestTypes, UnreachablePart};
use super::source_policy::{SourcePolicy, first_line};
use super::sources::SourceFiles;
use super::validation::{ValidationPurpose, deduplicated, validate};

/// The longest `@id`, in bytes: it is part of every audit record.
pub const MAX_POLICY_ID_LENGTH: usize = 128;

/// A file: its name and its text.
pub(super) type NamedText<'a> = (&'a str, &'a Arc<str>);

/// Where a policy, a template or a link is written.
#[derive(Debug)]
pub(super) struct PolicyLocation {
    pub(super) file: String,
    pub(super) span: Range<usize>,
    /// Whether it is a link: the locations in Cedar's messages are those of its template.
    pub(super) is_link: bool,
}

/// The state of parsing the policy files of a folder.
pub(super) struct FileParser<'a> {
    pub(super) sources: &'a SourceFiles,
    purpose: ValidationPurpose,
    pub(super) known_valid: KnownValid,
    /// By `@id`, or `link_id`.
    pub(super) locations: BTreeMap<String, PolicyLocation>,
    pub(super) problems: Vec<SourceDiagnostic>,
    pub(super) warnings: Vec<SourceDiagnostic>,
}

impl<'a> FileParser<'a> {
    pub(super) fn new(sources: &'a SourceFiles, purpose: ValidationPurpose) -> Self {
        Self::with_memory(sources, purpose, &Arc::default())
    }

    /// A parser that validates no policy again that `memory` knows to be valid.
    pub(super) fn with_memory(
        sources: &'a SourceFiles,
        purpose: ValidationPurpose,
        memory: &Arc<ProofMemory>,
    ) -> Self {
        Self {
            sources,
            purpose,
            known_valid: KnownValid::new(sources, purpose, memory),
            locations: BTreeMap::new(),
            problems: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// Adds a problem of a part of a file.
    pub(super) fn report(
        &mut self,
        (file, text): NamedText<'_>,
        span: Range<usize>,
        message: &str,
        help: &str,
    ) {
        let problem = SourceDiagnostic::at_span(&self.sources.label(file), text, span, message);
        self.problems.push(problem.with_help(help));
    }

    /// Adds a problem of the whole folder.
    pub(super) fn report_for_folder(&mut self, message: impl Into<String>) {
        let problem = SourceDiagnostic::for_file(&self.sources.label(""), message);
        self.problems.push(problem);
    }

    /// Adds a problem if Cedar did not accept a policy into a set.
    pub(super) fn report_if_rejected<E: Diagnostic>(
        &mut self,
        (file, text): NamedText<'_>,
        added: Result<(), E>,
    ) {
        if let Err(error) = added {
            let label = self.sources.label(file);
            let problem = from_cedar(&label, text, &error);
            self.problems.push(problem);
        }
    }

    /// The `@id` of a policy, or a problem if it is missing, invalid or taken.
    pub(super) fn check_id(
        &mut self,
        file: NamedText<'_>,
        source: &SourcePolicy,
    ) -> Option<String> {
        let Some(id) = source.annotation("id") else {
            let message = format!("the {} has no @id", self.purpose.noun());
            let help = "add @id(\"...\"), the name in decisions, audit records and proofs";
            self.report(file, source.head.clone(), &message, help);
            return None;
        };
        self.check_name(file, id, source.annotation_span("id"), "@id")
    }

    /// A name that is valid in audit records and not taken, or a problem.
    pub(super) fn check_name(
        &mut self,
        file: NamedText<'_>,
        id: &str,
        span: Range<usize>,
        what: &str,
    ) -> Option<String> {
        if id.is_empty() || id.len() > MAX_POLICY_ID_LENGTH || id.chars().any(char::is_control) {
            let message = format!("the {what} is not allowed in audit records");
            let help = format!("use 1 to {MAX_POLICY_ID_LENGTH} bytes without control characters");
            self.report(file, span, &message, &help);
            return None;
        }
        if let Some(first) = self.locations.get(id) {
            let message = format!("the {what} {id:?} is not unique");
            let help = format!("it is also in {}", self.describe_location(first));
            self.report(file, span, &message, &help);
            return None;
        }
        Some(id.to_owned())
    }

    /// The name of a policy without a valid `@id`, so that it is validated all the same.
    pub(super) fn substitute_id(file: &str, source: &SourcePolicy) -> String {
        format!("{file} at byte {}", source.span.start)
    }

    /// A location in messages: the file and the line.
    fn describe_location(&self, location: &PolicyLocation) -> String {
        let label = self.sources.label(&location.file);
        match self.sources.text(&location.file) {
            Some(text) => format!("{label}:{}", line_at(text.as_ref(), location.span.start)),
            None => label,
        }
    }

    /// Validates policies and adds what Cedar's validator finds.
    pub(super) fn validate(&mut self, set: &PolicySet, schema: &Schema) {
        let unknown = set
            .policies()
            .filter(|policy| policy.is_static() && !self.known_valid.contains(policy));
        let unknown: Vec<Policy> = unknown.cloned().collect();
        let checked = match self.checked_set(set, &unknown) {
            Ok(checked) => checked,
            Err(problem) => return self.problems.push(*problem),
        };
        let result = match validate(&checked, schema, self.purpose) {
            Ok(result) => result,
            Err(problem) => return self.problems.push(*problem),
        };
        let types = RequestTypes::new(schema);
        let mut found = findings_of(&result);
        let problems = deduplicated(
            result.validation_errors(),
            |error| self.problem_of_policy(error.policy_id(), error),
            |error, problem| {
                let id = error.policy_id();
                let static_policy = set.policy(id).filter(|policy| policy.is_static());
                let policy = static_policy.map(|policy| policy.as_ref().template());
                let policy = policy.or_else(|| set.template(id).map(AsRef::as_ref));
                let Some((policy, place)) = policy.zip(self.place(id)) else {
                    return problem.into();
                };
                let is_of_types = matches!(
                    error,
                    ValidationError::UnexpectedType(_)
                        | ValidationError::IncompatibleTypes(_)
                        | ValidationError::InvalidEnumEntity(_)
                );
                let span = problem.span().filter(|_| is_of_types);
                match span.and_then(|span| entity_advice(policy, &span)) {
                    Some(advice) => problem.with_help(advice).into(),
                    None => hints::with_hint(schema, &types, policy, &place, (error, problem)),
                }
            },
        );
        self.problems.extend(problems);
        let impossible = self.warn(result.validation_warnings());
        let policies = unknown.iter();
        let policies = policies.map(|policy| (policy.id(), policy.as_ref().template()));
        let templates = set
            .templates()
            .map(|template| (template.id(), template.as_ref()));
        for (id, policy) in policies.chain(templates) {
            let is_impossible = impossible.contains(id.as_ref() as &str);
            for mut finding in reach::findings(schema, &types, policy, is_impossible) {
                if let (None, Some(span), Some(place)) =
                    (&finding.help, &finding.span, self.place(id))
                {
                    finding.help =
                        hints::help_for_unreachable(schema, &types, policy, &place, span);
                }
                found.insert(id.to_string());
                self.warn_of(id, &finding);
            }
        }
        self.known_valid.add(unknown.iter(), &found);
    }

    /// The policies to validate, with all templates.
    fn checked_set(
        &self,
        all: &PolicySet,
        policies: &[Policy],
    ) -> Result<PolicySet, Box<SourceDiagnostic>> {
        let failed = |error: PolicySetError| {
            let label = self.sources.label("");
            Box::new(SourceDiagnostic::for_file(&label, error_chain(&error)))
        };
        let mut set = PolicySet::new();
        for policy in policies {
            set.add(policy.clone()).map_err(failed)?;
        }
        for template in all.templates() {
            set.add_template(template.clone()).map_err(failed)?;
        }
        Ok(set)
    }

    /// Where a policy is written, unless it is a link.
    fn place(&self, id: &PolicyId) -> Option<PolicyPlace<'_>> {
        let location = self.locations.get(AsRef::<str>::as_ref(id));
        let location = location.filter(|location| !location.is_link)?;
        Some(PolicyPlace {
            text: self.sources.text(&location.file)?,
            span: &location.span,
            purpose: self.purpose,
        })
    }

    /// Adds the warnings of Cedar's validator, but those about policies that never apply: returns their ids.
    fn warn<'w>(
        &mut self,
        warnings: impl Iterator<Item = &'w ValidationWarning>,
    ) -> BTreeSet<String> {
        let known = self.warnings.iter().map(SourceDiagnostic::sort_key);
        let mut known: BTreeSet<_> = known.collect();
        let mut impossible = BTreeSet::new();
        for warning in warnings {
            if matches!(
                warning,
                ValidationWarning::ImpossiblePolicy(_)
                    | ValidationWarning::InvalidActionApplication(_)
            ) {
                impossible.insert(id_text(warning.policy_id()));
                continue;
            }
            if is_usual_text(warning) {
                continue;
            }
            let warning = self.problem_of_policy(warning.policy_id(), warning);
            if known.insert(warning.sort_key()) {
                self.warnings.push(warning.into_warning());
            }
        }
        impossible
    }

    /// Adds a warning about a part of a policy that never matches; for a link, at the link.
    fn warn_of(&mut self, id: &PolicyId, finding: &UnreachablePart) {
        let id: &str = id.as_ref();
        let source = self.locations.get(id);
        let source = source.and_then(|found| Some((found, self.sources.text(&found.file)?)));
        let Some((location, text)) = source else {
            return;
        };
        let noun = if location.is_link {
            "link"
        } else {
            self.purpose.noun()
        };
        let span = match &finding.span {
            Some(span) if !location.is_link => span.clone(),
            _ => first_line(text, &location.span),
        };
        let label = self.sources.label(&location.file);
        let message = finding.message(noun, id);
        let warning = SourceDiagnostic::at_span(&label, text, span, message).into_warning();
        self.warnings.push(match &finding.help {
            Some(help) => warning.with_help(help),
            None => warning,
        });
    }

    /// Validates linked policies with their slots filled, and adds what was not found before.
    ///
    /// Cedar validates a template for whatever may fill it, and of a link little more than types.
    /// Each policy of `set` is linked to one of the templates of `all`.
    pub(super) fn validate_links(&mut self, set: &PolicySet, all: &PolicySet, schema: &Schema) {
        let result = match validate(set, schema, self.purpose) {
            Ok(result) => result,
            Err(problem) => return self.problems.push(*problem),
        };
        let mut found = findings_of(&result);
        for error in result.validation_errors() {
            let problem = self.problem_of_policy(error.policy_id(), error);
            self.problems.push(problem);
        }
        let impossible = self.warn(result.validation_warnings());
        let types = RequestTypes::new(schema);
        // What never matches whatever fills the slots is told of the template.
        let of_template = |template: &Template| -> BTreeSet<String> {
            let found = reach::findings(schema, &types, template.as_ref(), false);
            found.into_iter().map(|finding| finding.reason).collect()
        };
        let mut known: BTreeMap<&PolicyId, BTreeSet<String>> = BTreeMap::new();
        for policy in set.policies() {
            let id = policy.id();
            let linked = all.policy(id).and_then(Policy::template_id);
            let template = linked.and_then(|id| Some((id, all.template(id)?)));
            let known = template
                .map(|(id, template)| &*known.entry(id).or_insert_with(|| of_template(template)));
            let is_impossible = impossible.contains(id.as_ref() as &str);
            let policy = policy.as_ref().template();
            for finding in reach::findings(schema, &types, policy, is_impossible) {
                if !known.is_some_and(|known| known.contains(&finding.reason)) {
                    found.insert(id.to_string());
                    self.warn_of(id, &finding);
                }
            }
        }
        let linked = set.policies().filter_map(|policy| all.policy(policy.id()));
        self.known_valid.add(linked, &found);
    }

    /// A message of Cedar about a policy. Where Cedar names no location, it is the policy's first
    /// line.
    fn problem_of_policy(&self, id: &PolicyId, said: &dyn Diagnostic) -> SourceDiagnostic {
        let location = self.locations.get(AsRef::<str>::as_ref(id));
        let source = location.and_then(|found| Some((found, self.sources.text(&found.file)?)));
        let Some((location, text)) = source else {
            return SourceDiagnostic::for_file(&self.sources.label(""), error_chain(said));
        };
        let label = self.sources.label(&location.file);
        if location.is_link {
            let span = location.span.clone();
            return SourceDiagnostic::at_span(&label, text, span, error_chain(said));
        }
        let problem = from_cedar(&label, text, said);
        match problem.span() {
            Some(_) => problem,
            None => problem.with_span(&first_line(text, &location.span)),
        }
    }
}
