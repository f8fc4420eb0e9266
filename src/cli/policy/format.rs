//! `cedargate policy format`: policy files in Cedar's own layout.

use std::path::Path;

use crate::cli::{Ending, Failure, show};
use crate::config::Settings;
use crate::policy::format::Layout;

use super::broken;

/// Puts the files of a folder in order and prints which, or only prints them.
pub(in crate::cli) fn run(
    settings: &Settings,
    folder: Option<&Path>,
    is_check: bool,
) -> Result<Ending, Failure> {
    let Some(folder) = folder.or(settings.policy_dir.as_deref()) else {
        let error = "there is no policy folder: the policies in force are inside the program";
        return Err(Failure::new(error).with_hint("name the folder of your policies"));
    };
    let layout = Layout::of(folder).map_err(|error| broken(&error))?;
    let disordered: Vec<String> = layout
        .disordered()
        .map(|name| folder.join(name).display().to_string())
        .collect();
    if disordered.is_empty() {
        return show(format!("{} policy files are in order", layout.count()));
    }
    if is_check {
        show(disordered.join("\n"))?;
        return Ok(Ending::No);
    }
    layout.write().map_err(Failure::new)?;
    show(disordered.join("\n"))
}
