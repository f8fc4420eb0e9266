//! Shares: the users and roles that a dataset is shared with, created and deleted one at a time.
//!
//! Both are idempotent: a share that exists stays, and one that does not exist is deleted already. A share that is
//! created again has the end that is given then, or none.
//!
//! Whoever may `share` a dataset, as its owner, may do this and nothing else to it.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::domain::action::Action;
use crate::domain::dataset::MAX_READERS;
use crate::domain::id::{DatasetId, UserId};
use crate::domain::name::{RoleName, Username};
use crate::domain::rfc3339::format_seconds;
use crate::service::error::ServiceError;
use crate::service::identity::request_context::RequestContext;
use crate::storage::DatasetWithNames;

use super::Administration;
use super::dataset_input::DatasetCandidate;
use super::operation::{DatasetTarget, Precondition};

/// With whom a dataset is shared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reader {
    /// One user.
    User(Username),
    /// Every member of a role.
    Role(RoleName),
}

impl Administration {
    /// Returns a dataset to somebody who may see with whom it is shared.
    pub async fn get_shared_dataset(
        &self,
        request: &RequestContext,
        id: DatasetId,
    ) -> Result<DatasetWithNames, ServiceError> {
        self.audited(request, Action::Administer, async |operation| {
            self.require_disk_space()?;
            let (dataset, _) = self.load_for(&operation, DatasetTarget::shared(id)).await?;
            Ok(dataset)
        })
        .await
    }

    /// Shares a dataset with an existing user or role, until a time in seconds since 1970 UTC or without an end.
    pub async fn create_share(
        &self,
        request: &RequestContext,
        id: DatasetId,
        (reader, until): (&Reader, Option<i64>),
        precondition: Precondition<'_, DatasetWithNames>,
    ) -> Result<DatasetWithNames, ServiceError> {
        self.audited(request, Action::Administer, async |operation| {
            self.require_disk_space()?;
            let target = DatasetTarget::shared(id);
            self.apply_change(&operation, target, precondition, |before| {
                self.with_reader(before, reader, until)
            })
            .await
        })
        .await
    }

    /// Deletes a share.
    pub async fn delete_share(
        &self,
        request: &RequestContext,
        id: DatasetId,
        reader: &Reader,
        precondition: Precondition<'_, DatasetWithNames>,
    ) -> Result<DatasetWithNames, ServiceError> {
        self.audited(request, Action::Administer, async |operation| {
            let target = DatasetTarget::shared(id);
            self.apply_change(&operation, target, precondition, |before| async move {
                Ok(without_reader(&before, reader))
            })
            .await
        })
        .await
    }

    /// A new share must not have ended already: that is a misspelt year more likely than a wish.
    fn check_end(&self, until: Option<i64>) -> Result<(), ServiceError> {
        match until {
            Some(until) if until <= self.clock.unix_seconds() => {
                let until = format_seconds(until);
                let detail = format!("the share would have ended already, at {until}");
                Err(ServiceError::invalid("until", detail))
            }
            Some(_) | None => Ok(()),
        }
    }

    async fn with_reader(
        &self,
        before: Arc<DatasetWithNames>,
        reader: &Reader,
        until: Option<i64>,
    ) -> Result<DatasetCandidate, ServiceError> {
        let has_room = |readers: usize, is_reader: bool| is_reader || readers < MAX_READERS;
        let mut dataset = Arc::unwrap_or_clone(before);
        let has_room = match reader {
            Reader::User(name) => {
                let readers = &dataset.reader_users;
                has_room(readers.len(), readers.contains_key(name))
            }
            Reader::Role(name) => {
                let readers = &dataset.dataset.reader_roles;
                has_room(readers.len(), readers.contains(name))
            }
        };
        let unknown = match reader {
            Reader::User(name) => {
                let found = self.database.find_user_id(name).await?;
                let user = found.unwrap_or_else(UserId::random);
                dataset.dataset.reader_users.insert(user);
                dataset.reader_users.insert(name.clone(), user);
                set_end(&mut dataset.dataset.share_ends.users, user, until);
                found.is_none().then_some("user")
            }
            Reader::Role(name) => {
                dataset.dataset.reader_roles.insert(name.clone());
                set_end(&mut dataset.dataset.share_ends.roles, name.clone(), until);
                (!self.database.has_role(name).await?).then_some("role")
            }
        };
        let mut error = unknown.map(|what| ServiceError::NotFound { what });
        if !has_room && error.is_none() {
            let detail = format!("a dataset is shared with at most {MAX_READERS}: use a role");
            error = Some(ServiceError::conflict("name", detail));
        }
        error = error.or_else(|| self.check_end(until).err());
        Ok(DatasetCandidate { dataset, error })
    }
}

fn set_end<R: Ord>(ends: &mut BTreeMap<R, i64>, reader: R, until: Option<i64>) {
    match until {
        Some(until) => drop(ends.insert(reader, until)),
        None => drop(ends.remove(&reader)),
    }
}

fn without_reader(before: &DatasetWithNames, reader: &Reader) -> DatasetCandidate {
    let mut dataset = before.clone();
    match reader {
        Reader::User(name) => {
            if let Some(user) = dataset.reader_users.remove(name) {
                dataset.dataset.reader_users.remove(&user);
                dataset.dataset.share_ends.users.remove(&user);
            }
        }
        Reader::Role(name) => {
            dataset.dataset.reader_roles.remove(name);
            dataset.dataset.share_ends.roles.remove(name);
        }
    }
    DatasetCandidate::valid(dataset)
}
