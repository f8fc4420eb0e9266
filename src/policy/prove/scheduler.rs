//! The scheduler of proofs: checks the request environments on several threads until a deadline.
//!
//! Threads are not joined after the deadline: compiling a large bundle for the solver cannot be
//! interrupted, so a late thread ends by itself and its result is dropped. Those of a proof that is given up are: nobody
//! waits for it, and it is over only when nothing of it runs.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use cedar_policy::RequestEnv;

use crate::thread_priority;

use super::deadline::Deadline;
use super::effects::EffectFindings;
use super::environment::InvariantFindings;
use super::error::ProveError;
use super::solver::{Recollection, Solver, SolverSession};
use super::subject::ProofSubject;

/// The stack of a thread, in bytes: terms nest as deep as a bundle has policies. Memory is used only
/// as needed.
const THREAD_STACK_SIZE: usize = 64 * 1024 * 1024;
/// How long after the deadline results are still awaited: a solver that is called shortly before the
/// deadline answers soon after it.
const LATE_ANSWER_TIMEOUT: Duration = Duration::from_secs(2);
/// How often it is looked whether a proof was given up.
const GIVEN_UP_INTERVAL: Duration = Duration::from_millis(100);

/// The findings of the environments that were checked in time.
#[derive(Default)]
pub(super) struct Findings {
    pub(super) violations: Vec<InvariantFindings>,
    pub(super) effects: Vec<EffectFindings>,
    pub(super) unanswered: Vec<String>,
    /// How long it took until all of the violations were found, or until the end.
    pub(super) took: Duration,
}

enum StepResult {
    Violations(Box<InvariantFindings>),
    Effects(Box<EffectFindings>),
}

/// One step: a check of one environment.
#[derive(Clone)]
struct Step {
    environment: RequestEnv,
    task: Task,
}

/// What is checked in an environment.
#[derive(Clone)]
pub(super) enum Task {
    /// Some of the policies that are to be proved, each by itself.
    Part(Range<usize>),
    /// All policies and invariants, for violations.
    Violations,
    /// All policies and invariants, for what has no effect.
    Effects,
}

/// The steps that no thread has taken yet.
struct StepQueue {
    all: Vec<Step>,
    next_index: AtomicUsize,
}

impl StepQueue {
    fn next(&self) -> Option<&Step> {
        self.all
            .get(self.next_index.fetch_add(1, Ordering::Relaxed))
    }
}

/// Finds the solver on this machine.
pub(super) fn find_solver() -> Result<Solver, ProveError> {
    // On a thread of its own: the caller may be inside another runtime.
    let finding = thread::spawn(|| runtime()?.block_on(Solver::find()));
    finding.join().map_err(|_| ProveError::Failed {
        reason: "the search for the solver panicked".to_owned(),
    })?
}

/// Does the tasks one after the other, each in every environment.
pub(super) fn run_steps(
    subject: &Arc<ProofSubject>,
    solver: &Solver,
    (environments, tasks): (&[RequestEnv], &[Task]),
    (deadline, is_low_priority): (&Deadline, bool),
    mut progress: impl FnMut(usize),
) -> Result<Findings, ProveError> {
    let all: Vec<Step> = tasks
        .iter()
        .flat_map(|task| {
            environments.iter().map(move |environment| Step {
                environment: environment.clone(),
                task: task.clone(),
            })
        })
        .collect();
    let count = all.len();
    let steps = Arc::new(StepQueue {
        all,
        next_index: AtomicUsize::new(0),
    });
    let (sender, results) = channel();
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let mut workers = Vec::new();
    for _ in 0..cores.min(count) {
        let subject = Arc::clone(subject);
        let steps = Arc::clone(&steps);
        let recollection = subject.recollection.clone();
        let session = SolverSession::new(solver.clone(), deadline.clone(), recollection);
        let sender = sender.clone();
        let worker = thread::Builder::new()
            .name("prove".to_owned())
            .stack_size(THREAD_STACK_SIZE)
            .spawn(move || {
                if is_low_priority {
                    // Not idle priority: a proof has a deadline, and on a busy machine none would finish.
                    thread_priority::set_low_priority();
                }
                run_worker(&subject, &steps, session, &sender);
            })
            .map_err(|error| ProveError::failed(&error))?;
        workers.push(worker);
    }
    drop(sender);
    let expected = (count, environments.len());
    let found = collect(&results, expected, deadline, &mut progress);
    if deadline.is_given_up() {
        for worker in workers {
            // What became of it is of no interest any more.
            drop(worker.join());
        }
        return Err(ProveError::GivenUp);
    }
    Ok(found)
}

