//! Policies and templates as they are written in their file: byte spans and annotations.
//!
//! Cedar keeps source locations only in its syntax trees, and hands these out by reference.

use std::ops::Range;
use std::sync::Arc;

use cedar_policy::{Effect, Policy, PolicySet, Template};

use crate::domain::diagnostic::SourceDiagnostic;

use super::complexity;
use super::error::from_cedar;
use super::hints;

/// Builds a [`SourcePolicy`] of a policy or a template, which have no trait in common.
macro_rules! source_policy {
    ($of:expr, $text:expr) => {{
        let span = match $of.as_ref().loc() {
            Some(loc) => loc.start()..loc.end(),
            None => 0..$text.len(),
        };
        SourcePolicy {
            head: first_line($text, &span),
            span,
            is_permit: $of.effect() == Effect::Permit,
            annotations: $of
                .as_ref()
                .annotations()
                .map(|(name, annotation)| Annotation {
                    name: name.as_ref().to_owned(),
                    value: annotation.as_ref().to_owned(),
                    span: annotation.loc.as_ref().map(|loc| loc.start()..loc.end()),
                })
                .collect(),
        }
    }};
}

/// Parses a policy file, or returns all its problems.
pub(super) fn parse(label: &str, text: &Arc<str>) -> Result<PolicySet, Vec<SourceDiagnostic>> {
    if let Some(problem) = complexity::check(label, text) {
        return Err(vec![problem]);
    }
    text.parse::<PolicySet>().map_err(|errors| {
        let problems = errors.iter().map(|error| from_cedar(label, text, error));
        hints::with_hints(text, problems.collect())
    })
}

/// The policies of a file in the order in which they are written.
pub(super) fn policies_in_order<'a>(
    parsed: &'a PolicySet,
    text: &str,
) -> Vec<(SourcePolicy, &'a Policy)> {
    let mut policies: Vec<_> = parsed
        .policies()
        .map(|policy| (source_policy!(policy, text), policy))
        .collect();
    policies.sort_by_key(|(source, _)| source.span.start);
    policies
}

/// The templates of a file in the order in which they are written.
pub(super) fn templates_in_order<'a>(
    parsed: &'a PolicySet,
    text: &str,
) -> Vec<(SourcePolicy, &'a Template)> {
    let mut templates: Vec<_> = parsed
        .templates()
        .map(|template| (source_policy!(template, text), template))
        .collect();
    templates.sort_by_key(|(source, _)| source.span.start);
    templates
}

/// A policy or a template in its file.
pub(super) struct SourcePolicy {
    /// The bytes of the policy with its annotations.
    pub(super) span: Range<usize>,
    /// The part of `span` on its first line.
    pub(super) head: Range<usize>,
    /// Whether it is a permit; otherwise it is a forbid.
    pub(super) is_permit: bool,
    annotations: Vec<Annotation>,
}

struct Annotation {
    name: String,
    value: String,
    span: Option<Range<usize>>,
}

impl SourcePolicy {
    /// The value of an annotation.
    pub(super) fn annotation(&self, name: &str) -> Option<&str> {
        Some(&self.find(name)?.value)
    }

    /// The names of its annotations.
    pub(super) fn annotation_names(&self) -> impl Iterator<Item = &str> {
        self.annotations.iter().map(|found| found.name.as_str())
    }

    /// The bytes of an annotation; those of the first line if there is none.
    pub(super) fn annotation_span(&self, name: &str) -> Range<usize> {
        let span = self.find(name).and_then(|found| found.span.clone());
        span.unwrap_or_else(|| self.head.clone())
    }

    fn find(&self, name: &str) -> Option<&Annotation> {
        self.annotations.iter().find(|found| found.name == name)
    }
}

/// The part of a span on its first line.
pub(super) fn first_line(text: &str, span: &Range<usize>) -> Range<usize> {
    let inside = text.get(span.clone()).unwrap_or_default();
    let length = inside.find('\n').unwrap_or(inside.len());
    span.start..span.start + length
}
