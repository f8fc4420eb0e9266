//! Where STAC documents are, and how they are read: files, and URLs within bounds of time and size.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use reqwest::header::ACCEPT;
use reqwest::{Client, redirect};
use serde_json::Value;
use url::{Host, Url};

use crate::domain::error_chain::error_chain;
use crate::domain::text_file::skip_byte_order_mark;

use super::error::StacError;

/// How large one document may be, in MiB.
const MAX_DOCUMENT_MEBIBYTES: usize = 64;
/// How large one document may be, in bytes.
const MAX_DOCUMENT_SIZE: usize = MAX_DOCUMENT_MEBIBYTES * 1024 * 1024;
/// How long one document may take.
const FETCH_TIMEOUT: Duration = Duration::from_mins(1);
/// How long connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How many redirects are followed for one document.
const MAX_REDIRECTS: usize = 5;

/// Where a STAC document is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum StacSource {
    /// On disk.
    File(PathBuf),
    /// On the network.
    Url(Url),
}

/// A document with where it was read from.
pub(super) struct FetchedDocument {
    /// Where it is: references in it are relative to this.
    pub(super) base: Url,
    /// Its name in messages.
    pub(super) name: String,
    /// What it says.
    pub(super) content: Value,
}

/// Reads documents.
pub(super) struct Fetcher {
    remote: Client,
    loopback: Client,
    /// The folder in which documents and files on disk may be; none if the import began on the network.
    files: Option<PathBuf>,
}

impl FromStr for StacSource {
    type Err = StacError;

    /// A text with a scheme is a URL; anything else is the path of a file.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = |problem: String| StacError::InvalidUrl {
            text: without_query(text),
            problem,
        };
        if !text.contains("://") {
            return Ok(Self::File(PathBuf::from(text)));
        }
        let url = Url::parse(text).map_err(|error| invalid(error.to_string()))?;
        Self::from_url(url).map_err(|problem| invalid(problem.to_owned()))
    }
}

impl StacSource {
    /// The source at a URL.
    pub(super) fn from_url(mut url: Url) -> Result<Self, &'static str> {
        url.set_fragment(None);
        match url.scheme() {
            "http" | "https" if !url.username().is_empty() || url.password().is_some() => {
                Err("it has a user name or a password")
            }
            "http" | "https" => Ok(Self::Url(url)),
            "file" => url
                .to_file_path()
                .map(Self::File)
                .map_err(|()| "it is no file of this machine"),
            _ => Err("its scheme is none of https, http and file"),
        }
    }
}

impl fmt::Display for StacSource {
    /// The path, or the URL without its query, which may have a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Url(url) => f.write_str(&without_query(url.as_str())),
        }
    }
}

/// A URL without its query.
pub(super) fn without_query(url: &str) -> String {
    let end = url.find(['?', '#']).unwrap_or(url.len());
    url.get(..end).unwrap_or_default().to_owned()
}

impl Fetcher {
    /// Reads what belongs to the document at `first`; files are in `files`, or in the folder of the document.
    pub(super) fn new(first: &StacSource, files: Option<&Path>) -> Result<Self, StacError> {
        let client = |is_loopback: bool| {
            let builder = Client::builder()
                .connect_timeout(CONNECT_TIMEOUT)
                .timeout(FETCH_TIMEOUT)
                .user_agent(concat!("cedargate/", env!("CARGO_PKG_VERSION")))
                .redirect(redirect::Policy::custom(check_redirect));
            let builder = if is_loopback {
                builder.no_proxy()
            } else {
                builder
            };
            builder.build().map_err(|error| StacError::Unreadable {
                source_name: first.to_string(),
                cause: error_chain(&error),
            })
        };
        let folder = match (files, first) {
            (Some(folder), _) => Some(folder.to_owned()),
            (None, StacSource::File(path)) => Some(match path.parent() {
                Some(parent) if parent != Path::new("") => parent.to_owned(),
                Some(_) | None => PathBuf::from("."),
            }),
            (None, StacSource::Url(_)) => None,
        };
        let resolve = |folder: PathBuf| {
            std::fs::canonicalize(&folder).map_err(|error| StacError::Unreadable {
                source_name: folder.display().to_string(),
                cause: error.to_string(),
            })
        };
        Ok(Self {
            remote: client(false)?,
            loopback: client(true)?,
            files: folder.map(resolve).transpose()?,
        })
    }

