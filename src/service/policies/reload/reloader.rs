//! The reloader: brings the policy folder into force, one reload at a time.
//!
//! What is in force is never half-new, and nothing changes it that is not on record.

use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::config::Settings;
use crate::domain::audit::AuditOutcome;
use crate::domain::clock::Clock;
use crate::policy::LiveBundle;
use crate::service::audit_trail::AuditTrail;
use crate::service::error::ServiceError;
use crate::service::long_work::LongWork;
use crate::storage::{Database, PolicyEdit};

use super::catalog_check::check_catalog;
use super::draft_proofs::DraftProofs;
use super::gate::{AcceptedBundle, CheckedFolder, GateBaseline, PolicyGate};
use super::initial::InitialPolicies;
use super::last_good::LastGoodFile;
use super::origin::{CameIntoForce, EditOrigin};
use super::policy_thread::run_on_policy_thread;
use super::proof_file::ProofFile;
use super::publish_target::PublishTarget;
use super::rejection::RejectedBundle;
use super::second_look::{FolderChange, find_folder_change, may_pass_now};
use super::shared_run::SharedRun;
use super::snapshot::{FolderSnapshot, PolicySource};
use super::state::{NextAttempt, ReloadState};
use super::status::{ReloadReport, ReloadStatus};

/// An edit in force, or refused.
pub type ReloadResult = Result<ReloadReport, Arc<RejectedBundle>>;

/// The result of a reload for all who asked for it.
#[derive(Clone)]
pub(super) struct SharedReload {
    result: ReloadResult,
    /// Whether the folder was checked, and not known from before.
    is_checked: bool,
}

/// Brings edits of the policy folder into force.
pub struct PolicyReloader {
    pub(super) live: Arc<LiveBundle>,
    pub(super) source: PolicySource,
    pub(super) gate: PolicyGate,
    last_good: LastGoodFile,
    proofs: Arc<ProofFile>,
    pub(super) draft_proofs: DraftProofs,
    pub(super) publish_target: PublishTarget,
    pub(super) database: Database,
    pub(super) audit: Arc<AuditTrail>,
    pub(super) clock: Clock,
    pub(super) reloads: Arc<SharedRun<Result<SharedReload, Arc<ServiceError>>>>,
    pub(super) state: Mutex<ReloadState>,
}

impl PolicyReloader {
    /// Takes over after startup: records what the start changed or refused, and saves what is in force.
    pub async fn start(
        initial: InitialPolicies,
        settings: &Settings,
        live: Arc<LiveBundle>,
        database: Database,
        audit: Arc<AuditTrail>,
        clock: Clock,
    ) -> Result<Arc<Self>, ServiceError> {
        let reloader = Arc::new(Self {
            live,
            source: PolicySource::from_settings(settings),
            gate: PolicyGate::from_settings(settings),
            last_good: LastGoodFile::in_data_dir(&settings.data_dir),
            draft_proofs: DraftProofs::new(&initial.proofs, settings.gate_proof_limit),
            publish_target: PublishTarget::from_settings(settings),
            proofs: Arc::clone(&initial.proofs),
            database,
            audit,
            reloads: Arc::default(),
            state: Mutex::new(ReloadState::new(&initial, clock.unix_millis())),
            clock,
        });
        let record = initial.record.map(|record| {
            reloader.open_reload_record(record.outcome, record.revision, record.reason)
        });
        reloader.store_start(initial.folder_before, record).await?;
        if reloader.status().rejected.is_none() {
            reloader.persist().await;
        }
        reloader.update_metrics();
        reloader.log_warnings().await;
        Ok(reloader)
    }

    async fn log_warnings(&self) {
        let warnings = Arc::clone(&self.state.lock().warnings);
        warnings.log(&self.database).await;
        if self.gate.uses_solver() && !self.live.is_closed() {
            let folder = self.state.lock().in_force.folder.clone();
            let proofs = Arc::clone(&self.proofs);
            warnings.find_idle_policies(self.live.current(), folder, proofs);
        }
    }

    /// The folder, unless the policies are those inside the program.
    pub(super) fn folder(&self) -> Option<&Path> {
        self.source.folder()
    }

    /// The current status.
    #[must_use]
    pub fn status(&self) -> ReloadStatus {
        let status = self.state.lock().status();
        ReloadStatus {
            is_closed: self.live.is_closed(),
            proof_percent: self.proofs.memory.progress().percent(),
            ..status
        }
    }

