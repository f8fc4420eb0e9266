//! `cedargate policy test`: whether the policies answer as their cases expect.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::cli::{Ending, Failure, print, show};
use crate::config::Settings;
use crate::policy::BundleError;
use crate::policy::cases::CaseReport;
use crate::policy::folder::PolicyFolder;

use super::{broken, junit, output_file, read};

/// The file name that stands for standard output.
const STANDARD_OUTPUT: &str = "-";

/// What to run, and what to tell of it.
#[derive(Debug, Args)]
pub(in crate::cli) struct TestArguments {
    /// The policy folder; the settings' one if left out
    dir: Option<PathBuf>,
    /// Tell which policies and conditions no case tries
    #[arg(long)]
    coverage: bool,
    /// Write JUnit XML to a file too; - prints it in place of the table
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Runs the case files of a folder, and prints how each case went.
pub(in crate::cli) fn run(
    settings: &Settings,
    arguments: &TestArguments,
) -> Result<Ending, Failure> {
    let is_printed = arguments.junit.as_deref() == Some(Path::new(STANDARD_OUTPUT));
    if is_printed && arguments.json {
        return Err(Failure {
            code: 2,
            ..Failure::new("standard output takes JSON or JUnit XML, not both")
                .with_hint("name a file: --junit report.xml")
        });
    }
    let report = read(settings, arguments.dir.as_deref())
        .and_then(|folder| put(&folder, arguments.coverage))
        .map_err(|error| broken(&error))?;
    if is_printed {
        show(junit::xml(&report).map_err(Failure::new)?.trim_end())?;
        if let Some(coverage) = &report.coverage {
            print::note(coverage.render().trim_end());
        }
    } else {
        tell(&report, arguments)?;
    }
    Ok(if report.is_passed() {
        Ending::Done
    } else {
        Ending::No
    })
}

fn put(folder: &PolicyFolder, is_coverage_asked: bool) -> Result<CaseReport, BundleError> {
    let (bundle, cases) = (folder.bundle()?, folder.cases()?);
    let mut report = cases.run(&bundle)?;
    if is_coverage_asked {
        report.coverage = Some(cases.coverage(&bundle)?);
    }
    Ok(report)
}

fn tell(report: &CaseReport, arguments: &TestArguments) -> Result<(), Failure> {
    if arguments.json {
        show(serde_json::to_string_pretty(report).map_err(Failure::new)?)?;
    } else {
        show(report.render().trim_end())?;
    }
    if let Some(file) = &arguments.junit {
        let xml = junit::xml(report).map_err(Failure::new)?;
        output_file::write(file, &xml)
            .map_err(|error| Failure::new(format!("cannot write {}: {error}", file.display())))?;
    }
    Ok(())
}
