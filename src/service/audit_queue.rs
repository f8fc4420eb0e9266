//! The audit queue: records that wait to be written, in groups; all callers of a group wait for one outcome.
//!
//! A group costs much by itself: a commit, a sync, and threads that wake each other. So it is held back for a
//! moment while more records are certain to come soon, which is known from how many callers there are.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, SetOnce};
use tokio::task;
use tokio::time::Instant;

use crate::domain::audit::AuditRecord;
use crate::storage::StorageError;

use super::concurrent_callers::ConcurrentCallers;

#[cfg(test)]
mod tests;

/// How many records wait to be written; further ones are rejected at once.
const MAX_QUEUED_RECORDS: usize = 4096;
/// How many records one group has at most.
const MAX_GROUP_SIZE: usize = 512;
/// How long after its first record, from which their time to be written counts, a group takes others. Tests may be slow.
const MAX_GROUP_AGE: Duration = Duration::from_millis(if cfg!(test) { 3_600_000 } else { 250 });
/// How long a caller waits for its record; after that the audit log counts as unavailable.
const WRITE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a group is held back for more records: what their callers would wait longer costs less than it spares.
const MAX_HOLD: Duration = Duration::from_millis(1);
/// How often a group lets the requests run that can, as long as that brings it more records.
const MAX_YIELDS: usize = 4;

/// Why a record is not written, or may not be.
#[derive(Debug)]
pub(super) enum Unwritten {
    /// The queue is full.
    QueueFull,
    /// The queue is closed.
    Closed,
    /// The database failed.
    Failed(StorageError),
    /// It may be written yet, but not in time.
    TimedOut,
    /// Whoever writes has stopped.
    WriterStopped,
}

/// What became of a group.
#[derive(Debug)]
pub(super) enum GroupOutcome {
    /// The same became of all its records.
    All(Result<(), StorageError>),
    /// The records with these places were not written, the others were.
    AllBut(BTreeMap<usize, StorageError>),
    TimedOut,
    WriterStopped,
}

/// Records that are written together.
struct RecordGroup {
    /// When its first record came.
    opened_at: Instant,
    /// None where a caller has given up; empty when they are taken.
    records: Mutex<Vec<Option<AuditRecord>>>,
    outcome: SetOnce<GroupOutcome>,
}

impl RecordGroup {
    /// Tells all who wait; whether they had no outcome yet, of which the first counts.
    fn settle(&self, outcome: GroupOutcome) -> bool {
        self.outcome.set(outcome).is_ok()
    }
}

/// A record in its group; if it is dropped before the record is taken, the record is not written.
pub(super) struct Place {
    group: Arc<RecordGroup>,
    index: usize,
}

impl Place {
    /// Returns when the record is durable, or may not be.
    pub(super) async fn outcome(&self) -> Result<(), Unwritten> {
        match self.group.outcome.wait().await {
            GroupOutcome::All(result) => result.clone().map_err(Unwritten::Failed),
            GroupOutcome::AllBut(failed) => match failed.get(&self.index) {
                Some(error) => Err(Unwritten::Failed(error.clone())),
                None => Ok(()),
            },
            GroupOutcome::TimedOut => Err(Unwritten::TimedOut),
            GroupOutcome::WriterStopped => Err(Unwritten::WriterStopped),
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // After a timeout too the record may be waiting still.
        if let None | Some(GroupOutcome::TimedOut) = self.group.outcome.get()
            && let Some(record) = self.group.records.lock().get_mut(self.index)
        {
            record.take();
        }
    }
}

/// A group that is being written.
pub(super) struct TakenGroup {
    pub(super) records: Vec<AuditRecord>,
    /// The place of each record in its group.
    pub(super) places: Vec<usize>,
    group: Arc<RecordGroup>,
}

impl TakenGroup {
    fn new(group: Arc<RecordGroup>) -> Self {
        let records = std::mem::take(&mut *group.records.lock());
        let is_there =
            |(place, record): (usize, &Option<AuditRecord>)| record.as_ref().map(|_| place);
        Self {
            places: records.iter().enumerate().filter_map(is_there).collect(),
            records: records.into_iter().flatten().collect(),
            group,
        }
    }

