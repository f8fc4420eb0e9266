//! Policy reload: brings an edited policy folder into force, or refuses the edit.
//!
//! - `reloader`: the reload itself: snapshot, check, record, activate, persist.
//! - `initial`: the policies at the start, before any are in force.
//! - `history` stores each revision that comes into force, `new_revision` says what it changes.
//! - `warnings`: what the policies in force can never match.
//! - `publishing`: a draft that is published, which `folder_writer` writes wholly or not at all; `unfinished_publish`
//!   takes back what was interrupted.
//! - `draft_proofs`: proofs of drafts.
//! - `folder_access`: what is in force and what is on disk, for drafts.
//! - `watcher` notices edits, `snapshot` reads the folder, `gate` checks it, `catalog_check` compares it with the
//!   catalog (`catalog_fit`), `second_look` tells when to check it again, `last_good` saves it for
//!   the next start, `proof_file` what was proved, `shared_run` lets all who ask for a reload share one.

mod acceptance;
mod catalog_check;
mod catalog_fit;
mod draft_proofs;
mod folder_access;
mod folder_files;
mod folder_in_force;
mod folder_writer;
mod gate;
mod history;
mod initial;
mod last_good;
mod new_revision;
mod origin;
mod policy_thread;
mod proof_file;
mod publish_journal;
mod publish_target;
mod publishing;
mod rejection;
mod reloader;
mod second_look;
mod shared_run;
mod snapshot;
mod state;
mod status;
mod unfinished_publish;
mod warnings;
mod watcher;

pub use acceptance::EditReview;
pub use catalog_fit::CatalogFit;
pub use draft_proofs::DraftProofs;
pub use folder_files::FolderWriteError;
pub use folder_in_force::FolderInForce;
pub use initial::{
    ActiveBundleError, InitialPolicies, PolicyStartError, load_active_bundle, load_active_folder,
    load_initial_policies,
};
pub use last_good::LastGoodError;
pub use origin::{CameIntoForce, EditOrigin};
pub(in crate::service) use policy_thread::run_on_policy_thread;
pub use publishing::{PublishError, PublishedDraft};
pub use rejection::{MAX_REASON_LINES, RejectedBundle, RejectionReason};
pub use reloader::{PolicyReloader, ReloadResult};
pub use status::{ReloadReport, ReloadStatus};
