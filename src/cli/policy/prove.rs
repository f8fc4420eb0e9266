//! `cedargate policy prove`: proves the invariants for every possible request.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;

use crate::cli::outcome::{CommandError, CommandResult, ExitStatus, print_data, print_json};
use crate::cli::print;
use crate::config::Settings;
use crate::policy::mentions::EntityMentions;
use crate::policy::prove::{Proof, ProofOptions, ProveError, SOLVER_VARIABLE, prove};

use super::output_file::write_new;
use super::save_cases::check_case_file_name;
use super::{load_folder, print_warnings};

/// The longest time limit, in seconds: a day.
const MAX_TIME_LIMIT_SECONDS: u64 = 86_400;

/// The arguments of `policy prove`.
#[derive(Debug, Args)]
pub(in crate::cli) struct ProveArguments {
    /// The policy folder; default: the one in the settings
    dir: Option<PathBuf>,
    /// Write the counterexamples to a new case file, whose name must end in .cases.json
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    /// Seconds after which an invariant that is not proved counts as unproven
    #[arg(long, value_name = "SECONDS", default_value_t = 60,
          value_parser = clap::value_parser!(u64).range(1..=MAX_TIME_LIMIT_SECONDS))]
    time_limit: u64,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Proves the invariants of a folder, and prints which hold and which do not.
pub(in crate::cli) fn run(settings: &Settings, arguments: &ProveArguments) -> CommandResult {
    if let Some(file) = &arguments.save {
        check_save_path(file)?;
    }
    let folder = load_folder(settings, arguments.dir.as_deref())?;
    let (bundle, invariants) = (folder.bundle()?, folder.invariants()?);
    let options = ProofOptions {
        is_thorough: true,
        ..ProofOptions::within(Duration::from_secs(arguments.time_limit))
    };
    let bar = print::progress("proving");
    let proved = prove(&bundle, &invariants, &options, |done, count| {
        bar.set_length(count as u64);
        bar.set_position(done as u64);
    });
    bar.finish_and_clear();
    let proved = proved.map_err(prove_error)?;
    let mut warnings = bundle.warnings().to_vec();
    warnings.extend(EntityMentions::of_folder(&folder, &bundle).warnings(None));
    warnings.extend(proved.warnings);
    print_warnings(&warnings);
    if let Some(warning) = proved.proof.time.gate_warning(settings.gate_proof_limit) {
        print::note(format!("note: {warning} (gate_proof_limit)"));
    }
    print_report(&proved.proof, arguments)
}

/// Prints the proof; its summary is the last on the screen.
fn print_report(proof: &Proof, arguments: &ProveArguments) -> CommandResult {
    if let Some(file) = &arguments.save {
        if let Some(cases) = proof.case_file() {
            write_new(file, &cases).map_err(|error| {
                CommandError::new(format!("cannot write {}: {error}", file.display()))
            })?;
            print::note(format!("wrote the counterexamples to {}", file.display()));
        }
    } else if !arguments.json
        && let count @ 1.. = proof.case_count()
    {
        let cases = if count == 1 {
            "case that guards"
        } else {
            "cases that guard"
        };
        print::note(format!(
            "note: --save found.cases.json writes {count} {cases} against this mistake"
        ));
    }
    if proof.invariants.is_empty() {
        print::hint(
            "there are no invariants; add some in the folder invariants/ of the policy folder",
        );
    }
    if arguments.json {
        print_json(proof)?;
    } else {
        print_data(proof.render().trim_end())?;
    }
    let is_passed = proof.is_complete() && !proof.invariants.is_empty();
    Ok(ExitStatus::from_check(is_passed))
}

fn prove_error(error: ProveError) -> CommandError {
    match error {
        ProveError::Invariants(error) => error.into(),
        ProveError::SolverNotFound { .. }
        | ProveError::SolverNotStarted { .. }
        | ProveError::UnknownSolver { .. } => CommandError::new(error).with_hint(format!(
            "install cvc5 (Debian: apt install cvc5; others: https://cvc5.github.io), or set \
                 the environment variable {SOLVER_VARIABLE} to the program"
        )),
        ProveError::TooManyNew { .. } | ProveError::GivenUp | ProveError::Failed { .. } => {
            CommandError::new(error)
        }
    }
}

/// Checks the path before anything is proved.
fn check_save_path(file: &Path) -> Result<(), CommandError> {
    check_case_file_name(file)?;
    if file.exists() {
        let error = format!("{} already exists", file.display());
        return Err(CommandError::new(error).with_hint("name a file that does not exist"));
    }
    Ok(())
}
