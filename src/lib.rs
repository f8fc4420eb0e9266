//! Cedargate: a policy-engine-driven authorization server for data downloads.
//!
//! A caller asks for one dataset; Cedar policies decide; the caller gets a download token (an ES256
//! JWT of at most 120 seconds) that opens that dataset alone; anyone verifies it offline with the
//! published key set.
//!
//! # The floors
//!
//! Imports point down only, and siblings of floor 1 never import each other
//! (`tests/house` holds every `use crate::` line to it):
//!
//! | floor | modules |
//! |---|---|
//! | 4 | [`app`] (composition root), [`cli`] (one file a command) |
//! | 3 | [`http`]: routes, credentials, problems |
//! | 2 | [`service`]: what the product does, one file a capability |
//! | 1 | [`policy`] (Cedar), [`token`] (JOSE), [`storage`] (SQL), [`files`] (objects), [`config`] (settings) |
//! | 0 | [`domain`]: plain words |

pub mod app;
pub mod atomic_file;
pub mod cli;
pub mod config;
pub mod domain;
pub mod files;
pub mod http;
pub mod policy;
pub mod service;
pub mod storage;
pub mod token;
