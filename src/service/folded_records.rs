//! Folded records: one audit record for many like requests.
//!
//! A client reads a file in thousands of spans, and an attacker tries a login again and again: the first request is
//! recorded before it is answered, and those that follow are counted in its record. The totals are written every
//! [`FLUSH_INTERVAL`] and at the end; a crash loses those of the last seconds.
//!
//! Two requests are alike if their records would differ in time and ids only: who asked for what with which credential
//! from which network (IPv4 address, IPv6 /64), and how and by which policies it was decided.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use parking_lot::Mutex;
use tokio::sync::OnceCell;

use crate::domain::audit::{AuditEvent, AuditRecord};
use crate::domain::id::{ApiKeyId, DatasetId, RecordId, SessionId, UserId};
use crate::storage::{Database, RecordTotals, StorageError};

use super::error::ServiceError;
use super::rate_limits::client_network;

/// How often totals are written.
pub(super) const FLUSH_INTERVAL: Duration = Duration::from_secs(2);
/// How many records are kept open for further requests; the least recently used is closed first.
const MAX_OPEN_RECORDS: u64 = 20_000;
/// How many bytes the names of a question may have for it to count as one of them.
const NAMES_LENGTH_UNIT: usize = 256;
const MAX_TOTALS_PER_WRITE: usize = 256;
/// How long a download, and a question that is permitted again and again, is one record.
const LONG_FOLD_MILLIS: i64 = 10 * 60 * 1000;
/// How long repeated failures to sign in are one record.
const FAILURE_MILLIS: i64 = 60 * 1000;

/// The credential of a request, as far as records tell them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FoldedCredential {
    /// None, or one that was not accepted.
    None,
    /// A download token, by its `jti`.
    DownloadToken(RecordId),
    /// An API key.
    ApiKey(ApiKeyId),
    /// A session.
    Session(SessionId),
    /// A token of an identity provider, by its user.
    ExternalToken(UserId),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct FoldKey {
    event: &'static str,
    credential: FoldedCredential,
    dataset_id: Option<DatasetId>,
    username: Option<String>,
    network: Option<IpAddr>,
    asked_principal: Option<String>,
    asked_action: Option<String>,
    asked_resource: Option<String>,
}

/// The open records.
pub(super) struct FoldedRecords {
    open: Cache<FoldKey, Arc<OpenRecord>>,
    changed: Arc<ChangedRecords>,
}

/// A record that further requests may be counted in.
pub(super) struct OpenRecord {
    first: AuditRecord,
    requests: AtomicU64,
    bytes: AtomicU64,
    is_changed: AtomicBool,
    is_rejected: AtomicBool,
    durable: OnceCell<()>,
}

/// The records whose totals are to be written.
type ChangedRecords = Mutex<Vec<Arc<OpenRecord>>>;

/// A request that was counted in a record.
#[derive(Clone)]
pub struct CountedRequest {
    record: Arc<OpenRecord>,
    changed: Arc<ChangedRecords>,
}

impl FoldedRecords {
    pub(super) fn new() -> Self {
        Self {
            open: Cache::builder()
                .max_capacity(MAX_OPEN_RECORDS)
                .weigher(|key: &FoldKey, _| key.weight())
                .eviction_policy(EvictionPolicy::lru())
                .build(),
            changed: Arc::default(),
        }
    }

    /// The record of like requests, if there is one and it is durable.
    fn find_durable(
        &self,
        credential: FoldedCredential,
        record: &AuditRecord,
    ) -> Option<Arc<OpenRecord>> {
        let open = self.open.get(&key_of(credential, record));
        open.filter(|open| open.takes(record) && open.durable.initialized())
    }

    /// Counts a request in the record of those like it, if that is durable already.
    pub(super) fn count_further(
        &self,
        credential: FoldedCredential,
        record: &AuditRecord,
    ) -> Option<CountedRequest> {
        let open = self.find_durable(credential, record)?;
        Some(self.counted(open))
    }

    /// Counts a request in the record of those like it. `write` writes the record if it is the first of them;
    /// like requests that come at the same time wait for it.
    pub(super) async fn count(
        &self,
        credential: FoldedCredential,
        record: AuditRecord,
        write: impl AsyncFnOnce(AuditRecord) -> Result<(), ServiceError>,
    ) -> Result<CountedRequest, ServiceError> {
        let key = key_of(credential, &record);
        let open = self.find_or_open(&key, record);
        let writing = open.durable.get_or_try_init(async || {
            if open.is_rejected.load(Ordering::Relaxed) {
                // The one before has waited for it in vain: so would all that are in the queue.
                return Err(ServiceError::unavailable(
                    "the audit log",
                    "it did not respond",
                ));
            }
            write(open.first.clone()).await
        });
        if let Err(error) = writing.await {
            open.is_rejected.store(true, Ordering::Relaxed);
            self.open.invalidate(&key);
            return Err(error);
        }
        Ok(self.counted(open))
    }

