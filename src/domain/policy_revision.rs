//! Policy revisions: what came into force, when, how and by whom.

use serde::{Deserialize, Serialize};
use strum::{Display, EnumString, IntoStaticStr, VariantArray, VariantNames};

use super::decision::Revision;
use super::id::UserId;
use super::text_enum::{TextEnum, UnknownVariant};

/// The most files, and the most policies, that a revision lists as changed; the rest are counted.
pub const MAX_LISTED_CHANGES: usize = 200;

/// How policies came into force.
#[derive(Display, EnumString, IntoStaticStr, VariantArray, VariantNames)]
#[strum(serialize_all = "lowercase")]
#[strum(parse_err_ty = UnknownVariant, parse_err_fn = UnknownVariant::new::<Self>)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RevisionOrigin {
    /// A server started with them.
    Start,
    /// Somebody edited the policy folder.
    Folder,
    /// A draft was published.
    Publish,
}

impl TextEnum for RevisionOrigin {
    const NOUN: &'static str = "origin";
}

/// What a revision did to a file or to a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RevisionChange {
    /// It is new.
    Added,
    /// It says something else.
    Changed,
    /// It is gone.
    Removed,
}

/// What a revision changed, by name or id; at most [`MAX_LISTED_CHANGES`] of each.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevisionChanges {
    /// The files.
    pub files: Vec<(String, RevisionChange)>,
    /// The policies: layout, comments and `@reason` do not count.
    pub policies: Vec<(String, RevisionChange)>,
    /// How many files there are beyond those listed.
    pub more_files: usize,
    /// How many policies there are beyond those listed.
    pub more_policies: usize,
}

/// One revision that came into force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyRevision {
    /// Its place among all of them; later ones have higher numbers.
    pub number: i64,
    /// The SHA-256 over its policies, cases and invariants.
    pub folder_revision: String,
    /// The SHA-256 of its bundle.
    pub revision: Revision,
    /// When it came into force, in milliseconds since 1970 UTC.
    pub unix_millis: i64,
    /// How.
    pub origin: RevisionOrigin,
    /// Who published it.
    pub user: Option<UserId>,
    /// What it changed, in one sentence.
    pub summary: String,
    /// What it changed.
    pub changes: RevisionChanges,
    /// Whether its texts are kept.
    pub has_texts: bool,
}
