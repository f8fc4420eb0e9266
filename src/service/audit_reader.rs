//! Reading the audit log: searches and exports, a few at a time.
//!
//! A search holds a connection of the database, so that few run at once: a dashboard waits for its turn, and
//! mints do not wait for it. An export holds none between its pages, however slowly its client reads.

use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::domain::audit::{AuditFilter, AuditRecord};
use crate::domain::id::{RecordId, UserId};
use crate::storage::{AuditOrder, AuditSearchPage, Database, DecisionRecord, StorageError};

use super::error::ServiceError;

/// How many searches run at once, pages of exports included; of one caller one.
const MAX_CONCURRENT_SEARCHES: usize = 2;
/// How many searches of one caller run or wait; further ones are rejected at once.
const MAX_WAITING_PER_CALLER: usize = 16;
/// How long a search waits for its turn.
const SEARCH_WAIT_TIMEOUT: Duration = Duration::from_secs(5);
/// How many exports are open at once.
const MAX_OPEN_EXPORTS: usize = 8;
/// How many exports of one caller are open at once.
const MAX_OPEN_EXPORTS_PER_CALLER: usize = 2;
/// How long an export may take; the client continues with `since`.
const MAX_EXPORT_DURATION: Duration = Duration::from_hours(1);
/// How many records one page of an export reads.
const EXPORT_PAGE_SIZE: u32 = 1000;
/// How many callers are remembered.
const MAX_CALLERS: u64 = 1000;
/// When a caller who is rejected may try again.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// Reads audit records.
pub struct AuditReader {
    database: Database,
    searches: Arc<Semaphore>,
    exports: Arc<Semaphore>,
    callers: Cache<Option<UserId>, Arc<CallerShare>>,
}

/// What one caller may use at once.
struct CallerShare {
    running: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    exports: Arc<Semaphore>,
}

/// The turn of one search.
type Turn = [OwnedSemaphorePermit; 3];

impl AuditReader {
    /// A reader on which nobody waits.
    #[must_use]
    pub fn new(database: Database) -> Self {
        Self {
            database,
            searches: Arc::new(Semaphore::new(MAX_CONCURRENT_SEARCHES)),
            exports: Arc::new(Semaphore::new(MAX_OPEN_EXPORTS)),
            callers: Cache::new(MAX_CALLERS),
        }
    }

    /// Searches the newest records that match `filter`, only those before `before`.
    pub async fn search(
        &self,
        caller: Option<UserId>,
        filter: &AuditFilter,
        before: Option<RecordId>,
        limit: u32,
    ) -> Result<AuditSearchPage, ServiceError> {
        let share = self.share_of(caller);
        let _turn = take_turn(&share, &self.searches).await?;
        let order = AuditOrder::NewestFirst(before);
        // One more record shows whether another page follows.
        let found = self
            .database
            .search_audit_records(filter, order, limit.saturating_add(1));
        let mut page = found.await?;
        if page.records.len() > limit as usize {
            page.records.truncate(limit as usize);
            page.next = page.records.last().map(|record| record.id);
        }
        Ok(page)
    }

    /// Calls `each` with the records of decisions in an interval, newest first; whether there are older ones beyond a bound.
    pub async fn read_decisions(
        &self,
        caller: Option<UserId>,
        interval: (i64, i64),
        each: impl FnMut(DecisionRecord),
    ) -> Result<bool, ServiceError> {
        let share = self.share_of(caller);
        let _turn = take_turn(&share, &self.searches).await?;
        Ok(self.database.read_decision_records(interval, each).await?)
    }

    /// Opens an export of all records that match `filter`, oldest first.
    pub fn export(
        &self,
        caller: Option<UserId>,
        filter: AuditFilter,
    ) -> Result<AuditExport, ServiceError> {
        let share = self.share_of(caller);
        let open = |exports: &Arc<Semaphore>| {
            let permit = Arc::clone(exports).try_acquire_owned();
            permit.map_err(|_| ServiceError::limit_exceeded(RETRY_INTERVAL))
        };
        let permits = [open(&share.exports)?, open(&self.exports)?];
        Ok(AuditExport {
            pages: AuditRecordPages::new(self.database.clone(), filter),
            share,
            searches: Arc::clone(&self.searches),
            deadline: Instant::now() + MAX_EXPORT_DURATION,
            redact: None,
            _permits: permits,
        })
    }

