//! Maintenance beside the requests: free disk space, and the statistics of the database.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;

use crate::config::Settings;
use crate::service::disk_space::DiskSpace;
use crate::storage::Database;

/// How often the statistics of the database are updated.
const OPTIMIZE_INTERVAL: Duration = Duration::from_hours(24);

/// The tasks of maintenance.
pub(super) struct Maintenance {
    pub(super) disk_space: Arc<DiskSpace>,
    tasks: [JoinHandle<()>; 2],
}

impl Maintenance {
    /// Does all of it once, and goes on.
    pub(super) async fn start(settings: &Settings, database: &Database) -> Self {
        let folders = vec![settings.data_dir.clone(), settings.files_dir.clone()];
        let disk_space = DiskSpace::open(folders, settings.free_disk_floor).await;
        optimize(database).await;
        let tasks = [
            tokio::spawn(Arc::clone(&disk_space).watch()),
            tokio::spawn(optimize_daily(database.clone())),
        ];
        Self { disk_space, tasks }
    }

    pub(super) fn stop(&self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

/// Updates the statistics of the database; the server works without them too.
async fn optimize(database: &Database) {
    if let Err(error) = database.optimize().await {
        tracing::warn!(%error, "statistics of the database not updated");
    }
}

async fn optimize_daily(database: Database) {
    loop {
        tokio::time::sleep(OPTIMIZE_INTERVAL).await;
        optimize(&database).await;
    }
}
