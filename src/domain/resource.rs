//! Resources: what an action applies to.

use std::sync::Arc;

use super::dataset::Dataset;
use super::id::{DatasetId, UserId};
use super::name::RoleName;
use super::principal::User;

/// What an action applies to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resource {
    /// Cedar's `Dataset::"<uuid>"`.
    Dataset(Arc<Dataset>),
    /// A dataset as it would be, or as it was just read: the same to the policies, but nothing of it is
    /// cached, because it is not asked about again.
    DatasetCandidate(Arc<Dataset>),
    /// Cedar's `User::"<uuid>"`: a user as the catalog has it.
    User(Arc<User>),
    /// A user as it would be after a change: Cedar's `User::"<uuid>"`, or the nil UUID if it would be the
    /// caller itself, because Cedar has one entity for each name.
    ChangedUser(Arc<User>),
    /// Cedar's `Role::"<name>"`.
    Role(RoleName),
    /// This server as a whole: Cedar's `Server::"cedargate"`.
    Server,
}

impl Resource {
    /// The dataset, if it is one.
    #[must_use]
    pub fn dataset(&self) -> Option<&Dataset> {
        match self {
            Self::Dataset(dataset) | Self::DatasetCandidate(dataset) => Some(dataset),
            Self::User(_) | Self::ChangedUser(_) | Self::Role(_) | Self::Server => None,
        }
    }

    /// The dataset's id, if it is one.
    #[must_use]
    pub fn dataset_id(&self) -> Option<DatasetId> {
        self.dataset().map(|dataset| dataset.id)
    }

    /// The user's id, if it is one.
    #[must_use]
    pub fn user_id(&self) -> Option<UserId> {
        match self {
            Self::User(user) | Self::ChangedUser(user) => Some(user.id),
            Self::Dataset(_) | Self::DatasetCandidate(_) | Self::Role(_) | Self::Server => None,
        }
    }
}
