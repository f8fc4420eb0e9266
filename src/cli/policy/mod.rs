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
use crate::service::policies::reload::{ActiveBundleError, load_active_bundle};

use super::{CommandError, print};

/// The folder that is named, or the settings' one, or what is shipped inside the program.
fn read_folder(settings: &Settings, folder: Option<&Path>) -> Result<PolicyFolder, BundleError> {
    match folder.or(settings.policy_dir.as_deref()) {
        Some(folder) => PolicyFolder::load(folder),
        None => PolicyFolder::embedded(),
    }
}

/// The policies in force.
pub(super) fn load_active(settings: &Settings) -> Result<Bundle, CommandError> {
    load_active_bundle(settings).map_err(|error| match error {
        ActiveBundleError::Invalid(error) => bundle_error(&error),
        ActiveBundleError::LastGood(error) => {
            CommandError::new(error).with_hint("name the folder of the policies that you mean")
        }
    })
}

/// A broken bundle with its diagnostics.
pub(super) fn bundle_error(error: &BundleError) -> CommandError {
    let hint = match error {
        BundleError::Unreadable { .. } => "CEDARGATE_POLICY_DIR names the folder of the policies",
        BundleError::Invalid { .. } => {
            "cedargate policy check tells when the policies are in order"
        }
    };
    CommandError::new(error.render(print::is_coloured()).trim_end()).with_hint(hint)
}
