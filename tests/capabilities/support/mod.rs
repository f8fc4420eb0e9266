//! Test support: servers, databases, clients and commands.

pub mod admin_client;
pub mod cli;
pub mod postgres;
pub mod records;
pub mod server;
pub mod sqlite;
pub mod test_database;

use std::time::{Duration, Instant};

/// Waits until `holds` returns true; fails after five seconds. The product promises one second, but the
/// machine may be busy.
///
/// The promise is about real time, so this is the one place that measures it. Each round sends requests to
/// the server, so it needs no sleep.
pub async fn eventually(holds: impl AsyncFn() -> bool) {
    let begun = Instant::now();
    while !holds().await {
        assert!(
            begun.elapsed() < Duration::from_secs(5),
            "it did not come to hold"
        );
    }
}
