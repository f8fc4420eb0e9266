//! The policies of a bundle: parsed, named by their `@id`, and validated against the schema.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::Arc;

use cedar_policy::{Policy, PolicyId, PolicySet, Schema, SlotId};

use crate::domain::decision::MAX_TOKEN_TTL;
use crate::domain::diagnostic::SourceDiagnostic;
use crate::domain::error_chain::error_chain;
use crate::domain::suggest::closest;

use super::access_types::AUTHZEN;
use super::file_parser::{FileParser, NamedText, PolicyLocation};
use super::links::{self, TemplateLink, instantiate};
use super::proof_memory::{ParsedFiles, ProofMemory};
use super::source_policy::{self, SourcePolicy, policies_in_order, templates_in_order};
use super::sources::SourceFiles;
use super::validation::ValidationPurpose;

/// The annotations that Cedargate reads.
pub(super) const ANNOTATIONS: [&str; 4] = ["id", "reason", "max_ttl", TELL];
/// The annotation of policies whose `@reason` is told to whoever is denied or permitted by them.
pub(super) const TELL: &str = "tell";
/// The most policies of a bundle.
pub const MAX_POLICIES: usize = 100_000;

/// The description of one policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyInfo {
    /// Its `@id`; the `link_id` of a linked policy.
    pub id: String,
    /// Its file, relative to the folder.
    pub file: String,
    /// The template that it is linked to.
    pub template: Option<String>,
    /// Whether it is a permit; otherwise it is a forbid.
    pub is_permit: bool,
    /// Its `@reason`, for authors and auditors.
    pub reason: Option<String>,
    /// Its `@max_ttl`: the longest life of a token that it permits, in seconds.
    pub max_ttl: Option<u32>,
    /// Whether its `@reason` may be told to whoever asks (AuthZEN): `@tell`.
    pub is_told: bool,
}

impl PolicyInfo {
    /// The name of its file without the suffix; the case file beside it has the same.
    pub(super) fn stem(&self) -> Option<&str> {
        [".links.json", ".cedar"]
            .iter()
            .find_map(|suffix| self.file.strip_suffix(suffix))
    }
}

/// The policies of a bundle without errors.
#[derive(Debug)]
pub(super) struct ValidPolicies {
    /// The policies as Cedar evaluates them, each named by its `@id`.
    pub(super) set: Arc<PolicySet>,
    /// The descriptions of the policies, by `@id`.
    pub(super) info: BTreeMap<String, PolicyInfo>,
    /// The descriptions of the templates, by `@id`.
    pub(super) templates: BTreeMap<String, PolicyInfo>,
    /// The source locations of policies and templates, by `@id`.
    pub(super) locations: BTreeMap<String, PolicyLocation>,
    /// What validation warns of.
    pub(super) warnings: Vec<SourceDiagnostic>,
}

/// Parses every policy file; without a schema the policies are not validated.
pub(super) fn parse_policies(
    sources: &SourceFiles,
    schema: Option<&Schema>,
    memory: &Arc<ProofMemory>,
) -> Result<ValidPolicies, Vec<SourceDiagnostic>> {
    let mut parser = PolicyParser {
        files: FileParser::with_memory(sources, ValidationPurpose::Decisions, memory),
        set: PolicySet::new(),
        info: BTreeMap::new(),
        templates: BTreeMap::new(),
        memory,
        parsed: ParsedFiles::new(),
    };
    for file in sources.policies() {
        parser.parse_file(file);
    }
    for file in sources.links() {
        parser.parse_links(file);
    }
    // Files that a failed template left empty are no policies either.
    let is_empty = parser.set.num_of_policies() + parser.set.num_of_templates() == 0;
    if is_empty && parser.files.problems.is_empty() && sources.problems().is_empty() {
        let problem = SourceDiagnostic::for_file(&sources.label(""), "the folder has no policies")
            .with_help("add a policy to a .cedar file: without policies every request is denied");
        parser.files.problems.push(problem);
    }
    if parser.set.num_of_policies() + parser.set.num_of_templates() > MAX_POLICIES {
        let message = format!("more than {MAX_POLICIES} policies and templates");
        parser.files.report_for_folder(message);
    } else if let Some(schema) = schema {
        parser.validate(schema);
    }
    parser.finish()
}

struct PolicyParser<'a> {
    files: FileParser<'a>,
    set: PolicySet,
    info: BTreeMap<String, PolicyInfo>,
    templates: BTreeMap<String, PolicyInfo>,
    memory: &'a ProofMemory,
    parsed: ParsedFiles,
}

