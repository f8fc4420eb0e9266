//! `cedargate policy check`: whether a policy folder is in order.

use std::path::Path;

use crate::cli::{Ending, Failure, print, show};
use crate::config::Settings;
use crate::policy::BundleError;
use crate::policy::problem::render_problems;

use super::{broken, open};

/// Parses and validates a folder, and prints its revision or all that is wrong with it.
pub(in crate::cli) fn run(settings: &Settings, folder: Option<&Path>) -> Result<Ending, Failure> {
    let bundle = match open(settings, folder) {
        Ok(bundle) => bundle,
        Err(error @ BundleError::Unreadable { .. }) => return Err(broken(&error)),
        Err(error) => {
            print::error(error.render(print::is_coloured()).trim_end());
            return Ok(Ending::No);
        }
    };
    if !bundle.warnings().is_empty() {
        print::note(render_problems(bundle.warnings(), print::is_coloured()).trim_end());
    }
    let count = bundle.policies().len();
    show(format!(
        "{count} policies are valid; revision {}",
        bundle.revision()
    ))
}
