//! The outcome of a request: its result within its time, and whether something was changed without it.

use std::sync::Arc;
use std::time::Duration;

use crate::domain::commit_watch::CommitWatch;

use super::connection_timer::ConnectionTimer;

/// How much longer than its time a request may take once a commit has begun: a call of the database ends
/// within this time, and then it is known what became of it.
const COMMIT_GRACE: Duration = Duration::from_secs(6);

/// What became of a request.
pub(super) struct RequestOutcome<T> {
    /// The result; none if the request took too long.
    pub(super) result: Option<T>,
    /// Whether a change was committed, or may have been.
    pub(super) may_have_committed: bool,
}

/// Runs a request for at most `timeout`, and longer only for a commit that has begun.
pub(super) async fn run_within<T>(
    timer: &ConnectionTimer,
    timeout: Duration,
    request: impl Future<Output = T>,
) -> RequestOutcome<T> {
    let watch = Arc::new(CommitWatch::default());
    let mut request = std::pin::pin!(watch.watch(request));
    let mut result = timer.timeout(timeout, &mut request).await;
    if result.is_none() && watch.may_have_committed() {
        result = timer.timeout(COMMIT_GRACE, &mut request).await;
    }
    RequestOutcome {
        result,
        may_have_committed: watch.may_have_committed(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::commit_watch::begin_commit;

    const TIMEOUT: Duration = Duration::from_millis(20);

    async fn run_within<T>(
        timeout: Duration,
        request: impl Future<Output = T>,
    ) -> RequestOutcome<T> {
        super::run_within(&ConnectionTimer::default(), timeout, request).await
    }

    #[tokio::test]
    async fn a_request_that_takes_too_long_has_changed_nothing_unless_a_commit_has_begun() {
        let hanging = run_within(TIMEOUT, std::future::pending::<()>()).await;
        assert!(hanging.result.is_none() && !hanging.may_have_committed);
        let committing = async {
            let commit = begin_commit();
            tokio::time::sleep(TIMEOUT * 5).await;
            commit.settle(true);
            "created"
        };
        let outcome = run_within(TIMEOUT, committing).await;
        assert_eq!(outcome.result, Some("created"));
        assert!(outcome.may_have_committed);
    }
}
