//! Calls of the database: each has a deadline, and a connection knows whether its call was given up.
//!
//! A call that is given up is dropped in the middle of a statement: its deadline is over, or the client
//! disconnected. What its connection would answer next is unknown then, so the connection is closed.

use std::borrow::Cow;
use std::cell::Cell;
use std::future::poll_fn;
use std::time::Duration;

use tokio::time::Instant;

use super::error::StorageError;

/// How long following a version may take: a database that takes longer is unavailable.
pub(super) const FOLLOW_TIMEOUT: Duration = Duration::from_secs(2);
/// How long one ordinary call may take, waiting included.
pub(super) const CALL_TIMEOUT: Duration = Duration::from_secs(5);
/// How long reading or writing the whole catalog may take.
pub(super) const CATALOG_TIMEOUT: Duration = Duration::from_mins(1);

tokio::task_local! {
    static CALL: Call;
}

struct Call {
    deadline: Instant,
    /// Whether the call is being polled: what is dropped meanwhile is dropped by the call itself.
    is_polled: Cell<bool>,
}

/// When the current call has to end.
pub(super) fn deadline() -> Instant {
    CALL.try_with(|call| call.deadline)
        .unwrap_or_else(|_| Instant::now() + CALL_TIMEOUT)
}

/// Whether the current call is being dropped before it has ended.
pub(super) fn is_given_up() -> bool {
    std::thread::panicking() || !CALL.try_with(|call| call.is_polled.get()).unwrap_or(false)
}

/// Runs statements within a timeout and classifies their error; `table` is the one being read.
pub(super) fn run<T>(
    timeout: Duration,
    operation: &'static str,
    table: &'static str,
    statements: impl Future<Output = Result<T, sqlx::Error>>,
) -> impl Future<Output = Result<T, StorageError>> {
    with_timeout(timeout, operation, async move {
        statements
            .await
            .map_err(|error| StorageError::classify(&error, operation, table))
    })
}

/// Ends a call at its timeout: an unresponsive server would hold it for as long as TCP retries.
pub(super) fn with_timeout<T>(
    timeout: Duration,
    operation: impl Into<Cow<'static, str>>,
    call: impl Future<Output = Result<T, StorageError>>,
) -> impl Future<Output = Result<T, StorageError>> {
    // Boxed here, so that the futures of its callers stay small.
    let mut call = Box::pin(call);
    let marked = poll_fn(move |context| {
        CALL.with(|state| state.is_polled.set(true));
        let poll = call.as_mut().poll(context);
        CALL.with(|state| state.is_polled.set(false));
        poll
    });
    async move {
        let state = Call {
            deadline: Instant::now() + timeout,
            is_polled: Cell::new(false),
        };
        CALL.scope(state, tokio::time::timeout(timeout, marked))
            .await
            .unwrap_or_else(|_| {
                Err(StorageError::Unavailable {
                    operation: operation.into(),
                    reason: format!("no answer within {} seconds", timeout.as_secs()),
                })
            })
    }
}
