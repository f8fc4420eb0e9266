//! Shares: the users and roles that a dataset is shared with, one at a time.
//!
//! A share that is there stays, and one that is not there is gone: asking twice does no harm. This
//! module refuses to know what a share gives; that is written in policies.

use crate::domain::action::Action;
use crate::domain::id::{DatasetId, UserId};
use crate::domain::name::{RoleName, Username};
use crate::service::identity::request_context::Visitor;
use crate::storage::NamedDataset;

use super::super::error::ServiceError;
use super::Administration;
use super::dataset_input::Planned;
use super::datasets::{Change, IsWanted};

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
    pub async fn share(
        &self,
        visitor: &Visitor,
        id: DatasetId,
        reader: &Reader,
        is_wanted: IsWanted<'_>,
    ) -> Result<NamedDataset, ServiceError> {
        let mut errand = self.begin(visitor, Action::Administer).await?;
        let change = Change::Share(reader);
        let answer = self.make_it(&mut errand, id, is_wanted, &change).await;
        self.end(errand, answer).await
    }

    /// Withdraws a share; one that was never made is withdrawn already.
    pub async fn withdraw(
        &self,
        visitor: &Visitor,
        id: DatasetId,
        reader: &Reader,
        is_wanted: IsWanted<'_>,
    ) -> Result<NamedDataset, ServiceError> {
        let mut errand = self.begin(visitor, Action::Administer).await?;
        let change = Change::Withdraw(reader);
        let answer = self.make_it(&mut errand, id, is_wanted, &change).await;
        self.end(errand, answer).await
    }

    pub(super) async fn with_reader(
        &self,
        before: &NamedDataset,
        reader: &Reader,
    ) -> Result<Planned, ServiceError> {
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
        Ok(Planned { named, complaint })
    }
}

pub(super) fn without_reader(before: &NamedDataset, reader: &Reader) -> Planned {
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
    Planned {
        named,
        complaint: None,
    }
}
