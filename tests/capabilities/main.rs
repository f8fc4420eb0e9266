//! Capability tests: each test names something that the product can do, and uses real parts.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say what they expect"
)]

mod access_api;
mod access_lists;
mod admin_credentials;
mod admin_datasets;
mod admin_delegation;
mod admin_files;
mod admin_grants;
mod admin_roles;
mod admin_shares;
mod admin_users;
mod admin_views;
mod api_keys;
mod architecture;
mod attributes;
mod audit;
mod audit_log;
mod author_examples;
mod base_path;
mod body_problems;
mod catalog_ownership;
mod catalog_view;
mod changed_files;
mod client_addresses;
mod clocks;
mod command_line;
mod commit_outcome;
mod connections;
mod cors;
mod database_trouble;
mod decided_again;
mod decision_table;
mod download;
mod download_records;
mod draft_proofs;
mod draft_publishing;
mod explanation_redaction;
mod explanations;
mod field_habits;
mod file_names;
mod file_store;
mod final_slash;
mod forward_auth;
mod header_credentials;
mod health;
mod hidden_catalog;
mod identity_providers;
mod key_set;
mod large_catalog;
mod limits_before_work;
mod login;
mod login_throttle;
mod media_types;
mod metrics_and_log;
mod middleboxes;
mod mint;
mod mint_batch;
mod openapi;
mod own_types;
mod policy_causes;
mod policy_check;
mod policy_diff;
mod policy_explain;
mod policy_explain_entities;
mod policy_format;
mod policy_gate;
mod policy_openings;
mod policy_proof;
mod policy_reach;
mod policy_reload;
mod policy_save_case;
mod policy_who;
mod problems;
mod query_parameters;
mod rate_limits;
mod refused_work;
mod remote_stores;
mod remote_urls;
mod request_bodies;
mod request_smuggling;
mod same_text;
mod secret_files;
mod sessions;
mod share_ends;
mod signing_keys;
mod storage;
mod support;
mod text_files;
mod upload_integrity;
mod violated_invariants;
