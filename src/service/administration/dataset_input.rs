//! Wishes: what a dataset is to be like, and what it would be then.
//!
//! A dataset names its owner and readers by user name, as a catalog file does: that is what people
//! know each other by, and a user has one name. This module refuses to know who may wish what.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::dataset::{
    Dataset, DatasetError, RecordStatus, StoredFile, Visibility, check_tags, check_title,
};
use crate::domain::id::{DatasetId, UserId};
use crate::domain::name::{RoleName, Username};
use crate::domain::principal::Tags;
use crate::service::error::ServiceError;
use crate::storage::{CatalogChange, DatasetWithNames};

use super::Administration;

/// How many names one sentence for auditors tells.
const MAX_LISTED_NAMES: usize = 10;

/// What a dataset is to be like.
#[derive(Clone, Debug)]
pub struct DatasetInput {
    /// The id; a new dataset without one gets one, and an old one keeps its own.
    pub id: Option<DatasetId>,
    /// A title for people.
    pub title: String,
    /// For whom the dataset is meant.
    pub visibility: Visibility,
    /// Whether the dataset is out.
    pub record_status: RecordStatus,
    /// The user who answers for the dataset.
    pub owner: Option<Username>,
    /// Users the dataset is shared with.
    pub reader_users: BTreeSet<Username>,
    /// Roles the dataset is shared with.
    pub reader_roles: BTreeSet<RoleName>,
    /// Attributes of the deployment's own.
    pub tags: Tags,
    /// The file that the dataset has; it is not changed here, so it may be left out.
    pub file: Option<StoredFile>,
}

/// What a dataset would be, and what is wrong with the names that it would have.
///
/// What nobody is called is asked about as an unknown user. Only whoever may make the dataset so is told,
/// so that nobody else finds out which names there are.
pub(super) struct DatasetCandidate {
    pub(super) named: DatasetWithNames,
    pub(super) error: Option<ServiceError>,
}

impl Administration {
    /// The dataset that is wished, with what `before` has already.
    pub(super) async fn build_candidate(
        &self,
        wish: &DatasetInput,
        id: DatasetId,
        before: Option<&DatasetWithNames>,
    ) -> Result<DatasetCandidate, ServiceError> {
        let file = before.and_then(|before| before.dataset.file.clone());
        let mut complaint = None;
        if wish.id.is_some_and(|wished| wished != id) {
            complaint = Some(invalid("id", "the id of a dataset never changes"));
        }
        if wish.file.is_some() && wish.file != file {
            complaint = Some(invalid(
                "file",
                "a file is changed at the dataset's own /file",
            ));
        }
        let mut owner = None;
        if let Some(name) = &wish.owner {
            owner = Some(
                self.resolve_user(name, "owner", before, &mut complaint)
                    .await?,
            );
        }
        let mut reader_users = BTreeMap::new();
        for name in &wish.reader_users {
            let reader = self.resolve_user(name, "reader_users", before, &mut complaint);
            reader_users.insert(name.clone(), reader.await?);
        }
        for role in &wish.reader_roles {
            let is_known = before.is_some_and(|b| b.dataset.reader_roles.contains(role));
            if !is_known && !self.database.has_role(role).await? {
                complaint = Some(invalid("reader_roles", format!("there is no role {role}")));
            }
        }
        let dataset = Dataset {
            id,
            title: wish.title.clone(),
            visibility: wish.visibility,
            record_status: wish.record_status,
            owner,
            reader_users: reader_users.values().copied().collect(),
            reader_roles: wish.reader_roles.clone(),
            tags: wish.tags.clone(),
            file,
        };
        let named = DatasetWithNames {
            dataset,
            owner: wish.owner.clone(),
            reader_users,
        };
        Ok(DatasetCandidate {
            named,
            error: complaint,
        })
    }

    /// The id of the user with a name, or of nobody.
    async fn resolve_user(
        &self,
        name: &Username,
        field: &'static str,
        before: Option<&DatasetWithNames>,
        complaint: &mut Option<ServiceError>,
    ) -> Result<UserId, ServiceError> {
        let known = before.and_then(|before| before.reader_users.get(name).copied());
        let found = match known {
            Some(known) => Some(known),
            None => self.database.find_user_id(name).await?,
        };
        Ok(found.unwrap_or_else(|| {
            *complaint = Some(invalid(field, format!("there is no user {name}")));
            UserId::random()
        }))
    }
}

pub(super) fn upsert(named: &DatasetWithNames) -> CatalogChange {
    CatalogChange {
        datasets_put: vec![named.dataset.clone()],
        ..CatalogChange::default()
    }
}

pub(super) fn invalid(field: &'static str, detail: impl Into<String>) -> ServiceError {
    ServiceError::Invalid {
        field,
        detail: detail.into(),
    }
}

pub(super) fn check_input(wish: &DatasetInput) -> Result<(), ServiceError> {
    let invalid = |field| move |error: DatasetError| invalid(field, error.to_string());
    check_title(&wish.title).map_err(invalid("title"))?;
    check_tags(&wish.tags).map_err(invalid("tags"))
}

/// What became of a dataset, in one sentence for auditors.
pub(super) fn summarize_dataset_change(
    before: &DatasetWithNames,
    after: &DatasetWithNames,
) -> String {
    let mut told = Vec::new();
    for field in before.dataset.changed_fields(&after.dataset) {
        let (old, new) = (&before.dataset, &after.dataset);
        told.push(match field {
            "visibility" => format!("visibility from {} to {}", old.visibility, new.visibility),
            "record_status" => {
                format!(
                    "record_status from {} to {}",
                    old.record_status, new.record_status
                )
            }
            "owner" => format!("owner from {} to {}", owner_name(before), owner_name(after)),
            "reader_users" => {
                let users = |named: &DatasetWithNames| named.reader_users.keys().cloned().collect();
                format!(
                    "reader_users {}",
                    summarize_readers(&users(before), &users(after))
                )
            }
            "reader_roles" => {
                let change = summarize_readers(&old.reader_roles, &new.reader_roles);
                format!("reader_roles {change}")
            }
            "file" => match &new.file {
                Some(file) => format!("file to {} (sha256 {})", file.name, file.sha256),
                None => "file to none".to_owned(),
            },
            other => other.to_owned(),
        });
    }
    format!("changed {}", told.join(", "))
}

fn owner_name(named: &DatasetWithNames) -> &str {
    named.owner.as_ref().map_or("nobody", Username::as_str)
}

/// Who came and who went: `+mo -otto`.
fn summarize_readers<N: Ord + std::fmt::Display>(
    before: &BTreeSet<N>,
    after: &BTreeSet<N>,
) -> String {
    let came = after.difference(before).map(|name| format!("+{name}"));
    let went = before.difference(after).map(|name| format!("-{name}"));
    let mut names: Vec<_> = came.chain(went).collect();
    let untold = names.len().saturating_sub(MAX_LISTED_NAMES);
    names.truncate(MAX_LISTED_NAMES);
    if untold > 0 {
        names.push(format!("and {untold} more"));
    }
    names.join(" ")
}
