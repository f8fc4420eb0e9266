//! The runtime of a command: threads that end with it.

use std::pin::Pin;
use std::time::Duration;

use crate::policy::complexity::DECISION_STACK_SIZE;

use super::outcome::{CommandError, CommandResult};

/// How long the end of a command waits for its threads.
const RUNTIME_STOP_TIMEOUT: Duration = Duration::from_secs(2);

pub(super) fn block_on(command: impl Future<Output = CommandResult>) -> CommandResult {
    // Boxed as one type: the compiler makes three copies of the code that polls each type of future.
    let command: Pin<Box<dyn Future<Output = CommandResult>>> = Box::pin(command);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_stack_size(DECISION_STACK_SIZE)
        .build()
        .map_err(|error| CommandError::new(format!("cannot start the runtime: {error}")))?;
    let result = runtime.block_on(command);
    // A file system that does not answer holds its threads; the process does not wait for them.
    runtime.shutdown_timeout(RUNTIME_STOP_TIMEOUT);
    result
}
