//! The policies in force, as administrators see them.
//!
//! This module refuses to know how policies come into force.

use std::sync::Arc;

use crate::domain::action::Action;
use crate::domain::resource::Resource;
use crate::policy::Bundle;
use crate::service::identity::request_context::Visitor;
use crate::service::policies::reload::{PolicyReload, Reloaded, Standing};

use super::super::error::ServiceError;
use super::{Administration, Door, Errand};

impl Administration {
    /// The bundle in force, and how it stands with edits.
    pub async fn view_policies(
        &self,
        visitor: &Visitor,
    ) -> Result<(Arc<Bundle>, Standing), ServiceError> {
        let mut errand = self.begin(visitor, Action::ViewPolicies).await?;
        errand.note("policies viewed");
        let answer = find_bundle(&mut errand).and_then(|bundle| {
            let standing = self.policy_reload()?.standing();
            Ok((bundle, standing))
        });
        self.end(errand, answer).await
    }

    /// Loads the policies anew, and says what that came to.
    pub async fn reload_policies(&self, visitor: &Visitor) -> Result<Reloaded, ServiceError> {
        let mut errand = self.begin(visitor, Action::ReloadPolicies).await?;
        let answer = async {
            errand.require(Action::ReloadPolicies, &Resource::Server)?;
            errand.note("policies reloaded");
            match self.policy_reload()?.reload().await? {
                Ok(reloaded) => Ok(reloaded),
                Err(edit) => {
                    let told = edit.why.told();
                    errand.note(format!("policies not reloaded: {told}"));
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

    fn policy_reload(&self) -> Result<&Arc<PolicyReload>, ServiceError> {
        match &self.door {
            Door::Guarded(guard) => Ok(&guard.policies),
            Door::CommandLine => Err(not_in_force()),
        }
    }

    /// The text of one file of the bundle in force.
    pub async fn view_policy_file(
        &self,
        visitor: &Visitor,
        name: &str,
    ) -> Result<(Arc<Bundle>, Arc<str>), ServiceError> {
        let mut errand = self.begin(visitor, Action::ViewPolicies).await?;
        let answer = find_bundle(&mut errand).and_then(|bundle| {
            let text = bundle.file(name).cloned();
            let text = text.ok_or(ServiceError::NotFound {
                what: "policy file",
            })?;
            errand.note(format!("policy file {name} viewed"));
            Ok((bundle, text))
        });
        self.end(errand, answer).await
    }
}

fn find_bundle(errand: &mut Errand) -> Result<Arc<Bundle>, ServiceError> {
    errand.require(Action::ViewPolicies, &Resource::Server)?;
    let bundle = errand.bundle().map(Arc::clone);
    bundle.ok_or_else(not_in_force)
}

pub(super) fn not_in_force() -> ServiceError {
    ServiceError::Internal {
        what: "asking about the policies in force",
        source: "at the command line none are in force".into(),
    }
}
