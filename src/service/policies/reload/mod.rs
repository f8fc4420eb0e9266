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
use crate::domain::audit::{AuditRecord, Event, Outcome};
use crate::domain::clock::Clock;
use crate::domain::decision::Revision;
use crate::policy::complexity::STACK_OF_DECISIONS;
use crate::policy::folder::PolicyFolder;
use crate::policy::{BundleError, LiveBundle};

use crate::service::audit_trail::AuditTrail;
use crate::service::error::ServiceError;
use crate::service::identity::request_context::{Credential, Visitor};

pub use gate::{Gate, MOST_LINES, Passed, Refusal, RefusedEdit};
pub use last_good::{LastGood, LastGoodError};
pub use start::{InForceError, Start, StartError, begin, in_force};

use snapshot::Seen;

#[derive(Default)]
struct State {
    /// What was judged last.
    judged: Option<String>,
    refused: Option<Arc<RefusedEdit>>,
    unproved: Option<String>,
    unkept: bool,
}

/// How it stands with the policies; sentences never tell what a file says.
#[derive(Clone, Default)]
pub struct Standing {
    /// The edit that was refused, unless the folder is what is in force.
    pub refused: Option<Arc<RefusedEdit>>,
    /// Why what is in force was not proved.
    pub unproved: Option<String>,
    /// Whether what is in force could not be kept for a restart.
    pub is_unkept: bool,
}

/// What a reload came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reloaded {
    /// The revision in force.
    pub revision: Revision,
    /// Whether it was another one before.
    pub is_changed: bool,
    /// Whether the policies come from a folder; those inside the program never change.
    pub has_folder: bool,
}

/// Keeps the policies in force what the folder says.
pub struct PolicyReload {
    live: Arc<LiveBundle>,
    folder: Option<PathBuf>,
    gate: Gate,
    last_good: LastGood,
    audit: Arc<AuditTrail>,
    clock: Clock,
    turn: tokio::sync::Mutex<()>,
    state: Mutex<State>,
}

fn judge(
    gate: Gate,
    folder: Result<PolicyFolder, BundleError>,
) -> Result<(Passed, PolicyFolder), Refusal> {
    let folder = folder.map_err(Refusal::Broken)?;
    Ok((gate.judge(&folder)?, folder))
}

fn keep(last_good: &LastGood, folder: &PolicyFolder) -> bool {
    let kept = last_good.keep(folder);
    if let Err(error) = &kept {
        tracing::error!(%error, "the policies in force could not be kept for a restart");
    }
    kept.is_ok()
}

fn tell_unproved(why: Option<&str>) {
    if let Some(why) = why {
        tracing::warn!(
            why,
            "the invariants of the policies in force were not proved"
        );
    }
}

/// What one look at the folder found, judged.
struct Judged {
    fingerprint: String,
    revision: Option<Revision>,
    verdict: Result<(Passed, PolicyFolder), Refusal>,
}

impl PolicyReload {
    /// Takes over what the start found, and writes its record if that was a refusal.
    pub async fn of(
        start: Start,
        settings: &Settings,
        live: Arc<LiveBundle>,
        audit: Arc<AuditTrail>,
        clock: Clock,
    ) -> Result<Arc<Self>, ServiceError> {
        let refused = start.state.refused.clone();
        let reload = Arc::new(Self {
            live,
            folder: settings.policy_dir.clone(),
            gate: Gate::of(settings),
            last_good: LastGood::in_data_dir(&settings.data_dir),
            audit,
            clock,
            turn: tokio::sync::Mutex::default(),
            state: Mutex::new(start.state),
        });
        if let Some(edit) = refused {
            let reason = format!("at the start, {}", edit.why.told());
            reload
                .record(Outcome::Refused, edit.revision.clone(), reason)
                .await?;
        }
        reload.show();
        Ok(reload)
    }

    /// Follows the folder, if there is one, until it is told to stop.
    pub fn follow(self: &Arc<Self>, stop: CancellationToken) -> JoinHandle<()> {
        let reload = Arc::clone(self);
        tokio::spawn(async move {
            if let Some(folder) = reload.folder.clone() {
                watch::watch(reload, &folder, stop).await;
            }
        })
    }

    /// How it stands now.
    #[must_use]
    pub fn standing(&self) -> Standing {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        Standing {
            refused: state.refused.clone(),
            unproved: state.unproved.clone(),
            is_unkept: state.unkept,
        }
    }

