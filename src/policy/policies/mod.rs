//! Policies of a bundle: parsed, named by their `@id`, and validated against the schema.
//!
//! Every problem of every file is told at once. This module refuses to know how a policy is
//! evaluated.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::Arc;

use cedar_policy::{Policy, PolicyId, PolicySet, Schema, SlotId, Template};

use crate::domain::decision::MAX_TOKEN_TTL;

use super::diagnostic::BundleDiagnostic;
use super::links::{self, TemplateLink};
use super::source_policy;
use super::source_policy::Written;
use super::sources::SourceFiles;

mod validated;

/// The longest `@id`, in bytes: it stands in every audit record.
pub const MAX_POLICY_ID_LENGTH: usize = 128;
/// The annotations that Cedargate reads.
const ANNOTATIONS: [&str; 3] = ["id", "reason", "max_ttl"];
/// The most letters in which a misspelt annotation differs from the one that was meant.
pub(super) const MAX_SPELLING_DISTANCE: usize = 2;
/// The most policies of a bundle.
pub const MAX_POLICIES: usize = 100_000;

/// One policy, as people are told about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyInfo {
    /// Its `@id`; the `link_id` of a linked policy.
    pub id: String,
    /// The file it stands in, relative to the folder.
    pub file: String,
    /// The template that it is linked to.
    pub template: Option<String>,
    /// Whether it permits; it forbids otherwise.
    pub is_permit: bool,
    /// Its `@reason`, for authors and auditors.
    pub reason: Option<String>,
    /// Its `@max_ttl`: how many seconds a token that it permits may live.
    pub max_ttl: Option<u32>,
}

impl PolicyInfo {
    /// The name of its file without the ending: a case file beside it begins so.
    pub(super) fn stem(&self) -> Option<&str> {
        let ending = [".links.json", ".cedar"];
        ending
            .iter()
            .find_map(|ending| self.file.strip_suffix(ending))
    }
}

/// The policies of a bundle that has no errors.
#[derive(Debug)]
pub(super) struct ValidPolicies {
    /// The policies as Cedar evaluates them, each named by its `@id`.
    pub(super) set: Arc<PolicySet>,
    /// The policies as people are told about them, by `@id`.
    pub(super) info: BTreeMap<String, PolicyInfo>,
    /// The templates as policies that are not in force, by `@id`.
    pub(super) templates: BTreeMap<String, PolicyInfo>,
    /// Where policies and templates stand, by `@id`.
    pub(super) locations: BTreeMap<String, PolicyLocation>,
    /// What validation warns of.
    pub(super) warnings: Vec<BundleDiagnostic>,
}

/// Reads every policy file; without a schema the policies are parsed but not validated.
pub(super) fn parse_policies(
    sources: &SourceFiles,
    schema: Option<&Schema>,
) -> Result<ValidPolicies, Vec<BundleDiagnostic>> {
    let mut reading = PolicyParser::new(sources);
    for (file, text) in sources.policies() {
        reading.parse_file(file, text);
    }
    for (file, text) in sources.links() {
        reading.parse_links(file, text);
    }
    if sources.policies().next().is_none() && sources.problems().is_empty() {
        let problem =
            BundleDiagnostic::for_file(&sources.label(""), "there is no policy in the folder")
                .with_help("add a .cedar file: without policies every request would be denied");
        reading.problems.push(problem);
    }
    if reading.set.num_of_policies() + reading.set.num_of_templates() > MAX_POLICIES {
        let message = format!("there are more than {MAX_POLICIES} policies and templates");
        let problem = BundleDiagnostic::for_file(&sources.label(""), message);
        reading.problems.push(problem);
    } else if let Some(schema) = schema {
        reading.validate(schema);
    }
    reading.finish()
}

/// Where a policy stands.
#[derive(Debug)]
pub(super) struct PolicyLocation {
    pub(super) file: String,
    pub(super) span: Range<usize>,
    /// Whether it is a link: what Cedar says of it has the places of its template.
    is_link: bool,
}

struct PolicyParser<'a> {
    sources: &'a SourceFiles,
    set: PolicySet,
    info: BTreeMap<String, PolicyInfo>,
    /// The templates as policies that are not in force, by `@id`.
    templates: BTreeMap<String, PolicyInfo>,
    locations: BTreeMap<String, PolicyLocation>,
    problems: Vec<BundleDiagnostic>,
    warnings: Vec<BundleDiagnostic>,
}

