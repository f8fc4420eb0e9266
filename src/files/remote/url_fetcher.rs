//! Files at URLs: HEAD and ranged GET of servers that the operator's catalog names.
//!
//! Each URL, each redirect and each connection is checked against the addresses that may be connected to. No proxy
//! is used, because it would connect instead of us. A server may ignore `Range` (RFC 9110 section 14.2): then what
//! comes before the span is thrown away, if it is not too much.

use std::error::Error;
use std::ops::Range;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt, TryStreamExt};
use moka::sync::Cache;
use reqwest::header::{
    ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, ETAG, HeaderMap, HeaderName,
    HeaderValue, IF_MATCH, IF_UNMODIFIED_SINCE, LAST_MODIFIED, RANGE,
};
use reqwest::redirect::{Attempt, Policy};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use url::{Host, Url};

use super::addresses::AllowedAddresses;
use super::calls::RemoteCalls;
use super::error::RemoteError;
use super::facts::RemoteFacts;
use super::resolver::{CheckedResolver, RefusedHost};
use crate::domain::error_chain::error_chain;
use crate::domain::remote_file::FileUrl;

/// How many redirects are followed.
const MAX_REDIRECTS: usize = 3;
/// How long connecting, with TLS, may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(4);
/// How long a server may be silent while it sends a file.
const READ_TIMEOUT: Duration = Duration::from_secs(20);
/// How many bytes before a span are read and thrown away for a server that ignores `Range`.
const MAX_SKIPPED: u64 = 4 * 1024 * 1024;
/// For how many hosts calls are bounded apart.
const MAX_HOSTS: u64 = 1000;

/// Fetches files at URLs.
#[derive(Debug)]
pub(super) struct UrlFetcher {
    allowed: Arc<AllowedAddresses>,
    /// Made when they are needed: each reads the certificates of the machine.
    https: OnceLock<Result<Client, String>>,
    http: OnceLock<Result<Client, String>>,
    calls: Cache<String, RemoteCalls>,
}

/// A redirect that is not followed.
#[derive(Debug, thiserror::Error)]
#[error("it redirects to {0}")]
struct RefusedRedirect(String);

impl UrlFetcher {
    pub(super) fn new(allowed: AllowedAddresses) -> Self {
        Self {
            allowed: Arc::new(allowed),
            https: OnceLock::new(),
            http: OnceLock::new(),
            calls: Cache::new(MAX_HOSTS),
        }
    }

    /// Checks what the URL itself says: an address in it, and plain http.
    pub(super) fn check(&self, url: &FileUrl) -> Result<Url, RemoteError> {
        let parsed = url.parsed();
        let parsed = parsed.map_err(|error| RemoteError::Failed(error.to_string()))?;
        check_url(&self.allowed, &parsed, is_plain(&parsed)).map_err(RemoteError::Refused)?;
        Ok(parsed)
    }

    /// What the server says of a file.
    pub(super) async fn facts(&self, url: &FileUrl) -> Result<RemoteFacts, RemoteError> {
        let url = self.check(url)?;
        self.calls(&url).run(self.ask_for_facts(&url)).await
    }

    async fn ask_for_facts(&self, url: &Url) -> Result<RemoteFacts, RemoteError> {
        let request = self.request(Method::HEAD, url)?;
        let response = self.send(request, is_plain(url)).await?;
        let status = response.status();
        let is_head_refused = matches!(status.as_u16(), 400 | 403 | 405 | 501);
        if status.is_success() && header(response.headers(), &CONTENT_LENGTH).is_some() {
            let size = length(response.headers())?;
            return facts_of(&response, size);
        }
        if !status.is_success() && !is_head_refused {
            return Err(error_of(status));
        }
        // Some servers know no HEAD, or give no length with it.
        let request = self.request(Method::GET, url)?.header(RANGE, "bytes=0-0");
        let response = self.send(request, is_plain(url)).await?;
        let size = match response.status() {
            StatusCode::PARTIAL_CONTENT => content_range(response.headers())?.1,
            StatusCode::OK => length(response.headers())?,
            // An empty file has no first byte.
            StatusCode::RANGE_NOT_SATISFIABLE => 0,
            other => return Err(error_of(other)),
        };
        facts_of(&response, size)
    }

