//! The readiness probe: tries what a mint and a download need, at most once a second for all who ask.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::domain::audit::AuditEvent;
use crate::domain::clock::Clock;
use crate::domain::remote_file::StoreName;
use crate::files::FileStore;
use crate::storage::Database;

use super::identity::request_context::RequestContext;
use super::tokens::key_ring::KeyRing;

/// How long a result is used.
const MAX_RESULT_AGE: Duration = Duration::from_secs(1);
/// How long the file store may take to answer.
const FILES_TIMEOUT: Duration = Duration::from_secs(2);

/// What works now; nothing by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ProbeResult {
    pub(super) is_database_writable: bool,
    pub(super) is_key_usable: bool,
    pub(super) is_file_store_available: bool,
}

/// Probes the stores and the signing key.
pub struct ReadinessProbe {
    database: Database,
    files: FileStore,
    key_ring: Arc<KeyRing>,
    clock: Clock,
    last: Mutex<Option<KnownResult>>,
    /// Held while a probe runs; the others wait for its result.
    running: Arc<tokio::sync::Mutex<()>>,
    /// Held while the file store is asked: one that does not answer holds one thread, not many.
    asking_files: Arc<tokio::sync::Mutex<()>>,
}

/// A result, and what it is worth.
#[derive(Clone, Copy)]
struct KnownResult {
    result: ProbeResult,
    ended_at: Instant,
    append_failures: u64,
}

impl ReadinessProbe {
    /// A probe of these stores and keys.
    #[must_use]
    pub fn new(database: Database, files: FileStore, key_ring: Arc<KeyRing>, clock: Clock) -> Self {
        Self {
            database,
            files,
            key_ring,
            clock,
            last: Mutex::default(),
            running: Arc::default(),
            asking_files: Arc::default(),
        }
    }

    /// The result of the last probe, if it is fresh, or of one that is made now.
    pub(super) async fn result(self: &Arc<Self>) -> ProbeResult {
        if let Some(fresh) = self.fresh() {
            return fresh;
        }
        let running = Arc::clone(&self.running).lock_owned().await;
        if let Some(fresh) = self.fresh() {
            return fresh;
        }
        // In a task of its own: whoever asked may go away, and the others still get its result.
        let probe = Arc::clone(self);
        let task = tokio::spawn(async move {
            let result = probe.run().await;
            drop(running);
            result
        });
        task.await.unwrap_or_else(|error| {
            tracing::error!(%error, "readiness probe failed");
            ProbeResult::default()
        })
    }

    /// Whether the keys in the database could be opened when they last changed.
    pub(super) fn are_keys_up_to_date(&self) -> bool {
        self.key_ring.is_up_to_date()
    }

    fn fresh(&self) -> Option<ProbeResult> {
        let last = *self.last.lock();
        // A record that could not be written since then is news.
        last.filter(|last| last.ended_at.elapsed() <= MAX_RESULT_AGE)
            .filter(|last| last.append_failures == self.database.append_failures())
            .map(|last| last.result)
    }

    async fn run(&self) -> ProbeResult {
        let append_failures = self.database.append_failures();
        let (is_database_writable, is_file_store_available) =
            tokio::join!(self.is_database_writable(), self.is_file_store_available());
        let is_key_usable = match self.key_ring.check_signing() {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!(%error, "not ready: signing key not usable");
                false
            }
        };
        let result = ProbeResult {
            is_database_writable,
            is_key_usable,
            is_file_store_available,
        };
        *self.last.lock() = Some(KnownResult {
            result,
            ended_at: Instant::now(),
            append_failures,
        });
        result
    }

    /// The stores of files that do not answer, or refuse what is asked of them.
    pub(super) fn failing_stores(&self) -> Vec<StoreName> {
        self.files.failing_stores()
    }

    async fn is_database_writable(&self) -> bool {
        let mut record = RequestContext::local().open_record(AuditEvent::Mint, &self.clock);
        record.reason = Some("health check".to_owned());
        let written = self.database.check_writable(&record, MAX_RESULT_AGE).await;
        written
            .inspect_err(|error| tracing::warn!(%error, "not ready: database unavailable"))
            .is_ok()
    }

    async fn is_file_store_available(&self) -> bool {
        let Ok(asking) = Arc::clone(&self.asking_files).try_lock_owned() else {
            tracing::warn!("degraded: file store does not answer");
            return false;
        };
        let files = self.files.clone();
        let task = tokio::spawn(async move {
            let result = files.check_folder().await;
            drop(asking);
            result
        });
        match tokio::time::timeout(FILES_TIMEOUT, task).await {
            Ok(Ok(Ok(()))) => true,
            Ok(Ok(Err(error))) => {
                tracing::warn!(%error, "degraded: file store unavailable");
                false
            }
            Ok(Err(_)) | Err(_) => {
                tracing::warn!("degraded: file store does not answer");
                false
            }
        }
    }
}
