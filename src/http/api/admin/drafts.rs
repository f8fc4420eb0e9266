//! The drafts admin API: edits of the policies that their authors try out, `/admin/policies/drafts`.

use std::sync::Arc;

use poem::http::Method;
use poem_openapi::param::Path;
use poem_openapi::registry::{MetaSchema, MetaSchemaRef};
use poem_openapi::types::{ParseError, ParseFromJSON, ParseResult, ToJSON};
use poem_openapi::{Enum, Object, OpenApi};
use serde_json::Value;

use crate::domain::id::DraftId;
use crate::http::conditional::etag_response::{CreatedWithVersion, WithVersion};
use crate::http::extract::credentials::HeaderCredentials;
use crate::http::extract::if_match::IfMatch;
use crate::http::extract::json_body::JsonBody;
use crate::http::extract::schema_type::impl_inline_type;
use crate::http::openapi::ApiTag;
use crate::http::reply::admin_statuses::{
    ReadAllStatuses, ReadStatuses, RestartStatuses, StartStatuses, UpdateStatuses,
};
use crate::http::reply::responses::{ErrorResponse, JsonOk, NoContent};
use crate::http::reply::timestamp::Timestamp;
use crate::service::administration::Administration;
use crate::service::administration::drafts::{
    DraftFile, DraftOrigin, DraftView, IN_FORCE, RebasedDraft,
};
use crate::service::policies::drafts::DraftEdit;
use crate::service::policies::patch::FileChange;

/// The path of all drafts.
const PATH: &str = "/admin/policies/drafts";

/// The drafts admin API.
pub struct DraftsApi {
    /// Performs administrative operations.
    pub administration: Arc<Administration>,
}

/// Whether the body of a request is an edit of a draft, with the texts of files.
pub fn has_draft_body(method: &Method, path: &str) -> bool {
    let Some(rest) = path.strip_prefix(PATH) else {
        return false;
    };
    match rest.strip_prefix('/') {
        None => rest.is_empty() && *method == Method::POST,
        Some(id) => !id.contains('/') && *method == Method::PATCH,
    }
}

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
    /// The files that were changed both in the draft and in force, each differently; the draft keeps its own texts, or
    /// their removal.
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

impl From<RebasedDraft> for WithVersion<RebasedDraftResponse> {
    fn from(rebased: RebasedDraft) -> Self {
        Self {
            version: rebased.view.draft.version,
            resource: RebasedDraftResponse {
                draft: (&rebased.view).into(),
                conflicts: rebased.conflicts,
            },
        }
    }
}

impl DraftFileResponse {
    fn new(name: String, file: &DraftFile) -> Self {
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

#[OpenApi(tag = "ApiTag::Administration")]
impl DraftsApi {
    /// Create draft of the policies
    ///
    /// A draft is an edit of the policies that only its author sees. It is kept in the memory of this server for an hour
    /// after it was read or changed last; a fifth draft of a user drops the one that was used least recently. Requires
    /// `view_policies`.
    #[oai(
        path = "/admin/policies/drafts",
        method = "post",
        operation_id = "create_draft"
    )]
    async fn create(
        &self,
        body: JsonBody<DraftRequest>,
        credentials: HeaderCredentials,
    ) -> Result<CreatedWithVersion<DraftResponse>, ErrorResponse<StartStatuses>> {
        let DraftRequest { from, files } = body.0;
        let origin: DraftOrigin = from.as_deref().unwrap_or(IN_FORCE).parse()?;
        let view = self
            .administration
            .create_draft(&credentials.0, &origin, files.0)
            .await?;
        Ok(CreatedWithVersion {
            version: view.draft.version,
            location: format!("drafts/{}", view.draft.id),
            resource: (&view).into(),
        })
    }