/// Runs queries one after the other on a thread of its own, with the stack that terms need; `None` if there is
/// no such thread, or it panics.
pub(super) fn run_alone<T: Send>(
    (solver, recollection): (&Solver, Recollection),
    deadline: &Deadline,
    is_low_priority: bool,
    run: impl FnOnce(&tokio::runtime::Runtime, &mut SolverSession) -> T + Send,
) -> Option<T> {
    let session = SolverSession::new(solver.clone(), deadline.clone(), recollection);
    thread::scope(|scope| {
        let run_here = move || {
            if is_low_priority {
                thread_priority::set_low_priority();
            }
            let mut session = session;
            runtime().ok().map(|runtime| run(&runtime, &mut session))
        };
        let builder = thread::Builder::new().name("prove".to_owned());
        let spawned = builder
            .stack_size(THREAD_STACK_SIZE)
            .spawn_scoped(scope, run_here);
        spawned.ok()?.join().ok()?
    })
}

fn runtime() -> Result<tokio::runtime::Runtime, ProveError> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| ProveError::failed(&error))
}

fn run_worker(
    subject: &ProofSubject,
    steps: &StepQueue,
    mut solver: SolverSession,
    results: &Sender<StepResult>,
) {
    let Ok(runtime) = runtime() else {
        return;
    };
    while let Some(step) = steps.next() {
        if solver.is_expired() {
            return;
        }
        let env = &step.environment;
        let violations = |found| StepResult::Violations(Box::new(found));
        let result = match &step.task {
            Task::Part(part) => {
                let proving = subject.prove_part(env, part.clone(), &mut solver);
                violations(runtime.block_on(proving))
            }
            Task::Violations => {
                violations(runtime.block_on(subject.find_violations(env, &mut solver)))
            }
            Task::Effects => {
                let found = runtime.block_on(subject.find_ineffective(env, &mut solver));
                StepResult::Effects(Box::new(found))
            }
        };
        if results.send(result).is_err() {
            return;
        }
    }
}

/// Collects results until there are no more or the deadline is over. A thread that panicked leaves its
/// environment without a result, which is unproven.
fn collect(
    results: &Receiver<StepResult>,
    (count, environments): (usize, usize),
    deadline: &Deadline,
    progress: &mut impl FnMut(usize),
) -> Findings {
    let mut found = Findings::default();
    let mut done = 0;
    let begin = deadline.begin();
    let end = Instant::now() + deadline.remaining() + LATE_ANSWER_TIMEOUT;
    progress(done);
    while done < count && !deadline.is_given_up() {
        let left = end.saturating_duration_since(Instant::now());
        match results.recv_timeout(left.min(GIVEN_UP_INTERVAL)) {
            Ok(StepResult::Violations(violations)) => {
                found.violations.push(*violations);
                found.took = begin.elapsed();
            }
            Ok(StepResult::Effects(effects)) => found.effects.push(*effects),
            Err(RecvTimeoutError::Timeout) if Instant::now() < end => continue,
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                let message = format!("some request environments: {}", deadline.message());
                found.unanswered.push(message);
                if found.violations.len() < environments {
                    found.took = begin.elapsed();
                }
                break;
            }
        }
        done += 1;
        progress(done);
    }
    found
}
