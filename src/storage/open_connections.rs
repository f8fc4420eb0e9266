//! The open connections to one SQLite file: how many there are, and waiting until they are closed.

use std::sync::Arc;

use tokio::sync::watch;

/// How many connections are open, those included that were given up and still hang; clones share the count.
#[derive(Clone, Default)]
pub(super) struct OpenConnections(Arc<watch::Sender<usize>>);

/// Counts one connection until it is dropped.
pub(super) struct OpenConnection(Arc<watch::Sender<usize>>);

impl OpenConnections {
    /// How many are open.
    pub(super) fn count(&self) -> usize {
        *self.0.borrow()
    }

    /// Counts one more.
    pub(super) fn add(&self) -> OpenConnection {
        self.0.send_modify(|open| *open += 1);
        OpenConnection(Arc::clone(&self.0))
    }

    /// Returns once no more than so many are open.
    pub(super) async fn wait_for_at_most(&self, limit: usize) {
        // The sender lives as long as this does.
        let _ = self.0.subscribe().wait_for(|open| *open <= limit).await;
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.send_modify(|open| *open = open.saturating_sub(1));
    }
}
