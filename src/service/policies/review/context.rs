//! The assumed context of a review: the address, time and caller that every decision is made with.

use std::sync::Arc;

use uuid::Uuid;

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

/// The id of a key that is assumed to be restricted to nothing.
const UNLIMITED_KEY: u128 = 1;

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
            (Authentication::ApiKey, Some(user)) => {
                let id = ApiKeyId(Uuid::from_u128(UNLIMITED_KEY));
                Self::assumed_key(id, user, KeyScope::default())
            }
        };
        Ok(Self {
            authentication: Some(authentication),
            key,
        })
    }

    /// A key of a user that nobody has, to ask what one with this scope would be permitted.
    ///
    /// Contexts are cached by the id of the key, so keys of different scopes need different ids.
    #[must_use]
    pub fn assumed_key(id: ApiKeyId, user_id: UserId, scope: KeyScope) -> Option<Arc<ApiKey>> {
        Some(Arc::new(ApiKey {
            id,
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
