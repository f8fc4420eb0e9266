//! The APIs for callers, verifiers and operators: one file an API.

pub mod access;
pub mod admin;
pub mod api_keys;
pub mod attributes;
pub mod catalog;
pub mod download;
pub mod forward_auth;
pub mod health;
pub mod key_set;
pub mod mint;
pub mod mint_batch;
pub mod server_metadata;
pub mod sessions;
pub mod share_ends;
pub mod tags;
