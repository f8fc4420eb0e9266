//! The plain types of the product: identifiers, principals, datasets, actions, decisions, audit records,
//! sessions, the clock and secrets.
//!
//! Everything here is pure: no Cedar, JOSE, SQL, HTTP, files or configuration.

pub mod access_question;
pub mod action;
pub mod api_key;
pub mod attributes;
pub mod audit;
pub mod caller;
pub mod client_address;
pub mod clock;
pub mod commit_watch;
pub mod database_url;
pub mod dataset;
pub mod decision;
pub mod diagnostic;
pub mod diagnostic_report;
pub mod error_chain;
pub mod id;
pub mod issuer;
pub mod key_set_lifetime;
pub mod memory_size;
pub mod name;
mod name_rules;
pub mod normal_form;
pub mod policy_revision;
pub mod principal;
pub mod principal_name;
pub mod recent_table;
pub mod remote_file;
pub mod remote_store;
pub mod request_ids;
pub mod resource;
pub mod rfc3339;
pub mod search_text;
pub mod secret;
pub mod session;
pub mod share_ends;
pub mod shown;
pub mod strict_json;
pub mod suggest;
pub mod text_enum;
pub mod text_file;
pub mod text_position;
pub mod token_refusal;
