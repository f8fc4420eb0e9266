//! Drafts of the policies: what their authors do with them.
//!
//! A draft belongs to one user; for others it does not exist. Everything that is done with one needs `view_policies`, by
//! the policies in force, and is on record.
//!
//! - `opening`: finds a draft, and its bundle, for an operation. `editing`: makes, changes and removes drafts.
//! - [`vocabulary`]: what its policies can name. [`names`]: the names of the catalog. [`cases`]: runs and adds cases.
//!   [`mod@explanations`]: a decision in force and under a draft.
//! - `visible_catalog`: the part of the catalog that an author may see. `matrix` and `effect`: what a draft changes there.
//! - `origins`: what a new draft starts from. `checking`: checks and formats. `proving` and `publishing`: long work.

pub mod cases;
mod checking;
mod editing;
mod effect;
pub mod explanations;
mod matrix;
pub mod names;
mod opening;
mod origins;
mod proving;
mod publishing;
mod visible_catalog;
pub mod vocabulary;

pub use checking::DraftCheck;
pub use editing::{DraftFile, DraftView};
pub use origins::{DraftOrigin, IN_FORCE, ON_DISK};
pub use proving::DraftProof;
pub(super) use publishing::PUBLISH_REFUSED;
pub use publishing::PublishOutcome;
