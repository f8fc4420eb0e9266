//! Reference handlers for `make bench`: what poem and josekit alone can do on this machine.
//!
//! `GET /plain` answers plain text; `GET /document` answers with as many headers and bytes as the key set has, which the
//! client has to read too; `POST /sign` signs the claims of a download token with ES256 and answers with the
//! JSON of a mint, which is the floor of a mint. Runtime and server are the defaults of tokio and poem. The address is
//! the first argument.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::needless_pass_by_value,
    reason = "a bench fails by panicking, and measures; handlers take their extractors"
)]

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use josekit::jwk::KeyPair as _;
use josekit::jwk::alg::ec::{EcCurve, EcKeyPair};
use josekit::jws::alg::ecdsa::EcdsaJwsSigner;
use josekit::jws::{ES256, JwsHeader};
use josekit::jwt::{self, JwtPayload};
use poem::listener::TcpListener;
use poem::web::{Data, Json};
use poem::{EndpointExt, Response, ResponseBuilder, Route, Server, get, handler, post};
use serde_json::{Value, json};
use uuid::Uuid;

/// As long as a thumbprint of RFC 7638.
const KEY_ID: &str = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFG";

#[handler]
fn plain() -> &'static str {
    "ok"
}

/// As long as a key set of two keys.
const DOCUMENT: &[u8] = &[b'x'; 420];
/// As many and as long as those of the key set, beside those that poem adds.
const DOCUMENT_HEADERS: [(&str, &str); 7] = [
    ("etag", "\"ls-DdCTTcHsdxya54zNwz7RerbUDB6sXzIAzXr3GAZQ\""),
    (
        "cache-control",
        "public, max-age=300, stale-while-revalidate=60",
    ),
    ("x-request-id", "01a21f4d-c7d7-7492-9ea9-5782fe842cdb"),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("access-control-allow-origin", "*"),
    (
        "access-control-expose-headers",
        "accept, accept-ranges, allow, cache-control, content-disposition, content-length, content-range, etag, \
         last-modified, link, location, retry-after, www-authenticate, x-request-id",
    ),
];

#[handler]
fn document() -> Response {
    let response = Response::builder().content_type("application/json");
    let add = |response: ResponseBuilder, (name, value)| response.header(name, value);
    let response = DOCUMENT_HEADERS.into_iter().fold(response, add);
    response.body(DOCUMENT)
}

#[handler]
fn sign(signer: Data<&Arc<EcdsaJwsSigner>>) -> Json<Value> {
    let now = SystemTime::now();
    let mut header = JwsHeader::new();
    header.set_token_type("download+jwt");
    header.set_key_id(KEY_ID);
    let mut payload = JwtPayload::new();
    payload.set_issuer("https://gate.example");
    payload.set_audience(vec!["https://files.example"]);
    payload.set_issued_at(&now);
    payload.set_expires_at(&(now + Duration::from_mins(2)));
    payload.set_jwt_id(Uuid::now_v7().to_string());
    payload
        .set_claim("typ", Some(Value::from("download")))
        .unwrap();
    let scope = format!("dataset:{}", Uuid::from_u128(u128::MAX));
    payload
        .set_claim("scope", Some(Value::from(scope)))
        .unwrap();
    let token = jwt::encode_with_signer(&payload, &header, &***signer).unwrap();
    Json(json!({ "token": token, "expires_in": 120 }))
}

#[tokio::main]
async fn main() {
    let address = std::env::args().nth(1).unwrap();
    let pair = EcKeyPair::generate(EcCurve::P256).unwrap();
    let signer = ES256.signer_from_der(pair.to_der_private_key()).unwrap();
    let routes = Route::new()
        .at("/plain", get(plain))
        .at("/document", get(document))
        .at("/sign", post(sign))
        .data(Arc::new(signer));
    Server::new(TcpListener::bind(address))
        .run(routes)
        .await
        .unwrap();
}
