//! Policies of a bundle: parsed, named by their `@id`, and validated against the schema.
//!
//! Every problem of every file is told at once. This module refuses to know how a policy is
//! evaluated.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use cedar_policy::{
    Effect, Policy, PolicyId, PolicySet, Schema, Template, ValidationError, ValidationMode,
    Validator,
};

use crate::domain::decision::LONGEST_TOKEN_LIFE;

use super::problem::Problem;
use super::sources::Sources;

/// The longest `@id`, in bytes: it stands in every audit record.
pub const LONGEST_POLICY_ID: usize = 128;
/// The annotations that Cedargate reads.
const ANNOTATIONS: [&str; 3] = ["id", "reason", "max_ttl"];
/// The most letters in which a misspelt annotation differs from the one that was meant.
pub(super) const FURTHEST_MISSPELLING: usize = 2;
/// The most policies of a bundle.
pub const MOST_POLICIES: usize = 100_000;
/// How many attributes deep a policy may reach: the principal's and the resource's own
/// (<https://docs.cedarpolicy.com/policies/level-validation.html>).
const DEEPEST_LEVEL: u32 = 1;

/// One policy, as people are told about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedPolicy {
    /// Its `@id`.
    pub id: String,
    /// The file it stands in, relative to the folder.
    pub file: String,
    /// Whether it permits; it forbids otherwise.
    pub is_permit: bool,
    /// Its `@reason`, for authors and auditors.
    pub reason: Option<String>,
    /// Its `@max_ttl`: how many seconds a token that it permits may live.
    pub max_ttl: Option<u32>,
}

/// The policies of a bundle that has no errors.
#[derive(Debug)]
pub(super) struct Policies {
    /// The policies as Cedar evaluates them, each named by its `@id`.
    pub(super) set: Arc<PolicySet>,
    /// The policies as people are told about them, by `@id`.
    pub(super) listed: BTreeMap<String, ListedPolicy>,
    /// What validation warns of.
    pub(super) warnings: Vec<Problem>,
}

/// The resources of administration, which have none of a dataset's attributes.
const NOT_DATASETS: [&str; 3] = ["Role", "Server", "User"];
/// What helps a policy that is meant for datasets and does not say so.
const ONLY_DATASETS: &str = "its scope takes in administration too, which is about users, roles and the \
    server: name its actions, or write `resource is Dataset`";

/// Reads every policy file; without a schema the policies are parsed but not validated.
pub(super) fn read(sources: &Sources, schema: Option<&Schema>) -> Result<Policies, Vec<Problem>> {
    let mut reading = Reading::new(sources);
    for (file, text) in sources.policies() {
        reading.file(file, text);
    }
    if sources.policies().next().is_none() && sources.problems().is_empty() {
        let problem = Problem::of_file(&sources.label(""), "there is no policy in the folder")
            .with_help("add a .cedar file: without policies every request would be denied");
        reading.problems.push(problem);
    }
    if reading.set.num_of_policies() > MOST_POLICIES {
        let message = format!("there are more than {MOST_POLICIES} policies");
        let problem = Problem::of_file(&sources.label(""), message);
        reading.problems.push(problem);
    } else if let Some(schema) = schema {
        reading.validate(schema);
    }
    reading.finish()
}

/// Where a policy stands.
struct Place {
    file: String,
    span: Range<usize>,
}

struct Reading<'a> {
    sources: &'a Sources,
    set: PolicySet,
    listed: BTreeMap<String, ListedPolicy>,
    places: BTreeMap<String, Place>,
    problems: Vec<Problem>,
    warnings: Vec<Problem>,
}

impl<'a> Reading<'a> {
    fn new(sources: &'a Sources) -> Self {
        Self {
            sources,
            set: PolicySet::new(),
            listed: BTreeMap::new(),
            places: BTreeMap::new(),
            problems: Vec::new(),
            warnings: Vec::new(),
        }
    }

    fn finish(self) -> Result<Policies, Vec<Problem>> {
        if self.problems.is_empty() {
            Ok(Policies {
                set: Arc::new(self.set),
                listed: self.listed,
                warnings: self.warnings,
            })
        } else {
            Err(self.problems)
        }
    }

    fn file(&mut self, file: &str, text: &Arc<str>) {
        let parsed = match text.parse::<PolicySet>() {
            Ok(parsed) => parsed,
            Err(errors) => {
                let label = self.sources.label(file);
                let problems = errors
                    .iter()
                    .map(|error| Problem::from_cedar(&label, text, error));
                self.problems.extend(problems);
                return;
            }
        };
        for template in parsed.templates() {
            let message = "templates are not supported yet";
            let help = "write a policy of its own for each principal or resource";
            let span = template_span(template, text);
            self.refuse((file, text), span, message, help);
        }
        let mut policies: Vec<&Policy> = parsed.policies().collect();
        policies.sort_by_key(|policy| policy_span(policy, text).start);
        for policy in policies {
            self.policy(file, text, policy);
        }
    }

    fn policy(&mut self, file: &str, text: &Arc<str>, policy: &Policy) {
        let span = policy_span(policy, text);
        let checked = self.check_id((file, text), policy, &span);
        // A policy without a name of its own is still validated, under its place.
        let id = checked
            .clone()
            .unwrap_or_else(|| format!("{file} at byte {}", span.start));
        if let Err(error) = self.set.add(policy.new_id(PolicyId::new(&id))) {
            let label = self.sources.label(file);
            let problem = Problem::from_cedar(&label, text, &error);
            self.problems.push(problem);
        }
        let max_ttl = self.check_max_ttl(file, text, policy);
        self.warn_of_misspelt_annotations(file, text, policy);
        if checked.is_some() {
            let listed = ListedPolicy {
                id: id.clone(),
                file: file.to_owned(),
                is_permit: policy.effect() == Effect::Permit,
                reason: policy.annotation("reason").map(str::to_owned),
                max_ttl,
            };
            self.listed.insert(id.clone(), listed);
        }
        let file = file.to_owned();
        self.places.insert(id, Place { file, span });
    }

