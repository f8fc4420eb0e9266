//! Storage: every function on SQLite and on PostgreSQL, and outages of both.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, in its helpers too"
)]

/// Makes a test of every scenario on each database.
macro_rules! on_both {
    ($($scenario:ident,)*) => {
        mod on_sqlite { $(
            #[tokio::test]
            async fn $scenario() { super::$scenario(crate::support::test_database::TestDatabase::sqlite().await).await; }
        )* }
        mod on_postgres { $(
            #[tokio::test]
            async fn $scenario() { super::$scenario(crate::support::test_database::TestDatabase::postgres().await).await; }
        )* }
    };
}

mod accepted_policy_edits;
mod api_keys;
mod attributes;
mod audit_records;
mod audit_search;
mod blocking_appends;
mod catalog;
mod catalog_apply;
mod catalog_changes;
mod catalog_names;
mod connections;
mod dataset_facts;
mod datasets_with_names;
mod federated_users;
mod key_rotations;
mod migrations;
mod outages;
mod policy_revisions;
mod removals;
mod session_lists;
mod session_records;
mod session_siblings;
mod session_sweep;
mod sessions;
mod signing_keys;
mod staged_rows;
mod users;
