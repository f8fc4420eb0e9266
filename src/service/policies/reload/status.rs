//! The status of policy reload, for health and administrators.

use std::sync::Arc;

use crate::domain::decision::Revision;

use super::rejection::RejectedBundle;

/// What a reload did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReloadReport {
    /// The revision in force.
    pub revision: Revision,
    /// Whether another revision was in force before.
    pub is_changed: bool,
    /// Whether the policies come from a folder; those inside the program never change.
    pub has_folder: bool,
}

/// The difference between the policy folder and what is in force, and what the gate left open.
#[derive(Clone, Default)]
pub struct ReloadStatus {
    /// The edit that was refused, while the folder holds it.
    pub rejected: Option<Arc<RejectedBundle>>,
    /// Why the invariants of what is in force were not proved.
    pub unproved: Option<String>,
    /// What is missing to guard what is in force, a sentence each.
    pub unguarded: Vec<&'static str>,
    /// Whether no policies are in force yet: nothing is decided.
    pub is_closed: bool,
    /// How much of the proof is done that is under way, in percent.
    pub proof_percent: Option<usize>,
    /// Whether what is in force could not be saved for a restart.
    pub is_unsaved: bool,
    /// The SHA-256 over the policies, cases and invariants in force.
    pub folder_revision: String,
}
