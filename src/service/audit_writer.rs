//! The audit writer: all records that wait are written as one group, and the next group is inserted while the disk
//! makes the last one durable.

use std::collections::BTreeMap;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;

use crate::domain::audit::AuditRecord;
use crate::storage::{AppendThreads, Database, InsertedRecords, StorageError};

use super::audit_queue::{AuditQueue, GroupOutcome, TakenGroup};

/// How many groups are inserted or made durable at a time. With more of them each would be smaller.
const MAX_GROUPS_IN_FLIGHT: u32 = 4;
/// After so many records, what they have left in the log of the database is moved.
const RECORDS_PER_CHECKPOINT: usize = 2000;

/// Writes queued records until the queue is closed and empty.
pub(super) async fn run_writer(
    database: Database,
    queue: Arc<AuditQueue>,
    is_failing: Arc<AtomicBool>,
) {
    // Whatever ends this, nobody waits in vain.
    let _stopping = StopQueue(&queue);
    let mut checkpoints = Checkpoints::new(database.clone());
    let places = Arc::new(Semaphore::new(MAX_GROUPS_IN_FLIGHT as usize));
    // A group is taken from the queue only when it can be inserted: until then it grows.
    let turns = Arc::new(Semaphore::new(database.max_concurrent_inserts()));
    while let (Ok(place), Ok(turn)) = (
        Arc::clone(&places).acquire_owned().await,
        Arc::clone(&turns).acquire_owned().await,
    ) {
        let Some(group) = queue.take(parts_of_callers(&database)).await else {
            break;
        };
        if group.records.is_empty() {
            // All have given up.
            continue;
        }
        checkpoints.note(group.records.len());
        let writing = GroupWriting {
            database: database.clone(),
            group,
            is_failing: Arc::clone(&is_failing),
            place,
            turn,
        };
        let threads = database.append_threads();
        // Without threads left tokio panics: that costs this group, as a panic in a task does, and not the writer.
        if catch_unwind(AssertUnwindSafe(|| writing.begin(threads))).is_err() {
            is_failing.store(true, Ordering::Relaxed);
        }
    }
    // Nobody has a place any more when this has all of them.
    let _ = places.acquire_many(MAX_GROUPS_IN_FLIGHT).await;
}

/// How many groups callers wait for at a time, one that grows included, if a group is worth holding back.
fn parts_of_callers(database: &Database) -> Option<usize> {
    let parts = database.max_concurrent_inserts().max(2);
    database.is_sync_quick().then_some(parts)
}

/// Stops a queue when it is dropped.
struct StopQueue<'a>(&'a AuditQueue);

impl Drop for StopQueue<'_> {
    fn drop(&mut self) {
        self.0.stop();
    }
}

/// Moves the log of the database from time to time, one at a time.
struct Checkpoints {
    database: Database,
    records: usize,
    running: Option<JoinHandle<()>>,
}

impl Checkpoints {
    fn new(database: Database) -> Self {
        Self {
            database,
            records: 0,
            running: None,
        }
    }

    /// Notes that records are being written.
    fn note(&mut self, records: usize) {
        self.records = self.records.saturating_add(records);
        let is_running = self
            .running
            .as_ref()
            .is_some_and(|task| !task.is_finished());
        if self.records < RECORDS_PER_CHECKPOINT || is_running {
            return;
        }
        self.records = 0;
        let database = self.database.clone();
        self.running = Some(tokio::spawn(async move {
            if let Err(error) = database.checkpoint().await {
                tracing::warn!(%error, "log of the database not moved; trying again");
            }
        }));
    }
}

/// A group that is being written.
struct GroupWriting {
    database: Database,
    group: TakenGroup,
    is_failing: Arc<AtomicBool>,
    place: OwnedSemaphorePermit,
    turn: OwnedSemaphorePermit,
}

