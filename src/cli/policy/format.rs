//! `cedargate policy format`: policy files in Cedar's own layout.

use std::path::Path;

use crate::cli::{CommandError, ExitStatus, print_data};
use crate::config::Settings;
use crate::policy::format::FormattedPolicies;

use super::bundle_error;

/// Puts the files of a folder in order and prints which, or only prints them.
pub(in crate::cli) fn run(
    settings: &Settings,
    folder: Option<&Path>,
    is_check: bool,
) -> Result<ExitStatus, CommandError> {
    let Some(folder) = folder.or(settings.policy_dir.as_deref()) else {
        let error = "there is no policy folder: the policies in force are inside the program";
        return Err(CommandError::new(error).with_hint("name the folder of your policies"));
    };
    let layout = FormattedPolicies::load(folder).map_err(|error| bundle_error(&error))?;
    let disordered: Vec<String> = layout
        .unformatted()
        .map(|name| folder.join(name).display().to_string())
        .collect();
    if disordered.is_empty() {
        return print_data(format!("{} policy files are in order", layout.count()));
    }
    if is_check {
        print_data(disordered.join("\n"))?;
        return Ok(ExitStatus::CheckFailed);
    }
    layout.write().map_err(CommandError::new)?;
    print_data(disordered.join("\n"))
}
