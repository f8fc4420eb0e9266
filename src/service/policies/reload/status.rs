//! The status of policy reload, for health and administrators.

use std::sync::Arc;

use super::rejection::RejectedBundle;

/// The difference between the policy folder and what is in force, and what the gate left open.
#[derive(Clone, Default)]
pub struct ReloadStatus {
    /// The edit that was refused, while the folder holds it.
    pub rejected: Option<Arc<RejectedBundle>>,
    /// Why the invariants of what is in force were not proved.
    pub unproved: Option<String>,
    /// What is missing to guard what is in force, a sentence each.
    pub unguarded: Vec<&'static str>,
    /// Whether what is in force could not be saved for a restart.
    pub is_unsaved: bool,
    /// The SHA-256 over the policies, cases and invariants in force.
    pub folder_revision: String,
}
