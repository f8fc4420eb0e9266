//! Watching the policy folder: when it is time to look at it again.
//!
//! The system's notices make an edit be seen at once; a look every few seconds finds what they do not
//! tell, on a network file system, say, or in a folder that went away and came back. This module
//! refuses to know what a look finds.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::PolicyReloader;

/// How often the folder is looked at without a notice.
const POLL_INTERVAL: Duration = Duration::from_secs(2);
/// How long the folder must have been quiet after a notice.
const DEBOUNCE_TIMEOUT: Duration = Duration::from_millis(200);
/// How often quiet is waited for: a folder that is never quiet is looked at all the same.
const MAX_WAITS: usize = 20;

/// Looks at the folder again and again, until it is told to stop.
pub(super) async fn watch(reload: Arc<PolicyReloader>, folder: &Path, stop: CancellationToken) {
    let noticed = Arc::new(Notify::new());
    let mut watcher = start_watcher(folder, &noticed);
    loop {
        let is_noticed = tokio::select! {
            () = stop.cancelled() => return,
            waited = timeout(POLL_INTERVAL, noticed.notified()) => waited.is_ok(),
        };
        if is_noticed {
            for _ in 0..MAX_WAITS {
                if timeout(DEBOUNCE_TIMEOUT, noticed.notified()).await.is_err() {
                    break;
                }
            }
        }
        let is_changed = tokio::select! {
            () = stop.cancelled() => return,
            is_changed = reload.check_for_changes() => is_changed,
        };
        if is_changed || watcher.is_none() {
            // The folder may be another one under the same name, whose changes nobody would tell.
            watcher = start_watcher(folder, &noticed);
        }
    }
}

fn start_watcher(folder: &Path, noticed: &Arc<Notify>) -> Option<RecommendedWatcher> {
    let noticed = Arc::clone(noticed);
    let tell = move |event: notify::Result<notify::Event>| {
        // To look at a folder opens its files, which is told too.
        if !event.is_ok_and(|event| event.kind.is_access()) {
            noticed.notify_one();
        }
    };
    let watcher = notify::recommended_watcher(tell).and_then(|mut watcher| {
        watcher.watch(folder, RecursiveMode::Recursive)?;
        Ok(watcher)
    });
    watcher
        .inspect_err(
            |error| tracing::debug!(%error, "the policy folder is looked at in turns only"),
        )
        .ok()
}
