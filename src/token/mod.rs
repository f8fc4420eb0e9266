//! JOSE: signing keys, the published key set, the two kinds of token, and tokens of outside issuers.
//!
//! The only user of josekit, and nothing of josekit shows in its public types. A [`SigningKey`]
//! signs; its [`PublicKey`] goes into the [`KeySet`] that verifiers fetch; [`DownloadClaims`] and
//! [`SessionClaims`] are what tokens say. It refuses to know who may have a token, which key signs
//! today, and where keys are kept.
//!
//! An [`ExternalToken`] is verified with the [`ExternalKeySet`] of its issuer, in ways of its own: outside
//! issuers keep to the standards, not to this server's own form.
//!
//! A token is refused for the cheapest reason that can be found: form, kind and claims come
//! before the signature, which costs more than all the rest. So an error says why a token was
//! refused, never that its other claims were true.

#[cfg(test)]
mod attack_tests;
mod download_token;
mod error;
mod expected;
mod external;
mod external_keys;
mod jws;
mod key_set;
mod sealed;
mod session_token;
mod signing_key;
mod strict_json;

pub use download_token::DownloadClaims;
pub use error::{Defect, TokenError, TokenPart};
pub use expected::{ExpectedClaims, MAX_CLOCK_SKEW};
pub use external::{
    EXTERNAL_TOKEN_LEEWAY, ExpectedExternalClaims, ExternalClaims, ExternalToken,
    MAX_EXTERNAL_TOKEN_LENGTH, unverified_issuer,
};
pub use external_keys::{ExternalKeySet, MAX_EXTERNAL_KEYS};
pub use jws::MAX_TOKEN_LENGTH;
pub use key_set::KeySet;
pub use sealed::SealingKey;
pub use session_token::SessionClaims;
pub use signing_key::{PublicKey, SigningKey};
