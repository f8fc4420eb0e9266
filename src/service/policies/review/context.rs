//! The assumed context of a review: the address and time that every decision is made with.

use crate::domain::caller::{Authentication, DecisionContext};
use crate::domain::client_address::AssumedAddress;
use crate::domain::principal::Principal;

/// The client address and time that are assumed.
#[derive(Clone, Copy, Debug)]
pub struct ReviewContext {
    /// The client address.
    pub address: AssumedAddress,
    /// The time, in milliseconds since 1970 UTC.
    pub unix_millis: i64,
}

impl ReviewContext {
    /// The decision context of a principal: a user is signed in with a password, or with a token of
    /// its identity provider, and without an API key.
    #[must_use]
    pub fn for_principal(self, principal: &Principal) -> DecisionContext {
        let has_issuer = matches!(principal, Principal::User(user) if user.issuer.is_some());
        self.for_kind(principal.is_anonymous(), has_issuer)
    }

    /// The decision context of a principal of which only this is known.
    #[must_use]
    pub fn for_kind(self, is_anonymous: bool, has_issuer: bool) -> DecisionContext {
        DecisionContext {
            address: self.address.0,
            unix_millis: self.unix_millis,
            authentication: match (is_anonymous, has_issuer) {
                (true, _) => Authentication::None,
                (false, true) => Authentication::Issuer,
                (false, false) => Authentication::Password,
            },
            key: None,
        }
    }
}
