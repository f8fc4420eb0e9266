//! Drafts: edits of the policy folder that are kept in memory while their authors work on them.
//!
//! A [`Draft`] is one version of a draft, immutable and shared; a change makes the next one. [`DraftStore`] keeps the newest
//! version of each, within bounds. `edit` makes the files of the next version, `bundles` builds the bundles of drafts
//! and keeps the last ones.

mod bundles;
mod draft;
mod edit;
mod store;

pub use bundles::{BuiltBundle, DraftBundles};
pub use draft::{Draft, DraftBase};
pub use edit::{DraftEdit, DraftEditError, Rebase, laid_over, rebased};
pub use store::{DraftStore, DraftsError};
