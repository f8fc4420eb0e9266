//! `cedargate policy check`: checks whether a policy folder is valid.

use std::path::Path;

use crate::cli::outcome::{CommandError, CommandResult, ExitStatus, print_data, print_json};
use crate::cli::print;
use crate::config::Settings;
use crate::domain::diagnostic::render_diagnostics;
use crate::policy::check::PolicyCheck;

use super::load_folder;

/// Checks a folder, and prints its revision or its errors.
pub(in crate::cli) fn run(
    settings: &Settings,
    folder: Option<&Path>,
    is_json: bool,
) -> CommandResult {
    let check = PolicyCheck::run(load_folder(settings, folder))?;
    if is_json {
        print_json(&check)?;
    } else {
        print_report(&check)?;
    }
    Ok(ExitStatus::from_check(check.is_passed()))
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
