//! The outside issuers, as administrators see them: which there are, and how their keys are.
//!
//! This module refuses to know how keys are fetched.

use crate::domain::action::Action;
use crate::domain::resource::Resource;
use crate::service::error::ServiceError;
use crate::service::identity::identity_providers::IssuerStatus;
use crate::service::identity::request_context::Visitor;

use super::{Administration, Door, Errand};

impl Administration {
    /// All configured issuers, in the order of the settings; none at the command line, which has
    /// fetched no keys.
    pub async fn list_issuers(&self, visitor: &Visitor) -> Result<Vec<IssuerStatus>, ServiceError> {
        let mut errand = self.begin(visitor, Action::ViewIssuers).await?;
        let answer = self.issuers(&mut errand);
        self.end(errand, answer).await
    }

    fn issuers(&self, errand: &mut Errand) -> Result<Vec<IssuerStatus>, ServiceError> {
        errand.note("outside issuers listed");
        errand.require(Action::ViewIssuers, &Resource::Server)?;
        Ok(match &self.door {
            Door::Guarded(guard) => guard.authenticator.issuers.status(),
            Door::CommandLine => Vec::new(),
        })
    }
}
