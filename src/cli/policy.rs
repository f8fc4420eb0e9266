//! `cedargate policy`: what an author asks about a policy folder.

pub(super) mod check;
pub(super) mod format;
pub(super) mod prove;
pub(super) mod test;

mod junit;
mod output_file;

use std::path::Path;

use crate::app::open_bundle;
use crate::config::Settings;
use crate::policy::{Bundle, BundleError};

use super::{Failure, print};

fn open(settings: &Settings, folder: Option<&Path>) -> Result<Bundle, BundleError> {
    folder.map_or_else(|| open_bundle(settings), Bundle::load)
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
