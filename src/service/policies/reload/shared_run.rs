//! Shared runs: of an operation that many may ask for at once, one runs and at most one waits.
//!
//! Whoever asks joins the waiting run, so every answer is of a run that began after the question. A run that
//! nobody waits for any more does not begin.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::watch;

/// The run in progress and the waiting one; `T` is what a run returns.
pub(super) struct SharedRun<T> {
    waiting: Mutex<Option<WaitingRun<T>>>,
    /// Held by the run in progress.
    running: tokio::sync::Mutex<()>,
}

struct WaitingRun<T> {
    /// Whether anybody asks for a forced run.
    is_forced: bool,
    result: watch::Sender<Option<T>>,
}

impl<T> Default for SharedRun<T> {
    fn default() -> Self {
        Self {
            waiting: Mutex::default(),
            running: tokio::sync::Mutex::default(),
        }
    }
}

impl<T: Clone + Send + Sync + 'static> SharedRun<T> {
    /// Waits until no run is in progress; none begins until the guard is dropped.
    pub(super) async fn exclusive(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.running.lock().await
    }

    /// The result of a run that begins after this call; `None` if it panicked.
    ///
    /// `run` is called, with whether the run is forced, if no other call is waiting yet. A run that has begun
    /// goes on when its callers go away.
    pub(super) async fn join<F>(
        self: &Arc<Self>,
        is_forced: bool,
        run: impl FnOnce(bool) -> F + Send + 'static,
    ) -> Option<T>
    where
        F: Future<Output = T> + Send,
    {
        let mut result = self.wait(is_forced, run);
        let finished = result.wait_for(Option::is_some).await;
        finished.ok().and_then(|result| result.clone())
    }

    fn wait<F>(
        self: &Arc<Self>,
        is_forced: bool,
        run: impl FnOnce(bool) -> F + Send + 'static,
    ) -> watch::Receiver<Option<T>>
    where
        F: Future<Output = T> + Send,
    {
        let mut waiting = self.waiting.lock();
        if let Some(waiting) = waiting.as_mut() {
            waiting.is_forced |= is_forced;
            return waiting.result.subscribe();
        }
        let (sender, result) = watch::channel(None);
        *waiting = Some(WaitingRun {
            is_forced,
            result: sender,
        });
        let shared = Arc::clone(self);
        tokio::spawn(async move {
            let _running = shared.running.lock().await;
            let waiting = shared.waiting.lock().take();
            if let Some(waiting) = waiting.filter(|run| run.result.receiver_count() > 0) {
                let result = run(waiting.is_forced).await;
                waiting.result.send_replace(Some(result));
            }
        });
        result
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::Semaphore;

    use super::*;

    /// Joins a run that counts itself, waits for a permit of `gate`, and returns its number.
    fn counted(
        shared: &Arc<SharedRun<usize>>,
        count: &Arc<AtomicUsize>,
        gate: &Arc<Semaphore>,
    ) -> impl Future<Output = Option<usize>> + use<> {
        let (shared, count, gate) = (Arc::clone(shared), Arc::clone(count), Arc::clone(gate));
        async move {
            shared
                .join(true, move |_| async move {
                    let number = count.fetch_add(1, Ordering::SeqCst) + 1;
                    gate.acquire().await.unwrap().forget();
                    number
                })
                .await
        }
    }

    #[tokio::test]
    async fn all_who_ask_during_a_run_share_the_next_one() {
        let (shared, count, gate) = (Arc::default(), Arc::default(), Arc::new(Semaphore::new(0)));
        let first = tokio::spawn(counted(&shared, &count, &gate));
        while count.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        let others: Vec<_> = (0..1_000)
            .map(|_| tokio::spawn(counted(&shared, &count, &gate)))
            .collect();
        while shared
            .waiting
            .lock()
            .as_ref()
            .map_or(0, |run| run.result.receiver_count())
            < 1_000
        {
            tokio::task::yield_now().await;
        }
        gate.add_permits(2);
        assert_eq!(first.await.unwrap(), Some(1));
        for other in others {
            assert_eq!(other.await.unwrap(), Some(2));
        }
    }

    #[tokio::test]
    async fn a_run_that_nobody_waits_for_does_not_begin() {
        let (shared, count, gate) = (Arc::default(), Arc::default(), Arc::new(Semaphore::new(0)));
        let first = tokio::spawn(counted(&shared, &count, &gate));
        while count.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        let gone = tokio::spawn(counted(&shared, &count, &gate));
        while shared.waiting.lock().is_none() {
            tokio::task::yield_now().await;
        }
        gone.abort();
        assert!(gone.await.unwrap_err().is_cancelled());
        gate.add_permits(3);
        assert_eq!(first.await.unwrap(), Some(1));
        assert_eq!(counted(&shared, &count, &gate).await, Some(2));
    }
}