    fn counted(&self, open: Arc<OpenRecord>) -> CountedRequest {
        let counted = CountedRequest {
            record: open,
            changed: Arc::clone(&self.changed),
        };
        // The record itself says one.
        if counted.record.requests.fetch_add(1, Ordering::Relaxed) > 0 {
            counted.mark_changed();
        }
        counted
    }

    fn find_or_open(&self, key: &FoldKey, record: AuditRecord) -> Arc<OpenRecord> {
        if let Some(open) = self.open.get(key)
            && open.takes(&record)
        {
            return open;
        }
        let opened = self.open.entry_by_ref(key).and_upsert_with(|found| {
            let found = found.map(moka::Entry::into_value);
            found
                .filter(|open| open.takes(&record))
                .unwrap_or_else(|| Arc::new(OpenRecord::new(record)))
        });
        opened.into_value()
    }

    /// Writes the totals that have changed; what fails is tried again with the next ones.
    pub(super) async fn flush(&self, database: &Database) -> Result<(), StorageError> {
        let changed = std::mem::take(&mut *self.changed.lock());
        let mut batches = changed.chunks(MAX_TOTALS_PER_WRITE);
        while let Some(batch) = batches.next() {
            let totals: Vec<RecordTotals> = batch.iter().map(|open| open.take_totals()).collect();
            if let Err(error) = database.write_record_totals(&totals).await {
                for open in std::iter::once(batch).chain(batches).flatten() {
                    open.mark_changed(&self.changed);
                }
                return Err(error);
            }
        }
        Ok(())
    }
}

fn key_of(credential: FoldedCredential, record: &AuditRecord) -> FoldKey {
    FoldKey {
        event: record.event.into(),
        credential,
        dataset_id: record.dataset_id,
        username: record.username.clone(),
        network: record.address.map(client_network),
        asked_principal: record.asked_principal.clone(),
        asked_action: record.asked_action.clone(),
        asked_resource: record.asked_resource.clone(),
    }
}

impl FoldKey {
    /// As how many records it counts: more than one where it has long names.
    fn weight(&self) -> u32 {
        let names = [
            &self.asked_principal,
            &self.asked_action,
            &self.asked_resource,
        ];
        let length: usize = names.into_iter().flatten().map(String::len).sum();
        u32::try_from(1 + length / NAMES_LENGTH_UNIT).unwrap_or(u32::MAX)
    }
}

impl OpenRecord {
    fn new(mut first: AuditRecord) -> Self {
        first.requests = Some(1);
        first.bytes = (first.event == AuditEvent::Download).then_some(0);
        Self {
            first,
            requests: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            is_changed: AtomicBool::new(false),
            is_rejected: AtomicBool::new(false),
            durable: OnceCell::new(),
        }
    }

    /// Whether a request may be counted here: it is like the first one, and not long after it.
    fn takes(&self, record: &AuditRecord) -> bool {
        let first = &self.first;
        let is_folded_for_long = matches!(
            first.event,
            AuditEvent::Download | AuditEvent::Verify | AuditEvent::Evaluate
        );
        let longest = if is_folded_for_long {
            LONG_FOLD_MILLIS
        } else {
            FAILURE_MILLIS
        };
        let elapsed = record.unix_millis.saturating_sub(first.unix_millis);
        (0..longest).contains(&elapsed)
            && !self.is_rejected.load(Ordering::Relaxed)
            && first.outcome == record.outcome
            && first.user_id == record.user_id
            && first.authentication == record.authentication
            && first.key_id == record.key_id
            && first.resource_user_id == record.resource_user_id
            && first.jti == record.jti
            && first.action == record.action
            && first.reason == record.reason
            && first.revision == record.revision
            && first.determining_policies == record.determining_policies
            && first.errors == record.errors
    }

    fn mark_changed(self: &Arc<Self>, changed: &ChangedRecords) {
        if !self.is_changed.swap(true, Ordering::AcqRel) {
            changed.lock().push(Arc::clone(self));
        }
    }

