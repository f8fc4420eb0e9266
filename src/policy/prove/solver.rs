//! The solver: cvc5, run as a process with queries on its standard input.
//!
//! A query that times out or is given up leaves the process in an unknown state, so it is killed and the next query
//! starts another one. What the memory of proofs knows is not asked.

use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use cedar_policy::Schema;
use cedar_policy_symcc::err::Error as SymccError;
use cedar_policy_symcc::solver::LocalSolver;
use cedar_policy_symcc::term::Term;
use cedar_policy_symcc::{CedarSymCompiler, Env, WellFormedAsserts};
use tokio::process::Command;
use tokio::time::timeout;

use crate::policy::proof_digest::ProofDigest;
use crate::policy::proof_memory::ProofMemory;

use super::adapted::KnownExamples;
use super::deadline::Deadline;
use super::error::ProveError;
use super::shape::Shape;

/// The environment variable with the solver program; by default, `cvc5` on the path.
pub const SOLVER_VARIABLE: &str = "CVC5";
const DEFAULT_SOLVER: &str = "cvc5";
/// How long the solver may take to print its version.
const VERSION_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the solver may look for an answer for any literals, before it is asked about those of the policy.
const GENERAL_TIMEOUT: Duration = Duration::from_secs(2);
/// The environment variables passed to the solver, which it needs to start. Others may hold secrets.
const INHERITED_VARIABLES: [&str; 3] = ["PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"];

/// The solver on this machine.
#[derive(Clone, Debug)]
pub(super) struct Solver {
    program: PathBuf,
    version: String,
}

