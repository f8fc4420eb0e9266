//! The identity providers, as administrators list them with the status of their keys.

use crate::domain::action::Action;
use crate::domain::resource::Resource;
use crate::service::error::ServiceError;
use crate::service::identity::identity_providers::IdentityProviderStatus;
use crate::service::identity::request_context::RequestContext;

use super::{AdminAccess, Administration};

impl Administration {
    /// Lists the configured identity providers, in the order of the settings; none with local access,
    /// which has fetched no keys.
    pub async fn list_identity_providers(
        &self,
        request: &RequestContext,
    ) -> Result<Vec<IdentityProviderStatus>, ServiceError> {
        self.audited(request, Action::ViewIssuers, async |operation| {
            operation.set_summary("identity providers listed");
            operation.authorize(Action::ViewIssuers, &Resource::Server)?;
            Ok(match &self.access {
                AdminAccess::Policies(dependencies) => {
                    dependencies.authenticator.identity_providers.status()
                }
                AdminAccess::Local => Vec::new(),
            })
        })
        .await
    }
}
