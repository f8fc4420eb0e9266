//! Mentions: where a file of a policy folder names a user, a role or a dataset.

use std::ops::Range;
use std::sync::Arc;

use crate::domain::diagnostic::SourceDiagnostic;

/// What is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum MentionKind {
    /// `User::"<id>"`.
    User,
    /// `Role::"<name>"`.
    Role,
    /// `Dataset::"<id>"`.
    Dataset,
    /// A text that is compared with `username`.
    Username,
}

/// In which kind of file something is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MentionPlace {
    /// In a policy, a template or a link: what decides.
    Policy,
    /// In an invariant.
    Invariant,
    /// In a case or its entities: a world of its own, which the catalog knows nothing of.
    Case,
}

/// One place where something is named.
#[derive(Clone, Debug)]
pub(super) struct Mention {
    pub(super) kind: MentionKind,
    /// The id or the name.
    pub(super) text: String,
    pub(super) place: MentionPlace,
    /// What it is in, for messages: ``policy `x` ``.
    pub(super) owner: String,
    pub(super) source: MentionSource,
    pub(super) span: Range<usize>,
}

/// The file that something is named in.
#[derive(Clone, Debug)]
pub(super) struct MentionSource {
    /// Its name in messages.
    pub(super) label: Arc<str>,
    pub(super) text: Arc<str>,
}

impl MentionKind {
    /// The kind of an entity of a type.
    pub(super) fn of_type(name: &str) -> Option<Self> {
        match name {
            "User" => Some(Self::User),
            "Role" => Some(Self::Role),
            "Dataset" => Some(Self::Dataset),
            _ => None,
        }
    }
}

impl Mention {
    /// As Cedar writes it.
    pub(super) fn written(&self) -> String {
        match self.kind {
            MentionKind::User => format!("User::{}", quoted(&self.text)),
            MentionKind::Role => format!("Role::{}", quoted(&self.text)),
            MentionKind::Dataset => format!("Dataset::{}", quoted(&self.text)),
            MentionKind::Username => quoted(&self.text),
        }
    }

    /// A warning at the place.
    pub(super) fn warning(&self, reason: &str) -> SourceDiagnostic {
        let message = format!("in {}, {reason}", self.owner);
        let MentionSource { label, text } = &self.source;
        SourceDiagnostic::at_span(label, text, self.span.clone(), message).into_warning()
    }
}

/// A text as a string of Cedar. Marks that combine with the letter before them stay, as in names of many
/// scripts; Rust's `{:?}` would escape them.
pub(super) fn quoted(text: &str) -> String {
    format!(
        "\"{}\"",
        text.escape_debug().to_string().replace("\\'", "'")
    )
}