impl<'a> PolicyParser<'a> {
    fn new(sources: &'a SourceFiles) -> Self {
        Self {
            sources,
            set: PolicySet::new(),
            info: BTreeMap::new(),
            templates: BTreeMap::new(),
            locations: BTreeMap::new(),
            problems: Vec::new(),
            warnings: Vec::new(),
        }
    }

    fn finish(self) -> Result<ValidPolicies, Vec<BundleDiagnostic>> {
        if self.problems.is_empty() {
            Ok(ValidPolicies {
                set: Arc::new(self.set),
                info: self.info,
                templates: self.templates,
                locations: self.locations,
                warnings: self.warnings,
            })
        } else {
            Err(self.problems)
        }
    }

    fn parse_file(&mut self, file: &str, text: &Arc<str>) {
        let parsed = match source_policy::parse(&self.sources.label(file), text) {
            Ok(parsed) => parsed,
            Err(problems) => return self.problems.extend(problems),
        };
        let mut templates: Vec<&Template> = parsed.templates().collect();
        templates.sort_by_key(|template| Written::from_template(template, text).span.start);
        for template in templates {
            let written = Written::from_template(template, text);
            let listed = self.check_policy(file, text, &written);
            let added = self
                .set
                .add_template(template.new_id(PolicyId::new(&listed.id)));
            self.templates.insert(listed.id.clone(), listed);
            self.report_if_rejected(file, text, added);
        }
        let mut policies: Vec<(Written, &Policy)> = parsed
            .policies()
            .map(|policy| (Written::from_policy(policy, text), policy))
            .collect();
        policies.sort_by_key(|(written, _)| written.span.start);
        for (written, policy) in policies {
            let listed = self.check_policy(file, text, &written);
            let added = self.set.add(policy.new_id(PolicyId::new(&listed.id)));
            self.info.insert(listed.id.clone(), listed);
            self.report_if_rejected(file, text, added);
        }
    }

    /// Checks a policy or a template; without a name of its own it is named by its place, so that it
    /// is validated all the same.
    fn check_policy(&mut self, file: &str, text: &Arc<str>, written: &Written) -> PolicyInfo {
        let id = self
            .check_id((file, text), written)
            .unwrap_or_else(|| format!("{file} at byte {}", written.span.start));
        let max_ttl = self.check_max_ttl(file, text, written);
        self.warn_misspelt_annotations(file, text, written);
        let place = PolicyLocation {
            file: file.to_owned(),
            span: written.span.clone(),
            is_link: false,
        };
        self.locations.insert(id.clone(), place);
        PolicyInfo {
            id,
            file: file.to_owned(),
            template: None,
            is_permit: written.is_permit,
            reason: written.annotation("reason").map(str::to_owned),
            max_ttl,
        }
    }

    fn report_if_rejected(
        &mut self,
        file: &str,
        text: &Arc<str>,
        added: Result<(), cedar_policy::PolicySetError>,
    ) {
        if let Err(error) = added {
            let label = self.sources.label(file);
            let problem = BundleDiagnostic::from_cedar(&label, text, &error);
            self.problems.push(problem);
        }
    }

    fn parse_links(&mut self, file: &str, text: &Arc<str>) {
        let (links, problems) = links::parse(&self.sources.label(file), text);
        self.problems.extend(problems);
        for link in links {
            self.add_link((file, text), link);
        }
    }

    fn add_link(&mut self, place: (&str, &Arc<str>), link: TemplateLink) {
        let (file, text) = place;
        let span = link.name.span.clone();
        let checked = self.check_name(place, &link.name.text, span, "link_id");
        let template_id = PolicyId::new(&link.template_id.text);
        let Some(template) = self.set.template(&template_id) else {
            let message = format!("there is no template with the @id {template_id}");
            let help = "a template is a policy with ?principal or ?resource in its scope";
            return self.report(place, link.template_id.span, &message, help);
        };
        let slots: Vec<SlotId> = template.slots().cloned().collect();
        let given = |slot: &SlotId| link.values.iter().any(|value| value.slot == *slot);
        let missing = slots.iter().find(|slot| !given(slot)).cloned();
        let extra = link.values.iter().find(|v| !slots.contains(&v.slot));
        if let Some(slot) = missing {
            let message = format!("nothing fills {slot} of the template {template_id}");
            return self.report(place, link.span, &message, "fill it in args");
        }
        if let Some(extra) = extra {
            let message = format!("the template {template_id} has no {}", extra.slot);
            let span = extra.span.clone();
            return self.report(place, span, &message, "leave it out of args");
        }
        let (Some(id), Some(template)) = (checked, self.templates.get(&link.template_id.text))
        else {
            return;
        };
        let listed = PolicyInfo {
            id: id.clone(),
            file: file.to_owned(),
            template: Some(template.id.clone()),
            ..template.clone()
        };
        self.info.insert(id.clone(), listed);
        let values = link.values.into_iter();
        let values: HashMap<SlotId, _> = values.map(|v| (v.slot, v.entity)).collect();
        let linked = self.set.link(template_id, PolicyId::new(&id), values);
        self.report_if_rejected(file, text, linked);
        let place = PolicyLocation {
            file: file.to_owned(),
            span: link.span,
            is_link: true,
        };
        self.locations.insert(id, place);
    }

