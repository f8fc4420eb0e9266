//! Test support: servers, databases, clients and commands.

pub(crate) mod admin_client;
pub(crate) mod cli;
pub(crate) mod events;
pub(crate) mod file_server;
pub(crate) mod postgres;
pub(crate) mod records;
pub(crate) mod s3_server;
pub(crate) mod server;
pub(crate) mod server_process;
pub(crate) mod sqlite;
pub(crate) mod tcp_proxy;
pub(crate) mod test_database;
#[path = "../../../src/files/tiff/test_file.rs"]
pub(crate) mod tiff;

use std::time::{Duration, Instant};

/// Waits until `holds` returns true; fails after five seconds. The product promises one second, but the
/// machine may be busy.
///
/// The promise is about real time, so this is the one place that measures it. Each round sends requests to
/// the server, so it needs no sleep.
pub(crate) async fn eventually(holds: impl AsyncFn() -> bool) {
    let begun = Instant::now();
    while !holds().await {
        assert!(
            begun.elapsed() < Duration::from_secs(5),
            "it did not come to hold"
        );
    }
}
