//! `cedargate policy check`: whether a policy folder is in order.

use std::path::Path;

use crate::cli::{CommandError, ExitStatus, print, print_data};
use crate::config::Settings;
use crate::domain::diagnostic::render_diagnostics;
use crate::policy::check::PolicyCheck;

use super::{bundle_error, read_folder};

/// Checks a folder, and prints its revision or all that is wrong with it.
pub(in crate::cli) fn run(
    settings: &Settings,
    folder: Option<&Path>,
    is_json: bool,
) -> Result<ExitStatus, CommandError> {
    let check =
        PolicyCheck::run(read_folder(settings, folder)).map_err(|error| bundle_error(&error))?;
    if is_json {
        print_data(serde_json::to_string_pretty(&check).map_err(CommandError::new)?)?;
    } else {
        print_report(&check)?;
    }
    Ok(if check.is_passed() {
        ExitStatus::Success
    } else {
        ExitStatus::CheckFailed
    })
}

fn print_report(check: &PolicyCheck) -> Result<(), CommandError> {
    let is_coloured = print::is_coloured();
    if !check.problems.is_empty() {
        print::error(render_diagnostics(&check.problems, is_coloured).trim_end());
    }
    if !check.warnings.is_empty() {
        print::note(render_diagnostics(&check.warnings, is_coloured).trim_end());
    }
    if let Some(summary) = check.summary() {
        print_data(summary)?;
    }
    Ok(())
}
