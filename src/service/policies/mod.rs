//! Policies: reload, review, drafts and patches.

pub mod drafts;
pub mod patch;
pub mod reload;
pub mod review;
