//! `cedargate policy`: what an author asks about a policy folder.

pub(super) mod check;
pub(crate) mod diff;
pub(crate) mod explain;
pub(super) mod format;
pub(super) mod prove;
pub(super) mod test;

mod junit;
mod output_file;

use std::path::Path;

use crate::config::Settings;
use crate::policy::folder::PolicyFolder;
use crate::policy::{Bundle, BundleError};
use crate::service::policies::reload::{InForceError, in_force};

use super::{Failure, print};

/// The folder that is named, or the settings' one, or what is shipped inside the program.
fn read(settings: &Settings, folder: Option<&Path>) -> Result<PolicyFolder, BundleError> {
    match folder.or(settings.policy_dir.as_deref()) {
        Some(folder) => PolicyFolder::read(folder),
        None => PolicyFolder::embedded(),
    }
}

/// The policies in force.
pub(super) fn open_live(settings: &Settings) -> Result<Bundle, Failure> {
    in_force(settings).map_err(|error| match error {
        InForceError::Broken(error) => broken(&error),
        InForceError::LastGood(error) => {
            Failure::new(error).with_hint("name the folder of the policies that you mean")
        }
    })
}

/// A broken bundle with its diagnostics.
pub(super) fn broken(error: &BundleError) -> Failure {
    let hint = match error {
        BundleError::Unreadable { .. } => "CEDARGATE_POLICY_DIR names the folder of the policies",
        BundleError::Invalid { .. } => {
            "cedargate policy check tells when the policies are in order"
        }
    };
    Failure::new(error.render(print::is_coloured()).trim_end()).with_hint(hint)
}
