//! The initial policies: what comes into force when the server starts.

use std::path::Path;
use std::sync::Arc;

use tokio::runtime::Handle;

use crate::config::Settings;
use crate::domain::audit::AuditOutcome;
use crate::domain::clock::Clock;
use crate::domain::decision::Revision;
use crate::policy::folder::PolicyFolder;
use crate::policy::{Bundle, BundleError};
use crate::storage::{Database, PolicyEdit, StorageError};

use super::catalog_check::check_catalog;
use super::folder_files::FolderWriteError;
use super::folder_in_force::FolderInForce;
use super::folder_writer::FolderWriter;
use super::gate::{AcceptedBundle, GateBaseline, PolicyGate};
use super::last_good::{LastGoodError, LastGoodFile, LastGoodPolicies};
use super::proof_file::ProofFile;
use super::rejection::{RejectedBundle, RejectionReason};
use super::snapshot::{FolderSnapshot, PolicySource};
use super::status::ReloadStatus;
use super::warnings::FolderWarnings;

/// Why the server cannot start with its policies.
#[derive(Debug, thiserror::Error)]
pub enum PolicyStartError {
    /// The folder is not valid, and there are no last good policies.
    #[error(transparent)]
    Invalid(#[from] BundleError),
    /// The folder does not pass the gate, and the last good policies cannot be used.
    #[error("the policies are refused, {summary}; and there is no fallback: {}", describe_fallback(.last_good.as_ref()))]
    Rejected {
        /// Why they are refused.
        summary: String,
        /// Why the last good policies cannot be used, if there are any.
        last_good: Option<LastGoodError>,
    },
    /// The catalog that the policies are about cannot be read.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl PolicyStartError {
    /// The same error, whose files are named with the folder: it is told on a terminal.
    fn in_folder(self, folder: Option<&Path>) -> Self {
        match (self, folder) {
            (Self::Invalid(error), Some(folder)) => Self::Invalid(error.in_folder(folder)),
            (error, _) => error,
        }
    }
}

fn describe_fallback(error: Option<&LastGoodError>) -> String {
    let none = || "this data directory has no last good policies".to_owned();
    error.map_or_else(none, ToString::to_string)
}

/// Why the policies in force are not known.
#[derive(Debug, thiserror::Error)]
pub enum ActiveBundleError {
    /// The policies that the settings name are not valid, and there are no last good ones.
    #[error(transparent)]
    Invalid(#[from] BundleError),
    /// The last good policies cannot be used.
    #[error(transparent)]
    LastGood(#[from] LastGoodError),
}

/// Loads the policies in force: those that a server on this data directory activated last, or, if there
/// are none, those that the settings name. The folder may hold an edit that was refused or not checked.
pub fn load_active_folder(settings: &Settings) -> Result<PolicyFolder, ActiveBundleError> {
    let source = PolicySource::from_settings(settings);
    if source.folder().is_none() {
        return Ok(source.load()?);
    }
    match LastGoodFile::in_data_dir(&settings.data_dir).load_if_saved()? {
        Some(last_good) => Ok(last_good.folder),
        None => Ok(source.load()?),
    }
}

/// Loads the bundle of [`load_active_folder`].
pub fn load_active_bundle(settings: &Settings) -> Result<Bundle, ActiveBundleError> {
    Ok(load_active_folder(settings)?.bundle()?)
}

/// The policies to start with.
pub struct InitialPolicies {
    /// What comes into force; permits nothing if `is_closed`.
    pub bundle: Arc<Bundle>,
    /// Whether no policies are in force until the first are proved.
    pub is_closed: bool,
    /// Whether nothing is known of what was in force before.
    pub(super) is_first: bool,
    /// The folder revision that was in force before, if it is known.
    pub(super) folder_before: Option<String>,
    pub(super) in_force: Arc<FolderInForce>,
    pub(super) warnings: Arc<FolderWarnings>,
    /// The fingerprint of the folder that was checked.
    pub(super) fingerprint: String,
    /// Whether checking it again would give the same result.
    pub(super) is_settled: bool,
    pub(super) status: ReloadStatus,
    pub(super) proofs: Arc<ProofFile>,
    /// What has to be on record before the policies are in force.
    pub(super) record: Option<InitialRecord>,
}

/// An audit record about the start.
pub(super) struct InitialRecord {
    pub(super) outcome: AuditOutcome,
    pub(super) revision: Option<Revision>,
    pub(super) reason: String,
}

/// Loads the policies to start with: the folder if it passes the gate, else the last good policies.
/// Blocks, on a thread for blocking work: it asks the database too.
pub fn load_initial_policies(
    settings: &Settings,
    clock: &Clock,
    database: &Database,
    accepted: &[PolicyEdit],
) -> Result<InitialPolicies, PolicyStartError> {
    let source = PolicySource::from_settings(settings);
    let last_good = LastGoodFile::in_data_dir(&settings.data_dir)
        .load_if_saved()
        .map(|saved| saved.map(LastGoodPolicies::without_origin));
    let before = match &last_good {
        Ok(Some(last_good)) => Some(FolderInForce::new(last_good.folder.clone())),
        Ok(None) | Err(_) => None,
    };
    let folder_before = before.as_ref().map(|before| before.fingerprint.clone());
    let snapshot = match settle_publish(settings, database, folder_before.as_deref())? {
        // A folder that is still being modified is checked as it is: the watcher checks it again.
        Ok(()) => source
            .read_until_stable(source.read())
            .unwrap_or_else(|| source.read()),
        Err(error) => FolderSnapshot::unsettled(&error),
    };
    let gate = PolicyGate::from_settings(settings).for_start();
    let proofs = ProofFile::open(settings);
    let baseline = GateBaseline {
        in_force: before.as_ref(),
        accepted,
        proofs: &proofs,
        work: None,
    };
    let closed = snapshot.folder.as_ref().map(PolicyFolder::closed).ok();
    let checked = gate.check(snapshot, baseline);
    let checking = check_catalog(database, checked, true);
    let checked = Handle::current().block_on(checking)?;
    let is_settled = checked.is_settled();
    let (mut is_closed, mut is_first) = (false, false);
    let (in_force, warnings, start) = match checked.result {
        Ok(accepted) => {
            let record = describe_change(&accepted, before.as_ref(), last_good.as_ref().err());
            if let Some(change) = &record {
                tracing::warn!(change, "the policies changed while the server was stopped");
            }
            accepted.log_notes();
            accepted.log_unproved();
            let record = record.map(|reason| InitialRecord {
                outcome: AuditOutcome::Granted,
                revision: Some(accepted.folder.revision.clone()),
                reason: format!("at the start, {reason}"),
            });
            let status = ReloadStatus {
                unproved: accepted.unproved,
                ..ReloadStatus::default()
            };
            let warnings = accepted.warnings;
            (accepted.folder, warnings, (accepted.bundle, record, status))
        }
        Err(reason) => {
            let rejected = RejectedBundle {
                revision: checked.revision,
                folder_revision: checked.folder_revision,
                unix_millis: clock.unix_millis(),
                reason,
            };
            let (fallback, rejected) = load_fallback(last_good, rejected, closed)
                .map_err(|error| error.in_folder(source.folder()))?;
            log_fallback(&fallback, &rejected);
            let record = fallback.record(&rejected);
            is_closed = fallback.is_closed;
            let status = ReloadStatus {
                rejected: Some(Arc::new(rejected)),
                unproved: fallback.unproved,
                ..ReloadStatus::default()
            };
            is_first = before.is_none() && is_closed;
            let in_force = before.unwrap_or_else(|| FolderInForce::new(fallback.folder));
            let uncovered = gate.uncovered_policies(&in_force.folder, &fallback.bundle);
            let warnings = FolderWarnings::new(&in_force.folder, &fallback.bundle, &uncovered);
            let warnings = Arc::new(warnings);
            let start = (Arc::new(fallback.bundle), record, status);
            (Arc::new(in_force), warnings, start)
        }
    };
    let (bundle, record, status) = start;
    Ok(InitialPolicies {
        bundle,
        status: ReloadStatus {
            unguarded: if is_closed {
                Vec::new()
            } else {
                gate.missing_safeguards(&in_force)
            },
            ..status
        },
        is_closed,
        is_first,
        folder_before,
        in_force,
        warnings,
        proofs,
        record,
        fingerprint: checked.fingerprint,
        is_settled,
    })
}

/// Ends a publish that was interrupted, before anybody reads the folder: `before` is the folder revision of the last good
/// policies. What cannot be ended leaves these in force.
fn settle_publish(
    settings: &Settings,
    database: &Database,
    before: Option<&str>,
) -> Result<Result<(), FolderWriteError>, StorageError> {
    let Some(folder) = settings.policy_dir.as_deref() else {
        return Ok(Ok(()));
    };
    let writer = FolderWriter::new(folder, &settings.data_dir);
    let unfinished = match writer.find_unfinished() {
        Ok(Some(unfinished)) => unfinished,
        Ok(None) => return Ok(Ok(())),
        Err(error) => return Ok(Err(error)),
    };
    let is_on_record = unfinished.journal().is_on_record(database);
    let is_on_record = Handle::current().block_on(is_on_record)?;
    Ok(unfinished.settle(is_on_record, before))
}

/// What an auditor has to know of policies that changed while no server ran; nothing at the first start.
fn describe_change(
    accepted: &AcceptedBundle,
    before: Option<&FolderInForce>,
    unknown_before: Option<&LastGoodError>,
) -> Option<String> {
    if let Some(error) = unknown_before {
        let reason = "the policies in force before are not known, so invariants were not compared";
        return Some(format!("{reason}: {error}"));
    }
    let before = &before?.revision;
    accepted
        .is_notable(before)
        .then(|| accepted.summary(Some(before)))
}

/// What is in force in place of the folder.
struct Fallback {
    bundle: Bundle,
    folder: PolicyFolder,
    /// Why its invariants were not proved, if they should have been.
    unproved: Option<String>,
    /// Whether it stands for no policies at all.
    is_closed: bool,
    /// Why the last good policies are not used, if there are any.
    last_good: Option<LastGoodError>,
}

impl Fallback {
    /// What has to be on record: a refusal, or that an edit cannot be compared. What is still being proved is not refused.
    fn record(&self, rejected: &RejectedBundle) -> Option<InitialRecord> {
        let reason = match &self.last_good {
            _ if !rejected.is_under_way() => rejected.record(),
            Some(error) => format!("the policies in force before cannot be used: {error}"),
            None => return None,
        };
        Some(InitialRecord {
            outcome: AuditOutcome::Refused,
            revision: rejected.revision.clone(),
            reason: format!("at the start, {reason}"),
        })
    }
}

/// The last good policies; if there are none, and the folder is still being proved, `closed`, which permits nothing.
fn load_fallback(
    last_good: Result<Option<LastGoodPolicies>, LastGoodError>,
    rejected: RejectedBundle,
    closed: Option<PolicyFolder>,
) -> Result<(Fallback, RejectedBundle), PolicyStartError> {
    let loaded = last_good.and_then(|last_good| match last_good {
        Some(last_good) => Ok(Some((last_good.bundle()?, last_good))),
        None => Ok(None),
    });
    let last_good = match loaded {
        Ok(Some((bundle, last_good))) => {
            let fallback = Fallback {
                bundle,
                folder: last_good.folder,
                unproved: last_good.unproved,
                is_closed: false,
                last_good: None,
            };
            return Ok((fallback, rejected));
        }
        Ok(None) => None,
        Err(error) => Some(error),
    };
    if let Some(folder) = closed.filter(|_| rejected.is_under_way()) {
        let fallback = Fallback {
            bundle: folder.bundle()?,
            folder,
            unproved: None,
            is_closed: true,
            last_good,
        };
        return Ok((fallback, rejected));
    }
    Err(match (rejected.reason, last_good) {
        (RejectionReason::Invalid(invalid), None) => PolicyStartError::Invalid(invalid),
        (reason, last_good) => PolicyStartError::Rejected {
            summary: reason.summary(),
            last_good,
        },
    })
}

fn log_fallback(fallback: &Fallback, rejected: &RejectedBundle) {
    let folder_revision = rejected.folder_revision.as_deref();
    let revision = fallback.bundle.revision();
    if fallback.is_closed {
        tracing::warn!(
            folder_revision,
            reasons = ?rejected.reason.lines(),
            "no policies are in force until those of the folder are proved: nothing is decided"
        );
    } else if rejected.is_under_way() {
        tracing::warn!(
            folder_revision,
            reasons = ?rejected.reason.lines(),
            %revision,
            "the policy folder is being proved: the last good policies are in force"
        );
    } else {
        tracing::error!(
            folder_revision,
            reasons = ?rejected.reason.lines(),
            %revision,
            "the policy folder is refused: the last good policies are in force"
        );
    }
}
