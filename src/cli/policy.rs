//! `cedargate policy`: what an author asks about a policy folder.

pub(super) mod format;
pub(super) mod prove;

use std::path::Path;

use crate::app::open_bundle;
use crate::config::Settings;
use crate::policy::cases::CaseFiles;
use crate::policy::problem::render_problems;
use crate::policy::{Bundle, BundleError};

use super::{Ending, Failure, print};

/// Parses and validates a folder, and prints its revision or all that is wrong with it.
pub(super) fn check(settings: &Settings, folder: Option<&Path>) -> Result<Ending, Failure> {
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
    super::show(format!(
        "{count} policies are valid; revision {}",
        bundle.revision()
    ))
}

/// Runs the case files of a folder, and prints how each case went.
pub(super) fn test(
    settings: &Settings,
    folder: Option<&Path>,
    is_json: bool,
) -> Result<Ending, Failure> {
    let bundle = open(settings, folder).map_err(|error| broken(&error))?;
    let cases = match folder.or(settings.policy_dir.as_deref()) {
        Some(folder) => CaseFiles::load(folder),
        None => CaseFiles::embedded(),
    };
    let report = cases
        .and_then(|cases| cases.run(&bundle))
        .map_err(|error| broken(&error))?;
    if is_json {
        super::show(serde_json::to_string_pretty(&report).map_err(Failure::new)?)?;
    } else {
        super::show(report.render().trim_end())?;
    }
    Ok(if report.is_passed() {
        Ending::Done
    } else {
        Ending::No
    })
}

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
