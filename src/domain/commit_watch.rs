//! The commits of one request: whether it can still be said that nothing was done.
//!
//! Storage tells of each commit that begins and of its result. Whoever answers the request asks whether one
//! of them was made, or may have been: its connection broke, or its time ended, before the result was known.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

tokio::task_local! {
    static CURRENT: Arc<CommitWatch>;
}

/// The commits of one request.
#[derive(Debug, Default)]
pub struct CommitWatch {
    unsettled: AtomicUsize,
    has_committed: AtomicBool,
}

/// A commit that has begun. If it is dropped without a result, it may have been made.
#[derive(Debug)]
#[must_use = "a commit without a result may have been made"]
pub struct PendingCommit(Option<Arc<CommitWatch>>);

impl CommitWatch {
    /// Runs a request whose commits are watched.
    pub async fn watch<T>(self: &Arc<Self>, request: impl Future<Output = T>) -> T {
        CURRENT.scope(Arc::clone(self), request).await
    }

    /// Whether a commit was made or may have been made.
    pub fn may_have_committed(&self) -> bool {
        self.has_committed.load(Ordering::Acquire) || self.unsettled.load(Ordering::Acquire) > 0
    }
}

/// Tells that a commit begins; of the current request, if there is one.
pub fn begin_commit() -> PendingCommit {
    let watch = CURRENT.try_with(Arc::clone).ok();
    if let Some(watch) = &watch {
        watch.unsettled.fetch_add(1, Ordering::AcqRel);
    }
    PendingCommit(watch)
}

impl PendingCommit {
    /// Tells whether the commit was made.
    pub fn settle(self, was_made: bool) {
        let Some(watch) = self.0 else { return };
        if was_made {
            watch.has_committed.store(true, Ordering::Release);
        }
        watch.unsettled.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_a_commit_that_certainly_failed_leaves_nothing_behind() {
        for (was_made, expected) in [(Some(true), true), (Some(false), false), (None, true)] {
            let watch = Arc::new(CommitWatch::default());
            watch
                .watch(async {
                    let pending = begin_commit();
                    if let Some(was_made) = was_made {
                        pending.settle(was_made);
                    }
                })
                .await;
            assert_eq!(watch.may_have_committed(), expected, "{was_made:?}");
        }
        begin_commit().settle(true);
    }
}
