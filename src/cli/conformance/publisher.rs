//! A publisher of a key set, for the time of a check: the JWKS and the metadata (RFC 8414) of an issuer.

use std::net::SocketAddr;

use poem::listener::{Acceptor, Listener, TcpListener};
use poem::{Endpoint, EndpointExt, Response, Route, Server, endpoint, get};
use serde_json::json;

use crate::cli::outcome::CommandError;

const KEY_SET_PATH: &str = "/.well-known/jwks.json";
/// Where libraries look for the metadata: RFC 8414 section 3, and `OpenID` Connect Discovery.
const METADATA_PATHS: [&str; 2] = [
    "/.well-known/oauth-authorization-server",
    "/.well-known/openid-configuration",
];

/// A listener that is not served yet.
pub(super) struct Publisher<A> {
    acceptor: A,
    /// The issuer that this address stands for.
    pub(super) issuer: String,
}

/// Listens at an address; port 0 is any that is free.
pub(super) async fn listen(
    address: SocketAddr,
) -> Result<Publisher<impl Acceptor + 'static>, CommandError> {
    let failed = |error| CommandError::new(format!("cannot listen at {address}: {error}"));
    let listener = TcpListener::bind(address);
    let acceptor = listener.into_acceptor().await.map_err(failed)?;
    let bound = acceptor
        .local_addr()
        .into_iter()
        .find_map(|address| address.as_socket_addr().copied());
    let issuer = format!("http://{}", bound.unwrap_or(address));
    Ok(Publisher { acceptor, issuer })
}

impl<A: Acceptor + 'static> Publisher<A> {
    /// Publishes the key set until the task is aborted.
    pub(super) fn publish(
        self,
        issuer: &str,
        key_set: bytes::Bytes,
    ) -> tokio::task::JoinHandle<std::io::Result<()>> {
        let metadata = json!({
            "issuer": issuer,
            "jwks_uri": format!("{}{KEY_SET_PATH}", issuer.trim_end_matches('/')),
            "response_types_supported": [],
        });
        let key_set = document("application/jwk-set+json", key_set);
        let mut routes = Route::new().at(KEY_SET_PATH, get(key_set));
        for path in METADATA_PATHS {
            let metadata = document("application/json", metadata.to_string().into());
            routes = routes.at(path, get(metadata));
        }
        tokio::spawn(Server::new_with_acceptor(self.acceptor).run(routes))
    }
}

fn document(media_type: &'static str, body: bytes::Bytes) -> impl Endpoint {
    endpoint::make_sync(move |_| {
        Response::builder()
            .content_type(media_type)
            .header("Cache-Control", "no-cache")
            .body(body.clone())
    })
    .boxed()
}
