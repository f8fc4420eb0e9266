//! Invariants: statements about the policies that hold whatever the policies say.
//!
//! They are Cedar policies in the folder `invariants`, with `@id`, `@reason` and `@invariant`; they
//! take no part in decisions. This module reads and checks them, every problem of every file at
//! once. It refuses to know how a statement is proved.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use cedar_policy::{Policy, PolicyId, PolicySet, Schema};
use serde::Serialize;

use crate::policy::diagnostic::{BundleDiagnostic, BundleError, sorted};
use crate::policy::policies::{MAX_POLICY_ID_LENGTH, MAX_SPELLING_DISTANCE};
use crate::policy::source_policy;
use crate::policy::source_policy::Written;
use crate::policy::sources::SourceFiles;
use crate::policy::validation::{ValidationPurpose, deduplicated, problem_at, validate};

/// The most invariants of a policy folder.
pub const MAX_INVARIANTS: usize = 1_000;
/// The annotations that an invariant has, and it has no others.
const ANNOTATIONS: [&str; 3] = ["id", "reason", "invariant"];

/// Which way an invariant bounds the policies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum InvariantBound {
    /// The policies may permit no more.
    Upper,
    /// The policies must permit at least this.
    Lower,
}

/// The files with the invariants of a policy folder.
#[derive(Clone, Debug)]
pub struct InvariantFiles {
    sources: SourceFiles,
}

impl InvariantFiles {
    /// The invariants in policy files; a file that cannot be used refuses all.
    pub(in crate::policy) fn new(sources: SourceFiles) -> Result<Self, BundleError> {
        if sources.problems().is_empty() {
            return Ok(Self { sources });
        }
        Err(BundleError::Invalid {
            problems: sorted(sources.problems().to_vec()),
        })
    }

    /// Parses and validates every invariant against the schema of the policies.
    pub(in crate::policy) fn parse(&self, schema: &Schema) -> Result<ValidInvariants, BundleError> {
        let mut reading = InvariantParser {
            sources: &self.sources,
            set: PolicySet::new(),
            invariants: BTreeMap::new(),
            locations: BTreeMap::new(),
            problems: Vec::new(),
            warnings: Vec::new(),
        };
        for (file, text) in self.sources.policies() {
            reading.parse_file(file, text);
        }
        reading.validate(schema);
        if reading.locations.len() > MAX_INVARIANTS {
            let message = format!("there are more than {MAX_INVARIANTS} invariants");
            let problem = BundleDiagnostic::for_file(&self.sources.label(""), message);
            reading.problems.push(problem);
        }
        if reading.problems.is_empty() {
            let mut invariants: Vec<Invariant> = reading.invariants.into_values().collect();
            invariants.sort_by(|a, b| (&a.file, a.line).cmp(&(&b.file, b.line)));
            return Ok(ValidInvariants {
                invariants,
                warnings: sorted(reading.warnings),
            });
        }
        Err(BundleError::Invalid {
            problems: sorted(reading.problems),
        })
    }
}

/// Invariants that are in order.
pub(in crate::policy) struct ValidInvariants {
    /// By file and line.
    pub(in crate::policy) invariants: Vec<Invariant>,
    /// What validation warns of.
    pub(in crate::policy) warnings: Vec<BundleDiagnostic>,
}

/// One invariant.
#[derive(Clone, Debug)]
pub(in crate::policy) struct Invariant {
    pub(super) id: String,
    pub(super) file: String,
    pub(super) line: usize,
    pub(super) reason: String,
    pub(super) bound: InvariantBound,
    /// Named by its `@id`.
    pub(super) policy: Policy,
}

/// Where a policy stands.
struct InvariantLocation {
    file: String,
    span: Range<usize>,
}

struct InvariantParser<'a> {
    sources: &'a SourceFiles,
    set: PolicySet,
    invariants: BTreeMap<String, Invariant>,
    locations: BTreeMap<String, InvariantLocation>,
    problems: Vec<BundleDiagnostic>,
    warnings: Vec<BundleDiagnostic>,
}

