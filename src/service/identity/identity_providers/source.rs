//! Sources: where the key set of an outside issuer comes from, and how it is got.
//!
//! A file, or the network: the discovery document below the issuer's URL (`OpenID` Connect Discovery
//! section 4) names the key set. Everything about fetching is bounded. This module refuses to know
//! when to fetch, and what a key set says.

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

/// How long connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// How long getting a key set may take, discovery included.
pub const FETCH_TIMEOUT: Duration = Duration::from_secs(8);
/// The most bytes of a discovery document, and of a key set.
pub const MAX_DOCUMENT_SIZE: usize = 256 * 1024;
/// The most redirects that are followed, all within one host.
const MAX_REDIRECTS: usize = 3;

/// Where a key set comes from.
#[derive(Debug)]
pub(super) enum KeySetSource {
    /// A file.
    File(PathBuf),
    /// The network.
    Discovery {
        issuer: String,
        clients: HttpClients,
    },
}

/// A key set as it was got.
pub(super) struct FetchedKeySet {
    pub(super) body: Vec<u8>,
    /// How long its server says that it may be kept.
    pub(super) max_age: Option<Duration>,
}

/// The proxy of the machine, if it has one, is for other machines.
#[derive(Clone, Debug)]
pub(super) struct HttpClients {
    remote: Client,
    loopback: Client,
}

/// Why a key set was not got. The texts are for operators: logs, health and the admin API.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The file cannot be read.
    #[error("the key set file {path} cannot be read: {source}")]
    File {
        /// The file.
        path: String,
        /// Why not.
        source: std::io::Error,
    },
    /// There was no answer.
    #[error("{url} cannot be fetched: {reason}")]
    Unreachable {
        /// What was asked for.
        url: String,
        /// Why there was none.
        reason: String,
    },
    /// It took too long.
    #[error("{url} was not fetched within {} seconds", FETCH_TIMEOUT.as_secs())]
    TooSlow {
        /// What was asked for.
        url: String,
    },
    /// There was another answer than 200.
    #[error("{url} answers {status}")]
    Status {
        /// What was asked for.
        url: String,
        /// What it answered.
        status: u16,
    },
    /// The answer is too large.
    #[error("the answer of {url} is larger than {MAX_DOCUMENT_SIZE} bytes")]
    TooLarge {
        /// What was asked for.
        url: String,
    },
    /// The discovery document is of no use.
    #[error("the discovery document {url} cannot be used: {reason}")]
    Discovery {
        /// Where it is.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The key set is of no use.
    #[error(transparent)]
    KeySet(#[from] crate::token::TokenError),
}

/// What is read of a discovery document.
#[derive(Deserialize)]
struct DiscoveryDocument {
    issuer: String,
    jwks_uri: String,
}

impl HttpClients {
    /// Clients with every bound set.
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

    /// Gets a small document; its answer's headers come with it.
    async fn get(&self, url: &Url) -> Result<(Vec<u8>, Option<Duration>), FetchError> {
        let client = if is_loopback(url) {
            &self.loopback
        } else {
            &self.remote
        };
        let unreachable = |error: reqwest::Error| FetchError::Unreachable {
            url: url.to_string(),
            // The text of reqwest itself says little.
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
        Ok((body, max_age))
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

    /// The source in words: a path, or the address of the discovery document.
    pub(super) fn location(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            Self::Discovery { issuer, .. } => discovery_url(issuer),
        }
    }

    /// Gets the key set, within [`FETCH_TIMEOUT`].
    pub(super) async fn fetch(&self) -> Result<FetchedKeySet, FetchError> {
        let too_slow = || FetchError::TooSlow {
            url: self.location(),
        };
        tokio::time::timeout(FETCH_TIMEOUT, self.get())
            .await
            .unwrap_or_else(|_| Err(too_slow()))
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
                let key_set = discover(issuer, clients).await?;
                let (body, max_age) = clients.get(&key_set).await?;
                Ok(FetchedKeySet { body, max_age })
            }
        }
    }
}

/// The address of the discovery document: a final slash of the issuer counts once.
fn discovery_url(issuer: &str) -> String {
    format!(
        "{}/.well-known/openid-configuration",
        issuer.trim_end_matches('/')
    )
}

/// The address of the key set, as the discovery document tells it.
async fn discover(issuer: &str, clients: &HttpClients) -> Result<Url, FetchError> {
    let address = discovery_url(issuer);
    let unusable = |reason: String| FetchError::Discovery {
        url: address.clone(),
        reason,
    };
    let url = Url::parse(&address).map_err(|error| unusable(error.to_string()))?;
    let (body, _) = clients.get(&url).await?;
    let found: DiscoveryDocument =
        serde_json::from_slice(&body).map_err(|error| unusable(error.to_string()))?;
    if found.issuer != issuer {
        let said: String = found.issuer.chars().take(255).collect();
        return Err(unusable(format!("it is of the issuer {said:?}")));
    }
    let key_set = Url::parse(&found.jwks_uri)
        .map_err(|error| unusable(format!("its jwks_uri is no URL: {error}")))?;
    // An issuer that is https must not send us to a place where anybody can answer.
    let is_near = is_loopback(&url) && is_loopback(&key_set);
    if key_set.scheme() == "https" || (key_set.scheme() == "http" && is_near) {
        Ok(key_set)
    } else {
        Err(unusable("its jwks_uri is not https".to_owned()))
    }
}

/// Follows a redirect to the same scheme, host and port, and not for long.
fn follow_within_origin(attempt: redirect::Attempt<'_>) -> redirect::Action {
    let is_here = attempt
        .previous()
        .last()
        .is_some_and(|from| from.origin() == attempt.url().origin());
    if !is_here {
        return attempt.error("it redirects to another host");
    }
    if attempt.previous().len() > MAX_REDIRECTS {
        return attempt.error("it redirects too often");
    }
    attempt.follow()
}

/// The `max-age` of an answer (RFC 9111 section 5.2.2.1); one that may not be kept has 0.
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