    fn share_of(&self, caller: Option<UserId>) -> Arc<CallerShare> {
        self.callers.get_with(caller, || {
            Arc::new(CallerShare {
                running: Arc::new(Semaphore::new(1)),
                waiting: Arc::new(Semaphore::new(MAX_WAITING_PER_CALLER)),
                exports: Arc::new(Semaphore::new(MAX_OPEN_EXPORTS_PER_CALLER)),
            })
        })
    }
}

/// Waits for the turn of a search: first among the caller's own, then among those of all.
async fn take_turn(share: &CallerShare, searches: &Arc<Semaphore>) -> Result<Turn, ServiceError> {
    let too_many = || ServiceError::limit_exceeded(RETRY_INTERVAL);
    let place = Arc::clone(&share.waiting)
        .try_acquire_owned()
        .map_err(|_| too_many())?;
    let (own, all) = (Arc::clone(&share.running), Arc::clone(searches));
    let waiting = async {
        Ok::<_, tokio::sync::AcquireError>([
            place,
            own.acquire_owned().await?,
            all.acquire_owned().await?,
        ])
    };
    match tokio::time::timeout(SEARCH_WAIT_TIMEOUT, waiting).await {
        Ok(Ok(turn)) => Ok(turn),
        Ok(Err(_)) | Err(_) => Err(too_many()),
    }
}

/// An open export.
pub struct AuditExport {
    pages: AuditRecordPages,
    share: Arc<CallerShare>,
    searches: Arc<Semaphore>,
    deadline: Instant,
    redact: Option<fn(&mut AuditRecord)>,
    _permits: [OwnedSemaphorePermit; 2],
}

impl AuditExport {
    /// Changes every record before it is returned.
    #[must_use]
    pub fn redacted(self, redact: Option<fn(&mut AuditRecord)>) -> Self {
        Self { redact, ..self }
    }

    /// The next records, or nothing when there are no more.
    pub async fn next(&mut self) -> Result<Option<Vec<AuditRecord>>, ServiceError> {
        loop {
            if Instant::now() > self.deadline {
                let reason = "an export may take one hour: continue it with since";
                return Err(ServiceError::unavailable("the audit export", reason));
            }
            let turn = take_turn(&self.share, &self.searches).await?;
            let page = self.pages.read_page().await?;
            drop(turn);
            match page {
                Some(records) if records.is_empty() => {}
                mut page => {
                    if let (Some(redact), Some(records)) = (self.redact, &mut page) {
                        records.iter_mut().for_each(redact);
                    }
                    return Ok(page);
                }
            }
        }
    }
}

/// The records that match a filter, oldest first, a page at a time: however many there are, one page
/// of them is in memory.
pub struct AuditRecordPages {
    database: Database,
    filter: AuditFilter,
    after: Option<RecordId>,
    is_at_end: bool,
}

impl AuditRecordPages {
    /// Starts at the oldest record.
    #[must_use]
    pub fn new(database: Database, filter: AuditFilter) -> Self {
        Self {
            database,
            filter,
            after: None,
            is_at_end: false,
        }
    }

    /// The next records, which may be none so far, or nothing when there are no more.
    pub async fn read_page(&mut self) -> Result<Option<Vec<AuditRecord>>, StorageError> {
        if self.is_at_end {
            return Ok(None);
        }
        let order = AuditOrder::OldestFirst(self.after);
        let page = self
            .database
            .search_audit_records(&self.filter, order, EXPORT_PAGE_SIZE)
            .await?;
        self.is_at_end = page.next.is_none();
        self.after = page.next;
        Ok(Some(page.records))
    }

    /// Reads all records in order and calls `each` with every one.
    pub async fn for_each<E>(
        mut self,
        mut each: impl FnMut(&AuditRecord) -> Result<(), E>,
    ) -> Result<Result<u64, E>, StorageError> {
        let mut count = 0;
        while let Some(page) = self.read_page().await? {
            for record in &page {
                if let Err(error) = each(record) {
                    return Ok(Err(error));
                }
                count += 1;
            }
        }
        Ok(Ok(count))
    }
}