impl PolicyParser<'_> {
    fn finish(self) -> Result<ValidPolicies, Vec<SourceDiagnostic>> {
        self.memory.set_parsed(self.parsed);
        if !self.files.problems.is_empty() {
            return Err(self.files.problems);
        }
        Ok(ValidPolicies {
            set: Arc::new(self.set),
            info: self.info,
            templates: self.templates,
            locations: self.files.locations,
            warnings: self.files.warnings,
        })
    }

    fn parse_file(&mut self, file: NamedText<'_>) {
        let (name, text) = file;
        let parsed = match self.memory.parsed(name, text) {
            Some(parsed) => parsed,
            None => match source_policy::parse(&self.files.sources.label(name), text) {
                Ok(parsed) => Arc::new(parsed),
                Err(problems) => return self.files.problems.extend(problems),
            },
        };
        let known = (Arc::clone(text), Arc::clone(&parsed));
        self.parsed.insert(name.to_owned(), known);
        for (source, template) in templates_in_order(&parsed, text) {
            let info = self.check_policy(file, &source);
            let added = self
                .set
                .add_template(template.new_id(PolicyId::new(&info.id)));
            self.templates.insert(info.id.clone(), info);
            self.files.report_if_rejected(file, added);
        }
        for (source, policy) in policies_in_order(&parsed, text) {
            let info = self.check_policy(file, &source);
            let added = self.set.add(policy.new_id(PolicyId::new(&info.id)));
            self.info.insert(info.id.clone(), info);
            self.files.report_if_rejected(file, added);
        }
    }

    /// Checks the annotations of a policy or a template and records its location.
    fn check_policy(&mut self, file: NamedText<'_>, source: &SourcePolicy) -> PolicyInfo {
        let (name, _) = file;
        let id = self.files.check_id(file, source);
        let id = id.unwrap_or_else(|| FileParser::substitute_id(name, source));
        let max_ttl = self.check_max_ttl(file, source);
        let is_told = self.check_tell(file, source);
        self.check_not_invariant(file, source);
        self.warn_misspelt_annotations(file, source);
        let location = PolicyLocation {
            file: name.to_owned(),
            span: source.span.clone(),
            is_link: false,
        };
        self.files.locations.insert(id.clone(), location);
        PolicyInfo {
            id,
            file: name.to_owned(),
            template: None,
            is_permit: source.is_permit,
            reason: source.annotation("reason").map(str::to_owned),
            max_ttl,
            is_told,
        }
    }

    fn parse_links(&mut self, file: NamedText<'_>) {
        let (name, text) = file;
        let (links, problems) = links::parse(&self.files.sources.label(name), text);
        self.files.problems.extend(problems);
        for link in links {
            self.add_link(file, link);
        }
    }

    fn add_link(&mut self, file: NamedText<'_>, link: TemplateLink) {
        let name = &link.name;
        let checked = self
            .files
            .check_name(file, &name.text, name.span.clone(), "link_id");
        let template_id = PolicyId::new(&link.template_id.text);
        if let Err((span, message, help)) = self.check_slots(&link, &template_id) {
            return self.files.report(file, span, &message, help);
        }
        let (Some(id), Some(template)) = (checked, self.templates.get(&link.template_id.text))
        else {
            return;
        };
        let info = PolicyInfo {
            id: id.clone(),
            file: file.0.to_owned(),
            template: Some(template.id.clone()),
            ..template.clone()
        };
        self.info.insert(id.clone(), info);
        let values = link.values.into_iter();
        let values: HashMap<SlotId, _> = values.map(|v| (v.slot, v.entity)).collect();
        let linked = self.set.link(template_id, PolicyId::new(&id), values);
        self.files.report_if_rejected(file, linked);
        let location = PolicyLocation {
            file: file.0.to_owned(),
            span: link.span,
            is_link: true,
        };
        self.files.locations.insert(id, location);
    }

    /// Whether a link fills every slot of its template and no other; where not, the span, the message
    /// and the help.
    fn check_slots(
        &self,
        link: &TemplateLink,
        template_id: &PolicyId,
    ) -> Result<(), (Range<usize>, String, &'static str)> {
        let Some(template) = self.set.template(template_id) else {
            let message = format!("template `{template_id}` not found");
            let help = "a template is a policy with ?principal or ?resource in its scope";
            return Err((link.template_id.span.clone(), message, help));
        };
        let slots: Vec<&SlotId> = template.slots().collect();
        let is_filled = |slot: &&SlotId| link.values.iter().any(|value| value.slot == **slot);
        if let Some(slot) = slots.iter().find(|slot| !is_filled(slot)) {
            let message = format!("slot {slot} of template `{template_id}` is not filled");
            return Err((link.span.clone(), message, "fill it in args"));
        }
        match link.values.iter().find(|v| !slots.contains(&&v.slot)) {
            Some(extra) => {
                let message = format!("template `{template_id}` has no slot {}", extra.slot);
                Err((extra.span.clone(), message, "remove it from args"))
            }
            None => Ok(()),
        }
    }

    /// The policy's `@max_ttl` in seconds, if it has one that is allowed.
    fn check_max_ttl(&mut self, file: NamedText<'_>, source: &SourcePolicy) -> Option<u32> {
        let value = source.annotation("max_ttl")?;
        let is_decimal = value.bytes().all(|byte| byte.is_ascii_digit());
        let seconds = value.parse::<u32>().ok().filter(|_| is_decimal);
        let message = match seconds {
            _ if !source.is_permit => "@max_ttl has no meaning on a forbid".to_owned(),
            Some(seconds @ 1..=MAX_TOKEN_TTL) => return Some(seconds),
            _ => format!("@max_ttl is {value:?}, not a number of seconds"),
        };
        let span = source.annotation_span("max_ttl");
        let help = format!("use a whole number from 1 to {MAX_TOKEN_TTL}, on a permit");
        self.files.report(file, span, &message, &help);
        None
    }

    /// Whether the policy has `@tell`, or `@tell("true")`, and a reason to tell.
    fn check_tell(&mut self, (file, text): NamedText<'_>, source: &SourcePolicy) -> bool {
        let is_told = match source.annotation(TELL) {
            None | Some("false") => return false,
            Some("" | "true") => true,
            Some(other) => {
                let span = source.annotation_span(TELL);
                let message = format!("@tell is {other:?}, neither true nor false");
                let help = "write @tell to tell the @reason to the subject of a question";
                self.files.report((file, text), span, &message, help);
                return false;
            }
        };
        if source.annotation("reason").is_none_or(str::is_empty) {
            let label = self.files.sources.label(file);
            let message = "@tell has nothing to tell: the policy has no @reason";
            let span = source.annotation_span(TELL);
            let problem = SourceDiagnostic::at_span(&label, text, span, message);
            self.files.warnings.push(problem.into_warning());
        }
        is_told
    }

    /// An invariant says what policies may permit at most: as a policy it would permit all of that.
    fn check_not_invariant(&mut self, file: NamedText<'_>, source: &SourcePolicy) {
        if source.annotation("invariant").is_some() {
            let span = source.annotation_span("invariant");
            let message = "an invariant outside the folder `invariants` would be a policy in force";
            let help = "move it into the folder `invariants` of the policy folder, in lower case; \
                        or remove @invariant";
            self.files.report(file, span, message, help);
        }
    }

    /// Deployments may add annotations; one that is nearly ours is most likely misspelt.
    fn warn_misspelt_annotations(&mut self, (file, text): NamedText<'_>, source: &SourcePolicy) {
        for name in source.annotation_names() {
            let help = if name == AUTHZEN {
                "it names entity types and actions, in schema.cedarschema".to_owned()
            } else if let Some(meant) = misspelt_annotation(name) {
                format!("did you mean @{meant}?")
            } else {
                continue;
            };
            let message = format!("Cedargate does not use the annotation @{name} of a policy");
            let label = self.files.sources.label(file);
            let span = source.annotation_span(name);
            let problem = SourceDiagnostic::at_span(&label, text, span, message).with_help(help);
            self.files.warnings.push(problem.into_warning());
        }
    }

    fn validate(&mut self, schema: &Schema) {
        self.files.validate(&self.set, schema);
        if !self.files.problems.is_empty() {
            return;
        }
        let linked = self.set.policies();
        let linked =
            linked.filter(|policy| !policy.is_static() && !self.files.known_valid.contains(policy));
        let filled: Result<Vec<Policy>, _> = linked.map(instantiate).collect();
        match filled.map(PolicySet::from_policies) {
            Ok(Ok(set)) => self.files.validate_links(&set, &self.set, schema),
            Ok(Err(error)) => self.files.report_for_folder(error_chain(&error)),
            Err(error) => self.files.report_for_folder(error_chain(&error)),
        }
    }
}

/// The annotation that a name is most likely a misspelling of.
fn misspelt_annotation(name: &str) -> Option<&'static str> {
    let meant = closest(name, ANNOTATIONS).filter(|meant| *meant != name)?;
    // Many short words are two letters away, such as `team` and `test`.
    let is_near = meant != TELL || name.contains("tel") || name.eq_ignore_ascii_case(TELL);
    is_near.then_some(meant)
}
