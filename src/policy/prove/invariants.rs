//! Invariants: statements that the policies of a folder must never break.
//!
//! They are Cedar policies in the folder `invariants`, with `@id`, `@reason`, `@invariant` and possibly `@except`;
//! they take no part in decisions.

use std::collections::BTreeSet;

use cedar_policy::{Policy, PolicyId, PolicySet, Schema};
use serde::Serialize;

use crate::domain::diagnostic::{SourceDiagnostic, sorted};
use crate::domain::suggest::closest;
use crate::domain::text_position::line_at;
use crate::policy::bundle::Bundle;
use crate::policy::context_literals::ContextLiterals;
use crate::policy::error::BundleError;
use crate::policy::file_parser::{FileParser, NamedText, PolicyLocation};
use crate::policy::source_policy::{self, SourcePolicy, policies_in_order, templates_in_order};
use crate::policy::sources::SourceFiles;
use crate::policy::validation::ValidationPurpose;

use super::exceptions::{EXCEPT, ExceptAnnotation, Exceptions, excepted_names};

/// The most invariants of a policy folder.
const MAX_INVARIANTS: usize = 1_000;
/// The annotations of an invariant; others are not allowed.
pub(in crate::policy) const ANNOTATIONS: [&str; 4] = ["id", "reason", "invariant", EXCEPT];

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
    /// The invariants in policy files. Fails if a file could not be used.
    pub(in crate::policy) fn new(sources: SourceFiles) -> Result<Self, BundleError> {
        Ok(Self {
            sources: sources.without_problems()?,
        })
    }

    /// What validating them against a bundle warns of.
    pub fn warnings(&self, bundle: &Bundle) -> Result<Vec<SourceDiagnostic>, BundleError> {
        Ok(self.parse_for(bundle)?.warnings)
    }

    /// Parses every invariant, validates it against the schema of a bundle and finds what it excepts there.
    pub(in crate::policy) fn parse_for(
        &self,
        bundle: &Bundle,
    ) -> Result<ValidInvariants, BundleError> {
        let mut valid = self.parse(&bundle.schema)?;
        let mut problems = Vec::new();
        for invariant in &mut valid.invariants {
            let annotation = ExceptAnnotation {
                invariant: &invariant.id,
                names: &invariant.excepted,
                is_for_permits: invariant.bound == InvariantBound::Upper,
                place: &invariant.except_place,
            };
            let mut exceptions = Exceptions::new(&annotation, bundle);
            problems.append(&mut exceptions.problems);
            valid.warnings.append(&mut exceptions.warnings);
            invariant.exceptions = exceptions;
        }
        if !problems.is_empty() {
            return Err(BundleError::Invalid {
                problems: sorted(problems),
            });
        }
        valid.warnings = sorted(valid.warnings);
        Ok(valid)
    }

    /// What they compare the context with. Fails as validating them does.
    pub fn context_literals(&self, bundle: &Bundle) -> Result<ContextLiterals, BundleError> {
        let valid = self.parse(&bundle.schema)?;
        let policies = valid.invariants.iter().map(|invariant| &invariant.policy);
        Ok(ContextLiterals::of_policies(policies))
    }

    /// Parses every invariant and validates it against the schema of the policies.
    pub(in crate::policy) fn parse(&self, schema: &Schema) -> Result<ValidInvariants, BundleError> {
        let mut parser = InvariantParser {
            files: FileParser::new(&self.sources, ValidationPurpose::Invariants),
            set: PolicySet::new(),
            invariants: Vec::new(),
        };
        for file in self.sources.policies() {
            parser.parse_file(file);
        }
        parser.files.validate(&parser.set, schema);
        if parser.files.locations.len() > MAX_INVARIANTS {
            let message = format!("more than {MAX_INVARIANTS} invariants");
            parser.files.report_for_folder(message);
        }
        if !parser.files.problems.is_empty() {
            return Err(BundleError::Invalid {
                problems: sorted(parser.files.problems),
            });
        }
        Ok(ValidInvariants {
            invariants: parser.invariants,
            warnings: sorted(parser.files.warnings),
        })
    }
}

/// Invariants without errors.
pub(in crate::policy) struct ValidInvariants {
    /// By file and line.
    pub(in crate::policy) invariants: Vec<Invariant>,
    /// What validation warns of.
    pub(in crate::policy) warnings: Vec<SourceDiagnostic>,
}

/// One invariant.
#[derive(Clone, Debug)]
pub(in crate::policy) struct Invariant {
    pub(in crate::policy) id: String,
    pub(in crate::policy) file: String,
    pub(in crate::policy) line: usize,
    pub(in crate::policy) reason: String,
    pub(super) bound: InvariantBound,
    /// Named by its `@id`.
    pub(super) policy: Policy,
    /// The names in its `@except`.
    pub(super) excepted: BTreeSet<String>,
    /// What these are in a bundle.
    pub(super) exceptions: Exceptions,
    /// A diagnostic about the `@except`, with no message yet.
    except_place: SourceDiagnostic,
}

