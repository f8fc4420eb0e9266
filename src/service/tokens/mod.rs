//! Download tokens and the keys that sign them.

pub mod conformance_signer;
pub mod download;
mod download_caller;
pub mod download_token;
pub mod download_token_batch;
pub mod forward_auth;
pub mod key_ring;
pub mod key_schedule;
pub mod mint_contexts;
pub mod sealing_key_file;
pub mod signing_keys;
