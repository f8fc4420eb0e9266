//! Work: the environments, spread over threads, until a deadline.
//!
//! Threads are not waited for beyond the deadline: compiling a large bundle for the solver cannot
//! be interrupted, so a thread that is late ends by itself and nobody hears of it. This module
//! refuses to know what is asked.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use cedar_policy::RequestEnv;

use crate::thread_priority;

use super::environment::{EffectFindings, InvariantFindings, ProofSubject};
use super::solver::{Solver, SolverSession};
use super::{ProofOptions, ProveError, failed};

/// How much stack a thread has, in bytes: terms nest as deep as a bundle has policies. Memory is
/// taken only where it is needed.
const THREAD_STACK_SIZE: usize = 64 * 1024 * 1024;
/// How long after the deadline answers are still waited for: a solver that is asked near the
/// deadline answers soon after.
const LATE_ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// What was found in the environments that were done in time.
#[derive(Default)]
pub(super) struct Findings {
    pub(super) bounds: Vec<InvariantFindings>,
    pub(super) idleness: Vec<EffectFindings>,
    pub(super) unanswered: Vec<String>,
}

enum StepResult {
    Bounds(Box<InvariantFindings>),
    Idleness(Box<EffectFindings>),
}

/// One step: an environment, and whether it is asked for idle policies or for bounds.
#[derive(Clone)]
struct Step {
    environment: RequestEnv,
    is_for_idleness: bool,
}

/// The steps that are not begun yet.
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

/// Finds the solver of this machine.
pub(super) fn find_solver() -> Result<Solver, ProveError> {
    // On a thread of its own, since whoever asks may be inside another runtime.
    let finding = thread::spawn(|| runtime()?.block_on(Solver::find()));
    finding.join().map_err(|_| ProveError::Failed {
        reason: "looking for the solver failed".to_owned(),
    })?
}

/// Asks for bounds in every environment first, then, if that is wanted, for idle policies.
pub(super) fn run_steps(
    subject: &Arc<ProofSubject>,
    solver: &Solver,
    (environments, effort): (&[RequestEnv], ProofOptions),
    deadline: Instant,
    mut watch: impl FnMut(usize, usize),
) -> Result<Findings, ProveError> {
    let passes: &[bool] = if effort.is_thorough {
        &[false, true]
    } else {
        &[false]
    };
    let all: Vec<Step> = passes
        .iter()
        .flat_map(|&is_for_idleness| {
            environments.iter().map(move |environment| Step {
                environment: environment.clone(),
                is_for_idleness,
            })
        })
        .collect();
    let count = all.len();
    let steps = Arc::new(StepQueue {
        all,
        next_index: AtomicUsize::new(0),
    });
    let (sender, answers) = channel();
    let cores = thread::available_parallelism().map_or(1, usize::from);
    for _ in 0..cores.min(count) {
        let subject = Arc::clone(subject);
        let steps = Arc::clone(&steps);
        let conversation = SolverSession::new(solver.clone(), deadline);
        let sender = sender.clone();
        thread::Builder::new()
            .name("prove".to_owned())
            .stack_size(THREAD_STACK_SIZE)
            .spawn(move || {
                if effort.is_low_priority {
                    // And not idle: a proof has a deadline, and on a busy machine no edit would pass.
                    thread_priority::set_low_priority();
                }
                run_worker(&subject, &steps, conversation, &sender);
            })
            .map_err(|error| failed(&error))?;
    }
    drop(sender);
    Ok(collect(
        &answers,
        count,
        deadline + LATE_ANSWER_TIMEOUT,
        &mut watch,
    ))
}

fn runtime() -> Result<tokio::runtime::Runtime, ProveError> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| failed(&error))
}

fn run_worker(
    subject: &ProofSubject,
    steps: &StepQueue,
    mut solver: SolverSession,
    answers: &Sender<StepResult>,
) {
    let Ok(runtime) = runtime() else {
        return;
    };
    while let Some(step) = steps.next() {
        if solver.is_expired() {
            return;
        }
        let env = &step.environment;
        let answer = if step.is_for_idleness {
            StepResult::Idleness(Box::new(
                runtime.block_on(subject.find_ineffective(env, &mut solver)),
            ))
        } else {
            StepResult::Bounds(Box::new(
                runtime.block_on(subject.find_violations(env, &mut solver)),
            ))
        };
        if answers.send(answer).is_err() {
            return;
        }
    }
}

/// Collects answers until there are no more, or the time is over. A thread that failed leaves its
/// environment without one, which is unproven.
fn collect(
    answers: &Receiver<StepResult>,
    count: usize,
    end: Instant,
    watch: &mut impl FnMut(usize, usize),
) -> Findings {
    let mut found = Findings::default();
    let mut done = 0;
    watch(done, count);
    while done < count {
        match answers.recv_timeout(end.saturating_duration_since(Instant::now())) {
            Ok(StepResult::Bounds(bounds)) => found.bounds.push(*bounds),
            Ok(StepResult::Idleness(idleness)) => found.idleness.push(*idleness),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                let why = "not every request environment was looked at: the time was over";
                found.unanswered.push(why.to_owned());
                break;
            }
        }
        done += 1;
        watch(done, count);
    }
    found
}
