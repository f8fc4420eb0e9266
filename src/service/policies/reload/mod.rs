//! Reloading the policies: an edit of the folder comes into force, or is refused and told of.
//!
//! One at a time: read the folder whole and twice alike, judge it, write its record, swap. What is in
//! force is never half-new, and nothing changes it that is not on record. This module refuses to know
//! who asked for it and how it is shown.

mod gate;
mod last_good;
mod snapshot;
mod start;
mod watch;

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::config::Settings;
use crate::domain::audit::{AuditEvent, AuditOutcome, AuditRecord};
use crate::domain::clock::Clock;
use crate::domain::decision::Revision;
use crate::domain::text_enum::TextEnum;
use crate::policy::complexity::DECISION_STACK_SIZE;
use crate::policy::folder::PolicyFolder;
use crate::policy::{BundleError, LiveBundle};

use crate::service::audit_trail::AuditTrail;
use crate::service::error::ServiceError;
use crate::service::identity::request_context::{Credential, RequestContext};

pub use gate::{AcceptedBundle, MAX_REASON_LINES, PolicyGate, RejectedBundle, RejectionReason};
pub use last_good::{LastGoodError, LastGoodFile};
pub use start::{
    ActiveBundleError, InitialPolicies, PolicyStartError, load_active_bundle, load_initial_policies,
};

use snapshot::FolderSnapshot;

#[derive(Default)]
struct ReloadState {
    /// What was judged last.
    checked_fingerprint: Option<String>,
    rejected: Option<Arc<RejectedBundle>>,
    unproved: Option<String>,
    is_unsaved: bool,
}

/// How it stands with the policies; sentences never tell what a file says.
#[derive(Clone, Default)]
pub struct ReloadStatus {
    /// The edit that was refused, unless the folder is what is in force.
    pub rejected: Option<Arc<RejectedBundle>>,
    /// Why what is in force was not proved.
    pub unproved: Option<String>,
    /// Whether what is in force could not be kept for a restart.
    pub is_unsaved: bool,
}

/// What a reload came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReloadReport {
    /// The revision in force.
    pub revision: Revision,
    /// Whether it was another one before.
    pub is_changed: bool,
    /// Whether the policies come from a folder; those inside the program never change.
    pub has_folder: bool,
}

/// Keeps the policies in force what the folder says.
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

fn check_candidate(
    gate: PolicyGate,
    folder: Result<PolicyFolder, BundleError>,
) -> Result<(AcceptedBundle, PolicyFolder), RejectionReason> {
    let folder = folder.map_err(RejectionReason::Invalid)?;
    Ok((gate.check(&folder)?, folder))
}

fn persist_last_good(last_good: &LastGoodFile, folder: &PolicyFolder) -> bool {
    let kept = last_good.save(folder);
    if let Err(error) = &kept {
        tracing::error!(%error, "the policies in force could not be kept for a restart");
    }
    kept.is_ok()
}

fn log_unproved(why: Option<&str>) {
    if let Some(why) = why {
        tracing::warn!(
            why,
            "the invariants of the policies in force were not proved"
        );
    }
}

/// What one look at the folder found, judged.
struct CheckedFolder {
    fingerprint: String,
    revision: Option<Revision>,
    result: Result<(AcceptedBundle, PolicyFolder), RejectionReason>,
}

impl PolicyReloader {
    /// Takes over what the start found, and writes its record if that was a refusal.
    pub async fn start(
        start: InitialPolicies,
        settings: &Settings,
        live: Arc<LiveBundle>,
        audit: Arc<AuditTrail>,
        clock: Clock,
    ) -> Result<Arc<Self>, ServiceError> {
        let refused = start.state.rejected.clone();
        let reload = Arc::new(Self {
            live,
            folder: settings.policy_dir.clone(),
            gate: PolicyGate::from_settings(settings),
            last_good: LastGoodFile::in_data_dir(&settings.data_dir),
            audit,
            clock,
            reload_lock: tokio::sync::Mutex::default(),
            state: Mutex::new(start.state),
        });
        if let Some(edit) = refused {
            let reason = format!("at the start, {}", edit.reason.summary());
            reload
                .record(AuditOutcome::Refused, edit.revision.clone(), reason)
                .await?;
        }
        reload.update_metrics();
        Ok(reload)
    }

    /// Follows the folder, if there is one, until it is told to stop.
    pub fn spawn_watcher(self: &Arc<Self>, stop: CancellationToken) -> JoinHandle<()> {
        let reload = Arc::clone(self);
        tokio::spawn(async move {
            if let Some(folder) = reload.folder.clone() {
                watch::watch(reload, &folder, stop).await;
            }
        })
    }

    /// How it stands now.
    #[must_use]
    pub fn status(&self) -> ReloadStatus {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        ReloadStatus {
            rejected: state.rejected.clone(),
            unproved: state.unproved.clone(),
            is_unsaved: state.is_unsaved,
        }
    }

    /// Judges the folder if it is another one than was judged last; says whether it was.
    async fn check_for_changes(&self) -> bool {
        let _turn = self.reload_lock.lock().await;
        match self.spawn_check(true).await {
            Ok(Some(judged)) => {
                if let Err(error) = self.conclude(judged).await {
                    tracing::error!(%error, "an edit of the policies has to wait for its record");
                }
                true
            }
            Ok(None) => false,
            Err(error) => {
                tracing::error!(%error, "the policy folder could not be looked at");
                false
            }
        }
    }

