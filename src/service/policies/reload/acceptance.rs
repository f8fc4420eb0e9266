//! The acceptance of edits: an operator lets an edit pass that loses or changes invariants or cases.
//!
//! Accepted is one edit, from the folder in force to another one, each named by the SHA-256 over all its files: an
//! edit made in between is another one.

use crate::config::Settings;
use crate::domain::action::Action;
use crate::domain::audit::{AuditEvent, AuditOutcome, AuditRecord};
use crate::domain::caller::Authentication;
use crate::domain::clock::Clock;
use crate::domain::decision::Revision;
use crate::domain::diagnostic::SourceDiagnostic;
use crate::policy::folder::PolicyFolder;
use crate::policy::safeguards::SafeguardChanges;
use crate::service::identity::request_context::RequestContext;
use crate::storage::{Database, PolicyEdit, StorageError};

use super::folder_in_force::FolderInForce;
use super::gate::PolicyGate;
use super::last_good::{LastGoodError, LastGoodFile};

/// What an edit changes about invariants and cases.
pub struct EditReview {
    /// The edit.
    pub edit: PolicyEdit,
    /// The revision of the edited bundle.
    pub revision: Revision,
    /// The changes.
    pub changes: SafeguardChanges,
    /// Whether the policy gate refuses it unless it is accepted.
    pub needs_acceptance: bool,
}

impl EditReview {
    /// Compares two folders as the policy gate with these settings does.
    #[must_use]
    pub fn new(settings: &Settings, from: PolicyFolder, to: PolicyFolder) -> Self {
        Self::by_gate(
            PolicyGate::from_settings(settings),
            &FolderInForce::new(from),
            to,
        )
    }

    /// Compares a folder with the one in force, as a policy gate does.
    pub(super) fn by_gate(gate: PolicyGate, from: &FolderInForce, to: PolicyFolder) -> Self {
        let to = FolderInForce::new(to);
        let changes = from.changes_to(&to);
        Self {
            edit: from.edit_to(&to),
            needs_acceptance: gate.needs_acceptance(&changes),
            revision: to.revision,
            changes,
        }
    }

    /// Compares a folder with what a server on this data directory has in force; none if it never had any.
    pub fn of_folder(
        settings: &Settings,
        folder: PolicyFolder,
    ) -> Result<Option<Self>, LastGoodError> {
        let last_good = LastGoodFile::in_data_dir(&settings.data_dir).load_if_saved()?;
        Ok(last_good.map(|in_force| Self::new(settings, in_force.folder, folder)))
    }

    /// Whether it removes or changes invariants, or loses cases.
    #[must_use]
    pub fn is_weaker(&self) -> bool {
        self.needs_acceptance || self.changes.touches_invariants()
    }

    /// What it changes, as problems of the folder `label`; none if it is not weaker.
    #[must_use]
    pub fn problems(&self, label: &str) -> Vec<SourceDiagnostic> {
        if !self.is_weaker() {
            return Vec::new();
        }
        let note = self.needs_acceptance.then(|| self.acceptance_note());
        let problem = |line: String| {
            let message = format!("compared with the policies in force: {line}");
            let problem = SourceDiagnostic::for_file(label, message);
            match &note {
                Some(note) => problem.with_help(note),
                None => problem,
            }
        };
        self.changes.lines().into_iter().map(problem).collect()
    }

    /// What to do where the policy gate refuses it.
    #[must_use]
    pub fn acceptance_note(&self) -> String {
        format!(
            "the policy gate refuses this edit of invariants or cases; if it is meant, accept it in the policy \
             folder of the server: cedargate policy accept {}",
            self.edit.to
        )
    }

    /// Accepts the edit, on record.
    pub async fn accept(&self, database: &Database, clock: &Clock) -> Result<(), StorageError> {
        let PolicyEdit { from, to } = &self.edit;
        let changes = self.changes.lines().join("; ");
        let record = AuditRecord {
            outcome: AuditOutcome::Granted,
            authentication: Authentication::CommandLine,
            action: Some(Action::ReloadPolicies),
            revision: Some(self.revision.clone()),
            reason: Some(format!(
                "policy folder {to} accepted in place of {from}: {changes}"
            )),
            request_id: None,
            ..RequestContext::local().open_record(AuditEvent::Administer, clock)
        };
        let now = clock.unix_seconds();
        database.accept_policy_edit(&self.edit, now, &record).await
    }
}
