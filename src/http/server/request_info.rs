//! Request info: the request's id, the client's address and the original method.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use poem::Request;
use poem::http::Method;

use crate::domain::client_address::ClientAddress;

/// What the request middleware found out about a request.
#[derive(Clone, Debug)]
pub struct RequestInfo {
    /// The request's id: our own, or that of a trusted proxy.
    pub request_id: Arc<str>,
    /// The `X-Request-Id` that somebody else sent.
    pub client_request_id: Option<Arc<str>>,
    /// The client's address.
    pub address: ClientAddress,
    /// Whether a trusted proxy sent it.
    pub is_of_trusted_proxy: bool,
    /// Whether a web page of a foreign origin sent it.
    pub is_foreign_page: bool,
    /// Whether the method is HEAD; the router hands HEAD to the GET operation.
    pub is_head: bool,
}

impl RequestInfo {
    /// The info that the middleware attached to `request`; without the middleware, id and address are unset.
    #[must_use]
    pub fn from_request(request: &Request) -> Self {
        request
            .extensions()
            .get::<Self>()
            .cloned()
            .unwrap_or_else(|| Self {
                request_id: Arc::from(""),
                client_request_id: None,
                address: ClientAddress::Unknown {
                    proxy: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
                },
                is_of_trusted_proxy: false,
                is_foreign_page: false,
                is_head: request.method() == Method::HEAD,
            })
    }
}
