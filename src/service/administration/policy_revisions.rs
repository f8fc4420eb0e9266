//! The revisions of the policies that came into force, for those who may view the policies.

use std::collections::BTreeSet;

use crate::domain::action::Action;
use crate::domain::name::Username;
use crate::domain::policy_revision::PolicyRevision;
use crate::domain::resource::Resource;
use crate::service::error::ServiceError;
use crate::service::identity::request_context::RequestContext;
use crate::service::pagination::MAX_PAGE_SIZE;
use crate::service::policies::patch::{FileTexts, FolderEdit};

use super::Administration;
use super::operation::AdminOperation;

/// Where the policy folder is in a repository, in patches between revisions.
const PATCH_PREFIX: &str = "policies";

/// A revision, as a caller sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevisionView {
    /// The revision.
    pub revision: PolicyRevision,
    /// The name of the user who published it, if the caller may see that user.
    pub username: Option<Username>,
}

/// Revisions, newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevisionPage {
    /// The revisions.
    pub items: Vec<RevisionView>,
    /// The number before which the next page begins; none if there is none.
    pub next: Option<i64>,
}

impl Administration {
    /// Lists up to `limit` revisions, newest first, only those before number `before`.
    pub async fn list_policy_revisions(
        &self,
        request: &RequestContext,
        before: Option<i64>,
        limit: u32,
    ) -> Result<RevisionPage, ServiceError> {
        self.audited(request, Action::ViewPolicies, async |operation| {
            operation.authorize(Action::ViewPolicies, &Resource::Server)?;
            operation.set_summary("policy revisions listed");
            let limit = limit.clamp(1, MAX_PAGE_SIZE);
            // One more shows whether another page follows.
            let revisions = self.database.list_policy_revisions(before, limit + 1);
            let mut revisions = revisions.await?;
            let has_more = revisions.len() > limit as usize;
            revisions.truncate(limit as usize);
            let last = revisions.last().map(|last| last.number);
            Ok(RevisionPage {
                items: self.view_revisions(&operation, revisions).await?,
                next: last.filter(|_| has_more),
            })
        })
        .await
    }

    /// Returns the newest revision with a folder revision, and the patch to it from the one before, if the texts of both
    /// are kept.
    pub async fn get_policy_revision(
        &self,
        request: &RequestContext,
        folder_revision: &str,
    ) -> Result<(RevisionView, Option<String>), ServiceError> {
        self.audited(request, Action::ViewPolicies, async |operation| {
            operation.authorize(Action::ViewPolicies, &Resource::Server)?;
            let found = self.database.find_policy_revision(folder_revision).await?;
            let found = found.ok_or(ServiceError::NotFound {
                what: "policy revision",
            })?;
            operation.set_summary(format!("policy revision {} viewed", found.folder_revision));
            let patch = self.patch_of(&operation, &found).await?;
            let mut views = self.view_revisions(&operation, vec![found]).await?;
            let view = views.pop().ok_or(ServiceError::NotFound {
                what: "policy revision",
            })?;
            Ok((view, patch))
        })
        .await
    }

    /// The revision that is in force, if it is in the history.
    pub(super) async fn revision_in_force(
        &self,
        operation: &AdminOperation,
        folder_revision: &str,
    ) -> Result<Option<RevisionView>, ServiceError> {
        let found = self.database.find_policy_revision(folder_revision).await?;
        let found = found.into_iter().collect();
        Ok(self.view_revisions(operation, found).await?.pop())
    }

    async fn view_revisions(
        &self,
        operation: &AdminOperation,
        revisions: Vec<PolicyRevision>,
    ) -> Result<Vec<RevisionView>, ServiceError> {
        let users: BTreeSet<_> = revisions.iter().filter_map(|one| one.user).collect();
        let names = self.visible_usernames(operation, users).await?;
        let views = revisions.into_iter().map(|revision| RevisionView {
            username: revision.user.and_then(|user| names.get(&user).cloned()),
            revision,
        });
        Ok(views.collect())
    }

    async fn patch_of(
        &self,
        operation: &AdminOperation,
        revision: &PolicyRevision,
    ) -> Result<Option<String>, ServiceError> {
        let database = &self.database;
        let before = database.list_policy_revisions(Some(revision.number), 1);
        let before = match before.await?.first() {
            Some(before) => database.read_policy_revision_files(before.number).await?,
            // Only the very first one has none before it that was forgotten.
            None => (revision.number == 1).then(FileTexts::new),
        };
        let after = database.read_policy_revision_files(revision.number).await?;
        let (Some(before), Some(after)) = (before, after) else {
            return Ok(None);
        };
        let patch = self.run_draft_work(operation, move || {
            let edit = FolderEdit {
                before: &before,
                after: &after,
                marked: &BTreeSet::new(),
            };
            edit.patch(PATCH_PREFIX)
        });
        patch.await.map(Some)
    }
}
