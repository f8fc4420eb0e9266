//! Visitors: somebody at the door with what it shows, before it is known who that is.
//!
//! This module refuses to know how a credential travels; `http/caller.rs` reads it.

use std::net::{IpAddr, Ipv4Addr};

use crate::domain::audit::{AuditEvent, AuditOutcome, AuditRecord};
use crate::domain::caller::{Authentication, Caller};
use crate::domain::clock::Clock;
use crate::domain::id::RecordId;
use crate::domain::principal::Principal;
use crate::domain::secret::Secret;

/// What a visitor shows to prove who it is.
#[derive(Clone, Debug)]
pub enum Credential {
    /// Nothing.
    None,
    /// A bearer token in the `Authorization` header: a session token, or one of an outside issuer.
    Bearer(Secret<String>),
    /// A key in the `X-Api-Key` header.
    ApiKey(Secret<String>),
    /// A token in the query: a download token.
    DownloadToken(Secret<String>),
    /// An `Authorization` header of a scheme that is not served.
    Unsupported,
    /// Something that cannot be read as one credential.
    Malformed {
        /// What is wrong, for the caller.
        detail: &'static str,
    },
}

/// Somebody at the door.
#[derive(Clone, Debug)]
pub struct RequestContext {
    /// What it shows.
    pub credential: Credential,
    /// Its address, behind trusted proxies already looked through.
    pub address: IpAddr,
    /// The request's id, as in `X-Request-Id`.
    pub request_id: String,
}

impl RequestContext {
    /// The visitor as a caller without credentials.
    #[must_use]
    pub fn anonymous_caller(&self) -> Caller {
        Caller {
            principal: Principal::Anonymous,
            authentication: Authentication::None,
            key: None,
            address: self.address,
        }
    }

    /// Whoever holds the database itself, at the command line.
    #[must_use]
    pub fn local() -> Self {
        Self {
            credential: Credential::None,
            address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            request_id: String::new(),
        }
    }

    /// Opens the audit record of what the visitor asks for; until it is filled in, it says refused.
    #[must_use]
    pub fn open_record(&self, event: AuditEvent, clock: &Clock) -> AuditRecord {
        let unix_millis = clock.unix_millis();
        AuditRecord {
            id: RecordId::generate_at(u64::try_from(unix_millis).unwrap_or_default()),
            unix_millis,
            event,
            outcome: AuditOutcome::Refused,
            user_id: None,
            authentication: Authentication::None,
            key_id: None,
            address: self.address,
            dataset_id: None,
            resource_user_id: None,
            action: None,
            determining_policies: Vec::new(),
            errors: Vec::new(),
            revision: None,
            jti: None,
            reason: None,
            request_id: Some(self.request_id.clone()),
        }
    }
}
