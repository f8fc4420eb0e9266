//! Thread priorities: lower the priority of the current thread.
//!
//! A thread cannot raise its priority again, so only threads for a single job do this. If the system does
//! not permit it, the thread continues at its priority and a debug line says so.

#[cfg(target_os = "linux")]
use ::thread_priority::{
    NormalThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy,
    set_thread_priority_and_policy, thread_native_id,
};

/// As nice as a thread can be (setpriority(2)).
#[cfg(target_os = "linux")]
const NICENESS: i32 = 19;

/// Sets the lowest ordinary priority (`nice` 19): the thread still progresses slowly on a busy machine. A
/// program that the thread starts inherits it.
pub fn set_low_priority() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::nice(NICENESS) {
        tracing::debug!(%error, "cannot lower the priority of a thread");
    }
}

/// Sets `SCHED_IDLE` (sched(7)): the thread runs only on an idle core and is preempted at once, unlike a
/// thread of low priority. On a core that is never idle it makes almost no progress.
pub fn set_idle_priority() {
    #[cfg(target_os = "linux")]
    if let Err(error) = set_thread_priority_and_policy(
        thread_native_id(),
        ThreadPriority::Min,
        ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle),
    ) {
        tracing::debug!(?error, "cannot lower the priority of a thread");
    }
}
