//! Tracked bodies: response bodies that are logged when they end early.
//!
//! The access log is written when a response begins. A client that disconnects, a shutdown or a damaged
//! file may end a body early; then a second line says how many bytes were sent.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::Stream;

use crate::domain::request_ids::RequestIds;

/// A response body that logs a warning if it is dropped before its end.
pub struct TrackedBody<S> {
    body: S,
    expected: u64,
    sent: u64,
    request: Option<RequestIds>,
}

impl<S> TrackedBody<S> {
    /// A body of `expected` bytes, in response to the current request.
    #[must_use]
    pub fn new(body: S, expected: u64) -> Self {
        Self {
            body,
            expected,
            sent: 0,
            request: RequestIds::current(),
        }
    }
}

impl<S: Stream<Item = Result<Bytes, E>> + Unpin, E> Stream for TrackedBody<S> {
    type Item = Result<Bytes, E>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = ready!(Pin::new(&mut self.body).poll_next(cx));
        if let Some(Ok(chunk)) = &next {
            self.sent += chunk.len() as u64;
        }
        Poll::Ready(next)
    }
}

impl<S> Drop for TrackedBody<S> {
    fn drop(&mut self) {
        if self.sent < self.expected {
            let (sent, expected) = (self.sent, self.expected);
            RequestIds::in_scope(self.request.take(), || {
                tracing::warn!(sent, expected, "download ended early");
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use futures_util::{StreamExt, stream};

    use super::*;

    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl Write for Log {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// What is logged when so many of two chunks of five bytes are sent.
    fn logged_after(chunks_sent: usize) -> String {
        let log = Log::default();
        let to = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_writer(move || to.clone())
            .with_ansi(false)
            .finish();
        tracing::subscriber::with_default(subscriber, || {
            let chunks = ["01234", "56789"].map(|text| Ok::<_, Infallible>(Bytes::from(text)));
            let mut body = TrackedBody::new(stream::iter(chunks), 10);
            for _ in 0..chunks_sent {
                futures_util::FutureExt::now_or_never(body.next()).unwrap();
            }
        });
        String::from_utf8(log.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn a_body_that_ends_early_is_logged_and_a_complete_one_is_not() {
        let logged = logged_after(1);
        assert!(logged.contains("ended early"), "{logged}");
        assert!(
            logged.contains("sent=5") && logged.contains("expected=10"),
            "{logged}"
        );
        assert_eq!(logged_after(2), "");
        assert_eq!(logged_after(3), "");
    }
}
