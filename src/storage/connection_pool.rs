//! The connection pool: lends connections, and takes back only those that are as they were lent.
//!
//! A connection comes back clean or not at all. One whose transaction has neither been committed nor rolled
//! back (an error, a failed COMMIT, an early return), or whose call was given up in the middle of a statement,
//! is closed at once, and its place in the pool is free. Both databases roll back when a connection ends.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use deadpool::Runtime;
use deadpool::managed::{Manager, Object, Pool, PoolError, QueueMode, Timeouts};
use futures_util::FutureExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::call;
use super::error::StorageError;

/// How long a call waits for a connection, SQLite for another writer, and PostgreSQL for a lock.
pub(super) const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(2);

/// Opens the connections of a pool, and checks them before they are lent again.
pub(super) trait ConnectionManager:
    Manager<Type = Pooled<<Self as ConnectionManager>::Connection>, Error = sqlx::Error> + 'static
{
    /// The connection.
    type Connection: Send;
}

/// A connection in a pool.
pub(super) struct Pooled<C> {
    pub(super) connection: C,
    /// When its running statement has to end.
    pub(super) deadline: Arc<StatementDeadline>,
    /// When it was opened, in the order of its manager.
    pub(super) generation: u64,
    /// Whether its commits are not synced, and whoever commits waits for a sync apart.
    pub(super) is_synced_apart: bool,
    is_spoiled: bool,
}

impl<C> Pooled<C> {
    pub(super) fn new(connection: C, deadline: Arc<StatementDeadline>, generation: u64) -> Self {
        Self {
            connection,
            deadline,
            generation,
            is_synced_apart: false,
            is_spoiled: false,
        }
    }

    /// Whether it may not be lent again.
    pub(super) fn is_spoiled(&self) -> bool {
        self.is_spoiled
    }
}

/// When a statement has to end; the thread that runs it asks.
#[derive(Debug)]
pub(super) struct StatementDeadline(AtomicU64);

impl StatementDeadline {
    /// No deadline.
    pub(super) fn never() -> Self {
        Self(AtomicU64::new(u64::MAX))
    }

    /// Sets the deadline.
    pub(super) fn set(&self, deadline: Instant) {
        self.0.store(milliseconds(deadline), Ordering::Relaxed);
    }

    /// Ends the running statement as soon as it asks.
    pub(super) fn end_now(&self) {
        self.0.store(0, Ordering::Relaxed);
    }

    /// Whether it is over.
    pub(super) fn is_over(&self) -> bool {
        self.0.load(Ordering::Relaxed) <= milliseconds(Instant::now())
    }
}

/// The time since the first call, in milliseconds.
fn milliseconds(instant: Instant) -> u64 {
    static BEGIN: OnceLock<Instant> = OnceLock::new();
    let begin = *BEGIN.get_or_init(Instant::now);
    let elapsed = instant.saturating_duration_since(begin);
    u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
}

/// A pool of connections for one purpose; clones share the connections.
pub(super) struct ConnectionPool<M: ConnectionManager> {
    pool: Pool<M>,
    /// Where callers queue before they queue for a connection.
    turns: Option<Arc<Semaphore>>,
}

impl<M: ConnectionManager> Clone for ConnectionPool<M> {
    fn clone(&self) -> Self {
        Self {
            pool: self.pool.clone(),
            turns: self.turns.clone(),
        }
    }
}

