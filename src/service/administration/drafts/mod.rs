//! Drafts of the policies: what their authors do with them.
//!
//! A draft belongs to one user; for others it does not exist. Everything that is done with one needs `view_policies`, by
//! the policies in force, and is on record.
//!
//! - `opening`: finds a draft, and its bundle, for an operation. `editing`: makes, changes and removes drafts.
//! - `origins`: what a new draft starts from. `checking`: checks and formats.
//! - `visible_catalog`: the part of the catalog that an author may see. `matrix` and `effect`: what a draft changes there.

mod editing;
mod effect;
mod matrix;
mod opening;
mod origins;
mod visible_catalog;

pub use editing::{DraftFile, DraftView, RebasedDraft};
pub use origins::{DraftOrigin, IN_FORCE, ON_DISK};
