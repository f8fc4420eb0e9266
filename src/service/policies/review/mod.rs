//! Policy review: what policies decide and what an edit would change, before it is in force.

pub mod catalog_names;
pub mod comparison;
pub mod context;
pub mod explanation;
