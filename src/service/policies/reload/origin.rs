//! The origin of what comes into force: how an edit reached the policy folder, and by whom.

use crate::domain::id::UserId;

/// How an edit reached the policy folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EditOrigin {
    /// It was there when the server started.
    Start,
    /// Somebody edited the folder.
    Folder,
    /// A draft was published.
    Publish {
        /// Who published it.
        user: UserId,
    },
}

/// When what is in force came into force in this process, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CameIntoForce {
    /// In milliseconds since 1970 UTC.
    pub unix_millis: i64,
    /// How.
    pub origin: EditOrigin,
}

impl EditOrigin {
    /// What an auditor has to know beside what changed.
    pub(super) fn add_to(self, summary: String) -> String {
        match self {
            Self::Start | Self::Folder => summary,
            Self::Publish { user } => format!("{summary}; published by user {user}"),
        }
    }
}
