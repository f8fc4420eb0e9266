//! An estimate of how many callers ask at a time: each waits for its response and then asks again.
//!
//! One of them is watched: as many requests as come between two of its own, so many callers there are. A caller is
//! a task, because a connection is one. If the watched one does not come again soon, most requests are of callers
//! who ask once, about whom nothing can be foreseen.

use std::time::Duration;

use tokio::task;
use tokio::time::Instant;

/// How long the watched caller may take to ask again.
const MAX_CYCLE: Duration = Duration::from_millis(50);
/// How many requests of others may come meanwhile.
const MAX_REQUESTS: u32 = 2048;
/// Of how many cycles the estimate is an average, roughly.
const SMOOTHING: u32 = 4;

/// The estimate.
#[derive(Debug, Default)]
pub(super) struct ConcurrentCallers {
    /// The watched caller, and when it asked.
    watched: Option<(task::Id, Instant)>,
    /// Who brought the last record.
    last: Option<task::Id>,
    /// How many requests came since then.
    requests: u32,
    /// The estimate, `SMOOTHING` times.
    smoothed: u32,
}

impl ConcurrentCallers {
    /// Counts the caller of a record, once for all records of a batch: nobody else brings a second one to a group.
    pub(super) fn count_record(
        &mut self,
        caller: Option<task::Id>,
        is_first_of_group: bool,
        now: Instant,
    ) {
        let last = std::mem::replace(&mut self.last, caller);
        if is_first_of_group || last != caller {
            self.count_caller(caller, now);
        }
    }

    /// Counts a request of a caller; none is a request that nobody can repeat.
    fn count_caller(&mut self, caller: Option<task::Id>, now: Instant) {
        let Some((watched, since)) = self.watched else {
            self.watched = caller.map(|caller| (caller, now));
            self.requests = 0;
            return;
        };
        self.requests += 1;
        if now.saturating_duration_since(since) > MAX_CYCLE || self.requests > MAX_REQUESTS {
            self.smoothed = 0;
            self.watched = None;
        } else if caller == Some(watched) {
            self.smoothed = match self.smoothed {
                0 => self.requests * SMOOTHING,
                smoothed => smoothed - smoothed / SMOOTHING + self.requests,
            };
            // Another one is watched next: some are faster than others.
            self.watched = None;
        }
    }

    /// How many callers ask at a time, if that can be foreseen.
    pub(super) fn estimate(&self) -> Option<usize> {
        let estimate = self.smoothed / SMOOTHING;
        usize::try_from(estimate)
            .ok()
            .filter(|callers| *callers > 0)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Estimates after so many callers have asked in turns.
    pub(in super::super) async fn callers_in_turns(count: u32) -> ConcurrentCallers {
        let ids = task_ids(count).await;
        let mut callers = ConcurrentCallers::default();
        let now = Instant::now();
        for _ in 0..4 * SMOOTHING {
            for id in &ids {
                callers.count_caller(Some(*id), now);
            }
        }
        callers
    }

    async fn task_ids(count: u32) -> Vec<task::Id> {
        let mut ids = Vec::new();
        for _ in 0..count {
            ids.push(tokio::spawn(async { task::id() }).await.unwrap());
        }
        ids
    }

    #[tokio::test]
    async fn callers_who_ask_in_turns_are_counted() {
        for count in [1, 2, 8, 100] {
            let callers = callers_in_turns(count).await;
            assert_eq!(callers.estimate(), Some(count as usize));
        }
    }

    #[tokio::test]
    async fn a_batch_is_one_request() {
        let mut callers = ConcurrentCallers::default();
        let caller = Some(task_ids(1).await[0]);
        let now = Instant::now();
        callers.count_record(caller, true, now);
        for _ in 0..100 {
            callers.count_record(caller, false, now);
        }
        assert_eq!(callers.estimate(), None);
        callers.count_record(caller, true, now);
        assert_eq!(callers.estimate(), Some(1));
    }

    #[tokio::test]
    async fn nothing_is_foreseen_of_callers_who_ask_once_or_seldom() {
        let ids = task_ids(3000).await;
        let mut callers = callers_in_turns(8).await;
        let now = Instant::now();
        for id in &ids {
            callers.count_caller(Some(*id), now);
        }
        assert_eq!(callers.estimate(), None);
        let mut callers = callers_in_turns(8).await;
        let now = Instant::now();
        let later = now + MAX_CYCLE * 2;
        callers.count_caller(Some(ids[0]), now);
        callers.count_caller(Some(ids[0]), later);
        assert_eq!(callers.estimate(), None);
        let mut nobody = ConcurrentCallers::default();
        nobody.count_caller(None, now);
        nobody.count_caller(None, now);
        assert_eq!(nobody.estimate(), None);
    }

    #[tokio::test]
    async fn the_estimate_follows_callers_that_leave() {
        let mut callers = callers_in_turns(64).await;
        let id = task_ids(1).await[0];
        let now = Instant::now();
        // The watched one may be among those that left; it is given up after a while.
        let times = (1..=200).map(|turn| now + MAX_CYCLE / 10 * turn);
        for at in times {
            callers.count_caller(Some(id), at);
        }
        assert_eq!(callers.estimate(), Some(1));
    }
}