    /// Whether another check of the same folder could have another result because of the solver.
    pub(super) fn next_attempt(&self) -> NextAttempt {
        self.state.lock().next_attempt(self.live.is_closed())
    }

    /// Reloads the folder now. All who ask while a reload runs share the next one.
    ///
    /// An unchanged folder is not proved again, unless that could have another result. A reload that has begun
    /// goes on when the caller goes away.
    pub async fn reload(self: &Arc<Self>) -> Result<ReloadResult, ServiceError> {
        Ok(self.join_reload(true).await?.result)
    }

    /// Reloads the folder if it changed since it was checked last; whether it was checked.
    pub(super) async fn check_for_changes(self: &Arc<Self>) -> bool {
        match self.join_reload(false).await {
            Ok(reload) => reload.is_checked,
            Err(error) => {
                tracing::error!(%error, "the policies could not be reloaded; trying again");
                false
            }
        }
    }

    async fn join_reload(self: &Arc<Self>, is_forced: bool) -> Result<SharedReload, ServiceError> {
        let reloader = Arc::clone(self);
        let run = move |is_forced| async move {
            let reload = reloader.reload_folder(is_forced).await;
            reload.map_err(Arc::new)
        };
        match self.reloads.join(is_forced, run).await {
            Some(Ok(reload)) => Ok(reload),
            Some(Err(error)) => Err(match *error {
                ServiceError::Unavailable { what, .. } => ServiceError::unavailable(what, error),
                _ => ServiceError::internal("reloading the policies", error),
            }),
            None => Err(ServiceError::internal(
                "reloading the policies",
                "the reload panicked",
            )),
        }
    }

    /// One reload: snapshot, check, record, activate, persist.
    async fn reload_folder(&self, is_forced: bool) -> Result<SharedReload, ServiceError> {
        let is_checked = loop {
            match self.find_change(is_forced).await? {
                FolderChange::None => {
                    if self.status().is_unsaved {
                        self.persist().await;
                    }
                    break false;
                }
                FolderChange::Restored => {
                    self.state.lock().set_restored();
                    self.update_metrics();
                    break true;
                }
                FolderChange::Edited(snapshot) => {
                    let checked = self.check(*snapshot, None).await?;
                    if self.is_outdated(&checked).await? {
                        continue;
                    }
                    let is_changed = self.conclude(checked).await?;
                    if is_changed {
                        return Ok(SharedReload {
                            result: Ok(self.report(true)),
                            is_checked: true,
                        });
                    }
                    break true;
                }
            }
        };
        let result = self.status().rejected.map_or(Ok(self.report(false)), Err);
        Ok(SharedReload { result, is_checked })
    }

    /// Takes a snapshot of the folder, unless its check would have the result that is known.
    async fn find_change(&self, is_forced: bool) -> Result<FolderChange, ServiceError> {
        let rejected = self.status().rejected;
        let may_pass_now = may_pass_now(&self.database, rejected.as_deref(), is_forced).await?;
        let folders = {
            let state = self.state.lock();
            let must_check = may_pass_now || (is_forced && !state.is_settled);
            state.known_folders(must_check)
        };
        if let Err(error) = self.settle_publish().await? {
            let snapshot = FolderSnapshot::unsettled(&error);
            return Ok(folders.change_to(snapshot));
        }
        let source = self.source.clone();
        run_on_policy_thread(move || find_folder_change(&source, &folders)).await?
    }

    /// Passes a snapshot through the policy gate; `work` is that of whoever follows it.
    pub(super) async fn check(
        &self,
        snapshot: FolderSnapshot,
        work: Option<LongWork>,
    ) -> Result<CheckedFolder, ServiceError> {
        let accepted: Vec<PolicyEdit> = self.database.list_accepted_policy_edits().await?;
        let gate = self.gate;
        let in_force = self.state.lock().baseline();
        let proofs = Arc::clone(&self.proofs);
        let checked = run_on_policy_thread(move || {
            let baseline = GateBaseline {
                in_force: in_force.as_deref(),
                accepted: &accepted,
                proofs: &proofs,
                work: work.as_ref(),
            };
            let checked = gate.check(snapshot, baseline);
            proofs.save_if(checked.result.is_err());
            checked
        })
        .await?;
        Ok(check_catalog(&self.database, checked, false).await?)
    }

