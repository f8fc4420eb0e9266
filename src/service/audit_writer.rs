//! The audit writer: all records that wait are written as one group, and the next group is inserted while the disk
//! makes the last one durable.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::domain::audit::AuditRecord;
use crate::storage::{Database, InsertedRecords, StorageError};

/// How many records one group has at most.
const MAX_BATCH_SIZE: usize = 512;
/// How many groups are inserted or made durable at a time. With more of them each would be smaller.
const MAX_BATCHES_IN_FLIGHT: u32 = 3;
/// How often a group lets the requests run that can, as long as that brings it more records.
const MAX_YIELDS: usize = 4;
/// After so many records, what they have left in the log of the database is moved.
const RECORDS_PER_CHECKPOINT: usize = 2000;

/// Whoever waits for a record.
type Reply = oneshot::Sender<Result<(), StorageError>>;

/// A record, and who waits for it.
pub(super) struct QueuedRecord {
    pub(super) record: AuditRecord,
    pub(super) reply: Reply,
}

/// Writes queued records until the queue is closed and empty.
pub(super) async fn run_writer(
    database: Database,
    mut queue: mpsc::Receiver<QueuedRecord>,
    is_failing: Arc<AtomicBool>,
) {
    let mut batch = Vec::with_capacity(MAX_BATCH_SIZE);
    let mut checkpoints = Checkpoints::new(database.clone());
    let places = Arc::new(Semaphore::new(MAX_BATCHES_IN_FLIGHT as usize));
    // Records are taken from the queue only when they can be inserted: until then the group grows.
    let turns = Arc::new(Semaphore::new(database.max_concurrent_inserts()));
    while let (Ok(place), Ok(turn)) = (
        Arc::clone(&places).acquire_owned().await,
        Arc::clone(&turns).acquire_owned().await,
    ) {
        if queue.recv_many(&mut batch, MAX_BATCH_SIZE).await == 0 {
            break;
        }
        gather(&mut queue, &mut batch).await;
        // Nobody waits for the record of a caller that has given up: it was answered that nothing was done.
        batch.retain(|queued| !queued.reply.is_closed());
        if batch.is_empty() {
            continue;
        }
        checkpoints.note(batch.len());
        let queued = std::mem::take(&mut batch);
        let (database, is_failing) = (database.clone(), Arc::clone(&is_failing));
        tokio::spawn(async move {
            let inserted = insert_batch(&database, queued).await;
            drop(turn);
            if let Some(is_written) = make_durable(inserted).await {
                is_failing.store(!is_written, Ordering::Relaxed);
            }
            drop(place);
        });
    }
    // Nobody has a place any more when this has all of them.
    let _ = places.acquire_many(MAX_BATCHES_IN_FLIGHT).await;
}

/// Lets the requests that can run do so first, as long as that brings more records: a group costs much by itself.
async fn gather(queue: &mut mpsc::Receiver<QueuedRecord>, batch: &mut Vec<QueuedRecord>) {
    for _ in 0..MAX_YIELDS {
        let waiting = queue.len();
        tokio::task::yield_now().await;
        if queue.len() == waiting {
            break;
        }
    }
    while batch.len() < MAX_BATCH_SIZE
        && let Ok(queued) = queue.try_recv()
    {
        batch.push(queued);
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

/// Those who wait for records, and what became of these.
type Outcome = (Vec<Reply>, Result<InsertedRecords, StorageError>);

/// Inserts a batch.
///
/// If the database rejects it, one record of it may be the cause: its halves are tried, and so on, so that the
/// others are written.
async fn insert_batch(database: &Database, batch: Vec<QueuedRecord>) -> Vec<Outcome> {
    let mut outcomes = Vec::with_capacity(1);
    let mut pending = vec![batch];
    while let Some(batch) = pending.pop() {
        let (records, replies): (Vec<_>, Vec<_>) = batch
            .into_iter()
            .map(|queued| (queued.record, queued.reply))
            .unzip();
        let result = database.insert_audit_records(&records).await;
        match result {
            Err(error) if records.len() > 1 && is_rejected(&error) => {
                let mut queued = records.into_iter().zip(replies);
                let half = queued.len() / 2;
                let into_queued = |(record, reply)| QueuedRecord { record, reply };
                let first: Vec<_> = queued.by_ref().take(half).map(into_queued).collect();
                let rest: Vec<_> = queued.map(into_queued).collect();
                pending.extend([rest, first]);
            }
            result => outcomes.push((replies, result)),
        }
    }
    outcomes
}

/// Makes inserted records durable and tells those who wait; returns whether any of them is, unless there were none.
async fn make_durable(outcomes: Vec<Outcome>) -> Option<bool> {
    let mut is_any_durable = None;
    for (replies, inserted) in outcomes {
        let result = match inserted {
            Ok(inserted) => inserted.make_durable().await,
            Err(error) => Err(error),
        };
        if let Err(error) = &result {
            tracing::error!(%error, records = replies.len(), "audit records not written");
        }
        is_any_durable = Some(is_any_durable.unwrap_or(false) || result.is_ok());
        for reply in replies {
            // A caller that has disconnected got no response, which is right.
            let _ = reply.send(result.clone());
        }
    }
    is_any_durable
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
