//! The policies in force, as administrators view and reload them.

use std::sync::Arc;

use crate::domain::action::Action;
use crate::domain::diagnostic::SourceDiagnostic;
use crate::domain::resource::Resource;
use crate::policy::Bundle;
use crate::service::error::ServiceError;
use crate::service::identity::request_context::RequestContext;
use crate::service::policies::reload::{PolicyReloader, ReloadReport, ReloadStatus};

use super::operation::no_policies_in_force;
use super::policy_revisions::RevisionView;
use super::{AdminAccess, Administration};

/// How the reason of a reload starts that an edit is refused by, in audit records.
pub(super) const RELOAD_REFUSED: &str = "policies not reloaded: ";
/// Where a caller who may not see the policies, or somebody who may, finds the reasons.
pub(super) const WHERE_DETAILS_ARE: &str =
    "the server's log has the details, and GET /admin/policies with view_policies";

/// The policies in force, and what became of the last edit.
pub struct PoliciesView {
    /// The bundle in force.
    pub bundle: Arc<Bundle>,
    /// Its warnings.
    pub warnings: Vec<SourceDiagnostic>,
    /// What differs in the policy folder, and what the gate left open.
    pub status: ReloadStatus,
    /// When it came into force, how and by whom, if that is in the history.
    pub came_into_force: Option<RevisionView>,
    /// Why the caller cannot publish drafts; none if it can.
    pub publish_refusal: Option<String>,
}

impl Administration {
    /// Returns the bundle in force with its warnings, and the status of the last edit.
    pub async fn get_policies(
        &self,
        request: &RequestContext,
    ) -> Result<PoliciesView, ServiceError> {
        self.audited(request, Action::ViewPolicies, async |operation| {
            operation.set_summary("policies viewed");
            operation.authorize(Action::ViewPolicies, &Resource::Server)?;
            let bundle = operation.bundle()?;
            let reloader = self.reloader()?;
            let status = reloader.status();
            let in_force = self.revision_in_force(&operation, &status.folder_revision);
            Ok(PoliciesView {
                came_into_force: in_force.await?,
                bundle,
                warnings: reloader.warnings().await,
                status,
                publish_refusal: self.publish_refusal(&operation)?,
            })
        })
        .await
    }

    /// Reloads the policies, and reports what changed.
    pub async fn reload_policies(
        &self,
        request: &RequestContext,
    ) -> Result<ReloadReport, ServiceError> {
        self.audited(request, Action::ReloadPolicies, async |operation| {
            operation.authorize(Action::ReloadPolicies, &Resource::Server)?;
            operation.set_summary("policies reloaded");
            match self.reloader()?.reload().await? {
                Ok(report) => Ok(report),
                Err(rejected) => {
                    let summary = rejected.reason.summary();
                    operation.set_summary(format!("{RELOAD_REFUSED}{summary}"));
                    // The reasons quote the files.
                    let detail = if operation.is_permitted(Action::ViewPolicies, &Resource::Server)
                    {
                        format!("the edit is refused: {summary}")
                    } else {
                        let kind = rejected.reason.kind();
                        format!("the edit is refused: {kind}; {WHERE_DETAILS_ARE}")
                    };
                    Err(ServiceError::conflict("policies", detail))
                }
            }
        })
        .await
    }

    /// Returns the text of one file of the bundle in force.
    pub async fn get_policy_file(
        &self,
        request: &RequestContext,
        name: &str,
    ) -> Result<(Arc<Bundle>, Arc<str>), ServiceError> {
        self.audited(request, Action::ViewPolicies, async |operation| {
            operation.authorize(Action::ViewPolicies, &Resource::Server)?;
            let bundle = operation.bundle()?;
            let text = bundle.file(name).cloned().ok_or(ServiceError::NotFound {
                what: "policy file",
            })?;
            operation.set_summary(format!("policy file {name} viewed"));
            Ok((bundle, text))
        })
        .await
    }

    pub(super) fn reloader(&self) -> Result<&Arc<PolicyReloader>, ServiceError> {
        match &self.access {
            AdminAccess::Policies(dependencies) => Ok(&dependencies.reloader),
            AdminAccess::Local => Err(no_policies_in_force()),
        }
    }
}