    fn report(
        &mut self,
        (file, text): (&str, &Arc<str>),
        span: Range<usize>,
        message: &str,
        help: &str,
    ) {
        let problem = BundleDiagnostic::at_span(&self.sources.label(file), text, span, message);
        self.problems.push(problem.with_help(help));
    }

    /// The `@id`, unless there is none, an unusable one or another policy's.
    fn check_id(&mut self, place: (&str, &Arc<str>), written: &Written) -> Option<String> {
        let Some(id) = written.annotation("id") else {
            let help = "write @id(\"...\") above it: decisions and audit records name it so";
            self.report(place, written.head.clone(), "the policy has no @id", help);
            return None;
        };
        self.check_name(place, id, written.annotation_span("id"), "@id")
    }

    fn check_name(
        &mut self,
        place: (&str, &Arc<str>),
        id: &str,
        span: Range<usize>,
        what: &str,
    ) -> Option<String> {
        if id.is_empty() || id.len() > MAX_POLICY_ID_LENGTH || id.chars().any(char::is_control) {
            let message = format!("the {what} cannot stand in a record");
            let help =
                format!("write 1 to {MAX_POLICY_ID_LENGTH} bytes without control characters");
            self.report(place, span, &message, &help);
            return None;
        }
        if let Some(first) = self.locations.get(id) {
            let message = format!("two policies have the {what} {id:?}");
            let help = format!("the other one is in {}", self.describe_location(first));
            self.report(place, span, &message, &help);
            return None;
        }
        Some(id.to_owned())
    }

    /// A place as messages name it: the file and the line.
    fn describe_location(&self, place: &PolicyLocation) -> String {
        let label = self.sources.label(&place.file);
        let before = self.sources.text(&place.file);
        match before.and_then(|text| text.get(..place.span.start)) {
            Some(before) => format!("{label}:{}", before.split('\n').count()),
            None => label,
        }
    }

    /// The policy's `@max_ttl` in seconds, if it has one that is allowed.
    fn check_max_ttl(&mut self, file: &str, text: &Arc<str>, policy: &Written) -> Option<u32> {
        let written = policy.annotation("max_ttl")?;
        let is_decimal = written.bytes().all(|byte| byte.is_ascii_digit());
        let seconds = written.parse::<u32>().ok().filter(|_| is_decimal);
        let message = match seconds {
            _ if !policy.is_permit => {
                "@max_ttl stands on a forbid, which gives no token".to_owned()
            }
            Some(seconds @ 1..=MAX_TOKEN_TTL) => return Some(seconds),
            _ => format!("@max_ttl is {written:?}, not a number of seconds"),
        };
        let span = policy.annotation_span("max_ttl");
        let help = format!("write a whole number from 1 to {MAX_TOKEN_TTL} on a permit");
        self.report((file, text), span, &message, &help);
        None
    }

    /// Annotations of a deployment's own are welcome; one that is nearly ours is most likely meant so.
    fn warn_misspelt_annotations(&mut self, file: &str, text: &Arc<str>, policy: &Written) {
        for name in policy.annotation_names() {
            let is_near = |ours: &&&str| strsim::osa_distance(name, ours) <= MAX_SPELLING_DISTANCE;
            let Some(meant) = ANNOTATIONS
                .iter()
                .find(is_near)
                .filter(|ours| **ours != name)
            else {
                continue;
            };
            let span = policy.annotation_span(name);
            let message = format!("the annotation @{name} means nothing to Cedargate");
            let problem =
                BundleDiagnostic::at_span(&self.sources.label(file), text, span, &message);
            let help = format!("did you mean @{meant}?");
            self.warnings.push(problem.with_help(&help).into_warning());
        }
    }
}
