//! Test support: servers, databases, clients and commands.

pub(crate) mod admin_client;
pub(crate) mod cli;
pub(crate) mod events;
pub(crate) mod file_server;
pub(crate) mod hanging_solver;
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

/// How long a test waits for what comes about by itself, a proof included. The product promises most of it within
/// seconds, but the machine may be busy, and proofs and passwords give way to all else.
pub(crate) const WAIT_TIMEOUT: Duration = Duration::from_mins(5);

/// Settings of all servers and commands, with limits of time that a busy machine does not reach. A request has less than
/// its client, so that one that hangs is answered.
pub(crate) const LONG_LIMITS: [(&str, &str); 2] = [
    ("CEDARGATE_GATE_PROOF_LIMIT", "600"),
    ("CEDARGATE_REQUEST_TIMEOUT", "240"),
];

/// Waits until `holds` returns true.
pub(crate) async fn eventually(holds: impl AsyncFn() -> bool) {
    eventually_some(async || holds().await.then_some(())).await;
}

/// Waits until `found` returns something, and returns it. Between two rounds others get the processor, which they
/// may need for it.
pub(crate) async fn eventually_some<T>(found: impl AsyncFn() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = found().await {
            return found;
        }
        assert!(begun.elapsed() < WAIT_TIMEOUT, "it did not come to hold");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
