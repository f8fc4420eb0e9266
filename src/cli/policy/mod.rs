//! `cedargate policy`: check, test, prove, compare, accept, explain and format policies, and list who may what.

mod accept;
mod check;
pub(super) mod command;
mod diff;
mod explain;
mod format;
mod prove;
mod save_cases;
mod test;
mod what;
mod who;

mod access_arguments;
mod assumed;
mod catalog_names;
mod explain_record;
mod junit;
mod output_file;

use std::path::Path;

use crate::cli::print;
use crate::config::Settings;
use crate::domain::diagnostic::SourceDiagnostic;
use crate::domain::diagnostic_report::render_diagnostics;
use crate::policy::BundleError;
use crate::policy::folder::PolicyFolder;

/// Loads the folder that is named, or the one in the settings, or the policies inside the program.
fn load_folder(settings: &Settings, folder: Option<&Path>) -> Result<PolicyFolder, BundleError> {
    match folder.or(settings.policy_dir.as_deref()) {
        Some(folder) => PolicyFolder::load(folder),
        None => PolicyFolder::embedded(),
    }
}

/// Prints warnings beside what a command was asked for.
fn print_warnings(warnings: &[SourceDiagnostic]) {
    if !warnings.is_empty() {
        print::note(render_diagnostics(warnings, print::is_coloured()).trim_end());
    }
}
