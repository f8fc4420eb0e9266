//! The administrative APIs: one file an API.

pub mod access_lists;
pub mod assumed_authentication;
pub mod audit;
pub mod audit_record;
pub mod credentials;
pub mod dataset_file_body;
pub mod datasets;
pub mod draft_effect;
pub mod draft_explanations;
pub mod draft_matrix;
pub mod draft_matrix_response;
pub mod draft_names;
pub mod draft_proofs;
pub mod explanation_response;
pub mod explanations;
pub mod files;
pub mod identity_providers;
pub mod policies;
pub mod publishing;
pub mod revisions;
pub mod roles;
pub mod shares;
pub mod signing_keys;
pub mod usage;
pub mod user_request;
pub mod users;
