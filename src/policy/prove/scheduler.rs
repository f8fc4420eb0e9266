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

use crate::domain::thread_priority;

use super::environment::{Bounds, Idleness, Subject};
use super::solver::{Conversation, Solver};
use super::{Effort, ProveError, stuck};

/// How much stack a thread has, in bytes: terms nest as deep as a bundle has policies. Memory is
/// taken only where it is needed.
const STACK: usize = 64 * 1024 * 1024;
/// How long after the deadline answers are still waited for: a solver that is asked near the
/// deadline answers soon after.
const GRACE: Duration = Duration::from_secs(2);

/// What was found in the environments that were done in time.
#[derive(Default)]
pub(super) struct Found {
    pub(super) bounds: Vec<Bounds>,
    pub(super) idleness: Vec<Idleness>,
    pub(super) unanswered: Vec<String>,
}

enum Answer {
    Bounds(Box<Bounds>),
    Idleness(Box<Idleness>),
}

/// One step: an environment, and whether it is asked for idle policies or for bounds.
#[derive(Clone)]
struct Step {
    environment: RequestEnv,
    is_for_idleness: bool,
}

/// The steps that are not begun yet.
struct Steps {
    all: Vec<Step>,
    begun: AtomicUsize,
}

impl Steps {
    fn begin(&self) -> Option<&Step> {
        self.all.get(self.begun.fetch_add(1, Ordering::Relaxed))
    }
}

/// Finds the solver of this machine.
pub(super) fn find_solver() -> Result<Solver, ProveError> {
    // On a thread of its own, since whoever asks may be inside another runtime.
    let finding = thread::spawn(|| runtime()?.block_on(Solver::find()));
    finding.join().map_err(|_| ProveError::Stuck {
        reason: "looking for the solver failed".to_owned(),
    })?
}

/// Asks for bounds in every environment first, then, if that is wanted, for idle policies.
pub(super) fn answer(
    subject: &Arc<Subject>,
    solver: &Solver,
    (environments, effort): (&[RequestEnv], Effort),
    deadline: Instant,
    mut watch: impl FnMut(usize, usize),
) -> Result<Found, ProveError> {
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
    let steps = Arc::new(Steps {
        all,
        begun: AtomicUsize::new(0),
    });
    let (sender, answers) = channel();
    let cores = thread::available_parallelism().map_or(1, usize::from);
    for _ in 0..cores.min(count) {
        let subject = Arc::clone(subject);
        let steps = Arc::clone(&steps);
        let conversation = Conversation::new(solver.clone(), deadline);
        let sender = sender.clone();
        thread::Builder::new()
            .name("prove".to_owned())
            .stack_size(STACK)
            .spawn(move || {
                if effort.gives_way {
                    // And not idle: a proof has a deadline, and on a busy machine no edit would pass.
                    thread_priority::be_nice();
                }
                work(&subject, &steps, conversation, &sender);
            })
            .map_err(|error| stuck(&error))?;
    }
    drop(sender);
    Ok(collect(&answers, count, deadline + GRACE, &mut watch))
}

fn runtime() -> Result<tokio::runtime::Runtime, ProveError> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| stuck(&error))
}

fn work(subject: &Subject, steps: &Steps, mut solver: Conversation, answers: &Sender<Answer>) {
    let Ok(runtime) = runtime() else {
        return;
    };
    while let Some(step) = steps.begin() {
        if solver.is_over() {
            return;
        }
        let env = &step.environment;
        let answer = if step.is_for_idleness {
            Answer::Idleness(Box::new(
                runtime.block_on(subject.idleness(env, &mut solver)),
            ))
        } else {
            Answer::Bounds(Box::new(runtime.block_on(subject.bounds(env, &mut solver))))
        };
        if answers.send(answer).is_err() {
            return;
        }
    }
}

/// Collects answers until there are no more, or the time is over. A thread that failed leaves its
/// environment without one, which is unproven.
fn collect(
    answers: &Receiver<Answer>,
    count: usize,
    end: Instant,
    watch: &mut impl FnMut(usize, usize),
) -> Found {
    let mut found = Found::default();
    let mut done = 0;
    watch(done, count);
    while done < count {
        match answers.recv_timeout(end.saturating_duration_since(Instant::now())) {
            Ok(Answer::Bounds(bounds)) => found.bounds.push(*bounds),
            Ok(Answer::Idleness(idleness)) => found.idleness.push(*idleness),
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
