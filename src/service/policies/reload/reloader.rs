//! The reloader: brings the policy folder into force, one reload at a time.
//!
//! What is in force is never half-new, and nothing changes it that is not on record.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;

use crate::config::Settings;
use crate::domain::audit::{AuditEvent, AuditOutcome, AuditRecord};
use crate::domain::clock::Clock;
use crate::domain::decision::Revision;
use crate::domain::text_enum::TextEnum;
use crate::policy::LiveBundle;
use crate::policy::complexity::DECISION_STACK_SIZE;
use crate::service::audit_trail::AuditTrail;
use crate::service::error::ServiceError;
use crate::service::identity::request_context::RequestContext;

use super::gate::{AcceptedBundle, CheckedFolder, PolicyGate};
use super::initial::InitialPolicies;
use super::last_good::LastGoodFile;
use super::rejection::{RejectedBundle, RejectionReason};
use super::snapshot::FolderSnapshot;
use super::status::ReloadStatus;

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

/// An edit in force, or refused.
type ReloadResult = Result<ReloadReport, Arc<RejectedBundle>>;

/// Brings edits of the policy folder into force.
pub struct PolicyReloader {
    live: Arc<LiveBundle>,
    folder: Option<PathBuf>,
    gate: PolicyGate,
    last_good: LastGoodFile,
    audit: Arc<AuditTrail>,
    clock: Clock,
    reload_lock: tokio::sync::Mutex<()>,
    state: Mutex<ReloadState>,
}

struct ReloadState {
    /// The fingerprint of the folder that was checked last.
    fingerprint: Option<String>,
    status: ReloadStatus,
}

impl PolicyReloader {
    /// Takes over after startup, and records the refusal, if the folder was refused.
    pub async fn start(
        initial: InitialPolicies,
        settings: &Settings,
        live: Arc<LiveBundle>,
        audit: Arc<AuditTrail>,
        clock: Clock,
    ) -> Result<Arc<Self>, ServiceError> {
        let rejected = initial.status.rejected.clone();
        let reloader = Arc::new(Self {
            live,
            folder: settings.policy_dir.clone(),
            gate: PolicyGate::from_settings(settings),
            last_good: LastGoodFile::in_data_dir(&settings.data_dir),
            audit,
            clock,
            reload_lock: tokio::sync::Mutex::default(),
            state: Mutex::new(ReloadState {
                fingerprint: initial.fingerprint,
                status: initial.status,
            }),
        });
        if let Some(rejected) = rejected {
            let reason = format!("at the start, {}", rejected.reason.summary());
            reloader
                .record(AuditOutcome::Refused, rejected.revision.clone(), reason)
                .await?;
        }
        reloader.update_metrics();
        Ok(reloader)
    }

    /// The folder, unless the policies are those inside the program.
    pub(super) fn folder(&self) -> Option<&Path> {
        self.folder.as_deref()
    }

    /// The current status.
    #[must_use]
    pub fn status(&self) -> ReloadStatus {
        self.read_state(|state| state.status.clone())
    }

    /// Reloads the folder now, whether or not it changed.
    ///
    /// A reload that has begun goes on when the caller goes away.
    pub async fn reload(self: &Arc<Self>) -> Result<ReloadResult, ServiceError> {
        let reloader = Arc::clone(self);
        let reload = tokio::spawn(async move { reloader.reload_folder(true).await });
        let result = reload.await.map_err(|source| ServiceError::Internal {
            what: "reloading the policies",
            source: source.into(),
        })??;
        Ok(result.unwrap_or_else(|| Ok(self.report(false))))
    }

    /// Reloads the folder if it changed since it was checked last; whether it did.
    pub(super) async fn check_for_changes(&self) -> bool {
        match self.reload_folder(false).await {
            Ok(result) => result.is_some(),
            Err(error) => {
                tracing::error!(%error, "the policies could not be reloaded; trying again");
                false
            }
        }
    }

    /// One reload: snapshot, check, record, activate, persist.
    ///
    /// Nothing happens without a folder, or if it did not change and the reload is not forced.
    async fn reload_folder(&self, is_forced: bool) -> Result<Option<ReloadResult>, ServiceError> {
        let _lock = self.reload_lock.lock().await;
        let Some(checked) = self.check_folder(is_forced).await? else {
            return Ok(None);
        };
        let accepted = match checked.result {
            Ok(accepted) => accepted,
            Err(reason) => {
                let edit = self.reject(checked.fingerprint, checked.revision, reason);
                return Ok(Some(Err(edit.await?)));
            }
        };
        let revision = accepted.bundle.revision().clone();
        let is_changed = *self.live.current().revision() != revision;
        if is_changed {
            let reason = "the edit came into force".to_owned();
            self.record(AuditOutcome::Granted, Some(revision.clone()), reason)
                .await?;
            self.live.replace(Arc::clone(&accepted.bundle));
            tracing::info!(%revision, "edited policies came into force");
        }
        accepted.log_unproved();
        let status = self.persist(accepted).await;
        self.set_state(checked.fingerprint, status);
        Ok(Some(Ok(self.report(is_changed))))
    }

