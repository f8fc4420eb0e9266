//! What is compared, and how much of the result is listed.

use std::sync::Arc;

use crate::domain::dataset::Dataset;
use crate::domain::principal::User;

/// The users and datasets of a comparison.
#[derive(Clone, Debug, Default)]
pub struct ComparedCatalog {
    /// The users, none of them disabled: nothing is permitted to those.
    pub users: Vec<Arc<User>>,
    /// The datasets, by id.
    pub datasets: Vec<Arc<Dataset>>,
}

/// How much is listed. What is not is counted.
#[derive(Clone, Copy, Debug)]
pub struct ComparisonLimits {
    /// The most groups of changes of which anything is listed, the largest ones.
    pub groups: usize,
    /// The most users of a group; their description needs a few.
    pub users: usize,
    /// The most datasets of a group.
    pub datasets: usize,
}

impl ComparisonLimits {
    /// Everything is listed.
    pub const NONE: Self = Self {
        groups: usize::MAX,
        users: usize::MAX,
        datasets: usize::MAX,
    };
}
