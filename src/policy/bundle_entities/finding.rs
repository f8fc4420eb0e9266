//! Places in a `*.entities.json` file: what is wrong there, and which entity is named.

use std::ops::Range;

use cedar_policy::EntityUid;

/// What is wrong with a part of a file.
#[derive(Debug)]
pub(super) struct EntityFinding {
    pub(super) span: Range<usize>,
    pub(super) message: String,
    pub(super) help: Option<String>,
}

impl EntityFinding {
    pub(super) fn new(span: Range<usize>, message: impl Into<String>) -> Self {
        Self {
            span,
            message: message.into(),
            help: None,
        }
    }

    pub(super) fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// The name of an entity with its bytes in the file.
#[derive(Clone, Debug)]
pub(super) struct SpannedUid {
    pub(super) uid: EntityUid,
    pub(super) span: Range<usize>,
}
