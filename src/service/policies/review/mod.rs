//! Policy review: what policies decide and what an edit would change, before it is in force.

pub mod access_lists;
pub mod asked_contexts;
pub mod budget;
pub mod bundle_pair;
pub mod catalog_names;
mod catalog_question;
pub mod comparison;
pub mod context;
pub mod explanation;
#[cfg(test)]
mod generated;
pub mod matrix;
mod named_attributes;
mod pair_classes;
mod projection;
#[cfg(test)]
mod random_requests;
mod shared_datasets;
pub mod visible;