    /// List drafts of the policies
    ///
    /// Returns your drafts. Requires `view_policies`.
    #[oai(
        path = "/admin/policies/drafts",
        method = "get",
        operation_id = "list_drafts"
    )]
    async fn list(
        &self,
        credentials: HeaderCredentials,
    ) -> Result<JsonOk<DraftList>, ErrorResponse<ReadAllStatuses>> {
        let drafts = self.administration.list_drafts(&credentials.0).await?;
        Ok(JsonOk(DraftList {
            items: drafts.iter().map(DraftResponse::from).collect(),
        }))
    }

    /// Get draft of the policies
    ///
    /// Returns one of your drafts. Requires `view_policies`.
    #[oai(
        path = "/admin/policies/drafts/:draft_id",
        method = "get",
        operation_id = "show_draft"
    )]
    async fn get(
        &self,
        /// The draft id.
        draft_id: Path<DraftId>,
        credentials: HeaderCredentials,
    ) -> Result<WithVersion<DraftResponse>, ErrorResponse<ReadStatuses>> {
        let view = self
            .administration
            .get_draft(&credentials.0, draft_id.0)
            .await?;
        Ok((&view).into())
    }

    /// Update draft of the policies
    ///
    /// Changes, adds and removes files. Requires `view_policies`.
    #[oai(
        path = "/admin/policies/drafts/:draft_id",
        method = "patch",
        operation_id = "change_draft"
    )]
    async fn change(
        &self,
        /// The draft id.
        draft_id: Path<DraftId>,
        /// The `ETag` of the draft. The update fails with 412 if the draft has changed since.
        #[oai(name = "If-Match")]
        if_match: IfMatch,
        body: JsonBody<DraftEditRequest>,
        credentials: HeaderCredentials,
    ) -> Result<WithVersion<DraftResponse>, ErrorResponse<UpdateStatuses>> {
        let view = self
            .administration
            .change_draft(
                &credentials.0,
                draft_id.0,
                body.0.files.0,
                &|version: &u64| if_match.check_version(*version),
            )
            .await?;
        Ok((&view).into())
    }

    /// Update what a draft starts from
    ///
    /// Moves the draft upon the policies that are in force now. A file that only one side has changed is taken from that
    /// side. Requires `view_policies`.
    #[oai(
        path = "/admin/policies/drafts/:draft_id/rebase",
        method = "post",
        operation_id = "rebase_draft"
    )]
    async fn rebase(
        &self,
        /// The draft id.
        draft_id: Path<DraftId>,
        credentials: HeaderCredentials,
    ) -> Result<WithVersion<RebasedDraftResponse>, ErrorResponse<RestartStatuses>> {
        let rebased = self
            .administration
            .rebase_draft(&credentials.0, draft_id.0)
            .await?;
        Ok(rebased.into())
    }

    /// Delete draft of the policies
    ///
    /// Drops the draft; the policies in force stay as they are. Requires `view_policies`.
    #[oai(
        path = "/admin/policies/drafts/:draft_id",
        method = "delete",
        operation_id = "remove_draft"
    )]
    async fn delete(
        &self,
        /// The draft id.
        draft_id: Path<DraftId>,
        credentials: HeaderCredentials,
    ) -> Result<NoContent, ErrorResponse<ReadStatuses>> {
        self.administration
            .delete_draft(&credentials.0, draft_id.0)
            .await?;
        Ok(NoContent)
    }

    /// Get file of a draft
    ///
    /// Returns the text of a file of one of your drafts, and the text that it started from. Requires `view_policies`.
    #[oai(
        path = "/admin/policies/drafts/:draft_id/files/:name",
        method = "get",
        operation_id = "show_draft_file"
    )]
    async fn get_file(
        &self,
        /// The draft id.
        draft_id: Path<DraftId>,
        /// The file name; write `/` as `%2F`.
        name: Path<String>,
        credentials: HeaderCredentials,
    ) -> Result<JsonOk<DraftFileResponse>, ErrorResponse<ReadStatuses>> {
        let file = self
            .administration
            .get_draft_file(&credentials.0, draft_id.0, &name.0)
            .await?;
        Ok(JsonOk(DraftFileResponse::new(name.0, &file)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_edits_of_drafts_have_large_bodies() {
        let id = "/admin/policies/drafts/2489e9ad-2ee2-8e00-8ec9-32d5f69181c0";
        assert!(has_draft_body(&Method::POST, PATH));
        assert!(has_draft_body(&Method::PATCH, id));
        for (method, path) in [
            (Method::GET, PATH),
            (Method::DELETE, id),
            (Method::POST, id),
            (Method::POST, "/admin/policies/drafts/x/format"),
            (Method::PATCH, "/admin/policies/drafts/x/format"),
            (Method::POST, "/admin/policies/draftsmen"),
            (Method::POST, "/admin/policies"),
        ] {
            assert!(!has_draft_body(&method, path), "{method} {path}");
        }
    }
}
