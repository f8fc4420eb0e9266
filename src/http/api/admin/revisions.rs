//! The policy revisions API: `GET /admin/policies/revisions`, what came into force over time.

use std::sync::Arc;

use poem_openapi::param::{Path, Query};
use poem_openapi::{Enum, Object, OpenApi};

use crate::domain::id::UserId;
use crate::domain::policy_revision::{RevisionChange, RevisionOrigin};
use crate::http::extract::credentials::HeaderCredentials;
use crate::http::extract::page_limit::PageLimit;
use crate::http::openapi::ApiTag;
use crate::http::reply::admin_statuses::{ListStatuses, ReadStatuses};
use crate::http::reply::responses::{ErrorResponse, JsonOk};
use crate::http::reply::timestamp::Timestamp;
use crate::service::administration::Administration;
use crate::service::administration::policy_revisions::RevisionView;

/// The policy revisions API.
pub struct RevisionsApi {
    /// Performs administrative operations.
    pub administration: Arc<Administration>,
}

/// A policy folder that came into force.
#[derive(Object)]
#[oai(rename = "PolicyRevision")]
pub struct RevisionResponse {
    /// Its number; later ones have higher numbers.
    pub id: i64,
    /// The SHA-256 over its policies, cases and invariants.
    pub folder_revision: String,
    /// The SHA-256 over the names and texts of its bundle's files, as in audit records.
    pub revision: String,
    /// When it came into force.
    pub in_force_at: Timestamp,
    /// How.
    pub origin: OriginWord,
    /// Who published it.
    #[oai(skip_serializing_if_is_none)]
    pub user: Option<NamedUser>,
    /// What it changed, in one sentence.
    pub summary: String,
    /// The files that it changed, at most 200.
    pub files: Vec<ChangedFile>,
    /// How many more files it changed.
    pub more_files: u64,
    /// The policies that it changed, at most 200; layout, comments and `@reason` do not count.
    pub policies: Vec<ChangedPolicy>,
    /// How many more policies it changed.
    pub more_policies: u64,
    /// Whether its texts are kept, so that a draft can start from them.
    pub has_texts: bool,
    /// The unified diff from the revision before, as `git apply` takes it; only in the answer for one revision, and only
    /// if the texts of both are kept.
    #[oai(skip_serializing_if_is_none)]
    pub patch: Option<String>,
}

/// A page of revisions, newest first.
#[derive(Object)]
#[oai(rename = "PolicyRevisionPage")]
pub struct RevisionPageResponse {
    /// The revisions.
    pub items: Vec<RevisionResponse>,
    /// The `before` value of the next page; absent on the last page.
    #[oai(skip_serializing_if_is_none)]
    pub next: Option<i64>,
}

/// A user, with its name if you may see it.
#[derive(Object)]
pub struct NamedUser {
    /// The id.
    pub id: UserId,
    /// The user name; absent if you may not see the user, or if it is removed.
    #[oai(skip_serializing_if_is_none)]
    pub username: Option<String>,
}

/// A file that a revision changed.
#[derive(Object)]
pub struct ChangedFile {
    /// Its name, relative to the policy folder.
    pub name: String,
    /// What happened to it.
    pub change: ChangeWord,
}

/// A policy that a revision changed.
#[derive(Object)]
pub struct ChangedPolicy {
    /// Its `@id`.
    pub id: String,
    /// What happened to it.
    pub change: ChangeWord,
}

/// How a revision came into force.
#[derive(Clone, Copy, Enum)]
#[oai(rename_all = "lowercase")]
pub enum OriginWord {
    /// A server started with it.
    Start,
    /// Somebody edited the policy folder.
    Folder,
    /// A draft was published.
    Publish,
}

/// What a revision did.
#[derive(Clone, Copy, Enum)]
#[oai(rename_all = "lowercase")]
pub enum ChangeWord {
    /// It is new.
    Added,
    /// It says something else.
    Changed,
    /// It is gone.
    Removed,
}

impl From<RevisionOrigin> for OriginWord {
    fn from(origin: RevisionOrigin) -> Self {
        match origin {
            RevisionOrigin::Start => Self::Start,
            RevisionOrigin::Folder => Self::Folder,
            RevisionOrigin::Publish => Self::Publish,
        }
    }
}

impl From<RevisionChange> for ChangeWord {
    fn from(change: RevisionChange) -> Self {
        match change {
            RevisionChange::Added => Self::Added,
            RevisionChange::Changed => Self::Changed,
            RevisionChange::Removed => Self::Removed,
        }
    }
}

impl RevisionView {
    /// Who published it.
    pub(super) fn named_user(&self) -> Option<NamedUser> {
        Some(NamedUser {
            id: self.revision.user?,
            username: self.username.as_ref().map(ToString::to_string),
        })
    }
}

impl From<RevisionView> for RevisionResponse {
    fn from(view: RevisionView) -> Self {
        let user = view.named_user();
        let revision = view.revision;
        let changes = revision.changes;
        let files = changes.files.into_iter().map(|(name, change)| ChangedFile {
            name,
            change: change.into(),
        });
        let policies = changes.policies.into_iter();
        let policies = policies.map(|(id, change)| ChangedPolicy {
            id,
            change: change.into(),
        });
        Self {
            id: revision.number,
            folder_revision: revision.folder_revision,
            revision: revision.revision.to_string(),
            in_force_at: Timestamp(revision.unix_millis.div_euclid(1000)),
            origin: revision.origin.into(),
            user,
            summary: revision.summary,
            files: files.collect(),
            more_files: changes.more_files as u64,
            policies: policies.collect(),
            more_policies: changes.more_policies as u64,
            has_texts: revision.has_texts,
            patch: None,
        }
    }
}

#[OpenApi(tag = "ApiTag::Administration")]
impl RevisionsApi {
    /// List policy revisions
    ///
    /// Returns the policy folders that came into force, newest first, with what each changed. Several servers that take
    /// over one edit make one revision. The newest 200 are kept, the texts of old ones as far as there is room. Requires
    /// `view_policies`.
    #[oai(
        path = "/admin/policies/revisions",
        method = "get",
        operation_id = "list_policy_revisions"
    )]
    async fn list(
        &self,
        credentials: HeaderCredentials,
        /// Maximum number of revisions per page.
        #[oai(default)]
        limit: Query<PageLimit>,
        /// The `next` value of the previous page. If omitted, the first page is returned.
        before: Query<Option<i64>>,
    ) -> Result<JsonOk<RevisionPageResponse>, ErrorResponse<ListStatuses>> {
        let page = self
            .administration
            .list_policy_revisions(&credentials.0, before.0, limit.0.0)
            .await?;
        Ok(JsonOk(RevisionPageResponse {
            items: page.items.into_iter().map(RevisionResponse::from).collect(),
            next: page.next,
        }))
    }

    /// Get policy revision
    ///
    /// Returns the newest revision with this folder revision, and its patch. Requires `view_policies`.
    #[oai(
        path = "/admin/policies/revisions/:folder_revision",
        method = "get",
        operation_id = "show_policy_revision"
    )]
    async fn get(
        &self,
        /// The folder revision.
        folder_revision: Path<String>,
        credentials: HeaderCredentials,
    ) -> Result<JsonOk<RevisionResponse>, ErrorResponse<ReadStatuses>> {
        let (view, patch) = self
            .administration
            .get_policy_revision(&credentials.0, &folder_revision.0)
            .await?;
        Ok(JsonOk(RevisionResponse {
            patch,
            ..view.into()
        }))
    }
}
