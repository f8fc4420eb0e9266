//! Callers: a principal, how it authenticated, and its client address.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use strum::{Display, EnumString, IntoStaticStr, VariantArray, VariantNames};

use super::api_key::ApiKey;
use super::client_address::ClientAddress;
use super::principal::Principal;
use super::text_enum::{TextEnum, UnknownVariant};

/// A principal, how it authenticated, and its client address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The principal.
    pub principal: Principal,
    /// How it authenticated.
    pub authentication: Authentication,
    /// The API key it used, or that its download token was minted with.
    pub key: Option<Arc<ApiKey>>,
    /// The client's address, as resolved through trusted proxies.
    pub address: ClientAddress,
    /// Whether a web page of a foreign origin asks, through the browser of somebody at the address.
    pub is_foreign_page: bool,
}

/// The address that stands for nowhere: no client has it (RFC 4291 section 2.5.2).
///
/// A page of a foreign origin asks from wherever its reader is, and what that address may do is not the
/// page's: so it is asked from here as well. Something else is a client whose address is *unknown*
/// ([`ClientAddress::Unknown`]): it is somewhere, and a policy that forbids by address may mean it.
pub const UNSPECIFIED_ADDRESS: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);

/// How a caller authenticated: Cedar's `context.authentication`.
///
/// A download token keeps how its mint was authenticated, so that mint and download are decided on the
/// same context.
#[derive(Display, EnumString, IntoStaticStr, VariantArray, VariantNames)]
#[strum(serialize_all = "snake_case")]
#[strum(parse_err_ty = UnknownVariant, parse_err_fn = UnknownVariant::new::<Self>)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Authentication {
    /// Not at all.
    None,
    /// With a user name and password, through a session token.
    Password,
    /// With an API key.
    ApiKey,
    /// With a token of an external identity provider.
    Issuer,
    /// With direct access to the database, on the command line; no request to the policies has it.
    CommandLine,
}

impl TextEnum for Authentication {
    const NOUN: &'static str = "authentication";
}

impl Caller {
    /// The context in which this caller asks at `unix_millis` (milliseconds since 1970 UTC).
    #[must_use]
    pub fn context(&self, unix_millis: i64) -> DecisionContext {
        DecisionContext {
            address: self.address.known(),
            unix_millis,
            authentication: self.authentication,
            key: self.key.clone(),
        }
    }
}

/// The part of a decision that is neither principal nor resource: Cedar's `context`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecisionContext {
    /// The client's address: `context.address`, an `ipaddr`. `None` if it is unknown: then no policy permits
    /// by it, and a forbid that depends on it forbids.
    pub address: Option<IpAddr>,
    /// The time of the request, in milliseconds since 1970 UTC: `context.time`, a `datetime`.
    pub unix_millis: i64,
    /// How the caller authenticated: `context.authentication`, an entity of the enumeration `Authentication`.
    pub authentication: Authentication,
    /// The API key that the caller used; its scope is `context.key`, an optional record.
    pub key: Option<Arc<ApiKey>>,
}
