//! `cedargate policy prove`: what holds for every possible request.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;

use crate::cli::{CommandError, ExitStatus, print, print_data};
use crate::config::Settings;
use crate::domain::diagnostic::render_diagnostics;
use crate::policy::prove::{Proof, ProofOptions, ProveError, SOLVER_VARIABLE, prove};

use super::output_file::write_new;
use super::{bundle_error, read_folder};

/// The longest time limit, in seconds: a day.
const MAX_TIME_LIMIT_SECONDS: u64 = 86_400;
/// How the name of a case file ends.
const CASE_FILE_SUFFIX: &str = ".cases.json";

/// What to prove, and how long to try.
#[derive(Debug, Args)]
pub(in crate::cli) struct ProveArguments {
    /// The policy folder; the settings' one if left out
    dir: Option<PathBuf>,
    /// Write the counterexamples to a new case file; its name ends in .cases.json
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    /// Seconds after which what is not proved counts as unproven
    #[arg(long, value_name = "SECONDS", default_value_t = 60,
          value_parser = clap::value_parser!(u64).range(1..=MAX_TIME_LIMIT_SECONDS))]
    time_limit: u64,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Proves the invariants of a folder, and prints what holds and what does not.
pub(in crate::cli) fn run(
    settings: &Settings,
    arguments: &ProveArguments,
) -> Result<ExitStatus, CommandError> {
    if let Some(file) = &arguments.save {
        check_save_path(file)?;
    }
    let (bundle, invariants) = read_folder(settings, arguments.dir.as_deref())
        .and_then(|folder| Ok((folder.bundle()?, folder.invariants()?)))
        .map_err(|error| bundle_error(&error))?;
    let effort = ProofOptions {
        time_limit: Duration::from_secs(arguments.time_limit),
        is_thorough: true,
        is_low_priority: false,
    };
    let bar = print::progress("proving");
    let proved = prove(&bundle, &invariants, effort, |done, count| {
        bar.set_length(count as u64);
        bar.set_position(done as u64);
    });
    bar.finish_and_clear();
    let proved = proved.map_err(|error| prove_error(&error))?;
    if !proved.warnings.is_empty() {
        print::note(render_diagnostics(&proved.warnings, print::is_coloured()).trim_end());
    }
    print_report(&proved.proof, arguments)
}

fn print_report(proof: &Proof, arguments: &ProveArguments) -> Result<ExitStatus, CommandError> {
    if arguments.json {
        print_data(serde_json::to_string_pretty(proof).map_err(CommandError::new)?)?;
    } else {
        print_data(proof.render().trim_end())?;
    }
    if let Some(file) = &arguments.save
        && let Some(cases) = proof.case_file()
    {
        write_new(file, &cases).map_err(|error| {
            CommandError::new(format!("cannot write {}: {error}", file.display()))
        })?;
        print::note(format!("The counterexamples are in {}.", file.display()));
    } else if !arguments.json
        && let Some(cases) = proof.short_case_file()
    {
        print_data("\nAs a case file (--save FILE writes one with all counterexamples):\n")?;
        print_data(cases.trim_end())?;
    }
    if proof.invariants.is_empty() {
        print::hint(
            "there are no invariants: write some in the folder invariants/ of the policies",
        );
        return Ok(ExitStatus::CheckFailed);
    }
    Ok(if proof.is_complete() {
        ExitStatus::Success
    } else {
        ExitStatus::CheckFailed
    })
}

fn prove_error(error: &ProveError) -> CommandError {
    match error {
        ProveError::Invariants(error) => bundle_error(error),
        ProveError::SolverNotStarted { .. } | ProveError::UnknownSolver { .. } => {
            CommandError::new(error).with_hint(format!(
                "install cvc5 (Debian: apt install cvc5; others: https://cvc5.github.io), or name \
                 the program in the environment variable {SOLVER_VARIABLE}"
            ))
        }
        ProveError::Failed { .. } => CommandError::new(error),
    }
}

/// Refuses a target that could not be written, before anything is proved.
fn check_save_path(file: &Path) -> Result<(), CommandError> {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    if !name.ends_with(CASE_FILE_SUFFIX) {
        let error = format!("{} is no name of a case file", file.display());
        return Err(CommandError::new(error).with_hint("let it end in .cases.json"));
    }
    if file.exists() {
        let error = format!("{} is there already", file.display());
        return Err(CommandError::new(error).with_hint("name a file that is not there"));
    }
    Ok(())
}
