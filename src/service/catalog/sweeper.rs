//! The background task that finishes what was committed: it settles the datasets of a `catalog apply` that was
//! interrupted after its commit, and deletes what refers to removed users and roles.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::staging::Pace;
use crate::storage::{ApplyState, Database, StorageError};

/// How often to look for something to finish.
const SWEEP_INTERVAL: Duration = Duration::from_secs(5);

/// Finishes what was committed, for as long as it is polled.
pub async fn sweep_catalog(database: Database) {
    let mut seen = None;
    loop {
        sleep(SWEEP_INTERVAL).await;
        if let Err(error) = sweep_once(&database, &mut seen).await {
            tracing::debug!(%error, "catalog sweep failed; trying again later");
        }
    }
}

async fn sweep_once(
    database: &Database,
    seen: &mut Option<ApplyState>,
) -> Result<(), StorageError> {
    let state = database.apply_state().await?;
    // Whoever committed settles too, unless it shows no life.
    if state.is_committed() && seen.replace(state) == Some(state) {
        tracing::info!("finishing an interrupted catalog apply");
        let mut pace = Pace::within_server();
        let mut began = Instant::now();
        while database.settle_staged_datasets(pace.rows).await?.is_some() {
            pace.pause(database, began).await;
            began = Instant::now();
        }
    }
    let (mut pace, mut began) = (Pace::within_server(), Instant::now());
    while database.sweep_removed().await? {
        pace.pause(database, began).await;
        began = Instant::now();
    }
    Ok(())
}
