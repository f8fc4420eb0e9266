//! Shares: the users and roles that a dataset is shared with, one at a time.
//!
//! A share that is there stays, and one that is not there is gone: asking twice does no harm. This
//! module refuses to know what a share gives; that is written in policies.

use crate::domain::action::Action;
use crate::domain::id::{DatasetId, UserId};
use crate::domain::name::{RoleName, Username};
use crate::service::identity::request_context::RequestContext;
use crate::storage::DatasetWithNames;

use super::super::error::ServiceError;
use super::Administration;
use super::dataset_input::DatasetCandidate;
use super::datasets::{DatasetChange, DatasetPrecondition};

/// With whom a dataset is shared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reader {
    /// One user.
    User(Username),
    /// Every member of a role.
    Role(RoleName),
}

impl Administration {
    /// Shares a dataset with `reader`, who must be there.
    pub async fn create_share(
        &self,
        visitor: &RequestContext,
        id: DatasetId,
        reader: &Reader,
        is_wanted: DatasetPrecondition<'_>,
    ) -> Result<DatasetWithNames, ServiceError> {
        let mut errand = self.begin(visitor, Action::Administer).await?;
        let change = DatasetChange::Share(reader);
        let answer = self.apply_change(&mut errand, id, is_wanted, &change).await;
        self.end(errand, answer).await
    }

    /// Withdraws a share; one that was never made is withdrawn already.
    pub async fn delete_share(
        &self,
        visitor: &RequestContext,
        id: DatasetId,
        reader: &Reader,
        is_wanted: DatasetPrecondition<'_>,
    ) -> Result<DatasetWithNames, ServiceError> {
        let mut errand = self.begin(visitor, Action::Administer).await?;
        let change = DatasetChange::Withdraw(reader);
        let answer = self.apply_change(&mut errand, id, is_wanted, &change).await;
        self.end(errand, answer).await
    }

    pub(super) async fn with_reader(
        &self,
        before: &DatasetWithNames,
        reader: &Reader,
    ) -> Result<DatasetCandidate, ServiceError> {
        let mut named = before.clone();
        let complaint = match reader {
            Reader::User(name) => {
                let found = self.database.find_user_id(name).await?;
                let user = found.unwrap_or_else(UserId::random);
                named.dataset.reader_users.insert(user);
                named.reader_users.insert(name.clone(), user);
                found.is_none().then_some("user")
            }
            Reader::Role(name) => {
                named.dataset.reader_roles.insert(name.clone());
                (!self.database.has_role(name).await?).then_some("role")
            }
        };
        let complaint = complaint.map(|what| ServiceError::NotFound { what });
        Ok(DatasetCandidate {
            named,
            error: complaint,
        })
    }
}

pub(super) fn without_reader(before: &DatasetWithNames, reader: &Reader) -> DatasetCandidate {
    let mut named = before.clone();
    match reader {
        Reader::User(name) => {
            if let Some(user) = named.reader_users.remove(name) {
                named.dataset.reader_users.remove(&user);
            }
        }
        Reader::Role(name) => {
            named.dataset.reader_roles.remove(name);
        }
    }
    DatasetCandidate { named, error: None }
}
