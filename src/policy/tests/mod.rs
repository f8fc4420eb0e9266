//! What the shipped bundle gives, what a broken folder is told, and that errors deny.

mod asked;
mod broken;
mod errors_deny;
mod invariants;
mod keys;
mod schema;
mod shipped;
