//! Request limits: how large a request's body may be, and how slow the request.

use std::io::{self, ErrorKind};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use poem::http::Method;

use crate::config::limits::{BODY_TIMEOUT, MAX_BODY_SIZE};

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
    /// How long its body may take to arrive.
    pub body_timeout: Duration,
    /// How long nothing of its body may arrive.
    pub stall_timeout: Duration,
    /// How much longer than others it may take.
    pub extra_time: Duration,
}

impl Default for RequestLimits {
    fn default() -> Self {
        Self {
            max_body_size: MAX_BODY_SIZE,
            body_timeout: BODY_TIMEOUT,
            stall_timeout: BODY_TIMEOUT,
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

    /// The limits of a request.
    #[must_use]
    pub fn for_request(&self, method: &Method, path: &str) -> RequestLimits {
        let exception = self
            .exceptions
            .iter()
            .find(|(matches, _)| matches(method, path));
        exception.map_or_else(RequestLimits::default, |(_, limits)| *limits)
    }
}

impl RequestLimits {
    /// A body as far as it arrives in time and is not too large.
    pub fn limit_body(
        self,
        body: impl Stream<Item = io::Result<Bytes>> + Send + 'static,
    ) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
        let deadline = tokio::time::Instant::now() + self.body_timeout;
        stream::try_unfold(
            (Box::pin(body), self.max_body_size),
            move |(mut body, left)| async move {
                let stalled = tokio::time::Instant::now() + self.stall_timeout;
                let next = tokio::time::timeout_at(deadline.min(stalled), body.next());
                let next = next
                    .await
                    .map_err(|_| io::Error::from(ErrorKind::TimedOut))?;
                let Some(chunk) = next.transpose()? else {
                    return Ok(None);
                };
                let left = left
                    .checked_sub(chunk.len() as u64)
                    .ok_or_else(|| io::Error::from(ErrorKind::FileTooLarge))?;
                Ok(Some((chunk, (body, left))))
            },
        )
    }
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
        assert_eq!(limits.for_request(&Method::PUT, "/x"), own);
        let others = limits.for_request(&Method::GET, "/x");
        assert_eq!(others, RequestLimits::default());
    }
}
