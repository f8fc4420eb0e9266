//! Request limits: how large a request's body may be, and how slow.

use std::io::{self, ErrorKind};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use poem::http::Method;
use tokio::time::Instant;

use crate::config::limits::{BODY_TIMEOUT, MAX_BODY_SIZE};

use super::rate_meter::RateMeter;

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
    /// How many bytes a minute of its body have to arrive while the server waits for them.
    pub min_bytes_per_minute: u32,
    /// How much longer than others it may take.
    pub extra_time: Duration,
}

impl Default for RequestLimits {
    fn default() -> Self {
        Self {
            max_body_size: MAX_BODY_SIZE,
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
