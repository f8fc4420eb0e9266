//! Request limits: how large a request's body may be, and how slow.

use std::io::{self, ErrorKind};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use poem::Request;
use poem::http::header::{self, CONTENT_LENGTH, TRANSFER_ENCODING};
use poem::http::{HeaderMap, Method, StatusCode, Version};
use tokio::time::Instant;

use crate::config::limits::{BODY_TIMEOUT, MAX_BODY_SIZE, MAX_HEADERS_SIZE, MAX_UNUSED_BODY_SIZE};
use crate::http::reply::problem::Problem;

use super::body_digests::BodyDigests;
use super::operations::BodyKind;
use super::rate_meter::RateMeter;
use super::unread_body::UnreadBody;

/// Whether a request with this method and path is meant.
pub type RequestMatcher = fn(&Method, &str) -> bool;

/// The limits of all routes: most requests have the default ones.
#[derive(Clone, Debug, Default)]
pub struct RouteLimits {
    exceptions: Vec<(RequestMatcher, RequestLimits)>,
}

/// The limits of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestLimits {
    /// The most bytes of its body.
    pub max_body_size: u64,
    /// Whether its body is kept in memory and may be larger than that of others.
    pub has_large_body: bool,
    /// How long its body may take to arrive.
    pub body_timeout: Duration,
    /// How many bytes a minute of its body have to arrive while the server waits for them.
    pub min_bytes_per_minute: u32,
    /// How much longer than others it may take.
    pub extra_time: Duration,
}

impl Default for RequestLimits {
    fn default() -> Self {
        Self {
            max_body_size: MAX_BODY_SIZE,
            has_large_body: false,
            body_timeout: BODY_TIMEOUT,
            min_bytes_per_minute: 0,
            extra_time: Duration::ZERO,
        }
    }
}

impl RouteLimits {
    /// Gives the requests that `matcher` matches limits of their own.
    #[must_use]
    pub fn with(mut self, matcher: RequestMatcher, limits: RequestLimits) -> Self {
        self.exceptions.push((matcher, limits));
        self
    }

    /// The limits of a request to an operation that does this with its body, if there is one.
    #[must_use]
    pub fn for_request(
        &self,
        method: &Method,
        path: &str,
        body: Option<BodyKind>,
    ) -> RequestLimits {
        let exception = self
            .exceptions
            .iter()
            .find(|(matches, _)| matches(method, path));
        let usual = || match body {
            // It is never kept, so it may be as large as what is drained.
            Some(BodyKind::Unused) | None => RequestLimits {
                max_body_size: MAX_UNUSED_BODY_SIZE,
                ..RequestLimits::default()
            },
            Some(BodyKind::OfAnyone | BodyKind::OfCallers | BodyKind::OfCallersOrAnonymous) => {
                RequestLimits::default()
            }
        };
        exception.map_or_else(usual, |(_, limits)| *limits)
    }
}

impl RequestLimits {
    /// Limits of requests whose bodies are larger than those of most.
    #[must_use]
    pub fn with_large_body(max_body_size: u64) -> Self {
        Self {
            max_body_size,
            has_large_body: true,
            ..Self::default()
        }
    }

    /// Whether this body may need more memory than most requests do.
    pub(super) fn is_large_body(self, headers: &HeaderMap) -> bool {
        self.has_large_body && content_length(headers).is_none_or(|length| length > MAX_BODY_SIZE)
    }

    /// A body as far as it arrives in time and is not too large.
    pub fn limit_body(
        self,
        body: impl Stream<Item = io::Result<Bytes>> + Send + 'static,
    ) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
        let deadline = Instant::now() + self.body_timeout;
        let meter = RateMeter::new(self.min_bytes_per_minute);
        stream::try_unfold(
            (Box::pin(body), self.max_body_size, meter),
            move |(mut body, left, mut meter)| async move {
                let next = next_chunk(&mut body, &mut meter, deadline).await?;
                let Some(chunk) = next else {
                    return Ok(None);
                };
                let left = left
                    .checked_sub(chunk.len() as u64)
                    .ok_or_else(|| io::Error::from(ErrorKind::FileTooLarge))?;
                Ok(Some((chunk, (body, left, meter))))
            },
        )
    }
}

/// The next chunk, unless it comes too late or the body too slowly.
async fn next_chunk(
    body: &mut (impl Stream<Item = io::Result<Bytes>> + Unpin),
    meter: &mut RateMeter,
    deadline: Instant,
) -> io::Result<Option<Bytes>> {
    let too_slow = || io::Error::from(ErrorKind::TimedOut);
    loop {
        let since = Instant::now();
        let window_end = since + meter.window_left();
        let next = tokio::time::timeout_at(deadline.min(window_end), body.next()).await;
        if let Ok(Some(Ok(chunk))) = &next {
            meter.add_bytes(chunk.len());
        }
        meter.add_wait(since.elapsed()).map_err(|_| too_slow())?;
        match next {
            Ok(next) => return next.transpose(),
            Err(_) if Instant::now() >= deadline => return Err(too_slow()),
            Err(_) => {}
        }
    }
}

/// Rejects headers and bodies that are too large, and limits the body that is still to come; it must have
/// these digests.
pub(super) fn apply_limits(
    request: &mut Request,
    limits: RequestLimits,
    digests: Option<BodyDigests>,
) -> Result<Option<UnreadBody>, Problem> {
    let headers = request.headers();
    let headers_size: usize = headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len())
        .sum();
    if headers_size > MAX_HEADERS_SIZE {
        return Err(Problem::new(
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            format!("the request headers are larger than {MAX_HEADERS_SIZE} bytes in total"),
        ));
    }
    let hosts = headers.get_all(header::HOST).iter().count();
    if hosts > 1 || (hosts == 0 && request.version() == Version::HTTP_11) {
        // RFC 9112 section 3.2.
        let detail = "the request must have exactly one Host header";
        return Err(Problem::new(StatusCode::BAD_REQUEST, detail));
    }
    if content_length(headers).is_some_and(|length| length > limits.max_body_size) {
        return Err(Problem::from_status(StatusCode::PAYLOAD_TOO_LARGE));
    }
    if !has_body(headers) {
        return Ok(None);
    }
    let body = BodyDigests::check(digests, request.take_body());
    let (body, unread) = UnreadBody::watch(limits.limit_body(body));
    request.set_body(body);
    Ok(Some(unread))
}

/// Whether a body comes with the request (RFC 9112, section 6).
pub(super) fn has_body(headers: &HeaderMap) -> bool {
    headers.contains_key(TRANSFER_ENCODING) || headers.contains_key(CONTENT_LENGTH)
}

/// The `Content-Length`; a streamed body of unknown length has none.
pub(super) fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers
        .get(CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_requests_that_match_have_limits_of_their_own() {
        let own = RequestLimits {
            extra_time: Duration::from_mins(10),
            ..RequestLimits::default()
        };
        let limits = RouteLimits::default().with(|method, _| *method == Method::PUT, own);
        assert_eq!(limits.for_request(&Method::PUT, "/x", None), own);
        let others = limits.for_request(&Method::GET, "/x", Some(BodyKind::OfAnyone));
        assert_eq!(others, RequestLimits::default());
    }
}