    /// The bytes of a span of a version.
    pub(super) async fn read(
        &self,
        url: &FileUrl,
        facts: &RemoteFacts,
        span: Range<u64>,
    ) -> Result<BoxStream<'static, Result<Bytes, std::io::Error>>, RemoteError> {
        let url = self.check(url)?;
        self.calls(&url).run(self.open(&url, facts, span)).await
    }

    async fn open(
        &self,
        url: &Url,
        facts: &RemoteFacts,
        span: Range<u64>,
    ) -> Result<BoxStream<'static, Result<Bytes, std::io::Error>>, RemoteError> {
        let mut request = self.request(Method::GET, url)?;
        if span != (0..facts.size) {
            let last = span.end.saturating_sub(1);
            request = request.header(RANGE, format!("bytes={}-{last}", span.start));
        }
        if let Some(tag) = facts.strong_tag() {
            request = request.header(IF_MATCH, tag);
        } else if facts.is_dated {
            request = request.header(IF_UNMODIFIED_SINCE, http_date(facts.modified));
        }
        let response = self.send(request, is_plain(url)).await?;
        let status = response.status();
        let skipped = match status {
            StatusCode::PARTIAL_CONTENT => {
                let (sent, size) = content_range(response.headers())?;
                if size != facts.size {
                    return Err(RemoteError::Replaced);
                }
                if sent != span {
                    return Err(RemoteError::Failed(
                        "another range than requested".to_owned(),
                    ));
                }
                0
            }
            StatusCode::OK => {
                if length(response.headers())? != facts.size {
                    return Err(RemoteError::Replaced);
                }
                span.start
            }
            StatusCode::PRECONDITION_FAILED | StatusCode::RANGE_NOT_SATISFIABLE => {
                return Err(RemoteError::Replaced);
            }
            other => return Err(error_of(other)),
        };
        if !is_same_version(&facts_of(&response, facts.size)?, facts) {
            return Err(RemoteError::Replaced);
        }
        if skipped > MAX_SKIPPED {
            let detail = "the server ignores Range, and the range begins too far inside the file";
            return Err(RemoteError::Failed(detail.to_owned()));
        }
        let chunks = response
            .bytes_stream()
            .map_err(|error| std::io::Error::other(error_chain(&error.without_url())));
        Ok(section(chunks.boxed(), skipped, span.end - span.start))
    }

    fn calls(&self, url: &Url) -> RemoteCalls {
        let host = url.host_str().unwrap_or_default().to_owned();
        self.calls.get_with(host, RemoteCalls::default)
    }

    fn request(&self, method: Method, url: &Url) -> Result<RequestBuilder, RemoteError> {
        let is_plain = is_plain(url);
        let client = if is_plain { &self.http } else { &self.https };
        let client = client.get_or_init(|| self.client(is_plain));
        let client = client.as_ref();
        let client = client.map_err(|error| RemoteError::Failed(error.clone()))?;
        Ok(client
            .request(method, url.clone())
            .header(ACCEPT_ENCODING, HeaderValue::from_static("identity")))
    }

    fn client(&self, is_plain: bool) -> Result<Client, String> {
        let allowed = Arc::clone(&self.allowed);
        let resolver = CheckedResolver::new(Arc::clone(&allowed), is_plain);
        let follow = move |attempt: Attempt| follow(&allowed, attempt, is_plain);
        let client = Client::builder()
            .no_proxy()
            .redirect(Policy::custom(follow))
            .referer(false)
            .dns_resolver(Arc::new(resolver))
            .https_only(!is_plain)
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(READ_TIMEOUT)
            .user_agent(concat!("cedargate/", env!("CARGO_PKG_VERSION")))
            .build();
        client.map_err(|error| error_chain(&error))
    }

    /// Sends a request, and checks where its answer came from.
    async fn send(&self, request: RequestBuilder, is_plain: bool) -> Result<Response, RemoteError> {
        let sent = request.send().await;
        let response = sent.map_err(|error| send_error(&error.without_url()))?;
        let address = response.remote_addr().map(|address| address.ip());
        match address {
            Some(address) if !self.allowed.permits(address, is_plain) => {
                Err(RemoteError::Refused(format!("connected to {address}")))
            }
            Some(_) | None => Ok(response),
        }
    }
}

fn send_error(error: &reqwest::Error) -> RemoteError {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(current) = cause {
        if current.is::<RefusedHost>() || current.is::<RefusedRedirect>() {
            return RemoteError::Refused(current.to_string());
        }
        cause = current.source();
    }
    RemoteError::Failed(error_chain(error))
}

fn is_plain(url: &Url) -> bool {
    url.scheme() != "https"
}

