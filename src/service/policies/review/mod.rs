//! Policy review: what an author asks before an edit goes live.
//!
//! This module refuses to know who asks and how the answer is shown.

pub mod comparison;
pub mod explanation;
