//! The timer of a connection: one timer of the runtime for all deadlines on it, which come and go with each request.
//!
//! To set a timer of the runtime and to take it back is more work than most of what happens to a request, and all
//! threads share a lock for it. Hardly any deadline is ever reached, so the timer stays where it was set when it ends
//! early enough: the connection is woken then, and it is set to the deadline of that time.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use hyper::rt;
use parking_lot::Mutex;
use tokio::task::unconstrained;
use tokio::time;

/// Sets deadlines; clones share one timer. Only one task may wait for them.
#[derive(Clone, Debug, Default)]
pub(super) struct ConnectionTimer(Arc<Mutex<Option<Pin<Box<time::Sleep>>>>>);

/// Waits for a deadline.
#[derive(Debug)]
pub(super) struct ConnectionDeadline {
    at: time::Instant,
    timer: ConnectionTimer,
}

impl ConnectionTimer {
    /// A deadline after this time.
    pub(super) fn deadline_after(&self, time: Duration) -> ConnectionDeadline {
        self.deadline_at(time::Instant::now() + time)
    }

    fn deadline_at(&self, at: time::Instant) -> ConnectionDeadline {
        ConnectionDeadline {
            at,
            timer: self.clone(),
        }
    }

    /// The result of a future, unless the deadline comes first.
    pub(super) async fn timeout<T>(
        &self,
        time: Duration,
        future: impl Future<Output = T>,
    ) -> Option<T> {
        let deadline = self.deadline_after(time);
        tokio::select! {
            biased;
            result = future => Some(result),
            () = deadline => None,
        }
    }
}

impl Future for ConnectionDeadline {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let at = self.at;
        let mut timer = self.timer.0.lock();
        let sleep = timer.get_or_insert_with(|| Box::pin(time::sleep_until(at)));
        if sleep.deadline() > at {
            sleep.as_mut().reset(at);
        }
        // The one who is waited for may have used up what the task may do at a time: the deadline holds all the same.
        while pin!(unconstrained(sleep.as_mut())).poll(cx).is_ready() {
            if time::Instant::now() >= at {
                return Poll::Ready(());
            }
            sleep.as_mut().reset(at);
        }
        Poll::Pending
    }
}

impl rt::Sleep for ConnectionDeadline {}

impl rt::Timer for ConnectionTimer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn rt::Sleep>> {
        Box::pin(self.deadline_after(duration))
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn rt::Sleep>> {
        Box::pin(self.deadline_at(deadline.into()))
    }

    fn now(&self) -> Instant {
        time::Instant::now().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOMENT: Duration = Duration::from_millis(2);
    const SHORT: Duration = Duration::from_millis(100);
    const LONG: Duration = Duration::from_hours(1);

    #[tokio::test]
    async fn a_deadline_is_reached_whatever_later_one_was_set_before() {
        let timer = ConnectionTimer::default();
        for _ in 0..2 {
            let soon = timer.timeout(LONG, time::sleep(MOMENT)).await;
            assert_eq!(soon, Some(()));
            let since = Instant::now();
            let never = timer.timeout(SHORT, std::future::pending::<()>()).await;
            assert_eq!(never, None);
            assert!(since.elapsed() >= SHORT);
        }
    }

    #[tokio::test]
    async fn a_deadline_is_not_reached_because_of_an_earlier_one_that_was_given_up() {
        let timer = ConnectionTimer::default();
        for _ in 0..2 {
            let soon = timer.timeout(SHORT, time::sleep(MOMENT)).await;
            assert!(soon.is_some());
            // The timer wakes the task meanwhile.
            let waiting = time::sleep(SHORT * 3);
            assert_eq!(timer.timeout(LONG, waiting).await, Some(()));
            let since = Instant::now();
            timer.deadline_after(SHORT).await;
            assert!(since.elapsed() >= SHORT);
        }
    }
}
