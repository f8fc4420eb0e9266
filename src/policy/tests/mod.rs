//! Tests of the shipped bundle, of rejected folders, and that errors deny.

mod caches;
mod cases;
mod errors_deny;
mod explanations;
pub(super) mod fixtures;
mod invariants;
mod kept_decisions;
mod keys;
mod links;
mod networks;
mod oneself;
mod own_questions;
mod questions;
mod rejected_folders;
mod schema;
mod shipped;
mod short_cases;
mod told_parts;
mod unknown_address;
mod withheld_values;
