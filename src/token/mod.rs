//! JOSE: signing keys, the published key set, the two kinds of token, and tokens of external
//! issuers.
//!
//! This is the only user of josekit, and no type of josekit is public here. A [`SigningKey`] signs;
//! its [`PublicKey`] goes into the [`KeySet`] that verifiers fetch; [`DownloadClaims`] and
//! [`SessionClaims`] are the claims of the two kinds of token. This module does not know policies,
//! which key signs, or where keys are stored.
//!
//! An [`ExternalToken`] is verified with the [`ExternalKeySet`] of its issuer and by rules of its
//! own, because external issuers follow the standards and not this server's form.
//!
//! A token is rejected for the cheapest reason: form, kind and claims are checked before the
//! signature, which costs more than all the rest. So an error says why a token was rejected, never
//! that its other claims were true.

#[cfg(test)]
mod attack_tests;
mod canonical_uuid;
pub mod conformance;
mod download_token;
mod error;
mod expected;
mod external;
mod external_claims;
mod external_keys;
mod jws;
mod key_set;
mod kind;
mod numeric_date;
mod published_keys;
mod refused_token;
mod sealed;
mod session_token;
mod signing_key;
mod strict_json;
mod verifier;

pub use download_token::{DownloadClaims, DownloadGrant};
pub use error::{Defect, TokenError, TokenPart};
pub use expected::ExpectedClaims;
pub use external::{ExternalToken, MAX_EXTERNAL_TOKEN_LENGTH, unverified_issuer};
pub use external_claims::{EXTERNAL_TOKEN_LEEWAY, ExpectedExternalClaims, ExternalClaims};
pub use external_keys::{ExternalKeySet, MAX_EXTERNAL_KEYS};
pub use jws::MAX_TOKEN_LENGTH;
pub use key_set::KeySet;
pub use numeric_date::NumericDate;
pub use published_keys::{MAX_KEY_SET_LENGTH, MAX_PUBLISHED_KEYS};
pub use refused_token::RefusedToken;
pub use sealed::SealingKey;
pub use session_token::SessionClaims;
pub use signing_key::{PublicKey, SigningKey};
pub use verifier::{DEFAULT_LEEWAY, DownloadVerifier};
