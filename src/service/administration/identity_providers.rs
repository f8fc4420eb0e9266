//! The outside issuers, as administrators see them: which there are, and how their keys are.
//!
//! This module refuses to know how keys are fetched.

use crate::domain::action::Action;
use crate::domain::resource::Resource;
use crate::service::error::ServiceError;
use crate::service::identity::identity_providers::IdentityProviderStatus;
use crate::service::identity::request_context::RequestContext;

use super::{AdminAccess, AdminOperation, Administration};

impl Administration {
    /// All configured issuers, in the order of the settings; none at the command line, which has
    /// fetched no keys.
    pub async fn list_identity_providers(
        &self,
        visitor: &RequestContext,
    ) -> Result<Vec<IdentityProviderStatus>, ServiceError> {
        let mut errand = self.begin(visitor, Action::ViewIssuers).await?;
        let answer = self.identity_providers(&mut errand);
        self.end(errand, answer).await
    }

    fn identity_providers(
        &self,
        errand: &mut AdminOperation,
    ) -> Result<Vec<IdentityProviderStatus>, ServiceError> {
        errand.set_summary("outside issuers listed");
        errand.require(Action::ViewIssuers, &Resource::Server)?;
        Ok(match &self.access {
            AdminAccess::Policies(guard) => guard.authenticator.identity_providers.status(),
            AdminAccess::Local => Vec::new(),
        })
    }
}
