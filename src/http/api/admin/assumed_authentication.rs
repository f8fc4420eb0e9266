//! How a principal is assumed to authenticate, in questions about decisions.

use poem_openapi::Enum;

use crate::domain::caller::Authentication;

/// How a principal authenticates.
#[derive(Clone, Copy, Enum)]
#[oai(rename_all = "snake_case")]
pub enum AssumedAuthentication {
    /// Not at all: it is anonymous.
    None,
    /// With a password.
    Password,
    /// With an API key that is restricted to nothing.
    ApiKey,
    /// With a token of an identity provider.
    Issuer,
}

impl From<AssumedAuthentication> for Authentication {
    fn from(word: AssumedAuthentication) -> Self {
        match word {
            AssumedAuthentication::None => Self::None,
            AssumedAuthentication::Password => Self::Password,
            AssumedAuthentication::ApiKey => Self::ApiKey,
            AssumedAuthentication::Issuer => Self::Issuer,
        }
    }
}