    /// The folder in which files on disk may be.
    pub(super) fn files(&self) -> Option<PathBuf> {
        self.files.clone()
    }

    /// Reads one document.
    pub(super) async fn fetch(&self, source: &StacSource) -> Result<FetchedDocument, StacError> {
        let name = source.to_string();
        let (base, bytes) = match source {
            StacSource::File(path) => self.read_file(path, &name).await?,
            StacSource::Url(url) => self.get(url, &name).await?,
        };
        let content = serde_json::from_slice(skip_byte_order_mark(&bytes)).map_err(|cause| {
            let source_name = name.clone();
            StacError::NotJson { source_name, cause }
        })?;
        Ok(FetchedDocument {
            base,
            name,
            content,
        })
    }

    async fn read_file(&self, path: &Path, name: &str) -> Result<(Url, Vec<u8>), StacError> {
        use tokio::io::AsyncReadExt as _;
        let unreadable = |error: std::io::Error| StacError::Unreadable {
            source_name: name.to_owned(),
            cause: error.to_string(),
        };
        // Before it is opened: a pipe may have no writer, and a document that is read twice has to be there.
        if !tokio::fs::metadata(path)
            .await
            .map_err(unreadable)?
            .is_file()
        {
            return Err(StacError::Unreadable {
                source_name: name.to_owned(),
                cause: "it is not a regular file".to_owned(),
            });
        }
        let path = tokio::fs::canonicalize(path).await.map_err(unreadable)?;
        let base = Url::from_file_path(&path);
        let base = base.map_err(|()| unreadable(std::io::ErrorKind::InvalidFilename.into()))?;
        let file = tokio::fs::File::open(&path).await.map_err(unreadable)?;
        let mut bytes = Vec::new();
        file.take(MAX_DOCUMENT_SIZE as u64 + 1)
            .read_to_end(&mut bytes)
            .await
            .map_err(unreadable)?;
        check_size(bytes.len(), name)?;
        Ok((base, bytes))
    }

    async fn get(&self, url: &Url, name: &str) -> Result<(Url, Vec<u8>), StacError> {
        let unreadable = |cause: String| StacError::Unreadable {
            source_name: name.to_owned(),
            cause,
        };
        // The error has the URL with its query otherwise.
        let failed = |error: reqwest::Error| unreadable(error_chain(&error.without_url()));
        let client = if is_loopback(url) {
            &self.loopback
        } else {
            &self.remote
        };
        let request = client.get(url.clone());
        let request = request.header(ACCEPT, "application/geo+json, application/json;q=0.9");
        let mut response = request.send().await.map_err(failed)?;
        if !response.status().is_success() {
            return Err(unreadable(format!("it answered {}", response.status())));
        }
        let base = response.url().clone();
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            check_size(bytes.len().saturating_add(chunk.len()), name)?;
            bytes.extend_from_slice(&chunk);
        }
        Ok((base, bytes))
    }
}

fn check_size(size: usize, name: &str) -> Result<(), StacError> {
    if size > MAX_DOCUMENT_SIZE {
        return Err(StacError::TooLarge {
            source_name: name.to_owned(),
            max_mebibytes: MAX_DOCUMENT_MEBIBYTES,
        });
    }
    Ok(())
}

/// Follows a few redirects, and none from https to http.
fn check_redirect(attempt: redirect::Attempt<'_>) -> redirect::Action {
    let is_downgrade = attempt.url().scheme() != "https"
        && attempt.previous().iter().any(|url| url.scheme() == "https");
    if attempt.previous().len() > MAX_REDIRECTS {
        attempt.error("too many redirects")
    } else if is_downgrade {
        attempt.error("redirected from https to http")
    } else {
        attempt.follow()
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}
