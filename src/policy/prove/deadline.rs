//! The deadline of a proof: when its time is over, or nobody waits for it any more.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::policy::proof_precedence::ProofPrecedence;

use super::options::ProofOptions;

/// The time at which proving must end, at the latest. A proof that is given up has no time left.
#[derive(Clone, Debug)]
pub(super) struct Deadline {
    at: Instant,
    limit: Duration,
    cancellation: CancellationToken,
    precedence: Option<Arc<ProofPrecedence>>,
}

impl Deadline {
    /// The end of a proof that starts now.
    pub(super) fn of_proof(options: &ProofOptions) -> Self {
        Self {
            cancellation: options.cancellation.clone(),
            precedence: options.gives_way_to.clone(),
            ..Self::after(options.time_limit)
        }
    }

    /// The end of a time limit that starts now.
    pub(super) fn after(limit: Duration) -> Self {
        Self {
            at: Instant::now() + limit,
            limit,
            cancellation: CancellationToken::new(),
            precedence: None,
        }
    }

    /// The same end, or an earlier one after `limit`.
    pub(super) fn at_most(&self, limit: Duration) -> Self {
        let other = self.moved(limit);
        if other.at < self.at {
            other
        } else {
            self.clone()
        }
    }

    /// The same end, or a later one after `limit`.
    pub(super) fn at_least(&self, limit: Duration) -> Self {
        let other = self.moved(limit);
        if other.at > self.at {
            other
        } else {
            self.clone()
        }
    }

    /// An end of the same proof after `limit`.
    fn moved(&self, limit: Duration) -> Self {
        Self {
            at: Instant::now() + limit,
            limit,
            ..self.clone()
        }
    }

    /// The time left; zero when it is over.
    pub(super) fn remaining(&self) -> Duration {
        if self.is_given_up() {
            return Duration::ZERO;
        }
        self.at.saturating_duration_since(Instant::now())
    }

    /// Whether nobody waits for the proof any more.
    pub(super) fn is_given_up(&self) -> bool {
        self.cancellation.is_cancelled()
    }

    /// When the time limit started.
    pub(super) fn begin(&self) -> Instant {
        self.at.checked_sub(self.limit).unwrap_or(self.at)
    }

    /// Why something is not known after the deadline.
    pub(super) fn message(&self) -> String {
        if self.is_given_up() {
            return "the proof was given up".to_owned();
        }
        format!("not proved within {} s", self.limit.as_secs())
    }

    /// Asks a question that may take `limit`, once no proof goes first; `None` if there is no answer before the end.
    pub(super) async fn ask<T>(
        &self,
        limit: Duration,
        question: impl Future<Output = T>,
    ) -> Option<T> {
        let asking = async {
            if let Some(precedence) = &self.precedence {
                timeout(self.remaining(), precedence.wait()).await.ok()?;
            }
            timeout(self.remaining().min(limit), question).await.ok()
        };
        self.cancellation.run_until_cancelled(asking).await?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_hours(1);

    #[tokio::test]
    async fn a_question_ends_when_nobody_waits_for_its_answer() {
        let mut options = ProofOptions::within(LONG);
        let precedence = Arc::new(ProofPrecedence::default());
        options.gives_way_to = Some(Arc::clone(&precedence));
        let deadline = Deadline::of_proof(&options);
        assert_eq!(deadline.ask(LONG, async { 1 }).await, Some(1));
        assert_eq!(
            deadline
                .ask(Duration::ZERO, std::future::pending::<()>())
                .await,
            None
        );
        let _first = precedence.go_first();
        let given_up = options.cancellation.clone();
        let (answer, ()) = tokio::join!(deadline.ask(LONG, async { 2 }), async {
            given_up.cancel();
        });
        assert_eq!(answer, None, "the other proof goes first");
        assert!(deadline.remaining().is_zero() && deadline.at_most(LONG).remaining().is_zero());
        assert!(deadline.at_least(LONG * 2).remaining().is_zero());
        assert_eq!(deadline.message(), "the proof was given up");
    }

    #[test]
    fn an_end_moves_only_as_far_as_it_has_to() {
        let deadline = Deadline::after(Duration::from_mins(10));
        let minutes = |deadline: Deadline| deadline.remaining().as_secs_f64().round() / 60.0;
        let (short, long) = (Duration::from_mins(5), Duration::from_mins(20));
        assert!((minutes(deadline.at_least(short)) - 10.0).abs() < 0.1);
        assert!((minutes(deadline.at_least(long)) - 20.0).abs() < 0.1);
        assert!((minutes(deadline.at_most(short)) - 5.0).abs() < 0.1);
        assert!((minutes(deadline.at_most(long)) - 10.0).abs() < 0.1);
    }
}