impl GroupWriting {
    /// Writes it on this thread or on another.
    fn begin(self, threads: AppendThreads) {
        match threads {
            AppendThreads::Any => self.write_blocking(),
            AppendThreads::Blocking => {
                tokio::task::spawn_blocking(|| self.write_blocking());
            }
            AppendThreads::None => {
                tokio::spawn(self.write());
            }
        }
    }

    /// Writes it on this thread, or in a task if that fails.
    fn write_blocking(self) {
        let Some(inserted) = self.database.try_insert_blocking(&self.group.records) else {
            tokio::spawn(self.write());
            return;
        };
        drop(self.turn);
        let result = inserted.make_durable_blocking();
        let all = 0..self.group.records.len();
        let is_written = settle(&self.group, [(all, result)]);
        self.is_failing.store(!is_written, Ordering::Relaxed);
        drop(self.place);
    }

    async fn write(self) {
        let inserted = insert_group(&self.database, &self.group.records).await;
        drop(self.turn);
        let mut written = Vec::with_capacity(inserted.len());
        for (range, inserted) in inserted {
            let result = match inserted {
                Ok(inserted) => inserted.make_durable().await,
                Err(error) => Err(error),
            };
            written.push((range, result));
        }
        let is_written = settle(&self.group, written);
        self.is_failing.store(!is_written, Ordering::Relaxed);
        drop(self.place);
    }
}

/// Some records of a group, and what became of them.
type Part = (Range<usize>, Result<InsertedRecords, StorageError>);

/// Inserts a group.
///
/// If the database rejects it, one record of it may be the cause: its halves are tried, and so on, so that the
/// others are written.
async fn insert_group(database: &Database, records: &[AuditRecord]) -> Vec<Part> {
    let mut parts = Vec::with_capacity(1);
    let mut pending = Vec::with_capacity(2);
    pending.push(0..records.len());
    while let Some(range) = pending.pop() {
        let part = records.get(range.clone()).unwrap_or_default();
        match database.insert_audit_records(part).await {
            Err(error) if range.len() > 1 && is_rejected(&error) => {
                let middle = range.start.midpoint(range.end);
                pending.extend([middle..range.end, range.start..middle]);
            }
            result => parts.push((range, result)),
        }
    }
    parts
}

/// Tells those who wait what became of each part of a group; returns whether any of it is durable.
fn settle(
    group: &TakenGroup,
    parts: impl IntoIterator<Item = (Range<usize>, Result<(), StorageError>)>,
) -> bool {
    let mut is_any_durable = false;
    let mut failed = Vec::new();
    for (range, result) in parts {
        match result {
            Ok(()) => is_any_durable = true,
            Err(error) => {
                tracing::error!(%error, records = range.len(), "audit records not written");
                failed.push((range, error));
            }
        }
    }
    group.settle(match failed.pop() {
        None => GroupOutcome::All(Ok(())),
        Some((range, error)) if range.len() == group.records.len() => GroupOutcome::All(Err(error)),
        Some(last) => {
            failed.push(last);
            GroupOutcome::AllBut(by_place(group, failed))
        }
    });
    is_any_durable
}

/// The errors by the places of their records.
fn by_place(
    group: &TakenGroup,
    failed: Vec<(Range<usize>, StorageError)>,
) -> BTreeMap<usize, StorageError> {
    let places = failed.into_iter().flat_map(|(range, error)| {
        let places = group.places.get(range).unwrap_or_default();
        places.iter().map(move |place| (*place, error.clone()))
    });
    places.collect()
}

/// Whether the database is well and a record is not.
fn is_rejected(error: &StorageError) -> bool {
    match error {
        StorageError::Inconsistent { .. }
        | StorageError::Corrupt { .. }
        | StorageError::Failed { .. } => true,
        StorageError::Unavailable { .. }
        | StorageError::Conflict { .. }
        | StorageError::NewerSchema { .. }
        | StorageError::Migrate { .. }
        | StorageError::Url { .. } => false,
    }
}
