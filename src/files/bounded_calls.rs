//! Bounded calls: every call of the file system has a deadline, and hung ones hold only so many threads.
//!
//! A network file system that hangs blocks the thread of each call until it answers. A call that misses its
//! deadline fails, but keeps its permit until its thread is free again, so that hung calls cannot take the
//! threads that everything else needs.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::Semaphore;

use super::error::FilesError;

/// How many calls run at once; further ones wait.
const MAX_CALLS: usize = 64;
/// How long a call may take that reads or writes no content, waiting for its permit included.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(2);
/// How long opening a file, or reading a chunk of it for a download, may take.
const READ_TIMEOUT: Duration = Duration::from_secs(5);
/// How long writing a piece of a file, or making it durable, may take.
const TRANSFER_TIMEOUT: Duration = Duration::from_mins(1);
/// How long after a lookup that missed its deadline others fail at once: they would only wait too.
const UNRESPONSIVE_TIME: Duration = Duration::from_secs(1);

/// Runs calls of the file system; clones share the permits.
#[derive(Clone, Debug)]
pub(super) struct BoundedCalls {
    permits: Arc<Semaphore>,
    last_missed: Arc<Mutex<Option<Instant>>>,
}

impl Default for BoundedCalls {
    fn default() -> Self {
        Self::new(MAX_CALLS)
    }
}

impl BoundedCalls {
    pub(super) fn new(max_calls: usize) -> Self {
        Self {
            permits: Arc::new(Semaphore::new(max_calls)),
            last_missed: Arc::default(),
        }
    }

    /// Runs a call that reads or writes no content.
    pub(super) async fn look_up<T: Send + 'static>(
        &self,
        operation: &'static str,
        call: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, FilesError> {
        let is_unresponsive = self
            .last_missed
            .lock()
            .is_some_and(|missed| missed.elapsed() < UNRESPONSIVE_TIME);
        if is_unresponsive {
            return Err(unresponsive(operation));
        }
        let result = self.run(operation, LOOKUP_TIMEOUT, call).await;
        if result.is_err() {
            *self.last_missed.lock() = Some(Instant::now());
        }
        result
    }

    /// Runs a call that reads for a download.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        call: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, FilesError> {
        self.run("read a file", READ_TIMEOUT, call).await
    }

    /// Runs a call that writes a piece of a file.
    pub(super) async fn transfer<T: Send + 'static>(
        &self,
        operation: &'static str,
        call: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, FilesError> {
        self.run(operation, TRANSFER_TIMEOUT, call).await
    }

    /// Runs a blocking call that reads or writes a piece of a file, or a folder.
    pub(super) async fn transfer_blocking<T: Send + 'static>(
        &self,
        operation: &'static str,
        call: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, FilesError> {
        // Not before there is a permit, or else hung calls would have more threads than permits.
        let call = async { tokio::task::spawn_blocking(call).await };
        let done = self.transfer(operation, call).await?;
        done.map_err(|_| unresponsive(operation))
    }

    async fn run<T: Send + 'static>(
        &self,
        operation: &'static str,
        timeout: Duration,
        call: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, FilesError> {
        let permits = Arc::clone(&self.permits);
        let running = async {
            let permit = permits.acquire_owned().await;
            // A task of its own: it keeps the permit when nobody waits for it any more.
            let call = tokio::spawn(async move {
                let _permit = permit;
                call.await
            });
            call.await
        };
        match tokio::time::timeout(timeout, running).await {
            Ok(Ok(result)) => Ok(result),
            Ok(Err(_)) | Err(_) => Err(unresponsive(operation)),
        }
    }
}

fn unresponsive(operation: &'static str) -> FilesError {
    FilesError::Unresponsive { operation }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn hung_calls_miss_their_deadline_and_hold_only_so_many_threads() {
        let calls = BoundedCalls::new(3);
        let begun = Arc::new(AtomicUsize::new(0));
        for _ in 0..10 {
            let begun = Arc::clone(&begun);
            let hung = async move {
                begun.fetch_add(1, Ordering::SeqCst);
                std::future::pending::<()>().await;
            };
            let result = calls.run("hang", Duration::from_millis(20), hung).await;
            assert!(matches!(result, Err(FilesError::Unresponsive { .. })));
        }
        assert_eq!(begun.load(Ordering::SeqCst), 3);
    }

    #[tokio::test]
    async fn after_a_lookup_that_hung_others_fail_at_once() {
        let calls = BoundedCalls::new(3);
        assert!(calls.look_up("look", async {}).await.is_ok());
        *calls.last_missed.lock() = Some(Instant::now() + Duration::from_mins(1));
        let never = std::future::pending::<()>();
        assert!(calls.look_up("look", never).await.is_err());
        assert_eq!(calls.permits.available_permits(), 3);
        *calls.last_missed.lock() = None;
        assert!(calls.look_up("look", async {}).await.is_ok());
    }
}