/// Whether a URL may be fetched, as far as it says so itself; or why not.
fn check_url(allowed: &AllowedAddresses, url: &Url, is_plain: bool) -> Result<(), String> {
    if !matches!(url.scheme(), "https" | "http") {
        return Err(format!("the scheme {}", url.scheme()));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("credentials in a URL".to_owned());
    }
    let address = match url.host() {
        Some(Host::Ipv4(address)) => address.into(),
        Some(Host::Ipv6(address)) => address.into(),
        Some(Host::Domain(_)) if is_plain && allowed.is_empty() => {
            return Err("plain http is for networks that remote_networks lists".to_owned());
        }
        Some(Host::Domain(_)) => return Ok(()),
        None => return Err("a URL without a host".to_owned()),
    };
    if allowed.permits(address, is_plain) {
        return Ok(());
    }
    Err(if url.scheme() == "http" {
        format!("{address} by plain http, which is for networks that remote_networks lists")
    } else {
        format!("{address} is no public address, and remote_networks does not list it")
    })
}

fn follow(
    allowed: &AllowedAddresses,
    attempt: Attempt,
    is_plain: bool,
) -> reqwest::redirect::Action {
    if attempt.previous().len() > MAX_REDIRECTS {
        return attempt.error(RefusedRedirect("too many places".to_owned()));
    }
    match check_url(allowed, attempt.url(), is_plain) {
        Ok(()) if is_plain || attempt.url().scheme() == "https" => attempt.follow(),
        Ok(()) => attempt.error(RefusedRedirect("plain http".to_owned())),
        Err(problem) => attempt.error(RefusedRedirect(problem)),
    }
}

fn error_of(status: StatusCode) -> RemoteError {
    match status.as_u16() {
        404 | 410 => RemoteError::Missing,
        _ => RemoteError::Failed(format!("the server answers {}", status.as_u16())),
    }
}

fn header<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

fn length(headers: &HeaderMap) -> Result<u64, RemoteError> {
    let length = header(headers, &CONTENT_LENGTH).and_then(|text| text.parse().ok());
    length.ok_or_else(|| RemoteError::Failed("the server does not say how long it is".to_owned()))
}

/// The span and the length of the whole in `Content-Range: bytes 0-9/100`.
fn content_range(headers: &HeaderMap) -> Result<(Range<u64>, u64), RemoteError> {
    let parsed = || {
        let text = header(headers, &CONTENT_RANGE)?.strip_prefix("bytes ")?;
        let (range, size) = text.split_once('/')?;
        let (first, last) = range.split_once('-')?;
        let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
        Some((first..last.checked_add(1)?, size.parse().ok()?))
    };
    parsed().ok_or_else(|| RemoteError::Failed("the answer has no valid Content-Range".to_owned()))
}

fn facts_of(response: &Response, size: u64) -> Result<RemoteFacts, RemoteError> {
    let headers = response.headers();
    let coding = header(headers, &CONTENT_ENCODING).unwrap_or("identity");
    if !coding.eq_ignore_ascii_case("identity") {
        let detail =
            format!("the server sends it in the coding {coding:?}, whose ranges are others");
        return Err(RemoteError::Failed(detail));
    }
    let modified = header(headers, &LAST_MODIFIED)
        .and_then(|text| httpdate::parse_http_date(text).ok())
        .and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok())
        .and_then(|since| i64::try_from(since.as_secs()).ok());
    let tag = header(headers, &ETAG).map(str::to_owned);
    Ok(RemoteFacts::new(size, modified, tag))
}

/// Whether an answer is of the version that is known; a server that gives no validator is believed.
fn is_same_version(sent: &RemoteFacts, known: &RemoteFacts) -> bool {
    let is_dated = sent.is_dated && known.is_dated;
    match (&sent.tag, &known.tag) {
        (Some(sent), Some(known)) => sent == known,
        (None, None) if is_dated => sent.modified == known.modified,
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    }
}

fn http_date(unix_seconds: i64) -> String {
    let seconds = u64::try_from(unix_seconds).unwrap_or_default();
    httpdate::fmt_http_date(std::time::UNIX_EPOCH + Duration::from_secs(seconds))
}

/// Leaves out the first bytes, and ends after `length` more, whatever follows.
fn section(
    chunks: BoxStream<'static, Result<Bytes, std::io::Error>>,
    skipped: u64,
    length: u64,
) -> BoxStream<'static, Result<Bytes, std::io::Error>> {
    stream::try_unfold(
        (chunks, skipped, length),
        async |(mut chunks, skipped, length)| {
            if length == 0 {
                return Ok(None);
            }
            let Some(chunk) = chunks.next().await else {
                return Ok(None);
            };
            let mut chunk = chunk?;
            let before = usize::try_from(skipped)
                .unwrap_or(usize::MAX)
                .min(chunk.len());
            let mut wanted = chunk.split_off(before);
            wanted.truncate(usize::try_from(length).unwrap_or(usize::MAX));
            let (skipped, length) = (skipped - before as u64, length - wanted.len() as u64);
            Ok(Some((wanted, (chunks, skipped, length))))
        },
    )
    .boxed()
}