    fn refuse(
        &mut self,
        (file, text): (&str, &Arc<str>),
        span: Range<usize>,
        message: &str,
        help: &str,
    ) {
        let problem = Problem::at(&self.sources.label(file), text, span, message);
        self.problems.push(problem.with_help(help));
    }

    /// The policy's `@id`, unless it has none, an unusable one or another policy's.
    fn check_id(
        &mut self,
        place: (&str, &Arc<str>),
        policy: &Policy,
        span: &Range<usize>,
    ) -> Option<String> {
        let Some(id) = policy.annotation("id") else {
            let help = "write @id(\"...\") above it: decisions and audit records name it so";
            let span = first_line(place.1, span);
            self.refuse(place, span, "the policy has no @id", help);
            return None;
        };
        let id_span = annotation_span(policy, "id").unwrap_or_else(|| span.clone());
        if id.is_empty() || id.len() > LONGEST_POLICY_ID || id.chars().any(char::is_control) {
            let help = format!("write 1 to {LONGEST_POLICY_ID} bytes without control characters");
            self.refuse(place, id_span, "the @id cannot stand in a record", &help);
            return None;
        }
        if let Some(first) = self.places.get(id) {
            let message = format!("two policies have the @id {id:?}");
            let help = format!("the other one is in {}", self.told(first));
            self.refuse(place, id_span, &message, &help);
            return None;
        }
        Some(id.to_owned())
    }

    /// A place as messages name it: the file and the line.
    fn told(&self, place: &Place) -> String {
        let label = self.sources.label(&place.file);
        let before = self.sources.text(&place.file);
        match before.and_then(|text| text.get(..place.span.start)) {
            Some(before) => format!("{label}:{}", before.split('\n').count()),
            None => label,
        }
    }

    /// The policy's `@max_ttl` in seconds, if it has one that is allowed.
    fn check_max_ttl(&mut self, file: &str, text: &Arc<str>, policy: &Policy) -> Option<u32> {
        let written = policy.annotation("max_ttl")?;
        let is_decimal = written.bytes().all(|byte| byte.is_ascii_digit());
        let seconds = written.parse::<u32>().ok().filter(|_| is_decimal);
        let message = match seconds {
            _ if policy.effect() == Effect::Forbid => {
                "@max_ttl stands on a forbid, which gives no token".to_owned()
            }
            Some(seconds @ 1..=LONGEST_TOKEN_LIFE) => return Some(seconds),
            _ => format!("@max_ttl is {written:?}, not a number of seconds"),
        };
        let span = annotation_span(policy, "max_ttl").unwrap_or_else(|| policy_span(policy, text));
        let help = format!("write a whole number from 1 to {LONGEST_TOKEN_LIFE} on a permit");
        self.refuse((file, text), span, &message, &help);
        None
    }

    /// Annotations of a deployment's own are welcome; one that is nearly ours is most likely meant so.
    fn warn_of_misspelt_annotations(&mut self, file: &str, text: &Arc<str>, policy: &Policy) {
        for (name, _) in policy.annotations() {
            let is_near = |ours: &&&str| strsim::osa_distance(name, ours) <= FURTHEST_MISSPELLING;
            let Some(meant) = ANNOTATIONS
                .iter()
                .find(is_near)
                .filter(|ours| **ours != name)
            else {
                continue;
            };
            let span = annotation_span(policy, name).unwrap_or_else(|| policy_span(policy, text));
            let message = format!("the annotation @{name} means nothing to Cedargate");
            let problem = Problem::at(&self.sources.label(file), text, span, &message);
            let help = format!("did you mean @{meant}?");
            self.warnings.push(problem.with_help(&help).into_warning());
        }
    }

    fn validate(&mut self, schema: &Schema) {
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
    }

    fn of_policy<D: miette::Diagnostic>(&self, id: &PolicyId, said: &D) -> Problem {
        let id: &str = id.as_ref();
        let place = self.places.get(id);
        let file = place.map_or("", |place| place.file.as_str());
        let label = self.sources.label(file);
        match self.sources.text(file) {
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
pub(super) fn told_once<'a>(
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

/// The bytes of a policy, its annotations included.
///
/// Cedar keeps the place of a policy in its syntax tree alone, and hands that out only this way.
pub(super) fn policy_span(policy: &Policy, text: &str) -> Range<usize> {
    match policy.as_ref().loc() {
        Some(loc) => loc.start()..loc.end(),
        None => 0..text.len(),
    }
}

pub(super) fn template_span(template: &Template, text: &str) -> Range<usize> {
    match template.as_ref().loc() {
        Some(loc) => first_line(text, &(loc.start()..loc.end())),
        None => 0..text.len(),
    }
}

pub(super) fn annotation_span(policy: &Policy, key: &str) -> Option<Range<usize>> {
    policy
        .as_ref()
        .annotations()
        .find(|(name, _)| name.as_ref() == key)
        .and_then(|(_, annotation)| annotation.loc.as_ref())
        .map(|loc| loc.start()..loc.end())
}

/// The part of a span that stands on its first line.
pub(super) fn first_line(text: &str, span: &Range<usize>) -> Range<usize> {
    let inside = text.get(span.clone()).unwrap_or_default();
    let length = inside.find('\n').unwrap_or(inside.len());
    span.start..span.start + length
}
