//! The database: users, sessions, datasets, signing keys and audit records, on SQLite or PostgreSQL.
//!
//! The only user of sqlx, and of rusqlite for what must not change threads. Each SQL text is written once, with `$1`
//! parameters, and runs on both databases; where they differ, the migrations hide it behind a view. A row that does
//! not parse into its domain type is an error, never a default. Transactions begin and end inside one function.
//!
//! Storage does not know decisions: it stores sealed keys without opening them, and password hashes
//! without checking them.

mod accepted_policy_edits;
mod admins;
mod api_keys;
mod append_history;
mod attributes;
mod audit;
mod audit_columns;
mod audit_filter;
mod audit_insert;
mod audit_prune;
mod audit_search;
mod audit_totals;
mod blocking_appender;
mod cache_versions;
mod call;
mod catalog;
mod catalog_apply;
mod catalog_changes;
mod catalog_lock;
mod catalog_names;
mod catalog_size;
mod connection_pool;
mod database;
mod dataset_facts;
mod datasets;
mod datasets_with_names;
mod decision_records;
mod error;
mod external_users;
mod file_columns;
mod health_check;
mod kept_policy_texts;
mod log_sync;
mod maintenance;
mod migration;
mod name_search;
mod open_connections;
mod password_rehash;
mod policy_revisions;
mod postgres_connections;
mod removals;
mod rows;
mod session_renewal;
mod session_start;
mod session_sweep;
mod sessions;
mod signing_keys;
mod sqlite_connections;
mod sqlite_file;
mod staged_datasets;
mod statements;
mod users;

pub use accepted_policy_edits::PolicyEdit;
pub use admins::{Admins, SignInConditions};
pub use api_keys::{ApiKeyRemoval, StoredApiKey};
pub use attributes::StoredAttributes;
pub use audit::{AppendThreads, InsertedRecords};
pub use audit_prune::MAX_PRUNED_PER_BATCH;
pub use audit_search::{AuditOrder, AuditSearchPage, MAX_SCANNED_RECORDS};
pub use audit_totals::RecordTotals;
pub use cache_versions::CacheVersions;
pub use catalog::{Catalog, CatalogChange, Directory};
pub use catalog_apply::{ApplyLease, ApplyState, CommitConditions, CommitOutcome};
pub use catalog_changes::DatasetChanges;
pub use catalog_size::CatalogSize;
pub use database::Database;
pub use dataset_facts::DatasetColumns;
pub use datasets::CatalogDataset;
pub use datasets_with_names::{DatasetFilter, DatasetWithNames};
pub use decision_records::{DecisionRecord, MAX_USAGE_RECORDS};
pub use error::StorageError;
pub use external_users::{AddUserOutcome, ExternalUser};
pub use migration::SchemaVersion;
pub use name_search::NameSearch;
pub use policy_revisions::{MAX_KEPT_REVISIONS, MAX_KEPT_SIZE, NewPolicyRevision};
pub use session_renewal::{Renewal, RenewalOutcome, RenewalRecords};
pub use session_start::NewSession;
pub use sessions::{EndedSession, RefreshTokenInfo};
pub use signing_keys::{KeyState, SigningKeyChange, SigningKeyVersion, StoredSigningKey};
pub use staged_datasets::StagedDataset;
pub use users::{UserFilter, UserRecord};
