//! Threads with the stack that parsing and checking policies needs.

use tokio::sync::oneshot;

use crate::policy::complexity::DECISION_STACK_SIZE;
use crate::service::error::ServiceError;

/// Runs two parts of blocking work at once, the second one on a thread of its own.
pub(super) fn run_both<A, B: Send>(
    first: impl FnOnce() -> A,
    second: impl Fn() -> B + Sync,
) -> (A, B) {
    std::thread::scope(|scope| {
        let builder = std::thread::Builder::new().name("policy-reload".to_owned());
        let spawned = builder
            .stack_size(DECISION_STACK_SIZE)
            .spawn_scoped(scope, &second);
        let first = first();
        let second = match spawned {
            Ok(thread) => thread
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
            Err(_) => second(),
        };
        (first, second)
    })
}

/// Runs blocking work on a thread of its own.
pub(in crate::service) async fn run_on_policy_thread<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ServiceError> {
    let (sender, result) = oneshot::channel();
    std::thread::Builder::new()
        .name("policy-reload".to_owned())
        .stack_size(DECISION_STACK_SIZE)
        // At shutdown nobody waits for the result.
        .spawn(move || drop(sender.send(work())))
        .map_err(|source| ServiceError::unavailable("reloading the policies", source))?;
    result
        .await
        .map_err(|source| ServiceError::internal("checking the policies", source))
}
