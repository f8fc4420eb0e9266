//! The service layer (floor 2): what the server does, one file per service.
//!
//! Each service holds exactly what it uses. HTTP and the command line call it; it does not know them.

pub mod access;
pub mod access_api;
pub mod administration;
pub mod audit_prune;
mod audit_queue;
pub mod audit_reader;
pub mod audit_trail;
mod audit_writer;
pub mod catalog;
pub mod catalog_cache;
mod catalog_snapshots;
mod catalog_versions;
mod concurrent_callers;
pub mod disk_space;
pub mod error;
mod fair_turns;
pub mod folded_records;
pub mod health;
pub mod identity;
pub mod long_work;
pub mod pagination;
pub mod policies;
pub mod rate_limits;
pub mod readiness_probe;
pub mod tokens;
pub mod unused_files;

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
