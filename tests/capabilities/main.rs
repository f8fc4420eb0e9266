//! What the product can do, each test a sentence, against real parts.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say what they expect"
)]

mod admin_credentials;
mod admin_datasets;
mod admin_desks;
mod admin_files;
mod admin_roles;
mod admin_shares;
mod admin_users;
mod api_keys;
mod architecture;
mod audit;
mod audit_log;
mod author_examples;
mod catalog_view;
mod command_line;
mod cors;
mod decision_table;
mod download;
mod explained_entities;
mod explanations;
mod health;
mod issuers;
mod key_set;
mod limits;
mod login;
mod login_throttle;
mod mint;
mod openapi;
mod policy_check;
mod policy_explain;
mod policy_format;
mod policy_proof;
mod policy_reload;
mod problems;
mod sessions;
mod size;
mod storage;
mod support;
mod views;
mod withheld;

use std::time::{Duration, Instant};

/// Waits until something holds, and fails when it does not within five seconds: one is promised, and the
/// machine may be doing something else.
///
/// The promise is about real time, so this is the one place that looks at it; each round asks the
/// server again, which takes its own time.
async fn eventually(holds: impl AsyncFn() -> bool) {
    let begun = Instant::now();
    while !holds().await {
        assert!(
            begun.elapsed() < Duration::from_secs(5),
            "it did not come to hold"
        );
    }
}
