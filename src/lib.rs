//! Cedargate: a policy-engine-driven authorization server for data downloads.
//!
//! A caller asks for one dataset; Cedar policies decide; the caller gets a download token (an ES256
//! JWT of at most 120 seconds) that opens that dataset alone; anyone verifies it offline with the
//! published key set.
//!
//! # The floors
//!
//! A module imports modules of lower floors only, siblings of floor 1 never import each other, and no files
//! import each other in a circle (`tests/capabilities/architecture` checks all three):
//!
//! | floor | modules |
//! |---|---|
//! | 5 | [`cli`]: the command line, one file per command |
//! | 4 | [`app`]: the composition root, from settings to a running server |
//! | 3 | [`http`]: server, extractors, conditional requests, replies, and one file per API |
//! | 2 | [`service`]: what the product does, one file per capability |
//! | 1 | [`policy`] (Cedar), [`token`] (JOSE), [`storage`] (SQL), [`files`] (objects), [`config`] (settings) |
//! | 0 | [`domain`] (pure types), [`atomic_file`] (whole files), [`memory_file`], [`thread_priority`] |
//!
//! # The way of a mint
//!
//! 1. `http/server/` accepts the connection and applies the limits; `http/extract/` parses the credentials.
//! 2. `http/api/mint.rs` makes one service call: `service/tokens/download_token.rs`, the mint on one screen.
//! 3. `service/identity/` authenticates the caller and `service/rate_limits.rs` counts the request.
//! 4. `service/catalog_cache.rs` has the facts, read from [`storage`] once per version of the catalog.
//! 5. `service/access/` asks [`policy`] for the decision on those facts.
//! 6. [`token`] signs with the current key, and `service/audit_trail.rs` makes the record durable in
//!    [`storage`] before the token leaves.
//! 7. `http/reply/` turns the result, or the error, into the response.

pub mod app;
pub mod atomic_file;
pub mod cli;
pub mod config;
pub mod domain;
pub mod files;
pub mod http;
mod memory_file;
pub mod policy;
pub mod service;
pub mod storage;
pub mod thread_priority;
pub mod token;
