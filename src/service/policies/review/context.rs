//! The assumed context of a review: the address, time and caller that every decision is made with.

use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::domain::api_key::{ApiKey, KeyName, KeyPrefix, KeyScope};
use crate::domain::caller::{Authentication, DecisionContext};
use crate::domain::client_address::AssumedAddress;
use crate::domain::id::{ApiKeyId, UserId};
use crate::domain::principal::Principal;

/// How a principal is assumed to call.
#[derive(Clone, Debug, Default)]
pub struct AssumedCaller {
    /// How it authenticates; `None` as it usually does: not at all, with a password, or with a token of its
    /// identity provider.
    pub authentication: Option<Authentication>,
    /// The API key that it shows.
    pub key: Option<Arc<ApiKey>>,
}

/// What the ids of assumed keys are computed from, besides their scopes.
const KEY_ID_CONTEXT: &[u8] = b"cedargate assumed API key";

impl AssumedCaller {
    /// A principal that authenticates in a way, with an API key one that is restricted to nothing; or, in words, why it
    /// does not.
    pub fn authenticated(
        authentication: Authentication,
        user: Option<UserId>,
    ) -> Result<Self, &'static str> {
        let key = match (authentication, user) {
            (Authentication::None, Some(_)) => {
                return Err("a user authenticates, with password, issuer or api_key");
            }
            (Authentication::CommandLine, _) => {
                return Err("no request authenticates so; use none, password, issuer or api_key");
            }
            (Authentication::None, None)
            | (Authentication::Password | Authentication::Issuer, Some(_)) => None,
            (_, None) => return Err("anonymous callers do not authenticate"),
            (Authentication::ApiKey, Some(user)) => Self::assumed_key(user, KeyScope::default()),
        };
        Ok(Self {
            authentication: Some(authentication),
            key,
        })
    }

    /// A key of a user that nobody has, to ask what one with this scope would be permitted.
    #[must_use]
    pub fn assumed_key(user_id: UserId, scope: KeyScope) -> Option<Arc<ApiKey>> {
        Some(Arc::new(ApiKey {
            id: assumed_key_id(&scope),
            user_id,
            name: KeyName::new("assumed").ok()?,
            prefix: KeyPrefix::parse("assumed000")?,
            scope,
            created_at: 0,
            expires_at: None,
            last_used: None,
        }))
    }
}

/// The id of an assumed key: a `UUIDv8` of the SHA-256 of its scope (RFC 9562 section 5.8).
///
/// Contexts are cached by the id of the key, so that keys of different scopes need different ids, which no key has.
fn assumed_key_id(scope: &KeyScope) -> ApiKeyId {
    let mut digest = Sha256::new();
    digest.update(KEY_ID_CONTEXT);
    for action in scope.actions().into_iter().flatten() {
        digest.update(action.to_string().as_bytes());
        digest.update([0]);
    }
    // An absent part differs from every one that is there.
    digest.update([
        u8::from(scope.actions().is_some()),
        u8::from(scope.datasets().is_some()),
    ]);
    for dataset in scope.datasets().into_iter().flatten() {
        digest.update(dataset.0.as_bytes());
    }
    let mut bytes = [0; 16];
    for (to, from) in bytes.iter_mut().zip(digest.finalize()) {
        *to = from;
    }
    ApiKeyId(uuid::Builder::from_custom_bytes(bytes).into_uuid())
}

/// The client address, the time and the caller that are assumed.
#[derive(Clone, Debug)]
pub struct ReviewContext {
    /// The client address.
    pub address: AssumedAddress,
    /// The time, in milliseconds since 1970 UTC.
    pub unix_millis: i64,
    /// How the principal calls.
    pub caller: AssumedCaller,
}

impl ReviewContext {
    /// The decision context of a principal: unless it is assumed to call otherwise, a user is signed in with a
    /// password, or with a token of its identity provider, and without an API key.
    #[must_use]
    pub fn for_principal(&self, principal: &Principal) -> DecisionContext {
        let has_issuer = matches!(principal, Principal::User(user) if user.issuer.is_some());
        self.for_kind(principal.is_anonymous(), has_issuer)
    }

    /// The decision context of a principal of which only this is known.
    #[must_use]
    pub fn for_kind(&self, is_anonymous: bool, has_issuer: bool) -> DecisionContext {
        DecisionContext {
            address: self.address.0,
            unix_millis: self.unix_millis,
            authentication: self.caller.authentication.unwrap_or({
                match (is_anonymous, has_issuer) {
                    (true, _) => Authentication::None,
                    (false, true) => Authentication::Issuer,
                    (false, false) => Authentication::Password,
                }
            }),
            key: self.caller.key.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use uuid::Uuid;

    use super::*;
    use crate::domain::action::Action;
    use crate::domain::id::DatasetId;

    #[test]
    fn assumed_keys_of_different_scopes_have_different_ids() {
        let dataset = |number| DatasetId(Uuid::from_u128(number));
        let actions = [
            None,
            Some(vec![Action::Read]),
            Some(Action::DATASET_ACTIONS.to_vec()),
        ];
        let datasets = [
            None,
            Some(vec![dataset(1)]),
            Some(vec![dataset(1), dataset(16)]),
        ];
        let mut ids = BTreeSet::new();
        for actions in &actions {
            for datasets in &datasets {
                let actions = actions.clone().map(|all| all.into_iter().collect());
                let datasets = datasets.clone().map(|all| all.into_iter().collect());
                ids.insert(assumed_key_id(&KeyScope::new(actions, datasets).unwrap()));
            }
        }
        assert_eq!(ids.len(), actions.len() * datasets.len());
        assert!(!ids.contains(&ApiKeyId(Uuid::from_u128(1))));
    }
}