impl<M: ConnectionManager> ConnectionPool<M> {
    /// A pool of at most so many connections, which are opened when they are needed.
    pub(super) fn new(manager: M, max_size: usize) -> Result<Self, StorageError> {
        let pool = Pool::builder(manager)
            .max_size(max_size)
            .queue_mode(QueueMode::Lifo)
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(ACQUIRE_TIMEOUT))
            .create_timeout(Some(ACQUIRE_TIMEOUT))
            .build()
            .map_err(|error| StorageError::Failed {
                operation: "make a connection pool".into(),
                reason: error.to_string(),
            })?;
        Ok(Self { pool, turns: None })
    }

    /// The same connections for callers of less importance: only one of them at a time uses or awaits one.
    pub(super) fn behind_others(&self) -> Self {
        Self {
            pool: self.pool.clone(),
            turns: Some(Arc::new(Semaphore::new(1))),
        }
    }

    /// What opens the connections.
    pub(super) fn manager(&self) -> &M {
        self.pool.manager()
    }

    /// Lends a connection until the end of the current call.
    pub(super) async fn lend(&self) -> Result<Lease<M>, sqlx::Error> {
        let turn = match &self.turns {
            None => None,
            Some(turns) => {
                let turn = Arc::clone(turns).acquire_owned();
                let turn = tokio::time::timeout(ACQUIRE_TIMEOUT, turn).await;
                let turn = turn.map_err(|_| sqlx::Error::PoolTimedOut)?;
                Some(turn.map_err(|_| sqlx::Error::PoolClosed)?)
            }
        };
        let object = self.pool.get().await.map_err(|error| match error {
            PoolError::Backend(error) => error,
            PoolError::Closed => sqlx::Error::PoolClosed,
            PoolError::Timeout(_)
            | PoolError::NoRuntimeSpecified
            | PoolError::PostCreateHook(_) => sqlx::Error::PoolTimedOut,
        })?;
        object.deadline.set(call::deadline());
        Ok(Lease {
            object,
            closing: CloseSpoiled {
                pool: self.pool.clone(),
                is_needed: false,
            },
            is_in_transaction: false,
            _turn: turn,
        })
    }

    /// Keeps a connection from all others, without using it, if none of them has or awaits it.
    pub(super) fn try_reserve(&self) -> Option<ReservedConnection<M>> {
        let at_once = Timeouts {
            wait: Some(Duration::ZERO),
            ..Timeouts::default()
        };
        let object = self.pool.timeout_get(&at_once).now_or_never()?;
        object.ok().map(ReservedConnection)
    }

    /// Lends none any more, closes those in use when they come back, and returns the idle ones, which are closed when they
    /// are dropped: on SQLite a moment later.
    pub(super) fn close(&self) -> Vec<M::Type> {
        let idle = self.pool.retain(|_, _| false).removed;
        self.pool.close();
        idle
    }
}

/// A connection that nobody else uses until this is dropped.
pub(super) struct ReservedConnection<M: ConnectionManager>(Object<M>);

/// A connection that is lent: it goes back to its pool or, unless it is clean, is closed.
pub(super) struct Lease<M: ConnectionManager> {
    object: Object<M>,
    // Dropped after the connection is back.
    closing: CloseSpoiled<M>,
    is_in_transaction: bool,
    // Dropped last: the next caller finds the connection.
    _turn: Option<OwnedSemaphorePermit>,
}

impl<M: ConnectionManager> Lease<M> {
    /// To be called before a transaction begins: a BEGIN that fails may have begun one.
    pub(super) fn enter_transaction(&mut self) {
        self.is_in_transaction = true;
    }

    /// Whether its commits are not synced.
    pub(super) fn is_synced_apart(&self) -> bool {
        self.object.is_synced_apart
    }

    /// To be called when that has been changed.
    pub(super) fn set_synced_apart(&mut self, is_synced_apart: bool) {
        self.object.is_synced_apart = is_synced_apart;
    }

    /// To be called when COMMIT or ROLLBACK has succeeded.
    pub(super) fn leave_transaction(&mut self) {
        self.is_in_transaction = false;
    }
}

impl<M: ConnectionManager> Deref for Lease<M> {
    type Target = M::Connection;

    fn deref(&self) -> &M::Connection {
        &self.object.connection
    }
}

impl<M: ConnectionManager> DerefMut for Lease<M> {
    fn deref_mut(&mut self) -> &mut M::Connection {
        &mut self.object.connection
    }
}

impl<M: ConnectionManager> Drop for Lease<M> {
    fn drop(&mut self) {
        if self.is_in_transaction || call::is_given_up() {
            self.object.is_spoiled = true;
            self.object.deadline.end_now();
            self.closing.is_needed = true;
        }
    }
}

/// Closes the spoiled connections of a pool when it is dropped.
struct CloseSpoiled<M: ConnectionManager> {
    pool: Pool<M>,
    is_needed: bool,
}

impl<M: ConnectionManager> Drop for CloseSpoiled<M> {
    fn drop(&mut self) {
        if self.is_needed {
            drop(self.pool.retain(|pooled, _| !pooled.is_spoiled));
        }
    }
}
