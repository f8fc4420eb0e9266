//! The drafts admin API: edits of the policies that their authors try out, `/admin/policies/drafts`.

use std::sync::Arc;

use poem::http::Method;
use poem_openapi::OpenApi;
use poem_openapi::param::Path;

use crate::domain::id::DraftId;
use crate::http::conditional::etag_response::{CreatedWithVersion, WithVersion};
use crate::http::extract::credentials::HeaderCredentials;
use crate::http::extract::if_match::IfMatch;
use crate::http::extract::json_body::JsonBody;
use crate::http::openapi::ApiTag;
use crate::http::reply::admin_statuses::{
    ReadAllStatuses, ReadStatuses, RestartStatuses, StartStatuses, UpdateStatuses,
};
use crate::http::reply::responses::{ErrorResponse, JsonOk, NoContent};
use crate::service::administration::Administration;
use crate::service::administration::drafts::{DraftOrigin, IN_FORCE};

use super::draft_body::{
    DraftEditRequest, DraftFileResponse, DraftList, DraftRequest, DraftResponse,
    RebasedDraftResponse,
};

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
        Ok((&rebased).into())
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
