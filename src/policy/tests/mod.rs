//! What the shipped bundle gives, what a broken folder is told, and that errors deny.

pub(super) mod asked;
mod broken;
mod cases;
mod errors_deny;
mod explained;
mod invariants;
mod keys;
mod links;
mod schema;
mod shipped;
mod withheld;
