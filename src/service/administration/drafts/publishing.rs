//! Publishing of drafts: long work that its caller follows. Until the policy folder is written, it is given up by going
//! away.

use std::sync::Arc;

use crate::domain::action::Action;
use crate::domain::id::{DraftId, UserId};
use crate::domain::resource::Resource;
use crate::domain::rfc3339;
use crate::service::administration::Administration;
use crate::service::administration::operation::{AdminOperation, Precondition};
use crate::service::error::ServiceError;
use crate::service::identity::request_context::RequestContext;
use crate::service::long_work::LongWork;
use crate::service::policies::drafts::Draft;
use crate::service::policies::reload::{
    CameIntoForce, EditOrigin, PublishError, PublishedDraft, RejectedBundle, ReloadReport,
};

use super::editing::list_of;
use super::proving::take_turn;

/// What is between a draft and why the policy gate refuses it, in audit records.
pub(in crate::service::administration) const PUBLISH_REFUSED: &str = " not published: ";

/// What became of a draft.
#[derive(Clone, Debug)]
pub enum PublishOutcome {
    /// It is in force.
    Published {
        /// The revision in force.
        report: ReloadReport,
        /// The folder revision in force.
        folder_revision: String,
    },
    /// The policy gate refuses it; nothing was changed.
    Refused(Arc<RejectedBundle>),
}

impl Administration {
    /// Publishes a version of a draft of the caller, if that is the newest one, in place of the folder revision in force,
    /// which `precondition` checks.
    pub async fn publish_draft(
        &self,
        request: &RequestContext,
        (id, version): (DraftId, u64),
        precondition: Precondition<'_, String>,
        work: LongWork,
    ) -> Result<PublishOutcome, ServiceError> {
        let mut refused = None;
        let published = self
            .audited(request, Action::EditPolicies, async |operation| {
                operation.set_summary(format!("draft {id} not published"));
                let outcome = self.publish_admitted(&operation, (id, version), precondition, &work);
                let outcome = outcome.await?;
                if let PublishOutcome::Refused(rejected) = &outcome {
                    let summary = rejected.reason.summary();
                    operation.set_summary(format!("draft {id}{PUBLISH_REFUSED}{summary}"));
                    refused = Some(Arc::clone(rejected));
                    return Err(ServiceError::conflict(
                        "draft",
                        "the policy gate refuses the draft",
                    ));
                }
                Ok(outcome)
            })
            .await;
        match (published, refused) {
            // The refusal is on record, and no error of this operation.
            (Err(ServiceError::Conflict { .. }), Some(rejected)) => {
                Ok(PublishOutcome::Refused(rejected))
            }
            (published, _) => published,
        }
    }

    /// Publishes a draft, if the caller may and nothing else came into force beneath it.
    async fn publish_admitted(
        &self,
        operation: &AdminOperation,
        (id, version): (DraftId, u64),
        precondition: Precondition<'_, String>,
        work: &LongWork,
    ) -> Result<PublishOutcome, ServiceError> {
        self.require_disk_space()?;
        let draft = self.open_draft(operation, id)?;
        authorize_publishing(operation)?;
        let reloader = self.reloader()?;
        if let Some(refusal) = reloader.publish_refusal() {
            return Err(ServiceError::conflict("policy_writes", refusal));
        }
        let in_force = reloader.folder_in_force();
        match precondition(&in_force.fingerprint) {
            Ok(()) => {}
            Err(ServiceError::PreconditionFailed) => {
                let came = reloader.came_into_force();
                return Err(self.outdated(operation, &in_force.fingerprint, came).await);
            }
            Err(other) => return Err(other),
        }
        if draft.version != version {
            return Err(ServiceError::PreconditionFailed);
        }
        require_settled(&draft)?;
        let replaces = draft.base().folder_revision().to_owned();
        let (checking, base) = (Arc::clone(reloader), replaces.clone());
        let check = move || checking.check_publishable(&base);
        if let Err(error) = self.run_draft_work(operation, check).await? {
            return Err(self.publish_error(operation, error).await);
        }
        let _turn = take_turn(&self.publish_turns, operation, work).await?;
        let published = PublishedDraft {
            files: draft.files().clone(),
            replaces,
            user: draft.owner,
        };
        // The judging may take minutes.
        let confirm = async {
            self.reauthenticate(operation).await?;
            authorize_publishing(operation)
        };
        let report = match reloader.publish(published, confirm, work).await {
            Ok(Ok(report)) => report,
            Ok(Err(rejected)) => return Ok(PublishOutcome::Refused(rejected)),
            Err(error) => return Err(self.publish_error(operation, error).await),
        };
        let folder_revision = reloader.folder_in_force().fingerprint.clone();
        operation.set_summary(format!(
            "draft {id} published: policy folder {folder_revision}"
        ));
        Ok(PublishOutcome::Published {
            report,
            folder_revision,
        })
    }

