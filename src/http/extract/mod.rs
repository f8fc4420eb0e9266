//! Extractors: what a handler takes from a request.

mod authorization;
pub mod authzen_body;
pub mod body_mismatch;
pub mod credentials;
pub mod file_body;
pub mod if_match;
pub mod json_body;
pub(crate) mod original_request;
pub mod page_limit;
pub mod parameter;
pub(crate) mod query_pairs;
pub mod schema_type;
