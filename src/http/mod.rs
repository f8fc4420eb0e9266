//! HTTP.

pub mod precondition;
pub mod span;
