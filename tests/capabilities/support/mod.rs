//! What tests share: servers, databases, clients and commands.

pub mod admin_client;
pub mod cli;
pub mod postgres;
pub mod records;
pub mod server;
pub mod sqlite;
pub mod test_database;

use std::time::{Duration, Instant};

/// Waits until something holds, and fails when it does not within five seconds: one is promised, and the
/// machine may be doing something else.
///
/// The promise is about real time, so this is the one place that looks at it; each round asks the
/// server again, which takes its own time.
pub async fn eventually(holds: impl AsyncFn() -> bool) {
    let begun = Instant::now();
    while !holds().await {
        assert!(
            begun.elapsed() < Duration::from_secs(5),
            "it did not come to hold"
        );
    }
}