struct InvariantParser<'a> {
    files: FileParser<'a>,
    set: PolicySet,
    invariants: Vec<Invariant>,
}

impl InvariantParser<'_> {
    fn parse_file(&mut self, file: NamedText<'_>) {
        let (name, text) = file;
        let parsed = match source_policy::parse(&self.files.sources.label(name), text) {
            Ok(parsed) => parsed,
            Err(problems) => return self.files.problems.extend(problems),
        };
        for (source, _) in templates_in_order(&parsed, text) {
            let message = "an invariant cannot be a template";
            let help = "name the principal or resource, or leave it open";
            self.files.report(file, source.head, message, help);
        }
        for (source, policy) in policies_in_order(&parsed, text) {
            self.add_policy(file, &source, policy);
        }
    }

    fn add_policy(&mut self, file: NamedText<'_>, source: &SourcePolicy, policy: &Policy) {
        let (name, text) = file;
        let checked = self.files.check_id(file, source);
        let id = checked
            .clone()
            .unwrap_or_else(|| FileParser::substitute_id(name, source));
        let named = policy.new_id(PolicyId::new(&id));
        let added = self.set.add(named.clone());
        self.files.report_if_rejected(file, added);
        self.check_annotations(file, source);
        let reason = self.check_reason(file, source);
        let is_conditional = policy.as_ref().non_scope_constraints().is_some();
        let bound = self.check_bound(file, source, is_conditional);
        let excepted = self.check_except(file, source);
        let span = source.annotation_span(EXCEPT);
        let except_place =
            SourceDiagnostic::at_span(&self.files.sources.label(name), text, span, "");
        if let (Some(id), Some(reason), Some(bound)) = (checked, reason, bound) {
            self.invariants.push(Invariant {
                id,
                file: name.to_owned(),
                line: line_at(text.as_ref(), source.span.start),
                reason,
                bound,
                policy: named,
                excepted,
                exceptions: Exceptions::default(),
                except_place,
            });
        }
        let location = PolicyLocation {
            file: name.to_owned(),
            span: source.span.clone(),
            is_link: false,
        };
        self.files.locations.insert(id, location);
    }

    /// Only Cedargate reads invariants, so an unknown annotation is a mistake.
    fn check_annotations(&mut self, file: NamedText<'_>, source: &SourcePolicy) {
        for name in source.annotation_names() {
            if ANNOTATIONS.contains(&name) {
                continue;
            }
            let help = match closest(name, ANNOTATIONS) {
                Some(meant) => format!("did you mean @{meant}?"),
                None => "an invariant has @id, @reason, @invariant and possibly @except".to_owned(),
            };
            let message = format!("the annotation @{name} is not allowed on an invariant");
            let span = source.annotation_span(name);
            self.files.report(file, span, &message, &help);
        }
    }

    /// The names in its `@except`, if it has one.
    fn check_except(&mut self, file: NamedText<'_>, source: &SourcePolicy) -> BTreeSet<String> {
        let Some(annotation) = source.annotation(EXCEPT) else {
            return BTreeSet::new();
        };
        let names = excepted_names(annotation);
        if names.is_empty() {
            let span = source.annotation_span(EXCEPT);
            let help = "name policies or templates by their @id, apart by commas";
            self.files
                .report(file, span, "the @except names no policy", help);
        }
        names
    }

    fn check_reason(&mut self, file: NamedText<'_>, source: &SourcePolicy) -> Option<String> {
        let reason = source.annotation("reason").filter(|text| !text.is_empty());
        if reason.is_none() {
            let span = source.annotation_span("reason");
            let help = "add @reason(\"...\"): it is shown when the invariant is violated";
            self.files
                .report(file, span, "the invariant has no @reason", help);
        }
        reason.map(str::to_owned)
    }

    fn check_bound(
        &mut self,
        file: NamedText<'_>,
        source: &SourcePolicy,
        is_conditional: bool,
    ) -> Option<InvariantBound> {
        let help = "use @invariant(\"upper\") for the most that policies may permit, \
                    @invariant(\"lower\") for the least that they must permit";
        let (message, help) = match source.annotation("invariant") {
            None => ("the invariant has no @invariant".to_owned(), help),
            Some("lower") if !source.is_permit => (
                "a lower bound must be a permit".to_owned(),
                "write permit, or use @invariant(\"upper\") for what must never be permitted",
            ),
            Some("upper") if source.is_permit && !is_conditional => (
                "an upper bound without a condition excludes nothing".to_owned(),
                "add with when or unless what must hold for every permitted request in its scope; \
                 or write forbid, if nothing in its scope may be permitted",
            ),
            Some("lower") => return Some(InvariantBound::Lower),
            Some("upper") => return Some(InvariantBound::Upper),
            Some(value) => (
                format!("@invariant is {value:?}, neither \"upper\" nor \"lower\""),
                help,
            ),
        };
        let span = source.annotation_span("invariant");
        self.files.report(file, span, &message, help);
        None
    }
}
