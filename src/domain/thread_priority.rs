//! Priorities: how far a thread stands back behind the rest of the process.
//!
//! A thread cannot take back what it gives up, so only threads that do one piece of work do. What the
//! system does not let happen is told in the log, and the thread goes on as it is. This module refuses
//! to know what the work is.

#[cfg(target_os = "linux")]
use thread_priority::{
    NormalThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy,
    set_thread_priority_and_policy, thread_native_id,
};

/// As nice as a thread can be (setpriority(2)).
#[cfg(target_os = "linux")]
const NICENESS: i32 = 19;

/// Lets others go first, and still comes on slowly while they are busy; a program that this thread
/// starts does the same.
pub fn set_low_priority() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::nice(NICENESS) {
        tracing::debug!(%error, "a thread goes on at ordinary priority");
    }
}

/// Runs when nothing else wants the core (`SCHED_IDLE`, sched(7)), and is off it at once when something
/// does, which a merely nice thread is not. On a core that is never idle it all but stands still.
pub fn set_idle_priority() {
    #[cfg(target_os = "linux")]
    if let Err(error) = set_thread_priority_and_policy(
        thread_native_id(),
        ThreadPriority::Min,
        ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle),
    ) {
        tracing::debug!(?error, "a thread goes on at ordinary priority");
    }
}