    /// Takes a snapshot of the folder and checks it, on a thread with the stack that policies need;
    /// `None` if there is nothing to check.
    async fn check_folder(&self, is_forced: bool) -> Result<Option<CheckedFolder>, ServiceError> {
        let Some(path) = self.folder.clone() else {
            return Ok(None);
        };
        let gate = self.gate;
        let known = self.read_state(|state| state.fingerprint.clone().filter(|_| !is_forced));
        let check = move || {
            let snapshot = FolderSnapshot::read(&path);
            if known.as_ref() == Some(&snapshot.fingerprint) {
                return Ok(None);
            }
            match snapshot.until_stable(&path) {
                Some(stable) => Ok(Some(gate.check(stable))),
                None => Err(ServiceError::Unavailable {
                    what: "the policy folder",
                    source: "the folder is still being modified".into(),
                }),
            }
        };
        let (sender, checked) = oneshot::channel();
        std::thread::Builder::new()
            .name("policy-reload".to_owned())
            .stack_size(DECISION_STACK_SIZE)
            // At shutdown nobody waits for the result.
            .spawn(move || drop(sender.send(check())))
            .map_err(|source| ServiceError::Unavailable {
                what: "reloading the policies",
                source: source.into(),
            })?;
        checked.await.map_err(|source| ServiceError::Internal {
            what: "checking the policies",
            source: source.into(),
        })?
    }

    /// Records a refused edit, once; the policies in force stay.
    async fn reject(
        &self,
        fingerprint: String,
        revision: Option<Revision>,
        reason: RejectionReason,
    ) -> Result<Arc<RejectedBundle>, ServiceError> {
        let (is_recorded, before) = self.read_state(|state| {
            let is_same = state.fingerprint.as_ref() == Some(&fingerprint);
            let is_recorded = is_same && state.status.rejected.is_some();
            (is_recorded, state.status.clone())
        });
        if !is_recorded {
            self.record(AuditOutcome::Refused, revision.clone(), reason.summary())
                .await?;
            tracing::error!(
                reasons = ?reason.lines(),
                "an edit of the policies is refused: the policies before it stay in force"
            );
        }
        let edit = Arc::new(RejectedBundle {
            revision,
            unix_millis: self.clock.unix_millis(),
            reason,
        });
        let status = ReloadStatus {
            rejected: Some(Arc::clone(&edit)),
            ..before
        };
        self.set_state(fingerprint, status);
        Ok(edit)
    }

    /// Saves what came into force for a restart.
    async fn persist(&self, accepted: AcceptedBundle) -> ReloadStatus {
        let AcceptedBundle {
            folder, unproved, ..
        } = accepted;
        let last_good = self.last_good.clone();
        let is_saved = tokio::task::spawn_blocking(move || last_good.save(&folder)).await;
        ReloadStatus {
            rejected: None,
            unproved,
            is_unsaved: !is_saved.unwrap_or(false),
        }
    }

    async fn record(
        &self,
        outcome: AuditOutcome,
        revision: Option<Revision>,
        reason: String,
    ) -> Result<(), ServiceError> {
        // No request asks for it.
        let context = RequestContext::local();
        let record = AuditRecord {
            outcome,
            revision,
            reason: Some(reason),
            request_id: None,
            ..context.open_record(AuditEvent::PolicyReload, &self.clock)
        };
        self.audit.close_record(record, Ok(())).await?;
        metrics::counter!("cedargate_policy_reloads_total", "outcome" => outcome.as_str())
            .increment(1);
        Ok(())
    }

    fn report(&self, is_changed: bool) -> ReloadReport {
        ReloadReport {
            revision: self.live.current().revision().clone(),
            is_changed,
            has_folder: self.folder.is_some(),
        }
    }

    fn read_state<T>(&self, read: impl FnOnce(&ReloadState) -> T) -> T {
        read(&self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn set_state(&self, fingerprint: String, status: ReloadStatus) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = ReloadState {
            fingerprint: Some(fingerprint),
            status,
        };
        self.update_metrics();
    }

    fn update_metrics(&self) {
        let is_rejected = self.status().rejected.is_some();
        metrics::gauge!("cedargate_policy_folder_refused").set(u8::from(is_rejected));
    }
}