    /// Why the caller cannot publish drafts here; `None` if it can.
    pub(in crate::service::administration) fn publish_refusal(
        &self,
        operation: &AdminOperation,
    ) -> Result<Option<String>, ServiceError> {
        let refusal = self.reloader()?.publish_refusal();
        Ok(refusal.or_else(|| {
            let is_permitted = may_publish(operation);
            (!is_permitted).then(|| denied().to_string())
        }))
    }

    async fn publish_error(&self, operation: &AdminOperation, error: PublishError) -> ServiceError {
        match error {
            PublishError::Outdated {
                folder_revision,
                came,
            } => self.outdated(operation, &folder_revision, came).await,
            PublishError::Off(_) => ServiceError::conflict("policy_writes", error.to_string()),
            PublishError::FolderDiffers | PublishError::Folder(_) => {
                tracing::warn!(%error, "a draft was not published");
                ServiceError::conflict("policy_folder", error.to_string())
            }
            PublishError::GivenUp => ServiceError::GivenUp,
            PublishError::Service(error) => error,
        }
    }

    /// That something else is in force than the draft was made from: which, since when, and by whom, if the caller may
    /// see that.
    async fn outdated(
        &self,
        operation: &AdminOperation,
        folder_revision: &str,
        came: CameIntoForce,
    ) -> ServiceError {
        let by = match came.origin {
            EditOrigin::Start => "with the start of the server".to_owned(),
            EditOrigin::Folder => "by an edit of the policy folder".to_owned(),
            EditOrigin::Publish { user } => match self.visible_name(operation, user).await {
                Some(name) => format!("published by {name}"),
                None => "published by another author".to_owned(),
            },
        };
        let since = rfc3339::format_seconds(came.unix_millis.div_euclid(1000));
        ServiceError::EditOutdated {
            detail: format!(
                "another edit came into force beneath the draft: folder revision {folder_revision}, at {since}, {by}; \
                 rebase the draft, look at what it changes now, and publish it again"
            ),
        }
    }

    async fn visible_name(&self, operation: &AdminOperation, user: UserId) -> Option<String> {
        let user = self.database.find_user(user).await.ok()??;
        let name = user.username.to_string();
        let resource = Resource::User(Arc::new(user));
        operation
            .is_permitted(Action::ViewUsers, &resource)
            .then_some(name)
    }
}

/// Refuses a draft that would undo what came into force beneath it without anybody having decided that.
fn require_settled(draft: &Draft) -> Result<(), ServiceError> {
    let conflicts = draft.conflicts();
    if conflicts.is_empty() {
        return Ok(());
    }
    let files = list_of(conflicts.iter());
    let detail = format!(
        "the draft and another edit changed the same files, each differently: {files}; write each of them as it is to \
         be, and publish the draft then"
    );
    Err(ServiceError::conflict("conflicts", detail))
}

fn denied() -> ServiceError {
    ServiceError::AdministrationDenied {
        action: Action::EditPolicies,
    }
}

/// Whether the policies permit the caller to publish drafts; older schemas do not declare the action.
fn may_publish(operation: &AdminOperation) -> bool {
    let action = Action::EditPolicies;
    let is_declared = operation
        .bundle()
        .is_ok_and(|bundle| bundle.declares(action));
    is_declared && operation.is_permitted(action, &Resource::Server)
}

fn authorize_publishing(operation: &AdminOperation) -> Result<(), ServiceError> {
    let action = Action::EditPolicies;
    if !operation.bundle()?.declares(action) {
        operation.deny("the policy schema does not declare the action edit_policies");
        return Err(denied());
    }
    operation.authorize(action, &Resource::Server)
}
