//! Policy reload: brings an edited policy folder into force, or refuses the edit.
//!
//! - `reloader`: the reload itself: snapshot, check, record, activate, persist.
//! - `initial`: the policies at the start, before any are in force.
//! - `warnings`: what the policies in force can never match.
//! - `folder_access`: what is in force and what is on disk, for drafts.
//! - `watcher` notices edits, `snapshot` reads the folder, `gate` checks it, `catalog_check` compares it with the
//!   catalog (`catalog_fit`), `second_look` tells when to check it again, `last_good` saves it for
//!   the next start, `proof_file` what was proved, `shared_run` lets all who ask for a reload share one.

mod acceptance;
mod catalog_check;
mod catalog_fit;
mod folder_access;
mod gate;
mod initial;
mod last_good;
mod policy_thread;
mod proof_file;
mod rejection;
mod reloader;
mod second_look;
mod shared_run;
mod snapshot;
mod state;
mod status;
mod warnings;
mod watcher;

pub use acceptance::EditReview;
pub use catalog_fit::CatalogFit;
pub use gate::FolderInForce;
pub use initial::{
    ActiveBundleError, InitialPolicies, PolicyStartError, load_active_bundle, load_active_folder,
    load_initial_policies,
};
pub use last_good::LastGoodError;
pub(in crate::service) use policy_thread::run_on_policy_thread;
pub use rejection::{MAX_REASON_LINES, RejectedBundle, RejectionReason};
pub use reloader::PolicyReloader;
pub use status::{ReloadReport, ReloadStatus};
