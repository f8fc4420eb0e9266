//! Staging: the lease of one process, and small transactions with pauses, so that a running server can write
//! between them.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::error::ApplyError;
use super::options::{ApplyOptions, ApplyStep};
use crate::storage::{
    ApplyLease, ApplyState, CatalogDataset, Database, StagedDataset, StorageError,
};

/// How long a process may show no life before another takes its lease over.
const LEASE_TIMEOUT: Duration = Duration::from_secs(15);
/// How often a lease is looked at, and how often its holder shows life while it only reads.
const LEASE_INTERVAL: Duration = Duration::from_millis(250);
/// How long to wait for another process that applies a catalog file.
const MAX_WAIT: Duration = Duration::from_mins(10);
/// How many datasets are read, or discarded, at a time.
const PAGE_SIZE: u32 = 1000;
/// How many datasets are discarded in one transaction.
const DISCARD_BATCH_SIZE: u32 = 200;
/// How long one transaction should take while others write, who wait for it, and while nobody else does.
const SHARED_TARGET: Duration = Duration::from_millis(5);
const ALONE_TARGET: Duration = Duration::from_millis(15);
/// For how long others count as writing after they wrote.
const SHARED_FOR: Duration = Duration::from_secs(2);
/// The fewest and the most rows of one transaction, readers included.
const MIN_BATCH_ROWS: usize = 100;
const MAX_BATCH_ROWS: usize = 4000;
/// The shortest and the longest pause.
const MIN_PAUSE: Duration = Duration::from_millis(1);
const MAX_PAUSE: Duration = Duration::from_secs(1);
/// How often a transaction is attempted while the database is busy.
const MAX_ATTEMPTS: u32 = 20;

/// Decides how large a transaction is, and how long to pause after it: for twice as long as it took while
/// others write, and for a third of it while nobody does, so that whoever begins to write finds a gap.
pub(super) struct Pace {
    /// How many rows the next transaction should have.
    pub(super) rows: usize,
    /// What the database last said of the writes of others.
    seen: Option<i64>,
    /// Until when others count as writing; none is always.
    shared_until: Option<Instant>,
}

impl Pace {
    /// The pace of a process of its own, beside which others write or not.
    pub(super) fn new() -> Self {
        Self {
            rows: MIN_BATCH_ROWS * 4,
            seen: None,
            shared_until: Some(Instant::now()),
        }
    }

    /// The pace within a server, whose own writes have to be let in too.
    pub(super) fn within_server() -> Self {
        Self {
            shared_until: None,
            ..Self::new()
        }
    }

    /// Pauses after a transaction, and makes the next one smaller or larger.
    pub(super) async fn pause(&mut self, database: &Database, began: Instant) {
        let took = began.elapsed();
        let is_shared = self.is_shared(database).await;
        let (target, pause) = if is_shared {
            (SHARED_TARGET, took.saturating_mul(2))
        } else {
            (ALONE_TARGET, took / 3)
        };
        let rows = if took > target {
            self.rows / 2
        } else {
            self.rows + self.rows / 4
        };
        self.rows = rows.clamp(MIN_BATCH_ROWS, MAX_BATCH_ROWS);
        sleep(pause.clamp(MIN_PAUSE, MAX_PAUSE)).await;
    }

    /// Whether others write, or may.
    async fn is_shared(&mut self, database: &Database) -> bool {
        let Some(shared_until) = &mut self.shared_until else {
            return true;
        };
        let found = database.writes_of_others().await.ok();
        // Unknown is shared: that is only slower.
        if found.is_none() || self.seen.is_some_and(|seen| Some(seen) != found) {
            *shared_until = Instant::now() + SHARED_FOR;
        }
        self.seen = found;
        Instant::now() < *shared_until
    }
}

/// Runs one transaction, again while the database is busy.
async fn patiently<T>(run: impl AsyncFn() -> Result<T, StorageError>) -> Result<T, StorageError> {
    let mut attempts = 0;
    loop {
        attempts += 1;
        match run().await {
            // A dataset that is removed while it is staged breaks a foreign key once.
            Err(StorageError::Unavailable { .. } | StorageError::Inconsistent { .. })
                if attempts < MAX_ATTEMPTS =>
            {
                sleep(LEASE_INTERVAL).await;
            }
            result => return result,
        }
    }
}

/// Takes the lease, and cleans up what an interrupted process left.
pub(super) async fn acquire(
    database: &Database,
    options: &ApplyOptions<'_>,
) -> Result<ApplyLease, ApplyError> {
    let began = Instant::now();
    let mut seen: Option<(ApplyState, Instant)> = None;
    loop {
        let state = database.apply_state().await?;
        if state.is_committed() {
            settle(database, options, 0).await?;
            continue;
        }
        let is_dead = match seen {
            Some((before, since)) if before == state => since.elapsed() >= LEASE_TIMEOUT,
            _ => {
                seen = Some((state, Instant::now()));
                false
            }
        };
        if !state.is_leased() || is_dead {
            if let Some(lease) = patiently(async || database.lease_apply(state).await).await? {
                discard(database, lease, options, Some(ApplyStep::CleaningUp)).await?;
                return Ok(lease);
            }
            continue;
        }
        if began.elapsed() >= MAX_WAIT {
            return Err(ApplyError::AnotherIsRunning);
        }
        options.check_stop()?;
        let waited = usize::try_from(began.elapsed().as_secs()).unwrap_or_default();
        options.report(ApplyStep::WaitingForAnother, waited, 0);
        sleep(LEASE_INTERVAL).await;
    }
}

