//! Extractors: what a handler takes from a request.

pub mod credentials;
pub mod if_match;
pub mod inline_type;
pub mod parameter;
