//! `cedargate policy check`: whether a policy folder is in order.

use std::path::Path;

use crate::cli::{Ending, Failure, print, show};
use crate::config::Settings;
use crate::policy::check::Check;
use crate::policy::diagnostic::render_problems;

use super::{broken, read};

/// Checks a folder, and prints its revision or all that is wrong with it.
pub(in crate::cli) fn run(
    settings: &Settings,
    folder: Option<&Path>,
    is_json: bool,
) -> Result<Ending, Failure> {
    let check = Check::of(read(settings, folder)).map_err(|error| broken(&error))?;
    if is_json {
        show(serde_json::to_string_pretty(&check).map_err(Failure::new)?)?;
    } else {
        tell(&check)?;
    }
    Ok(if check.is_passed() {
        Ending::Done
    } else {
        Ending::No
    })
}

fn tell(check: &Check) -> Result<(), Failure> {
    let is_coloured = print::is_coloured();
    if !check.problems.is_empty() {
        print::error(render_problems(&check.problems, is_coloured).trim_end());
    }
    if !check.warnings.is_empty() {
        print::note(render_problems(&check.warnings, is_coloured).trim_end());
    }
    if let Some(summary) = check.summary() {
        show(summary)?;
    }
    Ok(())
}
