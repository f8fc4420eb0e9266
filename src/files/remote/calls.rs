//! Bounded calls of one store or host: each has a deadline, and a store that is slow holds up no other.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::Semaphore;

use super::error::RemoteError;

/// How many calls of one store or host run at once, until their answers begin; further ones wait.
const MAX_CALLS: usize = 64;
/// How long a call may take until its answer begins, waiting for others included.
const CALL_TIMEOUT: Duration = Duration::from_secs(5);
/// How long after a call that missed its deadline others fail at once: they would only wait too.
const UNRESPONSIVE_TIME: Duration = Duration::from_secs(1);

/// Runs calls of one store or host; clones share the permits.
#[derive(Clone, Debug)]
pub(super) struct RemoteCalls {
    permits: Arc<Semaphore>,
    last_missed: Arc<Mutex<Option<Instant>>>,
}

impl Default for RemoteCalls {
    fn default() -> Self {
        Self {
            permits: Arc::new(Semaphore::new(MAX_CALLS)),
            last_missed: Arc::default(),
        }
    }
}

impl RemoteCalls {
    /// Runs a call; it is given up at its deadline.
    pub(super) async fn run<T>(
        &self,
        call: impl Future<Output = Result<T, RemoteError>>,
    ) -> Result<T, RemoteError> {
        self.run_within(CALL_TIMEOUT, call).await
    }

    async fn run_within<T>(
        &self,
        timeout: Duration,
        call: impl Future<Output = Result<T, RemoteError>>,
    ) -> Result<T, RemoteError> {
        let unresponsive = || RemoteError::Failed("no answer in time".to_owned());
        let is_unresponsive = self
            .last_missed
            .lock()
            .is_some_and(|missed| missed.elapsed() < UNRESPONSIVE_TIME);
        if is_unresponsive {
            return Err(unresponsive());
        }
        let running = async {
            let _permit = self.permits.acquire().await;
            call.await
        };
        let ended = tokio::time::timeout(timeout, running).await;
        ended.unwrap_or_else(|_| {
            *self.last_missed.lock() = Some(Instant::now());
            Err(unresponsive())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_call_that_hangs_misses_its_deadline_and_others_fail_at_once() {
        let calls = RemoteCalls::default();
        let never = std::future::pending::<Result<(), _>>();
        let hung = calls.run_within(Duration::from_millis(20), never).await;
        assert!(matches!(hung, Err(RemoteError::Failed(_))));
        *calls.last_missed.lock() = Some(Instant::now() + Duration::from_mins(1));
        let never = std::future::pending::<Result<(), _>>();
        assert!(calls.run(never).await.is_err());
        *calls.last_missed.lock() = None;
        assert!(calls.run(async { Ok(()) }).await.is_ok());
        assert_eq!(calls.permits.available_permits(), MAX_CALLS);
    }
}