/// Discards what is staged, and gives the lease back, as far as the database can be reached.
pub(super) async fn abandon(database: &Database, lease: ApplyLease, options: &ApplyOptions<'_>) {
    // Whoever applies next does it otherwise.
    if discard(database, lease, options, None).await.is_ok() {
        database.release_apply_lease(lease).await.ok();
    }
}

/// Discards what is staged.
pub(super) async fn discard(
    database: &Database,
    lease: ApplyLease,
    options: &ApplyOptions<'_>,
    step: Option<ApplyStep>,
) -> Result<(), ApplyError> {
    let (mut pace, mut done) = (Pace::new(), 0);
    loop {
        let began = Instant::now();
        let discard = async || {
            database
                .discard_staged_datasets(lease, DISCARD_BATCH_SIZE)
                .await
        };
        match patiently(discard).await? {
            None => return Err(ApplyError::LeaseLost),
            Some(0) => return Ok(()),
            Some(count) => done += usize::try_from(count).unwrap_or_default(),
        }
        if let Some(step) = step {
            options.report(step, done, 0);
        }
        pace.pause(database, began).await;
    }
}

/// Reads all datasets, a page at a time; keeps the lease, if there is one.
pub(super) async fn read_datasets(
    database: &Database,
    lease: Option<ApplyLease>,
    options: &ApplyOptions<'_>,
) -> Result<Vec<CatalogDataset>, ApplyError> {
    let mut datasets: Vec<CatalogDataset> = Vec::new();
    let mut kept = Instant::now();
    loop {
        options.check_stop()?;
        let after = datasets.last().map(|last| last.dataset.id);
        let read = async || database.list_catalog_datasets(after, PAGE_SIZE).await;
        let page = patiently(read).await?;
        let is_last = page.len() < PAGE_SIZE as usize;
        datasets.extend(page);
        options.report(ApplyStep::Reading, datasets.len(), 0);
        if is_last {
            return Ok(datasets);
        }
        if let Some(lease) = lease
            && kept.elapsed() >= LEASE_INTERVAL
        {
            kept = Instant::now();
            if !patiently(async || database.keep_apply_lease(lease).await).await? {
                return Err(ApplyError::LeaseLost);
            }
        }
    }
}

/// Stages the datasets of a change.
pub(super) async fn stage(
    database: &Database,
    lease: ApplyLease,
    changes: &[StagedDataset],
    options: &ApplyOptions<'_>,
) -> Result<(), ApplyError> {
    let mut pace = Pace::new();
    let mut rest = changes;
    while !rest.is_empty() {
        options.check_stop()?;
        // A staged dataset is one row, with its readers in it.
        let count = (pace.rows / 4).clamp(1, rest.len());
        let (batch, after) = rest.split_at(count);
        let began = Instant::now();
        if !patiently(async || database.stage_datasets(lease, batch).await).await? {
            return Err(ApplyError::LeaseLost);
        }
        rest = after;
        options.report(
            ApplyStep::Staging,
            changes.len() - rest.len(),
            changes.len(),
        );
        pace.pause(database, began).await;
    }
    Ok(())
}

/// Moves what is committed and staged to where it belongs; `total` is how many datasets there are, if known.
pub(super) async fn settle(
    database: &Database,
    options: &ApplyOptions<'_>,
    total: usize,
) -> Result<(), ApplyError> {
    let (mut pace, mut done) = (Pace::new(), 0);
    loop {
        options.check_stop()?;
        let (began, rows) = (Instant::now(), pace.rows);
        let settle = async || database.settle_staged_datasets(rows).await;
        match patiently(settle).await? {
            None => return Ok(()),
            Some(count) => done += count,
        }
        options.report(ApplyStep::Settling, done, total);
        pace.pause(database, began).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::tests::empty_database;
    use crate::storage::CatalogChange;

    #[tokio::test]
    async fn others_who_write_are_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let own = empty_database(folder.path()).await;
        let other = empty_database(folder.path()).await;
        let mut pace = Pace::new();
        own.write_catalog(&CatalogChange::default(), 0)
            .await
            .unwrap();
        assert!(!pace.is_shared(&own).await);
        own.write_catalog(&CatalogChange::default(), 1)
            .await
            .unwrap();
        assert!(!pace.is_shared(&own).await);
        other
            .write_catalog(&CatalogChange::default(), 2)
            .await
            .unwrap();
        assert!(pace.is_shared(&own).await);
        assert!(Pace::within_server().is_shared(&own).await);
    }
}
