//! An unreachable part: one part of a policy that can never match, and why.

use std::ops::Range;

use cedar_policy_core::parser::Loc;

/// One part of a policy that can never match.
#[derive(Clone, Debug)]
pub(in crate::policy) struct UnreachablePart {
    /// The bytes of the part in its file, if known.
    pub(in crate::policy) span: Option<Range<usize>>,
    /// Why it never matches, as a sentence without its beginning.
    pub(in crate::policy) reason: String,
    /// What to write instead.
    pub(in crate::policy) help: Option<String>,
    /// Whether the whole policy never applies because of it.
    pub(in crate::policy) is_total: bool,
}

impl UnreachablePart {
    pub(super) fn new(location: Option<&Loc>, reason: String) -> Self {
        Self {
            span: location.map(|location| location.start()..location.end()),
            reason,
            help: None,
            is_total: false,
        }
    }

    /// A policy whose parts are possible, each for itself; `parts` are the conditions that are not together.
    pub(super) fn impossible(parts: &[String]) -> Self {
        let named: Vec<String> = parts.iter().map(|part| format!("`{part}`")).collect();
        let reason = match named.as_slice() {
            [] => "its conditions contradict each other or its scope, by their types".to_owned(),
            [one] => format!("{one} contradicts its scope, by the types"),
            several => {
                let several = several.join(" and ");
                format!("{several} contradict each other, by their types")
            }
        };
        Self::new(None, reason).total()
    }

    pub(super) fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    pub(super) fn total(mut self) -> Self {
        self.is_total = true;
        self
    }

    /// The message about the policy or the invariant that it is in.
    pub(in crate::policy) fn message(&self, noun: &str, id: &str) -> String {
        let Self { reason, .. } = self;
        if self.is_total {
            format!("{noun} `{id}` never applies: {reason}")
        } else {
            format!("in {noun} `{id}`, {reason}")
        }
    }
}
