//! The policies in force, as administrators see them.
//!
//! This module refuses to know how policies come into force.

use std::sync::Arc;

use crate::domain::action::Action;
use crate::domain::resource::Resource;
use crate::policy::Bundle;

use super::super::error::ServiceError;
use super::super::visitor::Visitor;
use super::{Administration, Errand};

impl Administration {
    /// The bundle in force.
    pub async fn view_policies(&self, visitor: &Visitor) -> Result<Arc<Bundle>, ServiceError> {
        let mut errand = self.begin(visitor, Action::ViewPolicies).await?;
        errand.note("policies viewed");
        let answer = find_bundle(&mut errand);
        self.end(errand, answer).await
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
    bundle.ok_or_else(|| ServiceError::Internal {
        what: "viewing the policies in force",
        source: "at the command line none are in force".into(),
    })
}
