//! The bodies of the drafts admin API.

use std::sync::Arc;

use poem_openapi::registry::{MetaSchema, MetaSchemaRef};
use poem_openapi::types::{ParseError, ParseFromJSON, ParseResult, ToJSON};
use poem_openapi::{Enum, Object};
use serde_json::Value;

use crate::domain::id::DraftId;
use crate::http::conditional::etag_response::WithVersion;
use crate::http::extract::schema_type::impl_inline_type;
use crate::http::reply::timestamp::Timestamp;
use crate::service::administration::drafts::{DraftFile, DraftView};
use crate::service::policies::drafts::DraftEdit;
use crate::service::policies::patch::FileChange;

/// The texts of files by name; null removes a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DraftFilesJson(pub DraftEdit);

impl_inline_type!(
    DraftFilesJson,
    "object",
    MetaSchema {
        additional_properties: Some(Box::new(MetaSchemaRef::Inline(Box::new(MetaSchema {
            nullable: true,
            ..MetaSchema::new("string")
        })))),
        ..MetaSchema::new("object")
    }
);

impl ParseFromJSON for DraftFilesJson {
    fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
        let Value::Object(members) = value.unwrap_or_default() else {
            return Err(ParseError::custom("an object of file names is expected"));
        };
        let text = |(name, value)| match value {
            Value::String(text) => Ok((name, Some(text))),
            Value::Null => Ok((name, None)),
            _ => Err(ParseError::custom(format!(
                "{name:?} is neither a text nor null"
            ))),
        };
        let files: Result<DraftEdit, _> = members.into_iter().map(text).collect();
        Ok(Self(files?))
    }
}

impl ToJSON for DraftFilesJson {
    fn to_json(&self) -> Option<Value> {
        let files = self.0.iter();
        let files = files.map(|(name, text)| (name.clone(), text.clone().into()));
        Some(Value::Object(files.collect()))
    }
}

/// A new draft.
#[derive(Object)]
#[oai(deny_unknown_fields, rename = "DraftBody")]
pub struct DraftRequest {
    /// The files that it has first: `in_force`, `folder` for the policy folder as it is on disk, or the folder revision
    /// of policies that were in force. If omitted, `in_force`.
    #[oai(validator(max_length = 64))]
    pub from: Option<String>,
    /// Texts of files that it has instead or as well, by name; null for a file that it does not have.
    #[oai(default)]
    pub files: DraftFilesJson,
}

/// A change of a draft.
#[derive(Object)]
#[oai(deny_unknown_fields, rename = "DraftEditBody")]
pub struct DraftEditRequest {
    /// The new texts of files, by name; null removes a file. Other files stay as they are.
    pub files: DraftFilesJson,
}

/// An edit of the policies that its author tries out.
#[derive(Object)]
#[oai(rename = "DraftAnswer")]
pub struct DraftResponse {
    /// The draft id.
    pub id: DraftId,
    /// Counts its changes; the `ETag` names it.
    pub version: u64,
    /// The folder revision that it started from, which was in force.
    pub base_revision: String,
    /// Whether that is in force still.
    pub is_current: bool,
    /// The folder revision that its files have.
    pub folder_revision: String,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it is dropped unless it is read or changed before.
    pub expires_at: Timestamp,
    /// Its files and those that it removes, by name.
    pub files: Vec<DraftFileSummary>,
    /// The files that were changed both in the draft and in force when it was rebased, each differently. The draft keeps its
    /// own texts, or their removal. To change such a file, or to write it as it is, settles it; until all are settled, the
    /// draft is not published.
    pub conflicts: Vec<String>,
}

/// A file of a draft.
#[derive(Object)]
pub struct DraftFileSummary {
    /// Its name, relative to the policy folder.
    pub name: String,
    /// Its size in bytes; 0 if it is removed.
    pub size: u64,
    /// What the draft does to it.
    pub change: FileChangeWord,
}

/// What an edit does to a file.
#[derive(Clone, Copy, Enum)]
#[oai(rename = "FileChangeWord", rename_all = "lowercase")]
pub enum FileChangeWord {
    /// Nothing.
    Unchanged,
    /// It changes its text.
    Changed,
    /// It adds it.
    Added,
    /// It removes it.
    Removed,
}

/// The drafts of a user.
#[derive(Object)]
pub struct DraftList {
    /// The drafts, oldest first; not paged, because there are few.
    pub items: Vec<DraftResponse>,
}

/// A draft upon what is in force now.
#[derive(Object)]
#[oai(rename = "RebasedDraftAnswer")]
pub struct RebasedDraftResponse {
    /// The draft.
    pub draft: DraftResponse,
    /// The conflicts of the draft.
    pub conflicts: Vec<String>,
}

/// A file of a draft.
#[derive(Object)]
#[oai(rename = "DraftFileAnswer")]
pub struct DraftFileResponse {
    /// Its name, relative to the policy folder.
    pub name: String,
    /// The version of the draft.
    pub version: u64,
    /// Its text; absent if the draft removes it.
    #[oai(skip_serializing_if_is_none)]
    pub text: Option<String>,
    /// Its text in what the draft started from; absent if the draft adds it.
    #[oai(skip_serializing_if_is_none)]
    pub base_text: Option<String>,
    /// What the draft does to it.
    pub change: FileChangeWord,
}

impl From<FileChange> for FileChangeWord {
    fn from(change: FileChange) -> Self {
        match change {
            FileChange::Unchanged => Self::Unchanged,
            FileChange::Changed => Self::Changed,
            FileChange::Added => Self::Added,
            FileChange::Removed => Self::Removed,
        }
    }
}

impl From<&DraftView> for DraftResponse {
    fn from(view: &DraftView) -> Self {
        let draft = &view.draft;
        let file = |(name, change): (&str, FileChange)| DraftFileSummary {
            name: name.to_owned(),
            size: draft.files().get(name).map_or(0, |text| text.len() as u64),
            change: change.into(),
        };
        Self {
            id: draft.id,
            version: draft.version,
            base_revision: draft.base().folder_revision().to_owned(),
            is_current: view.is_current,
            folder_revision: draft.folder_revision().to_owned(),
            created_at: Timestamp(draft.created_at.div_euclid(1000)),
            expires_at: Timestamp(view.expires_at.div_euclid(1000)),
            files: draft.edit().changes().map(file).collect(),
            conflicts: draft.conflicts().iter().cloned().collect(),
        }
    }
}

impl From<&DraftView> for WithVersion<DraftResponse> {
    fn from(view: &DraftView) -> Self {
        Self {
            version: view.draft.version,
            resource: view.into(),
        }
    }
}

impl From<&DraftView> for WithVersion<RebasedDraftResponse> {
    fn from(view: &DraftView) -> Self {
        let draft = DraftResponse::from(view);
        Self {
            version: draft.version,
            resource: RebasedDraftResponse {
                conflicts: draft.conflicts.clone(),
                draft,
            },
        }
    }
}

impl DraftFileResponse {
    pub(super) fn new(name: String, file: &DraftFile) -> Self {
        let text = |text: &Option<Arc<str>>| text.as_deref().map(str::to_owned);
        Self {
            name,
            version: file.version,
            text: text(&file.text),
            base_text: text(&file.base_text),
            change: file.change.into(),
        }
    }
}