impl InvariantParser<'_> {
    fn parse_file(&mut self, file: &str, text: &Arc<str>) {
        let parsed = match source_policy::parse(&self.sources.label(file), text) {
            Ok(parsed) => parsed,
            Err(problems) => return self.problems.extend(problems),
        };
        for template in parsed.templates() {
            let span = Written::from_template(template, text).head;
            let message = "an invariant cannot be a template";
            let help = "name the principal or resource, or leave it open";
            self.report((file, text), span, message, help);
        }
        let mut policies: Vec<(Written, &Policy)> = parsed
            .policies()
            .map(|policy| (Written::from_policy(policy, text), policy))
            .collect();
        policies.sort_by_key(|(written, _)| written.span.start);
        for (written, policy) in policies {
            self.add_policy((file, text), &written, policy);
        }
    }

    fn report(&mut self, place: (&str, &Arc<str>), span: Range<usize>, message: &str, help: &str) {
        let (file, text) = place;
        let problem = BundleDiagnostic::at_span(&self.sources.label(file), text, span, message);
        self.problems.push(problem.with_help(help));
    }

    fn add_policy(&mut self, place: (&str, &Arc<str>), written: &Written, policy: &Policy) {
        let (file, text) = place;
        let span = written.span.clone();
        let checked = self.check_id(place, written);
        // An invariant without a name of its own is still validated, under its place.
        let id = checked
            .clone()
            .unwrap_or_else(|| format!("{file} at byte {}", span.start));
        let named = policy.new_id(PolicyId::new(&id));
        if let Err(error) = self.set.add(named.clone()) {
            let problem = BundleDiagnostic::from_cedar(&self.sources.label(file), text, &error);
            self.problems.push(problem);
        }
        self.check_annotations(place, written);
        let reason = self.check_reason(place, written);
        let is_conditional = policy.as_ref().non_scope_constraints().is_some();
        let bound = self.check_bound(place, written, is_conditional);
        let before = text.get(..span.start).unwrap_or_default();
        let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
        let file = file.to_owned();
        if let (Some(id), Some(reason), Some(bound)) = (checked, reason, bound) {
            let invariant = Invariant {
                id: id.clone(),
                file: file.clone(),
                line,
                reason,
                bound,
                policy: named,
            };
            self.invariants.insert(id, invariant);
        }
        self.locations.insert(id, InvariantLocation { file, span });
    }

    fn check_id(&mut self, place: (&str, &Arc<str>), written: &Written) -> Option<String> {
        let Some(id) = written.annotation("id") else {
            let help = "write @id(\"...\") above it: proofs name it so";
            self.report(
                place,
                written.head.clone(),
                "the invariant has no @id",
                help,
            );
            return None;
        };
        let span = written.annotation_span("id");
        if id.is_empty() || id.len() > MAX_POLICY_ID_LENGTH || id.chars().any(char::is_control) {
            let help =
                format!("write 1 to {MAX_POLICY_ID_LENGTH} bytes without control characters");
            self.report(place, span, "the @id cannot stand in a report", &help);
            return None;
        }
        if let Some(first) = self.locations.get(id) {
            let message = format!("two invariants have the @id {id:?}");
            let help = format!("the other one is in {}", self.sources.label(&first.file));
            self.report(place, span, &message, &help);
            return None;
        }
        Some(id.to_owned())
    }

    /// Nothing but Cedargate reads an invariant, so an unknown annotation is a mistake.
    fn check_annotations(&mut self, place: (&str, &Arc<str>), written: &Written) {
        for name in written.annotation_names() {
            if ANNOTATIONS.contains(&name) {
                continue;
            }
            let near = ANNOTATIONS
                .iter()
                .find(|ours| strsim::osa_distance(name, ours) <= MAX_SPELLING_DISTANCE);
            let help = match near {
                Some(meant) => format!("did you mean @{meant}?"),
                None => "an invariant has @id, @reason and @invariant".to_owned(),
            };
            let span = written.annotation_span(name);
            let message = format!("the annotation @{name} means nothing on an invariant");
            self.report(place, span, &message, &help);
        }
    }

    fn check_reason(&mut self, place: (&str, &Arc<str>), written: &Written) -> Option<String> {
        let reason = written.annotation("reason").filter(|said| !said.is_empty());
        if reason.is_none() {
            let span = written.annotation_span("reason");
            let help = "write @reason(\"...\"): who breaks the invariant is told this sentence";
            self.report(place, span, "the invariant has no @reason", help);
        }
        reason.map(str::to_owned)
    }

    fn check_bound(
        &mut self,
        place: (&str, &Arc<str>),
        written: &Written,
        is_conditional: bool,
    ) -> Option<InvariantBound> {
        let span = written.annotation_span("invariant");
        let help = "write @invariant(\"upper\") where policies may permit no more, \
                    @invariant(\"lower\") where they must permit at least this";
        match written.annotation("invariant") {
            None => self.report(place, span, "the invariant has no @invariant", help),
            Some("lower") if !written.is_permit => {
                let message = "a lower bound is a permit: it says what must be permitted";
                let help =
                    "write permit, or @invariant(\"upper\") for what must never be permitted";
                self.report(place, span, message, help);
            }
            Some("upper") if written.is_permit && !is_conditional => {
                let message = "the upper bound excludes nothing: it has no condition";
                let help = "say with when or unless what must hold for whatever is permitted in its \
                            scope; or write forbid, if nothing in its scope may be permitted";
                self.report(place, span, message, help);
            }
            Some("lower") => return Some(InvariantBound::Lower),
            Some("upper") => return Some(InvariantBound::Upper),
            Some(said) => {
                let message = format!("@invariant is {said:?}, neither \"upper\" nor \"lower\"");
                self.report(place, span, &message, help);
            }
        }
        None
    }

    fn validate(&mut self, schema: &Schema) {
        let result = match validate(&self.set, schema, ValidationPurpose::Invariants) {
            Ok(result) => result,
            Err(problem) => return self.problems.push(*problem),
        };
        let of_policy = |id: &PolicyId, said: &dyn miette::Diagnostic| {
            let place = self.locations.get(AsRef::<str>::as_ref(id));
            let place = place.map(|place| (place.file.as_str(), &place.span));
            problem_at(self.sources, place, said)
        };
        let problems = deduplicated(result.validation_errors(), |error| {
            of_policy(error.policy_id(), error)
        });
        let warnings = result.validation_warnings();
        let warnings = warnings.map(|said| of_policy(said.policy_id(), said).into_warning());
        self.warnings.extend(warnings.collect::<Vec<_>>());
        self.problems.extend(problems);
    }
}
