//! Policies: reloading and reviewing them.

pub mod reload;
pub mod review;
