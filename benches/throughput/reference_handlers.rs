//! Reference handlers for `make bench`: what poem and josekit alone can do on this machine.
//!
//! `GET /plain` answers plain text; `POST /sign` signs the claims of a download token with ES256 and answers with the
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
use poem::{EndpointExt, Route, Server, get, handler, post};
use serde_json::{Value, json};
use uuid::Uuid;

/// As long as a thumbprint of RFC 7638.
const KEY_ID: &str = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFG";

#[handler]
fn plain() -> &'static str {
    "ok"
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
        .at("/sign", post(sign))
        .data(Arc::new(signer));
    Server::new(TcpListener::bind(address))
        .run(routes)
        .await
        .unwrap();
}
