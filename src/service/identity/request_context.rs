//! The request context: client address and credentials, before authentication.
//!
//! How a credential is sent is `http/extract/credentials.rs`.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use crate::domain::api_key::ApiKey;
use crate::domain::audit::{AuditEvent, AuditOutcome, AuditRecord};
use crate::domain::caller::{Authentication, Caller};
use crate::domain::client_address::ClientAddress;
use crate::domain::clock::Clock;
use crate::domain::id::RecordId;
use crate::domain::principal::Principal;
use crate::domain::secret::Secret;

/// The credential of a request.
#[derive(Clone, Debug)]
pub enum Credential {
    /// No credential.
    None,
    /// A bearer token in the `Authorization` header: a session token, or one of an identity provider.
    Bearer(Secret<String>),
    /// An API key, in the `X-Api-Key` header or as the password of `Authorization: Basic`.
    ApiKey(Secret<String>),
    /// A download token in the query.
    DownloadToken(Secret<String>),
    /// An `Authorization` header with an unsupported scheme.
    Unsupported,
    /// More than one credential, or one twice.
    Multiple,
    /// A credential that cannot be parsed; it is rejected like one that is unknown.
    Malformed {
        /// What is wrong, for the caller.
        detail: &'static str,
    },
}

/// Who sent a request, as far as it is known before authentication.
#[derive(Clone, Debug)]
pub struct RequestContext {
    /// The credential, not verified yet.
    pub credential: Credential,
    /// The client's address, with trusted proxies already resolved.
    pub address: ClientAddress,
    /// Whether a web page of a foreign origin sent it.
    pub is_foreign_page: bool,
    /// The request's id: our own, or that of a trusted proxy.
    pub request_id: Arc<str>,
    /// The `X-Request-Id` that a client sent.
    pub client_request_id: Option<Arc<str>>,
}

impl RequestContext {
    /// The caller of this request, once it is authenticated.
    pub(super) fn caller(
        &self,
        principal: Principal,
        authentication: Authentication,
        key: Option<Arc<ApiKey>>,
    ) -> Caller {
        Caller {
            principal,
            authentication,
            key,
            address: self.address,
            is_foreign_page: self.is_foreign_page,
        }
    }

    /// The context of the command line, which has the database itself.
    #[must_use]
    pub fn local() -> Self {
        Self {
            credential: Credential::None,
            address: ClientAddress::Known(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            is_foreign_page: false,
            request_id: Arc::from(""),
            client_request_id: None,
        }
    }

    /// Opens the audit record of the request; until it is completed its outcome is `refused`.
    #[must_use]
    pub fn open_record(&self, event: AuditEvent, clock: &Clock) -> AuditRecord {
        let unix_millis = clock.unix_millis();
        AuditRecord {
            id: RecordId::generate_at(u64::try_from(unix_millis).unwrap_or_default()),
            unix_millis,
            event,
            outcome: AuditOutcome::Refused,
            user_id: None,
            username: None,
            authentication: Authentication::None,
            key_id: None,
            address: self.address.known(),
            dataset_id: None,
            resource_user_id: None,
            action: None,
            determining_policies: Vec::new(),
            errors: Vec::new(),
            revision: None,
            jti: None,
            requests: None,
            bytes: None,
            reason: None,
            request_id: Some(self.request_id.as_ref().to_owned()),
            client_request_id: self.client_request_id.as_deref().map(str::to_owned),
            asked_principal: None,
            asked_action: None,
            asked_resource: None,
        }
    }
}
