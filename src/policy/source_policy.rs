//! Policies and templates as they are written: where they stand and how they are annotated.
//!
//! Cedar keeps places in its syntax trees alone, and hands these out only by reference. This module
//! refuses to know what annotations mean.

use std::ops::Range;
use std::sync::Arc;

use cedar_policy::{Effect, Policy, PolicySet, Template};

use super::complexity;
use super::diagnostic::BundleDiagnostic;

/// Parses a policy file, or tells every problem of it.
pub(super) fn parse(label: &str, text: &Arc<str>) -> Result<PolicySet, Vec<BundleDiagnostic>> {
    if let Some(problem) = complexity::check(label, text) {
        return Err(vec![problem]);
    }
    text.parse::<PolicySet>().map_err(|errors| {
        let each = errors.iter();
        each.map(|error| BundleDiagnostic::from_cedar(label, text, error))
            .collect()
    })
}

/// A policy or a template in its file.
pub(super) struct Written {
    /// The bytes that it takes, its annotations included.
    pub(super) span: Range<usize>,
    /// The part of them that stands on its first line.
    pub(super) head: Range<usize>,
    /// Whether it permits; it forbids otherwise.
    pub(super) is_permit: bool,
    annotations: Vec<Annotation>,
}

struct Annotation {
    name: String,
    value: String,
    span: Option<Range<usize>>,
}

/// A policy and a template tell these in the same words and have no trait in common.
macro_rules! written {
    ($of:expr, $text:expr) => {{
        let span = match $of.as_ref().loc() {
            Some(loc) => loc.start()..loc.end(),
            None => 0..$text.len(),
        };
        Written {
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

impl Written {
    pub(super) fn from_policy(policy: &Policy, text: &str) -> Self {
        written!(policy, text)
    }

    pub(super) fn from_template(template: &Template, text: &str) -> Self {
        written!(template, text)
    }

    /// The value of an annotation.
    pub(super) fn annotation(&self, name: &str) -> Option<&str> {
        let found = self.annotations.iter().find(|found| found.name == name)?;
        Some(&found.value)
    }

    /// The names of its annotations.
    pub(super) fn annotation_names(&self) -> impl Iterator<Item = &str> {
        self.annotations.iter().map(|found| found.name.as_str())
    }

    /// The bytes of an annotation; of the first line where there is none.
    pub(super) fn annotation_span(&self, name: &str) -> Range<usize> {
        let found = self.annotations.iter().find(|found| found.name == name);
        let span = found.and_then(|found| found.span.clone());
        span.unwrap_or_else(|| self.head.clone())
    }
}

/// The part of a span that stands on its first line.
pub(super) fn first_line(text: &str, span: &Range<usize>) -> Range<usize> {
    let inside = text.get(span.clone()).unwrap_or_default();
    let length = inside.find('\n').unwrap_or(inside.len());
    span.start..span.start + length
}