    fn take_totals(&self) -> RecordTotals {
        // First: what is added from here on marks it again.
        self.is_changed.store(false, Ordering::Release);
        RecordTotals {
            id: self.first.id,
            requests: self.requests.load(Ordering::Acquire),
            bytes: self.bytes.load(Ordering::Acquire),
        }
    }
}

impl CountedRequest {
    /// Counts bytes that were sent for the request.
    pub fn add_bytes(&self, bytes: u64) {
        self.record.bytes.fetch_add(bytes, Ordering::AcqRel);
        self.mark_changed();
    }

    fn mark_changed(&self) {
        self.record.mark_changed(&self.changed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::clock::Clock;
    use crate::service::identity::request_context::RequestContext;
    use crate::service::tests::empty_database;

    impl FoldedRecords {
        /// Whether a like request was recorded already.
        fn has(&self, credential: FoldedCredential, record: &AuditRecord) -> bool {
            self.find_durable(credential, record).is_some()
        }
    }

    fn download(at: i64) -> AuditRecord {
        let mut record =
            RequestContext::local().open_record(AuditEvent::Download, &Clock::fixed_at(at));
        record.reason = Some("because".to_owned());
        record
    }

    /// How many records are written for these requests.
    async fn written(records: Vec<AuditRecord>) -> usize {
        let folded = FoldedRecords::new();
        let written = AtomicU64::new(0);
        let counting = records.into_iter().map(|record| {
            folded.count(FoldedCredential::None, record, async |_| {
                tokio::task::yield_now().await;
                written.fetch_add(1, Ordering::Relaxed);
                Ok(())
            })
        });
        for result in futures_util::future::join_all(counting).await {
            result.map(drop).unwrap();
        }
        usize::try_from(written.into_inner()).unwrap()
    }

    #[tokio::test]
    async fn like_requests_are_one_record_for_a_while() {
        assert_eq!(written((0..100).map(download).collect()).await, 1);
        let later = [
            0,
            LONG_FOLD_MILLIS - 1,
            LONG_FOLD_MILLIS,
            LONG_FOLD_MILLIS + 1,
        ];
        assert_eq!(written(later.map(download).to_vec()).await, 2);
        let mut denied = download(1);
        denied.reason = Some("another".to_owned());
        assert_eq!(written(vec![download(0), denied, download(2)]).await, 3);
        let mut elsewhere = download(0);
        elsewhere.address = Some("2001:db8::1".parse().unwrap());
        let mut neighbour = download(0);
        neighbour.address = Some("2001:db8::2".parse().unwrap());
        assert_eq!(written(vec![download(0), elsewhere, neighbour]).await, 2);
        for member in 0..3 {
            let mut other = download(0);
            let asked = [
                &mut other.asked_principal,
                &mut other.asked_action,
                &mut other.asked_resource,
            ];
            *asked[member] = Some("User::\"bob\"".to_owned());
            assert_eq!(written(vec![download(0), other, download(1)]).await, 2);
        }
    }

    #[tokio::test]
    async fn when_the_first_cannot_be_written_none_is_counted_and_the_next_is_tried_again() {
        let folded = FoldedRecords::new();
        let failing = (0..10).map(|at| {
            folded.count(FoldedCredential::None, download(at), async |_| {
                Err(ServiceError::unavailable("the audit log", "it is away"))
            })
        });
        for result in futures_util::future::join_all(failing).await {
            assert!(result.is_err());
        }
        assert!(!folded.has(FoldedCredential::None, &download(1)));
        let count = folded.count(FoldedCredential::None, download(20), async |_| Ok(()));
        count.await.map(drop).unwrap();
        assert!(folded.has(FoldedCredential::None, &download(21)));
    }

    #[tokio::test]
    async fn totals_that_cannot_be_written_are_written_later() {
        let directory = tempfile::tempdir().unwrap();
        let database = empty_database(directory.path()).await;
        let folded = FoldedRecords::new();
        let mut last = None;
        for at in 0..5 {
            let write = async |record: AuditRecord| {
                database.append_audit_records(&[record]).await?;
                Ok(())
            };
            let counted = folded.count(FoldedCredential::None, download(at), write);
            last = Some(counted.await.ok().unwrap());
        }
        last.unwrap().add_bytes(70);
        let closed = empty_database(directory.path()).await;
        closed.close().await;
        assert!(folded.flush(&closed).await.is_err());
        folded.flush(&database).await.unwrap();
        let record = &database.list_audit_records(None, 10).await.unwrap()[0];
        assert_eq!((record.requests, record.bytes), (Some(5), Some(70)));
    }
}
