//! The credential of a caller, as folded records tell them apart.

use crate::domain::caller::Caller;
use crate::service::folded_records::FoldedCredential;

use super::authentication::CredentialSource;

/// The credential in a header, as records tell them apart.
#[must_use]
pub fn folded_credential(caller: &Caller, source: Option<&CredentialSource>) -> FoldedCredential {
    match (source, &caller.key, caller.principal.user_id()) {
        (Some(CredentialSource::Session(session)), _, _) => FoldedCredential::Session(session.id),
        (None, Some(key), _) => FoldedCredential::ApiKey(key.id),
        (Some(CredentialSource::ExternalToken(_)), _, Some(user_id)) => {
            FoldedCredential::ExternalToken(user_id)
        }
        (Some(CredentialSource::ExternalToken(_)), _, None) | (None, None, _) => {
            FoldedCredential::None
        }
    }
}
