//! The solver: cvc5, a program of its own, asked through its standard input.
//!
//! A question that is not answered in time leaves the solver in an unknown state, so it is killed
//! and the next question starts another one. This module refuses to know what questions mean.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use cedar_policy_symcc::err::Error as SymccError;
use cedar_policy_symcc::solver::LocalSolver;
use cedar_policy_symcc::{CedarSymCompiler, Env, WellFormedAsserts};
use tokio::process::Command;
use tokio::time::timeout;

use super::ProveError;

/// The environment variable that names another solver than the `cvc5` on the path.
pub const SOLVER_VARIABLE: &str = "CVC5";
const DEFAULT_SOLVER: &str = "cvc5";
/// How long the solver may take to say its version.
const VERSION_TIMEOUT: Duration = Duration::from_secs(10);
/// What the solver sees of the environment: what it takes to start. The rest may hold secrets.
const INHERITED_VARIABLES: [&str; 3] = ["PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"];

/// The solver of this machine.
#[derive(Clone, Debug)]
pub(super) struct Solver {
    program: PathBuf,
    version: String,
}

impl Solver {
    /// Finds the solver, and has it say its version.
    pub(super) async fn find() -> Result<Self, ProveError> {
        let named = std::env::var_os(SOLVER_VARIABLE).filter(|name| !name.is_empty());
        let program = PathBuf::from(named.unwrap_or_else(|| OsString::from(DEFAULT_SOLVER)));
        let asked = command(&program)
            .arg("--version")
            .stdin(Stdio::null())
            .output();
        let output = match timeout(VERSION_TIMEOUT, asked).await {
            Ok(Ok(output)) => output,
            Ok(Err(source)) => return Err(ProveError::SolverNotStarted { program, source }),
            Err(_) => return Err(ProveError::UnknownSolver { program }),
        };
        let said = String::from_utf8_lossy(&output.stdout);
        // "This is cvc5 version 1.0.3", later releases add a revision in brackets.
        let version = said
            .split_once("cvc5 version ")
            .and_then(|(_, rest)| rest.split_whitespace().next());
        match version {
            Some(version) => Ok(Self {
                version: format!("cvc5 {version}"),
                program,
            }),
            None => Err(ProveError::UnknownSolver { program }),
        }
    }

    /// Its name and version.
    pub(super) fn version(&self) -> &str {
        &self.version
    }
}

fn command(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.env_clear().kill_on_drop(true);
    for name in INHERITED_VARIABLES {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    command
}

/// One conversation with a solver, at most until a deadline.
pub(super) struct SolverSession {
    solver: Solver,
    process: Option<CedarSymCompiler<LocalSolver>>,
    deadline: Instant,
}

impl SolverSession {
    pub(super) fn new(solver: Solver, deadline: Instant) -> Self {
        Self {
            solver,
            process: None,
            deadline,
        }
    }

    /// Whether there is no time left.
    pub(super) fn is_expired(&self) -> bool {
        Instant::now() >= self.deadline
    }

    /// Looks for a request and entities that satisfy all of `asserts`: there is one, there is none
    /// for sure, or why that is not known.
    pub(super) async fn find_example(
        &mut self,
        asserts: &WellFormedAsserts<'_>,
    ) -> Result<Option<Env>, String> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err("the time was over".to_owned());
        }
        let mut running = match self.process.take() {
            Some(running) => running,
            None => self.start(left).map_err(|error| describe_error(&error))?,
        };
        match timeout(left, running.check_sat(asserts)).await {
            Ok(Ok(example)) => {
                self.process = Some(running);
                Ok(example)
            }
            Ok(Err(error)) => Err(describe_error(&error)),
            Err(_) => Err("the time was over".to_owned()),
        }
    }

    fn start(&self, left: Duration) -> Result<CedarSymCompiler<LocalSolver>, Box<SymccError>> {
        let mut command = command(&self.solver.program);
        // Should this program be killed, the solver ends by itself.
        command
            .args(["--lang", "smt"])
            .arg(format!("--tlimit={}", left.as_millis().max(1)));
        LocalSolver::from_command(&mut command)
            .map_err(SymccError::from)
            .and_then(CedarSymCompiler::new)
            .map_err(Box::new)
    }
}

fn describe_error(error: &SymccError) -> String {
    match error {
        SymccError::SolverUnknown => "the solver gave up".to_owned(),
        other => format!("the solver failed: {other}"),
    }
}
