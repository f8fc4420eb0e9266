//! `cedargate policy format`: formats policy files in Cedar's formatted.

use std::path::Path;

use crate::cli::outcome::{CommandError, CommandResult, ExitStatus, print_data};
use crate::config::Settings;
use crate::policy::format::FormattedPolicies;

/// Formats the files of a folder and prints the names of those that it changed, or only checks them.
pub(in crate::cli) fn run(
    settings: &Settings,
    folder: Option<&Path>,
    is_check: bool,
) -> CommandResult {
    let Some(folder) = folder.or(settings.policy_dir.as_deref()) else {
        let error = "no policy folder is configured; the policies in force are inside the program";
        return Err(CommandError::new(error).with_hint("name the policy folder"));
    };
    let formatted = FormattedPolicies::load(folder)?;
    let unformatted: Vec<String> = formatted
        .unformatted()
        .map(|name| folder.join(name).display().to_string())
        .collect();
    if unformatted.is_empty() {
        return print_data(format!("{} policy files are formatted", formatted.count()));
    }
    if is_check {
        print_data(unformatted.join("\n"))?;
        return Ok(ExitStatus::CheckFailed);
    }
    formatted.write().map_err(CommandError::new)?;
    print_data(unformatted.join("\n"))
}
