//! Response bodies on their way: the connection is busy until they end, and they end in time.

use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::Instant;

use super::connection_limit::RequestInFlight;

/// A body that fails when it is not read completely in time.
pub(super) struct ResponseBody<B> {
    body: B,
    deadline: Instant,
    /// Absent where the request got no place.
    _request: Option<RequestInFlight>,
}

impl<B> ResponseBody<B> {
    /// The body of the response to a request; it may take `timeout`.
    pub(super) fn new(body: B, request: Option<RequestInFlight>, timeout: Duration) -> Self {
        Self {
            body,
            deadline: Instant::now() + timeout,
            _request: request,
        }
    }
}

impl<B> Body for ResponseBody<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<io::Error>,
{
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if Instant::now() >= self.deadline {
            let message = "the client took too long to read the response";
            return Poll::Ready(Some(Err(io::Error::new(ErrorKind::TimedOut, message))));
        }
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        frame.map(|next| next.map(|frame| frame.map_err(Into::into)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