    /// Judges the folder if it is another one than was judged last; says whether it was.
    async fn look(&self) -> bool {
        let _turn = self.turn.lock().await;
        match self.judge(true).await {
            Ok(Some(judged)) => {
                if let Err(error) = self.settle(judged).await {
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
    ) -> Result<Result<Reloaded, Arc<RefusedEdit>>, ServiceError> {
        let reload = Arc::clone(self);
        let reloading = tokio::spawn(async move {
            let _turn = reload.turn.lock().await;
            match reload.judge(false).await? {
                Some(judged) => reload.settle(judged).await,
                None => Ok(Ok(reload.reloaded(false))),
            }
        });
        reloading.await.map_err(|lost| ServiceError::Internal {
            what: "reloading the policies",
            source: lost.into(),
        })?
    }

    fn reloaded(&self, is_changed: bool) -> Reloaded {
        Reloaded {
            revision: self.live.current().revision().clone(),
            is_changed,
            has_folder: self.folder.is_some(),
        }
    }

    /// Reads and judges on a thread of its own; nothing if there is nothing new to judge.
    async fn judge(&self, is_passing_over_known: bool) -> Result<Option<Judged>, ServiceError> {
        let Some(path) = self.folder.clone() else {
            return Ok(None);
        };
        let gate = self.gate;
        let known = {
            let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.judged.clone().filter(|_| is_passing_over_known)
        };
        let (done, judged) = oneshot::channel();
        let work = move || {
            let is_known = known.is_some_and(|known| known == Seen::now(&path).fingerprint);
            let judged = if is_known {
                Some(None)
            } else {
                Seen::settled(&path).map(|seen| {
                    Some(Judged {
                        revision: seen.revision(),
                        fingerprint: seen.fingerprint,
                        verdict: judge(gate, seen.folder),
                    })
                })
            };
            // Whoever waited may be shutting down.
            let _ = done.send(judged);
        };
        std::thread::Builder::new()
            .name("policy-reload".to_owned())
            .stack_size(STACK_OF_DECISIONS)
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
    async fn settle(
        &self,
        judged: Judged,
    ) -> Result<Result<Reloaded, Arc<RefusedEdit>>, ServiceError> {
        match judged.verdict {
            Ok((passed, folder)) => {
                let revision = passed.bundle.revision().clone();
                let is_changed = *self.live.current().revision() != revision;
                if is_changed {
                    let reason = "the edit came into force".to_owned();
                    self.record(Outcome::Granted, Some(revision.clone()), reason)
                        .await?;
                    self.live.replace(passed.bundle);
                    tracing::info!(%revision, "edited policies came into force");
                }
                let last_good = self.last_good.clone();
                let is_kept = tokio::task::spawn_blocking(move || keep(&last_good, &folder)).await;
                tell_unproved(passed.unproved.as_deref());
                self.remember(State {
                    judged: Some(judged.fingerprint),
                    refused: None,
                    unproved: passed.unproved,
                    unkept: !is_kept.unwrap_or(false),
                });
                Ok(Ok(self.reloaded(is_changed)))
            }
            Err(why) => self
                .refuse(judged.fingerprint, judged.revision, why)
                .await
                .map(Err),
        }
    }

    async fn refuse(
        &self,
        fingerprint: String,
        revision: Option<Revision>,
        why: Refusal,
    ) -> Result<Arc<RefusedEdit>, ServiceError> {
        let before = self.standing();
        let is_told = {
            let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.refused.is_some() && state.judged.as_ref() == Some(&fingerprint)
        };
        if !is_told {
            self.record(Outcome::Refused, revision.clone(), why.told())
                .await?;
            tracing::error!(
                reasons = ?why.lines(),
                "an edit of the policies is refused: those before it stay in force"
            );
        }
        let edit = Arc::new(RefusedEdit {
            revision,
            unix_millis: self.clock.unix_millis(),
            why,
        });
        self.remember(State {
            judged: Some(fingerprint),
            refused: Some(Arc::clone(&edit)),
            unproved: before.unproved,
            unkept: before.is_unkept,
        });
        Ok(edit)
    }

    fn remember(&self, state: State) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = state;
        self.show();
    }

    fn show(&self) {
        let is_broken = self.standing().refused.is_some();
        metrics::gauge!("cedargate_policy_folder_refused").set(u8::from(is_broken));
    }

    async fn record(
        &self,
        outcome: Outcome,
        revision: Option<Revision>,
        reason: String,
    ) -> Result<(), ServiceError> {
        // Nobody asks for it: the files do.
        let nobody = Visitor {
            credential: Credential::None,
            address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            request_id: String::new(),
        };
        let record = AuditRecord {
            outcome,
            revision,
            reason: Some(reason),
            request_id: None,
            ..nobody.open_record(Event::PolicyReload, &self.clock)
        };
        self.audit.close(record, Ok(())).await?;
        metrics::counter!("cedargate_policy_reloads_total", "outcome" => outcome.as_str())
            .increment(1);
        Ok(())
    }
}
