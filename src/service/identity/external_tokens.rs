//! Authentication by tokens of identity providers: verified, resolved to a user, or refused on record.

use std::sync::Arc;

use crate::domain::caller::{Authentication, Caller};
use crate::domain::principal::{Principal, User};
use crate::domain::secret::Secret;
use crate::domain::token_refusal::{TokenCheck, TokenRefusal};
use crate::service::error::ServiceError;

use super::admission::{Admission, SignedCredential};
use super::authentication::{Authenticator, CredentialSource, rejected};
use super::federated_users::FederatedUserError;
use super::identity_providers::{ExternalTokenError, IdentityProvider};
use super::request_context::RequestContext;

impl Authenticator {
    /// A bearer token that is no session token may be one of an identity provider that is not configured: the
    /// log says so.
    pub(super) fn explain_rejected_bearer(
        &self,
        token: &Secret<String>,
        error: ServiceError,
    ) -> ServiceError {
        if !matches!(error, ServiceError::CredentialRejected { .. }) {
            return error;
        }
        let (providers, own) = (&self.identity_providers, &self.key_ring.parties().issuer);
        let Some(refusal) = providers.explain_unknown_issuer(token.reveal(), own) else {
            return error;
        };
        providers.refusals.record(None, &refusal);
        ServiceError::CredentialRejected {
            detail: refusal.check.detail(),
        }
    }

    /// Verifies a token of an identity provider.
    pub(super) async fn verify_external(
        &self,
        request: &RequestContext,
        provider: &Arc<IdentityProvider>,
        token: &Secret<String>,
        admission: &mut Admission<'_>,
    ) -> Result<(Caller, CredentialSource), ServiceError> {
        let verified = provider.verify(token.reveal(), || admission.charge()).await;
        let identity = match verified {
            Ok(identity) => identity,
            Err(ExternalTokenError::Refused(refusal)) => return self.refuse(provider, &refusal),
            Err(ExternalTokenError::KeysUnavailable(reason)) => {
                return Err(ServiceError::unavailable("the token's issuer", reason));
            }
            Err(ExternalTokenError::NotAdmitted(error)) => return Err(error),
        };
        let credential = SignedCredential::External(identity.token_digest);
        let user = self
            .look_up(credential, admission, async {
                let resolved = self.federated_users.resolve(&provider.config, &identity);
                match Box::pin(resolved).await {
                    Ok(user) if !user.is_disabled => Ok(user),
                    Ok(user) => self.refuse(provider, &user_disabled(&user)),
                    Err(FederatedUserError::Refused(refusal)) => self.refuse(provider, &refusal),
                    Err(FederatedUserError::Failed(error)) => Err(error),
                }
            })
            .await?;
        let caller = request.caller(Principal::User(user), Authentication::Issuer, None);
        Ok((caller, CredentialSource::ExternalToken(identity)))
    }

    /// Refuses a token of an identity provider, on record.
    fn refuse<T>(
        &self,
        provider: &IdentityProvider,
        refusal: &TokenRefusal,
    ) -> Result<T, ServiceError> {
        let issuer = Some(provider.config.issuer.as_str());
        self.identity_providers.refusals.record(issuer, refusal);
        rejected(refusal.check.detail())
    }
}

fn user_disabled(user: &User) -> TokenRefusal {
    let got = format!("the disabled user {}", user.id);
    TokenRefusal::new(TokenCheck::Disabled, "a user that is enabled", got)
}
