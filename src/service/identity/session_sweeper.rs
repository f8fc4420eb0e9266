//! Deletes what is left of sessions that are long over, in the background and a little at a time.
//!
//! A session stays for a week after it has expired, and its expiry is not taken from the clock alone: the
//! sweep horizon in the database follows the clock by at most twenty minutes each ten minutes. So a clock
//! that is wrong for hours, however far, deletes no session that is alive by the right time.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use tokio::time::MissedTickBehavior;

use crate::domain::audit::AuditFilter;
use crate::domain::clock::{Clock, MAX_CLOCK_SKEW};
use crate::storage::{AuditOrder, Database, StorageError};

/// How often dead sessions are looked for.
const SWEEP_INTERVAL: Duration = Duration::from_mins(10);
/// How far the sweep horizon advances each time at most, in seconds: twice as fast as time, so that it
/// catches up after the server was stopped.
const HORIZON_STEP: i64 = 2 * 10 * 60;
/// How many sessions are looked for at once.
const SESSIONS_AT_ONCE: u32 = 100;
/// How many refresh tokens one transaction deletes.
const TOKENS_AT_ONCE: u32 = 500;
/// How many transactions one sweep makes.
const MAX_TRANSACTIONS: u32 = 200;
/// How long a sweep waits between two transactions: others write meanwhile.
const PAUSE: Duration = Duration::from_millis(20);
/// How far the clock may be behind the newest audit record, in milliseconds, because the clocks of replicas
/// differ.
const MAX_CLOCK_SKEW_MILLIS: i64 = MAX_CLOCK_SKEW * 1000;

/// Deletes dead sessions, and notices a clock that was set back.
pub struct SessionSweeper {
    database: Database,
    clock: Clock,
    /// How far the clock is behind the newest audit record, in milliseconds.
    behind_millis: AtomicI64,
}

impl SessionSweeper {
    /// A sweeper of the sessions in a database.
    #[must_use]
    pub fn new(database: Database, clock: Clock) -> Self {
        Self {
            database,
            clock,
            behind_millis: AtomicI64::new(0),
        }
    }

    /// How many seconds the clock is behind the newest audit record, if that is more than clocks may differ.
    #[must_use]
    pub fn seconds_behind(&self) -> Option<i64> {
        let behind = self.behind_millis.load(Ordering::Relaxed);
        (behind > MAX_CLOCK_SKEW_MILLIS).then_some(behind.div_euclid(1000))
    }

    /// Sweeps again and again, for as long as it is polled.
    pub async fn run(self: Arc<Self>) {
        let mut ticks = tokio::time::interval(SWEEP_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if let Err(error) = self.check_clock().await {
                tracing::warn!(%error, "clock not compared with the newest audit record");
            }
            if let Err(error) = self.sweep().await {
                tracing::warn!(%error, "dead sessions not deleted; the next sweep tries again");
            }
        }
    }

    /// Compares the clock with the newest audit record.
    pub async fn check_clock(&self) -> Result<(), StorageError> {
        let filter = AuditFilter::default();
        let newest = AuditOrder::NewestFirst(None);
        let records = self.database.search_audit_records(&filter, newest, 1);
        let records = records.await?.records;
        let now = self.clock.unix_millis();
        let behind = records
            .first()
            .map_or(0, |newest| newest.unix_millis.saturating_sub(now));
        self.behind_millis.store(behind, Ordering::Relaxed);
        if let Some(seconds) = self.seconds_behind() {
            tracing::error!(
                seconds,
                "clock behind the newest audit record: tokens and sessions of later times are refused"
            );
        }
        Ok(())
    }

    /// Advances the sweep horizon and deletes what is dead, up to a bound.
    async fn sweep(&self) -> Result<(), StorageError> {
        let now = self.clock.unix_seconds();
        self.database
            .advance_sweep_horizon(now, HORIZON_STEP)
            .await?;
        let mut transactions = 0;
        while transactions < MAX_TRANSACTIONS {
            let dead = self.database.find_dead_sessions(SESSIONS_AT_ONCE).await?;
            if dead.is_empty() {
                break;
            }
            for id in dead {
                let mut is_gone = false;
                while !is_gone && transactions < MAX_TRANSACTIONS {
                    is_gone = self
                        .database
                        .delete_dead_session(id, TOKENS_AT_ONCE)
                        .await?;
                    transactions += 1;
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
        Ok(())
    }
}