impl Solver {
    /// Finds the solver and its version.
    pub(super) async fn find() -> Result<Self, ProveError> {
        let named = std::env::var_os(SOLVER_VARIABLE).filter(|name| !name.is_empty());
        let program = PathBuf::from(named.unwrap_or_else(|| OsString::from(DEFAULT_SOLVER)));
        let version_output = command(&program)
            .arg("--version")
            .stdin(Stdio::null())
            .output();
        let output = match timeout(VERSION_TIMEOUT, version_output).await {
            Ok(Ok(output)) => output,
            Ok(Err(_)) if is_missing(&program) => {
                return Err(ProveError::SolverNotFound { program });
            }
            Ok(Err(source)) => return Err(ProveError::SolverNotStarted { program, source }),
            Err(_) => return Err(ProveError::UnknownSolver { program }),
        };
        let text = String::from_utf8_lossy(&output.stdout);
        // "This is cvc5 version 1.0.3"; later releases add a revision in brackets.
        let version = text
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

/// Whether there is no file that a program of this name could be: then it is not installed.
///
/// The error of starting it does not tell: "not found" may be about its interpreter or its loader, and
/// "permission denied" about another folder of the path.
fn is_missing(program: &Path) -> bool {
    let is_absent = |candidate: &Path| {
        let found = std::fs::symlink_metadata(candidate);
        found.is_err_and(|error| error.kind() == ErrorKind::NotFound)
    };
    if program.components().count() > 1 {
        return is_absent(program);
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    // A folder of the path that may not be searched has no program for this process.
    !std::env::split_paths(&path).any(|folder| folder.join(program).symlink_metadata().is_ok())
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

/// What is remembered of the answers, and what they depend on besides the question.
#[derive(Clone)]
pub(super) struct Recollection {
    pub(super) memory: Arc<ProofMemory>,
    pub(super) context: ProofDigest,
}

/// How an example is searched.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// For whatever literals first: most likely there is none.
    General,
    /// For these literals alone: most likely there is one.
    Likely,
}

/// The schema of an example, and what confirms that it is one.
type Confirmation<'a> = (&'a Schema, &'a dyn Fn(&Env) -> bool);

/// Queries to one solver process at a time, until a deadline.
pub(super) struct SolverSession {
    solver: Solver,
    process: Option<CedarSymCompiler<LocalSolver>>,
    deadline: Deadline,
    recollection: Recollection,
    examples: KnownExamples,
}

impl SolverSession {
    pub(super) fn new(solver: Solver, deadline: Deadline, recollection: Recollection) -> Self {
        Self {
            solver,
            process: None,
            deadline,
            recollection,
            examples: KnownExamples::default(),
        }
    }

    /// Whether the deadline is over.
    pub(super) fn is_expired(&self) -> bool {
        self.deadline.remaining().is_zero()
    }

    /// Why something is not known after the deadline.
    pub(super) fn timeout_message(&self) -> String {
        self.deadline.message()
    }

    /// Searches for a request and entities that satisfy all of `asserts`; `None` if there are none for
    /// sure, for whatever literals if possible. Fails with the reason if that is not known.
    pub(super) async fn find_example(
        &mut self,
        asserts: &WellFormedAsserts<'_>,
    ) -> Result<Option<Env>, String> {
        self.find(asserts, Mode::General, None).await
    }

    /// The same where there most likely are some, which no other literals tell of.
    pub(super) async fn find_likely_example(
        &mut self,
        asserts: &WellFormedAsserts<'_>,
    ) -> Result<Option<Env>, String> {
        self.find(asserts, Mode::Likely, None).await
    }

    /// The same as [`Self::find_example`] for one of many questions that are alike but for their literals: what
    /// `is_example` confirms, which evaluates the policies, is not asked.
    pub(super) async fn find_similar_example(
        &mut self,
        asserts: &WellFormedAsserts<'_>,
        known: Confirmation<'_>,
    ) -> Result<Option<Env>, String> {
        self.find(asserts, Mode::General, Some(known)).await
    }

    /// The same where there most likely are some.
    pub(super) async fn find_likely_similar(
        &mut self,
        asserts: &WellFormedAsserts<'_>,
        known: Confirmation<'_>,
    ) -> Result<Option<Env>, String> {
        self.find(asserts, Mode::Likely, Some(known)).await
    }

    async fn find(
        &mut self,
        asserts: &WellFormedAsserts<'_>,
        mode: Mode,
        known: Option<Confirmation<'_>>,
    ) -> Result<Option<Env>, String> {
        let is_decided = |term: &Term| matches!(term, Term::Prim(_));
        if asserts.asserts().iter().all(is_decided) || is_unsatisfiable(asserts) {
            return self.ask(asserts).await;
        }
        let Recollection { memory, context } = self.recollection.clone();
        let Some(shape) = Shape::of(asserts, &context) else {
            return self.ask(asserts).await;
        };
        if memory.holds(&shape.general) || memory.holds(&shape.exact) {
            return Ok(None);
        }
        let literals = || shape.literals().into_iter().cloned().collect::<Vec<_>>();
        if let Some((schema, is_example)) = known
            && let Some(example) = self.examples.adapt(&shape.general, &literals(), schema)
            && is_example(&example)
        {
            return Ok(Some(example));
        }
        if mode == Mode::General && shape.is_general() && !memory.is_special(&shape.general) {
            if self.holds_in_general(&shape, asserts).await {
                memory.add(shape.general, Vec::new());
                return Ok(None);
            }
            memory.add_special(shape.general);
        }
        let found = self.ask(asserts).await?;
        match &found {
            None => memory.add(shape.exact, Vec::new()),
            Some(example) if known.is_some() => {
                self.examples.add(shape.general, literals(), example);
            }
            Some(_) => {}
        }
        Ok(found)
    }

    /// Whether nothing satisfies the shape of a question. A solver that does not know is asked about the question.
    async fn holds_in_general(&mut self, shape: &Shape, asserts: &WellFormedAsserts<'_>) -> bool {
        let Ok(mut process) = self.take_process() else {
            return false;
        };
        let general = shape.generalize(asserts.asserts());
        let asked = process.check_unsat_raw(general, asserts.symenv());
        match self.deadline.ask(GENERAL_TIMEOUT, asked).await {
            Some(Ok(holds)) => {
                self.process = Some(process);
                holds
            }
            Some(Err(_)) | None => false,
        }
    }

    /// Asks the solver.
    async fn ask(&mut self, asserts: &WellFormedAsserts<'_>) -> Result<Option<Env>, String> {
        let remaining = self.deadline.remaining();
        if remaining.is_zero() {
            return Err(self.timeout_message());
        }
        let mut process = self.take_process()?;
        let asked = process.check_sat(asserts);
        match self.deadline.ask(remaining, asked).await {
            Some(Ok(example)) => {
                self.process = Some(process);
                Ok(example)
            }
            Some(Err(error)) => Err(describe_error(&error)),
            None => Err(self.timeout_message()),
        }
    }

    /// The process that is there, or a new one.
    fn take_process(&mut self) -> Result<CedarSymCompiler<LocalSolver>, String> {
        match self.process.take() {
            Some(process) => Ok(process),
            None => self
                .start(self.deadline.remaining())
                .map_err(|error| describe_error(&error)),
        }
    }

    fn start(&self, limit: Duration) -> Result<CedarSymCompiler<LocalSolver>, Box<SymccError>> {
        let mut command = command(&self.solver.program);
        // If this program is killed, the solver ends by itself.
        command
            .args(["--lang", "smt"])
            .arg(format!("--tlimit={}", limit.as_millis().max(1)));
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

/// Whether `asserts` are unsatisfiable by types and literals alone, without the solver.
pub(super) fn is_unsatisfiable(asserts: &WellFormedAsserts<'_>) -> bool {
    let never = Term::from(false);
    asserts.asserts().contains(&never)
}
