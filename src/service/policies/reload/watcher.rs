//! The watcher of the policy folder: decides when to look for changes.
//!
//! File system events make an edit be noticed at once. A poll finds what they miss, for example on a
//! network file system, or in a folder that was replaced.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::reloader::PolicyReloader;
use super::state::NextAttempt;

/// The time between two polls of the folder without an event.
const POLL_INTERVAL: Duration = Duration::from_secs(2);
/// How long to wait before a folder that was not proved for want of a solver is checked again.
const SOLVER_RETRY_INTERVAL: Duration = Duration::from_secs(30);
/// How long the events of one edit are collected. The two equal reads of a snapshot do the rest: they
/// show whether the edit is complete.
const DEBOUNCE_INTERVAL: Duration = Duration::from_millis(100);

impl PolicyReloader {
    /// Watches the folder, if there is one, until `stop`.
    pub fn spawn_watcher(self: &Arc<Self>, stop: CancellationToken) -> JoinHandle<()> {
        let reloader = Arc::clone(self);
        tokio::spawn(async move {
            if let Some(folder) = reloader.folder() {
                stop.run_until_cancelled(watch_folder(&reloader, folder))
                    .await;
            }
        })
    }
}

async fn watch_folder(reloader: &Arc<PolicyReloader>, folder: &Path) {
    let (event_sender, mut events) = watch::channel(());
    let mut watcher = start_watcher(folder, &event_sender);
    let mut last_solver_attempt = Instant::now();
    if reloader.next_attempt() == NextAttempt::Now {
        // The start left something to prove.
        retry_solver(reloader).await;
    }
    loop {
        if timeout(POLL_INTERVAL, events.changed()).await.is_ok() {
            sleep(DEBOUNCE_INTERVAL).await;
            events.mark_unchanged();
        }
        if reloader.check_for_changes().await || watcher.is_none() {
            // The folder may have been replaced; events come from the one that was watched.
            watcher = start_watcher(folder, &event_sender);
        }
        let is_due = last_solver_attempt.elapsed() >= SOLVER_RETRY_INTERVAL;
        if is_due {
            last_solver_attempt = Instant::now();
        }
        let may_retry = match reloader.next_attempt() {
            NextAttempt::None => false,
            NextAttempt::Later => is_due,
            NextAttempt::Now => true,
        };
        if may_retry {
            retry_solver(reloader).await;
        }
    }
}

/// Proves the folder if the solver is there or works again, or goes on with a proof for which there was no time.
async fn retry_solver(reloader: &Arc<PolicyReloader>) {
    if let Err(error) = reloader.reload().await {
        tracing::error!(%error, "the policies could not be reloaded; trying again");
    }
}

fn start_watcher(folder: &Path, event_sender: &watch::Sender<()>) -> Option<RecommendedWatcher> {
    let sender = event_sender.clone();
    let on_event = move |event: notify::Result<notify::Event>| {
        // Reading the folder causes access events itself.
        if !event.is_ok_and(|event| event.kind.is_access()) {
            sender.send_replace(());
        }
    };
    notify::recommended_watcher(on_event)
        .and_then(|mut watcher| {
            watcher.watch(folder, RecursiveMode::Recursive)?;
            Ok(watcher)
        })
        .inspect_err(|error| {
            tracing::debug!(%error, "file system events are not available: the policy folder is polled");
        })
        .ok()
}
