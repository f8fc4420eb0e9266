//! A publisher of a key set, for the time of a check: the JWKS and the metadata (RFC 8414) of an issuer.

use std::net::SocketAddr;

use poem::listener::{Acceptor, Listener, TcpListener};
use poem::{Endpoint, EndpointExt, Response, Route, Server, endpoint, get};
use serde_json::json;

use crate::cli::outcome::CommandError;

const KEY_SET_PATH: &str = "/.well-known/jwks.json";
const METADATA_PATH: &str = "/.well-known/oauth-authorization-server";

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
            "jwks_uri": format!("{issuer}{KEY_SET_PATH}"),
            "response_types_supported": [],
        });
        let routes = Route::new()
            .at(
                KEY_SET_PATH,
                get(document("application/jwk-set+json", key_set)),
            )
            .at(
                METADATA_PATH,
                get(document("application/json", metadata.to_string().into())),
            );
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
