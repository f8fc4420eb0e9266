//! Where the key set of an identity provider comes from, and how it is fetched.
//!
//! A file, or the network: the discovery document below the issuer URL (`OpenID` Connect Discovery
//! section 4) names the key set. Everything about fetching is bounded.

use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;

use reqwest::header::CACHE_CONTROL;
use reqwest::{Client, Response, redirect};
use serde::Deserialize;
use url::Url;

use crate::config::is_loopback;
use crate::domain::error_chain::error_chain;
use crate::domain::issuer::ExternalIssuer;
use crate::domain::text_file::skip_byte_order_mark;

use super::error::{FETCH_TIMEOUT, FetchError, MAX_DOCUMENT_SIZE};

/// How long connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// How many redirects are followed, all within one origin.
const MAX_REDIRECTS: usize = 3;

/// Where a key set comes from.
#[derive(Debug)]
pub(super) enum KeySetSource {
    /// A file.
    File(PathBuf),
    /// The network, by the discovery document of an issuer.
    Discovery {
        issuer: String,
        clients: HttpClients,
    },
}

/// A fetched key set.
pub(super) struct FetchedKeySet {
    pub(super) body: Vec<u8>,
    /// How long its server says that it may be cached.
    pub(super) max_age: Option<Duration>,
}

/// HTTP clients: the machine's proxy, if it has one, is for remote hosts only.
#[derive(Clone, Debug)]
pub(super) struct HttpClients {
    remote: Client,
    loopback: Client,
}

/// The members of a discovery document that are used.
#[derive(Deserialize)]
struct DiscoveryDocument {
    issuer: String,
    jwks_uri: String,
}

impl HttpClients {
    /// Clients with all bounds set.
    pub(super) fn new() -> Result<Self, reqwest::Error> {
        let bounded = || {
            Client::builder()
                .connect_timeout(CONNECT_TIMEOUT)
                .timeout(FETCH_TIMEOUT)
                .redirect(redirect::Policy::custom(follow_within_origin))
                .referer(false)
                .user_agent(concat!("cedargate/", env!("CARGO_PKG_VERSION")))
        };
        Ok(Self {
            remote: bounded().build()?,
            loopback: bounded().no_proxy().build()?,
        })
    }

    /// Gets a small document.
    async fn get(&self, url: &Url) -> Result<FetchedKeySet, FetchError> {
        let client = if is_loopback(url) {
            &self.loopback
        } else {
            &self.remote
        };
        let unreachable = |error: reqwest::Error| FetchError::Unreachable {
            url: url.to_string(),
            // The causes: reqwest's own text says little.
            reason: error_chain(error.source().unwrap_or(&error)),
        };
        let mut response = client.get(url.clone()).send().await.map_err(unreachable)?;
        if response.status() != reqwest::StatusCode::OK {
            return Err(FetchError::Status {
                url: url.to_string(),
                status: response.status().as_u16(),
            });
        }
        let max_age = max_age(&response);
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            if body.len() + chunk.len() > MAX_DOCUMENT_SIZE {
                return Err(FetchError::TooLarge {
                    url: url.to_string(),
                });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(FetchedKeySet { body, max_age })
    }
}

impl KeySetSource {
    /// The source of an issuer's key set.
    pub(super) fn new(issuer: &ExternalIssuer, clients: &HttpClients) -> Self {
        match &issuer.jwks_file {
            Some(file) => Self::File(file.clone()),
            None => Self::Discovery {
                issuer: issuer.issuer.clone(),
                clients: clients.clone(),
            },
        }
    }

    /// The path of the file, or the URL of the discovery document.
    pub(super) fn location(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            Self::Discovery { issuer, .. } => discovery_url(issuer),
        }
    }

    /// Fetches the key set, within [`FETCH_TIMEOUT`].
    pub(super) async fn fetch(&self) -> Result<FetchedKeySet, FetchError> {
        tokio::time::timeout(FETCH_TIMEOUT, self.get())
            .await
            .unwrap_or_else(|_| {
                Err(FetchError::TooSlow {
                    url: self.location(),
                })
            })
    }

    async fn get(&self) -> Result<FetchedKeySet, FetchError> {
        match self {
            Self::File(path) => {
                let unreadable = |source| FetchError::File {
                    path: path.display().to_string(),
                    source,
                };
                let size = tokio::fs::metadata(path).await.map_err(unreadable)?.len();
                if size > MAX_DOCUMENT_SIZE as u64 {
                    return Err(FetchError::TooLarge {
                        url: self.location(),
                    });
                }
                Ok(FetchedKeySet {
                    body: tokio::fs::read(path).await.map_err(unreadable)?,
                    max_age: None,
                })
            }
            Self::Discovery { issuer, clients } => {
                let key_set_url = discover(issuer, clients).await?;
                clients.get(&key_set_url).await
            }
        }
    }
}

/// The URL of the discovery document: a final slash of the issuer counts once.
fn discovery_url(issuer: &str) -> String {
    format!(
        "{}/.well-known/openid-configuration",
        issuer.trim_end_matches('/')
    )
}

/// The URL of the key set, from the discovery document.
async fn discover(issuer: &str, clients: &HttpClients) -> Result<Url, FetchError> {
    let discovery_url = discovery_url(issuer);
    let unusable = |reason: String| FetchError::Discovery {
        url: discovery_url.clone(),
        reason,
    };
    let url = Url::parse(&discovery_url).map_err(|error| unusable(error.to_string()))?;
    let fetched = clients.get(&url).await?;
    let document: DiscoveryDocument = serde_json::from_slice(skip_byte_order_mark(&fetched.body))
        .map_err(|error| unusable(error.to_string()))?;
    if document.issuer != issuer {
        let other: String = document.issuer.chars().take(255).collect();
        return Err(unusable(format!("it is of the issuer {other:?}")));
    }
    let key_set_url = Url::parse(&document.jwks_uri)
        .map_err(|error| unusable(format!("its jwks_uri is not a URL: {error}")))?;
    // An https issuer must not redirect us to a URL where anybody can answer.
    let is_local = is_loopback(&url) && is_loopback(&key_set_url);
    if key_set_url.scheme() == "https" || (key_set_url.scheme() == "http" && is_local) {
        Ok(key_set_url)
    } else {
        Err(unusable("its jwks_uri is not https".to_owned()))
    }
}

/// Follows a few redirects to the same scheme, host and port.
fn follow_within_origin(attempt: redirect::Attempt<'_>) -> redirect::Action {
    let is_same_origin = attempt
        .previous()
        .last()
        .is_some_and(|from| from.origin() == attempt.url().origin());
    if !is_same_origin {
        return attempt.error("it redirects to another host");
    }
    if attempt.previous().len() > MAX_REDIRECTS {
        return attempt.error("it redirects too often");
    }
    attempt.follow()
}

/// The `max-age` of a response (RFC 9111 section 5.2.2.1); one that may not be cached has 0.
fn max_age(response: &Response) -> Option<Duration> {
    let directives = response
        .headers()
        .get_all(CACHE_CONTROL)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|directive| directive.trim().to_ascii_lowercase());
    let mut found = None;
    for directive in directives {
        if matches!(directive.as_str(), "no-store" | "no-cache") {
            return Some(Duration::ZERO);
        }
        if let Some(seconds) = directive.strip_prefix("max-age=") {
            found = seconds
                .trim_matches('"')
                .parse()
                .ok()
                .map(Duration::from_secs);
        }
    }
    found
}