    /// Tells all who wait.
    pub(super) fn settle(&self, outcome: GroupOutcome) {
        self.group.settle(outcome);
    }
}

impl Drop for TakenGroup {
    fn drop(&mut self) {
        self.settle(GroupOutcome::WriterStopped);
    }
}

/// The queue.
pub(super) struct AuditQueue {
    state: Mutex<State>,
    /// Wakes the writer.
    is_due: Notify,
    /// Wakes who watches the time.
    is_watch_needed: Notify,
}

#[derive(Default)]
struct State {
    /// Groups that are not taken, the oldest first; only the last one grows.
    waiting: VecDeque<Arc<RecordGroup>>,
    /// How many records they have.
    queued: usize,
    /// Groups that have no outcome yet, the oldest first; and some that have one.
    unsettled: VecDeque<Arc<RecordGroup>>,
    /// Whether somebody watches the time of the first of them.
    is_watched: bool,
    /// How many records the writer waits for, if it does.
    wanted: Option<usize>,
    callers: ConcurrentCallers,
    is_closed: bool,
}

impl AuditQueue {
    pub(super) fn new() -> Self {
        Self {
            state: Mutex::default(),
            is_due: Notify::new(),
            is_watch_needed: Notify::new(),
        }
    }

    /// Queues a record. If its place is dropped before the record is taken, it is not written.
    pub(super) fn push(&self, record: AuditRecord) -> Result<Place, Unwritten> {
        let now = Instant::now();
        let mut state = self.state.lock();
        if state.is_closed {
            return Err(Unwritten::Closed);
        }
        if state.queued >= MAX_QUEUED_RECORDS {
            return Err(Unwritten::QueueFull);
        }
        state.queued += 1;
        let (place, is_watch_needed) = state.add(record, now);
        state
            .callers
            .count_record(task::try_id(), place.index == 0, now);
        let is_due = state.wanted.is_some_and(|wanted| {
            place.index + 1 >= wanted
                || state.waiting.len() > 1
                || now.saturating_duration_since(place.group.opened_at) >= MAX_HOLD
        });
        if is_due {
            state.wanted = None;
        }
        drop(state);
        if is_due {
            self.is_due.notify_one();
        }
        if is_watch_needed {
            self.is_watch_needed.notify_one();
        }
        Ok(place)
    }

    /// Waits for a group and takes it; none when the queue is closed and empty.
    ///
    /// With `parts` it is held back for a moment until that part of all callers is in it: the others wait for other
    /// groups meanwhile, or are about to come.
    pub(super) async fn take(&self, parts: Option<usize>) -> Option<TakenGroup> {
        loop {
            let until = {
                let mut state = self.state.lock();
                match state.find_due(Instant::now(), parts) {
                    Due::Now(group) => {
                        drop(state);
                        return Some(TakenGroup::new(group));
                    }
                    Due::Never => return None,
                    Due::Unknown => None,
                    Due::At(instant) => Some(instant),
                }
            };
            match until {
                None => {
                    self.is_due.notified().await;
                    self.gather(parts).await;
                }
                Some(until) => {
                    // Over or not: what is due now is found next.
                    let _ = tokio::time::timeout_at(until, self.is_due.notified()).await;
                }
            }
        }
    }

    /// Lets the requests that can run do so first, as long as that brings more records, where a group is not held
    /// back for them and not all callers are there.
    async fn gather(&self, parts: Option<usize>) {
        let mut before = 0;
        for _ in 0..MAX_YIELDS {
            let queued = {
                let state = self.state.lock();
                let callers = state.callers.estimate();
                if callers.is_some_and(|callers| parts.is_some() || callers <= state.queued) {
                    return;
                }
                state.queued
            };
            if queued == before {
                return;
            }
            before = queued;
            tokio::task::yield_now().await;
        }
    }

    /// Takes no more records.
    pub(super) fn close(&self) {
        self.state.lock().is_closed = true;
        self.is_due.notify_one();
        self.is_watch_needed.notify_one();
    }

