//! `cedargate policy test`: runs the cases of the policies.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::cli::outcome::{CommandError, CommandResult, ExitStatus, print_data, print_json};
use crate::cli::print;
use crate::config::Settings;
use crate::policy::BundleError;
use crate::policy::cases::CaseReport;
use crate::policy::folder::PolicyFolder;
use crate::policy::mentions::EntityMentions;

use super::{junit, load_folder, output_file, print_warnings};

/// The file name that stands for standard output.
const STANDARD_OUTPUT: &str = "-";

/// The arguments of `policy test`.
#[derive(Debug, Args)]
pub(in crate::cli) struct TestArguments {
    /// The policy folder; default: the one in the settings
    dir: Option<PathBuf>,
    /// Report which policies and conditions no case covers
    #[arg(long)]
    coverage: bool,
    /// Also write JUnit XML to a file; - prints it instead of the table
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Runs the case files of a folder, and prints the result of each case.
pub(in crate::cli) fn run(settings: &Settings, arguments: &TestArguments) -> CommandResult {
    let is_printed = arguments.junit.as_deref() == Some(Path::new(STANDARD_OUTPUT));
    if is_printed && arguments.json {
        return Err(
            CommandError::usage("standard output takes JSON or JUnit XML, not both")
                .with_hint("name a file: --junit report.xml"),
        );
    }
    let report = load_folder(settings, arguments.dir.as_deref())
        .and_then(|folder| run_cases(&folder, arguments.coverage))?;
    if is_printed {
        let xml = junit::to_xml(&report).map_err(CommandError::new)?;
        print_data(xml.trim_end())?;
        if let Some(coverage) = &report.coverage {
            print::note(coverage.render().trim_end());
        }
    } else {
        print_report(&report, arguments)?;
    }
    Ok(ExitStatus::from_check(report.is_passed()))
}

fn run_cases(folder: &PolicyFolder, has_coverage: bool) -> Result<CaseReport, BundleError> {
    let (bundle, cases) = (folder.bundle()?, folder.cases()?);
    let mut report = cases.run(&bundle)?;
    let mut warnings = bundle.warnings().to_vec();
    warnings.extend(EntityMentions::of_folder(folder, &bundle).warnings(None));
    print_warnings(&warnings);
    if has_coverage {
        report.coverage = Some(cases.coverage(&bundle)?);
    }
    Ok(report)
}

fn print_report(report: &CaseReport, arguments: &TestArguments) -> Result<(), CommandError> {
    if arguments.json {
        print_json(report)?;
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
