//! Long work: its caller follows how far it is, and gives it up by going away.

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// How far long work is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WorkProgress {
    /// The number of steps that are done.
    pub done: usize,
    /// The number of all steps; 0 if it is not known.
    pub total: usize,
    /// What is being done.
    pub step: &'static str,
}

/// The side of whoever does the work.
#[derive(Clone, Debug)]
pub struct LongWork {
    progress: watch::Sender<Option<WorkProgress>>,
    cancellation: CancellationToken,
}

impl LongWork {
    /// Work that has not begun, and its progress: `None` as long as it can still be refused.
    #[must_use]
    pub fn new() -> (Self, watch::Receiver<Option<WorkProgress>>) {
        let (progress, watched) = watch::channel(None);
        let cancellation = CancellationToken::new();
        let work = Self {
            progress,
            cancellation,
        };
        (work, watched)
    }

    /// The next step begins; with the first one, the work is admitted.
    pub fn begin(&self, step: &'static str) {
        let progress = WorkProgress {
            step,
            ..WorkProgress::default()
        };
        self.progress.send_replace(Some(progress));
    }

    /// How much of the current step is done.
    pub fn report(&self, done: usize, total: usize) {
        self.progress.send_if_modified(|progress| {
            let Some(progress) = progress else {
                return false;
            };
            let next = WorkProgress {
                done,
                total,
                step: progress.step,
            };
            let is_new = *progress != next;
            *progress = next;
            is_new
        });
    }

    /// Is cancelled when nobody waits for the work any more.
    #[must_use]
    pub fn cancellation(&self) -> &CancellationToken {
        &self.cancellation
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_that_was_not_admitted_reports_nothing() {
        let (work, watched) = LongWork::new();
        work.report(1, 2);
        assert_eq!(*watched.borrow(), None);
        work.begin("proving");
        work.report(1, 2);
        let expected = WorkProgress {
            done: 1,
            total: 2,
            step: "proving",
        };
        assert_eq!(*watched.borrow(), Some(expected));
    }
}
