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
pub(super) struct UnreadBody(oneshot::Receiver<ByteStream>);

/// A body that hands its rest over when it is dropped.
struct WatchedBody {
    body: Option<ByteStream>,
    rest: Option<oneshot::Sender<ByteStream>>,
}

impl UnreadBody {
    /// The body for the endpoint, and what becomes of its rest.
    pub(super) fn watch(
        body: impl Stream<Item = io::Result<Bytes>> + Send + 'static,
    ) -> (Body, Self) {
        let (rest, unread) = oneshot::channel();
        let watched = WatchedBody {
            body: Some(Box::pin(body)),
            rest: Some(rest),
        };
        (Body::from_bytes_stream(watched), Self(unread))
    }

    /// Drains the rest, as far as any body may be large and slow.
    pub(super) async fn drain(mut self) {
        let Ok(mut body) = self.0.try_recv() else {
            return;
        };
        let reading = async {
            let mut left = MAX_UNUSED_BODY_SIZE;
            while let Some(Ok(chunk)) = body.next().await {
                match left.checked_sub(chunk.len() as u64) {
                    Some(still) => left = still,
                    None => return,
                }
            }
        };
        let _: Result<(), _> = tokio::time::timeout(BODY_TIMEOUT, reading).await;
    }
}

impl Stream for WatchedBody {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        match &mut self.body {
            Some(body) => body.as_mut().poll_next(cx),
            None => Poll::Ready(None),
        }
    }
}

impl Drop for WatchedBody {
    fn drop(&mut self) {
        if let (Some(body), Some(rest)) = (self.body.take(), self.rest.take()) {
            // Nobody waits for the rest after the response was sent.
            let _ = rest.send(body);
        }
    }
}
