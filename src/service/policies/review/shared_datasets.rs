//! Datasets with the shares of one time: what has ended is no share, and projections compare what is left.

use std::sync::Arc;

use crate::domain::dataset::Dataset;

/// The dataset with the shares of a time alone, in seconds since 1970 UTC: the same value, whose entities may be cached,
/// if no share of it ends.
pub(super) fn shared_at(dataset: &Arc<Dataset>, unix_seconds: i64) -> Arc<Dataset> {
    if dataset.share_ends.is_empty() {
        Arc::clone(dataset)
    } else {
        Arc::new(Dataset::clone(dataset).into_shared_at(unix_seconds))
    }
}
