//! Floor 2: what the product does, one file a capability.
//!
//! Each capability holds exactly what it works with. This floor refuses to know HTTP and the
//! command line, which both call it.

pub mod access;
pub mod administration;
pub mod api_keys;
pub mod audit_trail;
pub mod authentication;
pub mod catalog;
pub mod catalog_view;
pub mod decisions;
pub mod demo;
pub mod download;
pub mod download_token;
pub mod error;
pub mod facts;
pub mod guesses;
pub mod health;
pub mod issuers;
pub mod key_uses;
pub mod keys;
pub mod limits;
pub mod mints;
pub mod outside_users;
pub mod password;
pub mod policy_reload;
pub mod policy_review;
pub mod sealing;
pub mod sessions;
pub mod visitor;
#[cfg(test)]
pub(crate) mod tests {
    use std::path::Path;

    use crate::storage::Database;

    /// A migrated SQLite database in `folder`, without users and datasets.
    pub(crate) async fn empty_database(folder: &Path) -> Database {
        let url = format!("sqlite://{}", folder.join("cedargate.db").display());
        let database = Database::open(&url, 4).await.unwrap();
        database.migrate().await.unwrap();
        database
    }
}