    /// Judges the folder now, whether or not it was judged before.
    ///
    /// It goes on to its end when whoever asked goes away.
    pub async fn reload(
        self: &Arc<Self>,
    ) -> Result<Result<ReloadReport, Arc<RejectedBundle>>, ServiceError> {
        let reload = Arc::clone(self);
        let reloading = tokio::spawn(async move {
            let _turn = reload.reload_lock.lock().await;
            match reload.spawn_check(false).await? {
                Some(judged) => reload.conclude(judged).await,
                None => Ok(Ok(reload.reload_report(false))),
            }
        });
        reloading.await.map_err(|lost| ServiceError::Internal {
            what: "reloading the policies",
            source: lost.into(),
        })?
    }

    fn reload_report(&self, is_changed: bool) -> ReloadReport {
        ReloadReport {
            revision: self.live.current().revision().clone(),
            is_changed,
            has_folder: self.folder.is_some(),
        }
    }

    /// Reads and judges on a thread of its own; nothing if there is nothing new to judge.
    async fn spawn_check(
        &self,
        is_passing_over_known: bool,
    ) -> Result<Option<CheckedFolder>, ServiceError> {
        let Some(path) = self.folder.clone() else {
            return Ok(None);
        };
        let gate = self.gate;
        let known = {
            let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            state
                .checked_fingerprint
                .clone()
                .filter(|_| is_passing_over_known)
        };
        let (done, judged) = oneshot::channel();
        let work = move || {
            let is_known =
                known.is_some_and(|known| known == FolderSnapshot::read(&path).fingerprint);
            let judged = if is_known {
                Some(None)
            } else {
                FolderSnapshot::read_stable(&path).map(|seen| {
                    Some(CheckedFolder {
                        revision: seen.revision(),
                        fingerprint: seen.fingerprint,
                        result: check_candidate(gate, seen.folder),
                    })
                })
            };
            // Whoever waited may be shutting down.
            let _ = done.send(judged);
        };
        std::thread::Builder::new()
            .name("policy-reload".to_owned())
            .stack_size(DECISION_STACK_SIZE)
            .spawn(work)
            .map_err(|source| ServiceError::Unavailable {
                what: "reloading the policies",
                source: source.into(),
            })?;
        match judged.await {
            Ok(Some(judged)) => Ok(judged),
            Ok(None) => Err(ServiceError::Unavailable {
                what: "the policy folder",
                source: "it keeps changing".into(),
            }),
            Err(lost) => Err(ServiceError::Internal {
                what: "judging the policies",
                source: lost.into(),
            }),
        }
    }

    /// Puts in force what passed and remembers what did not, once that is on record.
    async fn conclude(
        &self,
        judged: CheckedFolder,
    ) -> Result<Result<ReloadReport, Arc<RejectedBundle>>, ServiceError> {
        match judged.result {
            Ok((passed, folder)) => {
                let revision = passed.bundle.revision().clone();
                let is_changed = *self.live.current().revision() != revision;
                if is_changed {
                    let reason = "the edit came into force".to_owned();
                    self.record(AuditOutcome::Granted, Some(revision.clone()), reason)
                        .await?;
                    self.live.replace(passed.bundle);
                    tracing::info!(%revision, "edited policies came into force");
                }
                let last_good = self.last_good.clone();
                let is_kept =
                    tokio::task::spawn_blocking(move || persist_last_good(&last_good, &folder))
                        .await;
                log_unproved(passed.unproved.as_deref());
                self.set_state(ReloadState {
                    checked_fingerprint: Some(judged.fingerprint),
                    rejected: None,
                    unproved: passed.unproved,
                    is_unsaved: !is_kept.unwrap_or(false),
                });
                Ok(Ok(self.reload_report(is_changed)))
            }
            Err(why) => self
                .reject(judged.fingerprint, judged.revision, why)
                .await
                .map(Err),
        }
    }

    async fn reject(
        &self,
        fingerprint: String,
        revision: Option<Revision>,
        why: RejectionReason,
    ) -> Result<Arc<RejectedBundle>, ServiceError> {
        let before = self.status();
        let is_told = {
            let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.rejected.is_some() && state.checked_fingerprint.as_ref() == Some(&fingerprint)
        };
        if !is_told {
            self.record(AuditOutcome::Refused, revision.clone(), why.summary())
                .await?;
            tracing::error!(
                reasons = ?why.lines(),
                "an edit of the policies is refused: those before it stay in force"
            );
        }
        let edit = Arc::new(RejectedBundle {
            revision,
            unix_millis: self.clock.unix_millis(),
            reason: why,
        });
        self.set_state(ReloadState {
            checked_fingerprint: Some(fingerprint),
            rejected: Some(Arc::clone(&edit)),
            unproved: before.unproved,
            is_unsaved: before.is_unsaved,
        });
        Ok(edit)
    }

    fn set_state(&self, state: ReloadState) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = state;
        self.update_metrics();
    }

    fn update_metrics(&self) {
        let is_broken = self.status().rejected.is_some();
        metrics::gauge!("cedargate_policy_folder_refused").set(u8::from(is_broken));
    }

    async fn record(
        &self,
        outcome: AuditOutcome,
        revision: Option<Revision>,
        reason: String,
    ) -> Result<(), ServiceError> {
        // Nobody asks for it: the files do.
        let nobody = RequestContext {
            credential: Credential::None,
            address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            request_id: String::new(),
        };
        let record = AuditRecord {
            outcome,
            revision,
            reason: Some(reason),
            request_id: None,
            ..nobody.open_record(AuditEvent::PolicyReload, &self.clock)
        };
        self.audit.close_record(record, Ok(())).await?;
        metrics::counter!("cedargate_policy_reloads_total", "outcome" => outcome.as_str())
            .increment(1);
        Ok(())
    }
}
