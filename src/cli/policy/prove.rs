//! `cedargate policy prove`: what holds for every possible request.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;

use crate::cli::{Ending, Failure, print, show};
use crate::config::Settings;
use crate::policy::diagnostic::render_problems;
use crate::policy::prove::{Effort, Proof, ProveError, SOLVER_VARIABLE, prove};

use super::output_file::write_new;
use super::{broken, read};

/// The longest time limit, in seconds: a day.
const LONGEST_LIMIT: u64 = 86_400;
/// How the name of a case file ends.
const CASES_ENDING: &str = ".cases.json";

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
          value_parser = clap::value_parser!(u64).range(1..=LONGEST_LIMIT))]
    time_limit: u64,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Proves the invariants of a folder, and prints what holds and what does not.
pub(in crate::cli) fn run(
    settings: &Settings,
    arguments: &ProveArguments,
) -> Result<Ending, Failure> {
    if let Some(file) = &arguments.save {
        check_target(file)?;
    }
    let (bundle, invariants) = read(settings, arguments.dir.as_deref())
        .and_then(|folder| Ok((folder.bundle()?, folder.invariants()?)))
        .map_err(|error| broken(&error))?;
    let effort = Effort {
        time_limit: Duration::from_secs(arguments.time_limit),
        is_thorough: true,
        gives_way: false,
    };
    let bar = print::progress("proving");
    let proved = prove(&bundle, &invariants, effort, |done, count| {
        bar.set_length(count as u64);
        bar.set_position(done as u64);
    });
    bar.finish_and_clear();
    let proved = proved.map_err(|error| unprovable(&error))?;
    if !proved.warnings.is_empty() {
        print::note(render_problems(&proved.warnings, print::is_coloured()).trim_end());
    }
    tell(&proved.proof, arguments)
}

fn tell(proof: &Proof, arguments: &ProveArguments) -> Result<Ending, Failure> {
    if arguments.json {
        show(serde_json::to_string_pretty(proof).map_err(Failure::new)?)?;
    } else {
        show(proof.render().trim_end())?;
    }
    if let Some(file) = &arguments.save
        && let Some(cases) = proof.case_file()
    {
        write_new(file, &cases)
            .map_err(|error| Failure::new(format!("cannot write {}: {error}", file.display())))?;
        print::note(format!("The counterexamples are in {}.", file.display()));
    } else if !arguments.json
        && let Some(cases) = proof.short_case_file()
    {
        show("\nAs a case file (--save FILE writes one with all counterexamples):\n")?;
        show(cases.trim_end())?;
    }
    if proof.invariants.is_empty() {
        print::hint(
            "there are no invariants: write some in the folder invariants/ of the policies",
        );
        return Ok(Ending::No);
    }
    Ok(if proof.is_complete() {
        Ending::Done
    } else {
        Ending::No
    })
}

fn unprovable(error: &ProveError) -> Failure {
    match error {
        ProveError::Invariants(error) => broken(error),
        ProveError::NoSolver { .. } | ProveError::NotASolver { .. } => Failure::new(error)
            .with_hint(format!(
                "install cvc5 (Debian: apt install cvc5; others: https://cvc5.github.io), or name \
                 the program in the environment variable {SOLVER_VARIABLE}"
            )),
        ProveError::Stuck { .. } => Failure::new(error),
    }
}

/// Refuses a target that could not be written, before anything is proved.
fn check_target(file: &Path) -> Result<(), Failure> {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    if !name.ends_with(CASES_ENDING) {
        let error = format!("{} is no name of a case file", file.display());
        return Err(Failure::new(error).with_hint("let it end in .cases.json"));
    }
    if file.exists() {
        let error = format!("{} is there already", file.display());
        return Err(Failure::new(error).with_hint("name a file that is not there"));
    }
    Ok(())
}
