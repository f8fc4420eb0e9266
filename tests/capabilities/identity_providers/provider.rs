//! A small identity provider on loopback: it signs any claims, and misbehaves as a test needs.

use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cedargate::domain::clock::Clock;
use josekit::jws::{ES256, JwsSigner as _};
use poem::listener::TcpAcceptor;
use poem::{Request, Response, Server as PoemServer};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub(super) const AUDIENCE: &str = "cedargate";

/// How the provider responds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Behavior {
    /// Correctly.
    Correct,
    /// With 500.
    Failing,
    /// Never.
    Silent,
    /// With a redirect of the key set to this address.
    Redirecting(String),
    /// With a key set of this many bytes.
    Large(usize),
    /// With this discovery document.
    Discovering(Value),
}

pub(super) struct ProviderState {
    pub behavior: Behavior,
    pub cache_control: Option<&'static str>,
    keys: Vec<Value>,
    fetches: usize,
}

pub(super) struct IdentityProvider {
    pub url: String,
    state: Arc<Mutex<ProviderState>>,
    running: JoinHandle<()>,
}

/// A signing key of the provider.
pub(super) struct ProviderKey {
    kid: String,
    pub public: Value,
    signer: josekit::jws::alg::ecdsa::EcdsaJwsSigner,
}

impl ProviderKey {
    pub(super) fn generate(kid: &str) -> Self {
        let pair = ES256.generate_key_pair().unwrap();
        let mut public = serde_json::to_value(pair.to_jwk_public_key()).unwrap();
        public["kid"] = json!(kid);
        Self {
            kid: kid.to_owned(),
            public,
            signer: ES256.signer_from_jwk(&pair.to_jwk_private_key()).unwrap(),
        }
    }

    pub(super) fn sign(&self, claims: &Value) -> String {
        self.sign_with(&json!({"alg": "ES256", "kid": self.kid}), claims)
    }

    pub(super) fn sign_with(&self, header: &Value, claims: &Value) -> String {
        let encode = |json: &Value| URL_SAFE_NO_PAD.encode(json.to_string());
        let signed = format!("{}.{}", encode(header), encode(claims));
        let signature = self.signer.sign(signed.as_bytes()).unwrap();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

impl Drop for IdentityProvider {
    fn drop(&mut self) {
        self.running.abort();
    }
}

impl IdentityProvider {
    pub(super) async fn start(keys: &[&ProviderKey]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(ProviderState {
            behavior: Behavior::Correct,
            cache_control: None,
            keys: keys.iter().map(|key| key.public.clone()).collect(),
            fetches: 0,
        }));
        let shared = (Arc::clone(&state), url.clone());
        let endpoint = poem::endpoint::make(move |request| {
            let (state, url) = shared.clone();
            async move { Ok::<_, poem::Error>(respond(&request, &state, &url).await) }
        });
        let acceptor = TcpAcceptor::from_tokio(listener).unwrap();
        let running = tokio::spawn(async move {
            PoemServer::new_with_acceptor(acceptor)
                .run(endpoint)
                .await
                .unwrap();
        });
        Self {
            url,
            state,
            running,
        }
    }

    pub(super) fn publish(&self, keys: &[&ProviderKey]) {
        self.state.lock().unwrap().keys = keys.iter().map(|key| key.public.clone()).collect();
    }

    pub(super) fn set_behavior(&self, manner: Behavior) {
        self.state.lock().unwrap().behavior = manner;
    }

    pub(super) fn set_cache_control(&self, cache_control: &'static str) {
        self.state.lock().unwrap().cache_control = Some(cache_control);
    }

    /// How often its discovery document was requested; each fetch starts with it.
    pub(super) fn fetch_count(&self) -> usize {
        self.state.lock().unwrap().fetches
    }

    /// The claims of an ordinary token, valid for five minutes.
    pub(super) fn claims(&self, clock: &Clock, subject: &str) -> Value {
        let now = clock.unix_seconds();
        json!({
            "iss": self.url, "aud": AUDIENCE, "sub": subject, "iat": now, "exp": now + 300,
            "preferred_username": subject,
        })
    }
}

async fn respond(request: &Request, state: &Mutex<ProviderState>, url: &str) -> Response {
    let (manner, cache_control, keys) = {
        let mut state = state.lock().unwrap();
        if request.uri().path() == "/.well-known/openid-configuration" {
            state.fetches += 1;
        }
        (
            state.behavior.clone(),
            state.cache_control,
            state.keys.clone(),
        )
    };
    let json = |value: &Value| Response::builder().body(value.to_string());
    let key_set = json!({ "keys": keys });
    match (request.uri().path(), manner) {
        (_, Behavior::Failing) => Response::builder()
            .status(poem::http::StatusCode::INTERNAL_SERVER_ERROR)
            .finish(),
        (_, Behavior::Silent) => std::future::pending().await,
        ("/.well-known/openid-configuration", Behavior::Discovering(document)) => json(&document),
        ("/.well-known/openid-configuration", _) => {
            json(&json!({"issuer": url, "jwks_uri": format!("{url}/jwks")}))
        }
        ("/jwks", Behavior::Redirecting(to)) => Response::builder()
            .status(poem::http::StatusCode::FOUND)
            .header("location", to)
            .finish(),
        ("/jwks", Behavior::Large(bytes)) => {
            let mut large = key_set;
            large["padding"] = json!("a".repeat(bytes));
            json(&large)
        }
        _ => {
            let mut response = json(&key_set);
            if let Some(cache_control) = cache_control {
                let cache_control = cache_control.parse().unwrap();
                response
                    .headers_mut()
                    .insert("cache-control", cache_control);
            }
            response
        }
    }
}
