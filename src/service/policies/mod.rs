//! Policies: reload and review.

pub mod reload;
pub mod review;