    /// Takes no more records, and tells all who wait that nobody writes any more.
    pub(super) fn stop(&self) {
        self.close();
        let waiting = {
            let mut state = self.state.lock();
            state.queued = 0;
            std::mem::take(&mut state.waiting)
        };
        for group in waiting {
            group.settle(GroupOutcome::WriterStopped);
        }
    }

    /// Tells the callers of each group that its time is over when it is, and sets `is_failing`; ends when the queue is
    /// closed and all have an outcome.
    pub(super) async fn watch_time(&self, is_failing: &AtomicBool) {
        loop {
            let next = {
                let mut state = self.state.lock();
                state.forget_settled();
                let next = state
                    .unsettled
                    .front()
                    .map(|group| group.opened_at + WRITE_TIMEOUT);
                state.is_watched = next.is_some();
                if next.is_none() && state.is_closed {
                    return;
                }
                next
            };
            match next {
                None => self.is_watch_needed.notified().await,
                Some(next) => {
                    tokio::time::sleep_until(next).await;
                    is_failing.fetch_or(self.settle_late(Instant::now()), Ordering::Relaxed);
                }
            }
        }
    }

    /// Tells the callers of all groups that are late; whether one had no outcome yet.
    fn settle_late(&self, now: Instant) -> bool {
        let late: Vec<_> = {
            let mut state = self.state.lock();
            let is_late = |group: &mut Arc<RecordGroup>| group.opened_at + WRITE_TIMEOUT <= now;
            std::iter::from_fn(|| state.unsettled.pop_front_if(is_late)).collect()
        };
        let settle = |group: Arc<RecordGroup>| group.settle(GroupOutcome::TimedOut);
        late.into_iter()
            .map(settle)
            .fold(false, |any, is_late| any | is_late)
    }
}

/// When a group is to be taken.
enum Due {
    Now(Arc<RecordGroup>),
    /// At this time, or when there are more records.
    At(Instant),
    /// There is none.
    Unknown,
    /// There will be none any more.
    Never,
}

impl State {
    /// Adds a record to the last group or to a new one; returns too whether somebody has to begin to watch the time.
    fn add(&mut self, record: AuditRecord, now: Instant) -> (Place, bool) {
        if let Some(group) = self.waiting.back()
            && now.saturating_duration_since(group.opened_at) < MAX_GROUP_AGE
        {
            let mut records = group.records.lock();
            let index = records.len();
            if index < MAX_GROUP_SIZE {
                records.push(Some(record));
                drop(records);
                let group = Arc::clone(group);
                return (Place { group, index }, false);
            }
        }
        let mut records = Vec::with_capacity(self.group_size(2).max(4));
        records.push(Some(record));
        let group = Arc::new(RecordGroup {
            opened_at: now,
            records: Mutex::new(records),
            outcome: SetOnce::new(),
        });
        self.waiting.push_back(Arc::clone(&group));
        self.forget_settled();
        self.unsettled.push_back(Arc::clone(&group));
        let is_watched = std::mem::replace(&mut self.is_watched, true);
        (Place { group, index: 0 }, !is_watched)
    }

    fn forget_settled(&mut self) {
        while self
            .unsettled
            .pop_front_if(|group| group.outcome.initialized())
            .is_some()
        {}
    }

    /// How many records are worth waiting for, if callers wait for so many groups at a time.
    fn group_size(&self, parts: usize) -> usize {
        let callers = self.callers.estimate().unwrap_or(1);
        (callers / parts.max(1)).clamp(1, MAX_GROUP_SIZE)
    }

    fn find_due(&mut self, now: Instant, parts: Option<usize>) -> Due {
        self.wanted = None;
        let Some(group) = self.waiting.front() else {
            if self.is_closed {
                return Due::Never;
            }
            self.wanted = Some(1);
            return Due::Unknown;
        };
        let wanted = parts.map_or(1, |parts| self.group_size(parts));
        let until = group.opened_at + MAX_HOLD;
        let size = group.records.lock().len();
        let is_due = self.is_closed || self.waiting.len() > 1 || size >= wanted || now >= until;
        if !is_due {
            self.wanted = Some(wanted);
            return Due::At(until);
        }
        self.queued -= size;
        match self.waiting.pop_front() {
            Some(group) => Due::Now(group),
            None => Due::Unknown,
        }
    }
}
