//! `cedargate policy test`: whether the policies answer as their cases expect.

use std::path::Path;

use crate::cli::{Ending, Failure, show};
use crate::config::Settings;
use crate::policy::cases::CaseFiles;

use super::{broken, open};

/// Runs the case files of a folder, and prints how each case went.
pub(in crate::cli) fn run(
    settings: &Settings,
    folder: Option<&Path>,
    is_json: bool,
    is_coverage_asked: bool,
) -> Result<Ending, Failure> {
    let bundle = open(settings, folder).map_err(|error| broken(&error))?;
    let cases = match folder.or(settings.policy_dir.as_deref()) {
        Some(folder) => CaseFiles::load(folder),
        None => CaseFiles::embedded(),
    };
    let run = |cases: CaseFiles| {
        let mut report = cases.run(&bundle)?;
        if is_coverage_asked {
            report.coverage = Some(cases.coverage(&bundle)?);
        }
        Ok(report)
    };
    let report = cases.and_then(run).map_err(|error| broken(&error))?;
    if is_json {
        show(serde_json::to_string_pretty(&report).map_err(Failure::new)?)?;
    } else {
        show(report.render().trim_end())?;
    }
    Ok(if report.is_passed() {
        Ending::Done
    } else {
        Ending::No
    })
}
