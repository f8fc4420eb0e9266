//! `cedargate policy test`: whether the policies answer as their cases expect.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::cli::{CommandError, ExitStatus, print, print_data};
use crate::config::Settings;
use crate::policy::BundleError;
use crate::policy::cases::CaseReport;
use crate::policy::folder::PolicyFolder;

use super::{bundle_error, junit, output_file, read_folder};

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
) -> Result<ExitStatus, CommandError> {
    let is_printed = arguments.junit.as_deref() == Some(Path::new(STANDARD_OUTPUT));
    if is_printed && arguments.json {
        return Err(CommandError {
            exit_code: 2,
            ..CommandError::new("standard output takes JSON or JUnit XML, not both")
                .with_hint("name a file: --junit report.xml")
        });
    }
    let report = read_folder(settings, arguments.dir.as_deref())
        .and_then(|folder| run_cases(&folder, arguments.coverage))
        .map_err(|error| bundle_error(&error))?;
    if is_printed {
        print_data(
            junit::to_xml(&report)
                .map_err(CommandError::new)?
                .trim_end(),
        )?;
        if let Some(coverage) = &report.coverage {
            print::note(coverage.render().trim_end());
        }
    } else {
        print_report(&report, arguments)?;
    }
    Ok(if report.is_passed() {
        ExitStatus::Success
    } else {
        ExitStatus::CheckFailed
    })
}

fn run_cases(folder: &PolicyFolder, is_coverage_asked: bool) -> Result<CaseReport, BundleError> {
    let (bundle, cases) = (folder.bundle()?, folder.cases()?);
    let mut report = cases.run(&bundle)?;
    if is_coverage_asked {
        report.coverage = Some(cases.coverage(&bundle)?);
    }
    Ok(report)
}

fn print_report(report: &CaseReport, arguments: &TestArguments) -> Result<(), CommandError> {
    if arguments.json {
        print_data(serde_json::to_string_pretty(report).map_err(CommandError::new)?)?;
    } else {
        print_data(report.render().trim_end())?;
    }
    if let Some(file) = &arguments.junit {
        let xml = junit::to_xml(report).map_err(CommandError::new)?;
        output_file::write(file, &xml).map_err(|error| {
            CommandError::new(format!("cannot write {}: {error}", file.display()))
        })?;
    }
    Ok(())
}
