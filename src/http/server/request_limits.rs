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
    BODY_TIMEOUT, LARGEST_BODY, RELOAD_OVERHEAD, STALL_TIMEOUT, UPLOAD_TIMEOUT,
};
use crate::http::api::admin::{files, policies};

/// What requests are allowed.
#[derive(Clone, Copy, Debug)]
pub struct Allowances {
    /// The largest file that may be uploaded, in bytes.
    pub largest_upload: u64,
    /// How long the proofs of an edit of the policies may take.
    pub longest_proof: Duration,
}

/// What one request is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// The most bytes of its body.
    pub largest: u64,
    /// How long its body may take to arrive.
    longest: Duration,
    /// How long nothing of its body may come.
    stall: Duration,
    /// How much longer than others it may take.
    pub patience: Duration,
}

const ORDINARY: Allowance = Allowance {
    largest: LARGEST_BODY,
    longest: BODY_TIMEOUT,
    stall: BODY_TIMEOUT,
    patience: Duration::ZERO,
};

impl Allowances {
    /// What a request is allowed.
    #[must_use]
    pub fn of(&self, method: &Method, path: &str) -> Allowance {
        if files::is_upload(method, path) {
            Allowance {
                largest: self.largest_upload,
                longest: UPLOAD_TIMEOUT,
                stall: STALL_TIMEOUT,
                patience: UPLOAD_TIMEOUT,
            }
        } else if policies::is_reload(method, path) {
            // An edit that is being judged already is waited for before this one is.
            let judging = self.longest_proof.saturating_add(RELOAD_OVERHEAD);
            Allowance {
                patience: judging.saturating_mul(2),
                ..ORDINARY
            }
        } else {
            ORDINARY
        }
    }
}

impl Allowance {
    /// A body as far as it comes in time and is not too large.
    pub fn bound(
        self,
        body: impl Stream<Item = io::Result<Bytes>> + Send + 'static,
    ) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
        let deadline = tokio::time::Instant::now() + self.longest;
        stream::try_unfold(
            (Box::pin(body), self.largest),
            move |(mut body, left)| async move {
                let stalled = tokio::time::Instant::now() + self.stall;
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
        let allowances = Allowances {
            largest_upload: 1,
            longest_proof: Duration::from_mins(10),
        };
        let reload = allowances.of(&Method::POST, "/admin/policies/reload");
        assert!(reload.patience > Duration::from_mins(20));
        assert_eq!(reload.largest, LARGEST_BODY);
        for (method, path) in [
            (Method::GET, "/admin/policies/reload"),
            (Method::POST, "/admin/policies/reload/"),
            (Method::GET, "/admin/policies"),
        ] {
            assert_eq!(allowances.of(&method, path), ORDINARY, "{method} {path}");
        }
    }
}
