//! The unread rest of a request's body, which the middleware drains before the response is sent.
//!
//! A connection that is closed with unread bytes is reset, and the client may lose the response.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use poem::Body;
use tokio::sync::oneshot;

use crate::config::limits::{BODY_TIMEOUT, MAX_UNUSED_BODY_SIZE};

type ByteStream = Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>;

/// What an endpoint leaves unread of a body.
pub(super) struct UnreadBody(oneshot::Receiver<Rest>);

/// The rest of a body.
struct Rest {
    body: ByteStream,
    /// Whether nothing is left.
    is_at_end: bool,
}

/// A body that hands its rest over when it is dropped.
struct WatchedBody {
    body: Option<ByteStream>,
    is_at_end: bool,
    rest: Option<oneshot::Sender<Rest>>,
}

impl UnreadBody {
    /// The body for the endpoint, and what becomes of its rest.
    pub(super) fn watch(
        body: impl Stream<Item = io::Result<Bytes>> + Send + 'static,
    ) -> (Body, Self) {
        let (rest, unread) = oneshot::channel();
        let watched = WatchedBody {
            body: Some(Box::pin(body)),
            is_at_end: false,
            rest: Some(rest),
        };
        (Body::from_bytes_stream(watched), Self(unread))
    }

    /// Drains the rest, as far as any body may be large and slow; whether nothing is left of it.
    pub(super) async fn drain(mut self) -> bool {
        let Ok(Rest {
            mut body,
            is_at_end,
        }) = self.0.try_recv()
        else {
            return true;
        };
        let reading = async {
            let mut left = MAX_UNUSED_BODY_SIZE;
            loop {
                match body.next().await {
                    None => return true,
                    Some(Err(_)) => return false,
                    Some(Ok(chunk)) => match left.checked_sub(chunk.len() as u64) {
                        Some(still) => left = still,
                        None => return false,
                    },
                }
            }
        };
        is_at_end || tokio::time::timeout(BODY_TIMEOUT, reading).await == Ok(true)
    }

    /// Whether the endpoint left nothing of it.
    pub(super) fn is_at_end(&mut self) -> bool {
        self.0.try_recv().is_ok_and(|rest| rest.is_at_end)
    }
}

impl Stream for WatchedBody {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(body) = &mut self.body else {
            return Poll::Ready(None);
        };
        let next = body.as_mut().poll_next(cx);
        self.is_at_end |= matches!(next, Poll::Ready(None));
        next
    }
}

impl Drop for WatchedBody {
    fn drop(&mut self) {
        if let (Some(body), Some(rest)) = (self.body.take(), self.rest.take()) {
            // Nobody waits for the rest after the response was sent.
            let _ = rest.send(Rest {
                body,
                is_at_end: self.is_at_end,
            });
        }
    }
}
