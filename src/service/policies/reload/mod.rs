//! Policy reload: brings an edited policy folder into force, or refuses the edit.
//!
//! - `reloader`: the reload itself: snapshot, check, record, activate, persist.
//! - `initial`: the policies at the start, before any are in force.
//! - `watcher` notices edits, `snapshot` reads the folder, `gate` checks it, `last_good` saves it for
//!   the next start.

mod gate;
mod initial;
mod last_good;
mod rejection;
mod reloader;
mod snapshot;
mod status;
mod watcher;

pub use initial::{
    ActiveBundleError, InitialPolicies, PolicyStartError, load_active_bundle, load_initial_policies,
};
pub use rejection::{MAX_REASON_LINES, RejectedBundle, RejectionReason};
pub use reloader::{PolicyReloader, ReloadReport};
pub use status::ReloadStatus;
