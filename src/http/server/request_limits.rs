//! Allowances: how large a request's body may be, and how slow the request.
//!
//! Most requests are small and answered at once; the few that are not are named here, each with a
//! bound of its own. This module refuses to know what a request asks for.

use std::io::{self, ErrorKind};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use poem::http::Method;

use crate::config::limits::{
    BODY_TIMEOUT, MAX_BODY_SIZE, POLICY_CHECK_TIMEOUT, STALL_TIMEOUT, UPLOAD_TIMEOUT,
};
use crate::http::api::admin::{files, policies};

/// What requests are allowed.
#[derive(Clone, Copy, Debug)]
pub struct RouteLimits {
    /// The largest file that may be uploaded, in bytes.
    pub max_upload_size: u64,
    /// How long the proofs of an edit of the policies may take.
    pub proof_timeout: Duration,
}

/// What one request is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestLimits {
    /// The most bytes of its body.
    pub max_body_size: u64,
    /// How long its body may take to arrive.
    body_timeout: Duration,
    /// How long nothing of its body may come.
    stall_timeout: Duration,
    /// How much longer than others it may take.
    pub extra_time: Duration,
}

const DEFAULT_LIMITS: RequestLimits = RequestLimits {
    max_body_size: MAX_BODY_SIZE,
    body_timeout: BODY_TIMEOUT,
    stall_timeout: BODY_TIMEOUT,
    extra_time: Duration::ZERO,
};

impl RouteLimits {
    /// What a request is allowed.
    #[must_use]
    pub fn for_request(&self, method: &Method, path: &str) -> RequestLimits {
        if files::is_file_upload(method, path) {
            RequestLimits {
                max_body_size: self.max_upload_size,
                body_timeout: UPLOAD_TIMEOUT,
                stall_timeout: STALL_TIMEOUT,
                extra_time: UPLOAD_TIMEOUT,
            }
        } else if policies::is_policy_reload(method, path) {
            // An edit that is being judged already is waited for before this one is.
            let judging = self.proof_timeout.saturating_add(POLICY_CHECK_TIMEOUT);
            RequestLimits {
                extra_time: judging.saturating_mul(2),
                ..DEFAULT_LIMITS
            }
        } else {
            DEFAULT_LIMITS
        }
    }
}

impl RequestLimits {
    /// A body as far as it comes in time and is not too large.
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
    fn only_a_reload_may_wait_for_proofs() {
        let allowances = RouteLimits {
            max_upload_size: 1,
            proof_timeout: Duration::from_mins(10),
        };
        let reload = allowances.for_request(&Method::POST, "/admin/policies/reload");
        assert!(reload.extra_time > Duration::from_mins(20));
        assert_eq!(reload.max_body_size, MAX_BODY_SIZE);
        for (method, path) in [
            (Method::GET, "/admin/policies/reload"),
            (Method::POST, "/admin/policies/reload/"),
            (Method::GET, "/admin/policies"),
        ] {
            assert_eq!(
                allowances.for_request(&method, path),
                DEFAULT_LIMITS,
                "{method} {path}"
            );
        }
    }
}
