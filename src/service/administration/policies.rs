//! The policies in force, as administrators see them.
//!
//! This module refuses to know how policies come into force.

use std::sync::Arc;

use crate::domain::action::Action;
use crate::domain::resource::Resource;
use crate::policy::Bundle;
use crate::service::identity::request_context::RequestContext;
use crate::service::policies::reload::{PolicyReloader, ReloadReport, ReloadStatus};

use super::super::error::ServiceError;
use super::{AdminAccess, AdminOperation, Administration};

impl Administration {
    /// The bundle in force, and how it stands with edits.
    pub async fn get_policies(
        &self,
        visitor: &RequestContext,
    ) -> Result<(Arc<Bundle>, ReloadStatus), ServiceError> {
        let mut errand = self.begin(visitor, Action::ViewPolicies).await?;
        errand.set_summary("policies viewed");
        let answer = require_bundle(&mut errand).and_then(|bundle| {
            let standing = self.reloader()?.status();
            Ok((bundle, standing))
        });
        self.end(errand, answer).await
    }

    /// Loads the policies anew, and says what that came to.
    pub async fn reload_policies(
        &self,
        visitor: &RequestContext,
    ) -> Result<ReloadReport, ServiceError> {
        let mut errand = self.begin(visitor, Action::ReloadPolicies).await?;
        let answer = async {
            errand.require(Action::ReloadPolicies, &Resource::Server)?;
            errand.set_summary("policies reloaded");
            match self.reloader()?.reload().await? {
                Ok(reloaded) => Ok(reloaded),
                Err(edit) => {
                    let told = edit.reason.summary();
                    errand.set_summary(format!("policies not reloaded: {told}"));
                    Err(ServiceError::Conflict {
                        field: "policies",
                        detail: format!("the edit is refused, {told}"),
                    })
                }
            }
        };
        let answer = answer.await;
        self.end(errand, answer).await
    }

    fn reloader(&self) -> Result<&Arc<PolicyReloader>, ServiceError> {
        match &self.access {
            AdminAccess::Policies(guard) => Ok(&guard.reloader),
            AdminAccess::Local => Err(no_policies_in_force()),
        }
    }

    /// The text of one file of the bundle in force.
    pub async fn get_policy_file(
        &self,
        visitor: &RequestContext,
        name: &str,
    ) -> Result<(Arc<Bundle>, Arc<str>), ServiceError> {
        let mut errand = self.begin(visitor, Action::ViewPolicies).await?;
        let answer = require_bundle(&mut errand).and_then(|bundle| {
            let text = bundle.file(name).cloned();
            let text = text.ok_or(ServiceError::NotFound {
                what: "policy file",
            })?;
            errand.set_summary(format!("policy file {name} viewed"));
            Ok((bundle, text))
        });
        self.end(errand, answer).await
    }
}

fn require_bundle(errand: &mut AdminOperation) -> Result<Arc<Bundle>, ServiceError> {
    errand.require(Action::ViewPolicies, &Resource::Server)?;
    let bundle = errand.bundle().map(Arc::clone);
    bundle.ok_or_else(no_policies_in_force)
}

pub(super) fn no_policies_in_force() -> ServiceError {
    ServiceError::Internal {
        what: "asking about the policies in force",
        source: "at the command line none are in force".into(),
    }
}
