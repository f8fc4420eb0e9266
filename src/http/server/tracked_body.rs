//! Tracked bodies: response bodies that are logged when they end early.
//!
//! The access log is written when a response begins. A client that disconnects, a shutdown or a damaged
//! file may end a body early; then a second line says how many bytes were sent.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::Stream;
use hyper::body::{Body, Frame, SizeHint};

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
            log_early_end(self.request.take(), self.sent, self.expected);
        }
    }
}

/// A response body that is there as a whole. It ends with its only chunk, so it leaves together with the head.
pub struct TrackedChunk<F> {
    chunk: Option<Bytes>,
    count: F,
    request: Option<RequestIds>,
}

impl<F> TrackedChunk<F> {
    /// A body in response to the current request; `count` is told how many bytes are sent.
    #[must_use]
    pub fn new(chunk: Bytes, count: F) -> Self {
        Self {
            chunk: Some(chunk).filter(|chunk| !chunk.is_empty()),
            count,
            request: RequestIds::current(),
        }
    }
}

impl<F: Fn(u64) + Unpin> Body for TrackedChunk<F> {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let chunk = self.chunk.take();
        if let Some(chunk) = &chunk {
            (self.count)(chunk.len() as u64);
        }
        Poll::Ready(chunk.map(|chunk| Ok(Frame::data(chunk))))
    }

    fn is_end_stream(&self) -> bool {
        self.chunk.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.chunk.as_ref().map_or(0, |chunk| chunk.len() as u64))
    }
}

impl<F> Drop for TrackedChunk<F> {
    fn drop(&mut self) {
        if let Some(chunk) = &self.chunk {
            log_early_end(self.request.take(), 0, chunk.len() as u64);
        }
    }
}

fn log_early_end(request: Option<RequestIds>, sent: u64, expected: u64) {
    RequestIds::in_scope(request, || {
        tracing::warn!(sent, expected, "download ended early");
    });
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

    fn logged_by(run: impl FnOnce()) -> String {
        let log = Log::default();
        let to = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_writer(move || to.clone())
            .with_ansi(false)
            .finish();
        tracing::subscriber::with_default(subscriber, run);
        String::from_utf8(log.0.lock().unwrap().clone()).unwrap()
    }

    /// What is logged when so many of two chunks of five bytes are sent.
    fn logged_after(chunks_sent: usize) -> String {
        logged_by(|| {
            let chunks = ["01234", "56789"].map(|text| Ok::<_, Infallible>(Bytes::from(text)));
            let mut body = TrackedBody::new(stream::iter(chunks), 10);
            for _ in 0..chunks_sent {
                futures_util::FutureExt::now_or_never(body.next()).unwrap();
            }
        })
    }

    #[test]
    fn a_chunk_is_counted_when_it_is_sent_and_logged_when_it_is_not() {
        let counted = Arc::new(Mutex::new(Vec::new()));
        let counts = Arc::clone(&counted);
        let mut body = TrackedChunk::new(Bytes::from("01234"), move |bytes| {
            counts.lock().unwrap().push(bytes);
        });
        assert_eq!(
            (body.size_hint().exact(), body.is_end_stream()),
            (Some(5), false)
        );
        let logged = logged_by(|| drop(TrackedChunk::new(Bytes::from("01234"), |_: u64| ())));
        assert!(logged.contains("ended early"), "{logged}");
        assert!(
            logged.contains("sent=0") && logged.contains("expected=5"),
            "{logged}"
        );
        let mut context = Context::from_waker(std::task::Waker::noop());
        let logged = logged_by(|| {
            let sent = Pin::new(&mut body).poll_frame(&mut context);
            assert!(matches!(sent, Poll::Ready(Some(Ok(frame))) if frame.is_data()));
            assert!(body.is_end_stream());
            drop(body);
            drop(TrackedChunk::new(Bytes::new(), |_: u64| ()));
        });
        assert_eq!(
            (logged.as_str(), counted.lock().unwrap().as_slice()),
            ("", &[5][..])
        );
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
