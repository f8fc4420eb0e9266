//! The history of revisions: each folder that comes into force is stored with its files, in one transaction with its
//! audit record.

use std::sync::Arc;

use crate::domain::audit::{AuditEvent, AuditOutcome, AuditRecord};
use crate::domain::decision::Revision;
use crate::domain::policy_revision::{PolicyRevision, RevisionOrigin};
use crate::domain::text_enum::TextEnum;
use crate::policy::Bundle;
use crate::policy::folder::PolicyFolder;
use crate::service::audit_trail::AuditTrail;
use crate::service::error::ServiceError;
use crate::service::identity::request_context::RequestContext;
use crate::service::policies::patch::FileTexts;
use crate::storage::NewPolicyRevision;

use super::folder_in_force::FolderInForce;
use super::gate::AcceptedBundle;
use super::new_revision::{RevisionSide, find_changes, summarize};
use super::origin::EditOrigin;
use super::policy_thread::run_on_policy_thread;
use super::reloader::PolicyReloader;

/// What comes into force in place of something else.
struct RevisionEdit {
    before: RevisionSide,
    /// The folder revision before, if there is one.
    folder_before: Option<String>,
    is_first: bool,
    folder: Arc<FolderInForce>,
    bundle: Arc<Bundle>,
    origin: EditOrigin,
    notes: Vec<String>,
}

impl PolicyReloader {
    /// Stores an edit that comes into force, with its audit record; only the record if the folder is the same.
    pub(super) async fn store_edit(
        &self,
        accepted: &AcceptedBundle,
        origin: EditOrigin,
        record: Option<AuditRecord>,
    ) -> Result<(), ServiceError> {
        let (in_force, is_first) = {
            let state = self.state.lock();
            (Arc::clone(&state.in_force), state.is_first)
        };
        if !is_first && in_force.fingerprint == accepted.folder.fingerprint {
            return self.close_if_any(record).await;
        }
        // While nothing is decided, what is in force is none of the folder's policies.
        let bundle = (!self.live.is_closed()).then(|| self.live.current());
        let before = RevisionSide {
            files: if is_first {
                FileTexts::new()
            } else {
                in_force.folder.texts()
            },
            bundle: bundle.filter(|_| !is_first),
        };
        let edit = RevisionEdit {
            before,
            folder_before: (!is_first).then(|| in_force.fingerprint.clone()),
            is_first,
            folder: Arc::clone(&accepted.folder),
            bundle: Arc::clone(&accepted.bundle),
            origin,
            notes: accepted.remarks(),
        };
        self.store_revision(edit, record).await
    }

    /// Stores what the server starts with, unless it is known to be in force; `folder_before` is what this data directory
    /// had in force before.
    pub(super) async fn store_start(
        &self,
        folder_before: Option<String>,
        record: Option<AuditRecord>,
    ) -> Result<(), ServiceError> {
        if self.live.is_closed() {
            return self.close_if_any(record).await;
        }
        let folder = self.folder_in_force();
        let newest = self.database.list_policy_revisions(None, 1).await?;
        let newest = newest.into_iter().next();
        if !self
            .is_new_at_start(&folder, newest.as_ref(), folder_before.as_deref())
            .await?
        {
            return self.close_if_any(record).await;
        }
        let folder_before = folder_before.or(newest.map(|newest| newest.folder_revision));
        let files = match &folder_before {
            Some(before) => self.read_revision(before).await?,
            None => None,
        };
        let files = files.unwrap_or_default();
        let building = files.clone();
        let bundle = run_on_policy_thread(move || {
            let folder = PolicyFolder::from_files("the revision before", building);
            folder.bundle().ok().map(Arc::new)
        });
        let edit = RevisionEdit {
            before: RevisionSide {
                bundle: bundle.await?,
                files,
            },
            is_first: folder_before.is_none(),
            folder_before,
            folder,
            bundle: self.live.current(),
            origin: EditOrigin::Start,
            notes: Vec::new(),
        };
        self.store_revision(edit, record).await
    }

    async fn close_if_any(&self, record: Option<AuditRecord>) -> Result<(), ServiceError> {
        match record {
            Some(record) => self.close_reload_record(record).await,
            None => Ok(()),
        }
    }

    async fn is_new_at_start(
        &self,
        folder: &FolderInForce,
        newest: Option<&PolicyRevision>,
        folder_before: Option<&str>,
    ) -> Result<bool, ServiceError> {
        let Some(newest) = newest else {
            return Ok(true);
        };
        if newest.folder_revision == folder.fingerprint {
            return Ok(false);
        }
        if folder_before != Some(&folder.fingerprint) {
            return Ok(true);
        }
        // Another server may have taken over an edit that this one has not seen yet.
        let stored = self.database.find_policy_revision(&folder.fingerprint);
        Ok(stored.await?.is_none())
    }

    /// The files of a revision, if they are kept.
    pub async fn read_revision(
        &self,
        folder_revision: &str,
    ) -> Result<Option<FileTexts>, ServiceError> {
        let found = self.database.find_policy_revision(folder_revision).await?;
        let Some(found) = found.filter(|found| found.has_texts) else {
            return Ok(None);
        };
        Ok(self
            .database
            .read_policy_revision_files(found.number)
            .await?)
    }

    async fn store_revision(
        &self,
        edit: RevisionEdit,
        record: Option<AuditRecord>,
    ) -> Result<(), ServiceError> {
        let unix_millis = self.clock.unix_millis();
        let revision = run_on_policy_thread(move || edit.describe(unix_millis)).await?;
        let record = record.as_ref();
        self.database.add_policy_revision(&revision, record).await?;
        if let Some(record) = record {
            AuditTrail::count_outcome(record.event, record.outcome);
            count_reload(record.outcome);
        }
        Ok(())
    }

    /// A record of the folder, which no request asks for.
    pub(super) fn open_reload_record(
        &self,
        outcome: AuditOutcome,
        revision: Option<Revision>,
        reason: String,
    ) -> AuditRecord {
        AuditRecord {
            outcome,
            revision,
            reason: Some(reason),
            request_id: None,
            ..RequestContext::local().open_record(AuditEvent::PolicyReload, &self.clock)
        }
    }

    /// Makes a record durable that has no revision.
    pub(super) async fn close_reload_record(
        &self,
        record: AuditRecord,
    ) -> Result<(), ServiceError> {
        let outcome = record.outcome;
        self.audit.close_record(record, Ok(())).await?;
        count_reload(outcome);
        Ok(())
    }
}

impl RevisionEdit {
    fn describe(self, unix_millis: i64) -> NewPolicyRevision {
        let after = RevisionSide {
            files: self.folder.folder.texts(),
            bundle: Some(self.bundle),
        };
        let changes = find_changes(&self.before, &after);
        let (origin, user) = match self.origin {
            EditOrigin::Start => (RevisionOrigin::Start, None),
            EditOrigin::Folder => (RevisionOrigin::Folder, None),
            EditOrigin::Publish { user } => (RevisionOrigin::Publish, Some(user)),
        };
        NewPolicyRevision {
            folder_revision: self.folder.fingerprint.clone(),
            folder_before: self.folder_before,
            revision: self.folder.revision.clone(),
            unix_millis,
            origin,
            user,
            summary: summarize(&changes, self.is_first, &self.notes),
            changes,
            files: after.files,
        }
    }
}

fn count_reload(outcome: AuditOutcome) {
    metrics::counter!("cedargate_policy_reloads_total", "outcome" => outcome.as_str()).increment(1);
}
