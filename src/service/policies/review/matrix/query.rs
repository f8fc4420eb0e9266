//! The question that an access matrix answers, and the catalog that it is asked of.

use std::collections::HashMap;
use std::sync::Arc;

use crate::domain::action::Action;
use crate::domain::dataset::Dataset;
use crate::domain::id::UserId;
use crate::domain::name::Username;
use crate::domain::principal::User;

use super::keys::{DatasetKey, PeopleKey};
use crate::service::policies::review::asked_contexts::ContextScope;
use crate::service::policies::review::budget::ReviewStopped;
use crate::service::policies::review::comparison::ComparedCatalog;

/// What the columns are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeopleGrouping {
    /// Users whom the policies do not tell apart.
    Class,
    /// The members of each role.
    Role,
    /// Single users.
    Person,
}

/// What the rows are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DatasetGrouping {
    /// The datasets of each visibility.
    Visibility,
    /// The datasets of each record status.
    RecordStatus,
    /// The datasets of each owner.
    Owner,
    /// The datasets with each value of a tag.
    Tag(String),
    /// Single datasets.
    Dataset,
}

/// One side of a matrix.
#[derive(Clone, Debug)]
pub struct MatrixAxis<By, Key> {
    /// What its groups are.
    pub by: By,
    /// The groups that people, or datasets, have to be in.
    pub within: Vec<Key>,
    /// The last group of the page before.
    pub after: Option<Key>,
}

/// The question.
#[derive(Clone, Debug)]
pub struct MatrixQuery {
    /// The action.
    pub action: Action,
    /// The columns.
    pub people: MatrixAxis<PeopleGrouping, PeopleKey>,
    /// The rows.
    pub datasets: MatrixAxis<DatasetGrouping, DatasetKey>,
    /// Where, when and how is asked.
    pub scope: ContextScope,
    /// The most columns, and the most rows.
    pub limit: usize,
}

/// Why there is no matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MatrixError {
    /// The question names a group that has no members.
    #[error("a group of the matrix is unknown")]
    UnknownGroup,
    /// It took too long, or nobody waits for it.
    #[error(transparent)]
    Stopped(#[from] ReviewStopped),
}

/// Users and datasets in the orders that a matrix has them in.
#[derive(Clone, Debug, Default)]
pub struct MatrixCatalog {
    /// The users who take part, by name, and the datasets, by id.
    pub compared: ComparedCatalog,
    /// The names of the users, of disabled ones too, who may own datasets.
    pub usernames: HashMap<UserId, Username>,
    /// The places of the datasets, by title.
    pub by_title: Vec<usize>,
}

impl MatrixCatalog {
    /// A catalog of some users and of datasets by id.
    #[must_use]
    pub fn new(users: &[Arc<User>], datasets: Vec<Arc<Dataset>>) -> Self {
        let names = users.iter().map(|user| (user.id, user.username.clone()));
        let usernames = names.collect();
        let enabled = users.iter().filter(|user| !user.is_disabled);
        let mut enabled: Vec<Arc<User>> = enabled.cloned().collect();
        enabled.sort_by(|a, b| a.username.as_str().cmp(b.username.as_str()));
        let mut titles: Vec<(&str, usize)> = datasets
            .iter()
            .map(|dataset| dataset.title.as_str())
            .zip(0..)
            .collect();
        titles.sort_unstable();
        Self {
            by_title: titles.into_iter().map(|(_, place)| place).collect(),
            compared: ComparedCatalog {
                users: enabled,
                datasets,
            },
            usernames,
        }
    }
}