    /// Whether the folder has changed since, before the first policies come into force: what somebody mended or took
    /// back while it was being proved is not put in force.
    async fn is_outdated(&self, checked: &CheckedFolder) -> Result<bool, ServiceError> {
        if !self.live.is_closed() || checked.result.is_err() {
            return Ok(false);
        }
        let source = self.source.clone();
        let current = run_on_policy_thread(move || source.read().fingerprint).await?;
        Ok(current != checked.fingerprint)
    }

    /// Puts an accepted folder in force, or records its refusal; whether another revision is in force now.
    async fn conclude(&self, checked: CheckedFolder) -> Result<bool, ServiceError> {
        let is_settled = checked.is_settled();
        match checked.result {
            Ok(accepted) => {
                let origin = EditOrigin::Folder;
                self.activate(accepted, is_settled, origin).await
            }
            Err(reason) => {
                let rejected = RejectedBundle {
                    revision: checked.revision,
                    folder_revision: checked.folder_revision,
                    unix_millis: self.clock.unix_millis(),
                    reason,
                };
                self.reject(checked.fingerprint, is_settled, rejected)
                    .await?;
                Ok(false)
            }
        }
    }

    /// Records a folder that passed and puts it in force; whether that is another revision.
    pub(super) async fn activate(
        &self,
        accepted: AcceptedBundle,
        is_settled: bool,
        origin: EditOrigin,
    ) -> Result<bool, ServiceError> {
        let (before, is_first) = {
            let state = self.state.lock();
            (state.in_force.revision.clone(), state.is_first)
        };
        let revision = accepted.folder.revision.clone();
        let is_changed = self.live.is_closed() || before != revision;
        let is_notable = accepted.is_notable(&before) || is_changed;
        let record = is_notable.then(|| {
            let reason = origin.add_to(accepted.summary((!is_first).then_some(&before)));
            self.open_reload_record(AuditOutcome::Granted, Some(revision.clone()), reason)
        });
        self.store_edit(&accepted, origin, record).await?;
        if is_changed {
            self.live.replace(Arc::clone(&accepted.bundle));
            tracing::info!(%revision, "edited policies came into force");
        }
        if accepted.changes.is_notable() {
            let changes = accepted.changes.lines();
            tracing::warn!(%revision, ?changes, "the invariants or cases in force changed");
        }
        accepted.log_notes();
        if self.status().unproved != accepted.unproved {
            accepted.log_unproved();
        }
        *self.state.lock() = ReloadState {
            fingerprint: accepted.folder.fingerprint.clone(),
            is_settled,
            is_in_force_checked: true,
            is_first: false,
            came: CameIntoForce {
                unix_millis: self.clock.unix_millis(),
                origin,
            },
            status: ReloadStatus {
                unguarded: self.gate.missing_safeguards(&accepted.folder),
                unproved: accepted.unproved,
                ..ReloadStatus::default()
            },
            in_force: accepted.folder,
            warnings: accepted.warnings,
        };
        self.persist().await;
        self.log_warnings().await;
        self.update_metrics();
        Ok(is_changed)
    }

    /// Records a refused edit, once; the policies in force stay.
    async fn reject(
        &self,
        fingerprint: String,
        is_settled: bool,
        rejected: RejectedBundle,
    ) -> Result<(), ServiceError> {
        if !self.state.lock().is_rejected(&fingerprint) {
            let (revision, reason) = (rejected.revision.clone(), rejected.record());
            let record = self.open_reload_record(AuditOutcome::Refused, revision, reason);
            self.close_reload_record(record).await?;
            rejected.log(self.live.is_closed());
        }
        self.state
            .lock()
            .set_rejected(fingerprint, is_settled, rejected);
        self.update_metrics();
        Ok(())
    }

    /// Saves what is in force for a restart.
    async fn persist(&self) {
        let (in_force, unproved) = {
            let state = self.state.lock();
            (Arc::clone(&state.in_force), state.status.unproved.clone())
        };
        let last_good = self.last_good.clone();
        let save = move || last_good.save(&in_force.folder, unproved);
        let is_saved = tokio::task::spawn_blocking(save).await.unwrap_or(false);
        self.state.lock().status.is_unsaved = !is_saved;
    }

    pub(super) fn report(&self, is_changed: bool) -> ReloadReport {
        ReloadReport {
            revision: self.live.current().revision().clone(),
            is_changed,
            has_folder: self.folder().is_some(),
        }
    }

    fn update_metrics(&self) {
        let rejected = self.status().rejected;
        let is_rejected = rejected.is_some_and(|rejected| !rejected.is_under_way());
        metrics::gauge!("cedargate_policy_folder_refused").set(u8::from(is_rejected));
    }
}
