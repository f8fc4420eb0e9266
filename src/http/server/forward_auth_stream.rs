//! Forward-auth streams: the status of a request whose head cannot be parsed.
//!
//! hyper answers such a request itself, with 400, 414 or 431, before there is one for the middleware to see. A proxy
//! that asks about a request passes on headers of its client, which may be anything: it is told 403, as by
//! [`mod@super::forward_auth_statuses`]. The reason phrase stays, and says why.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::forward_auth_statuses::FORWARD_AUTH_PATH;

/// As many bytes of a request as tell what it asks for.
const MAX_BEGINNING: usize = 64;
/// Where the status of a response is (RFC 9112 section 4), and what comes before it.
const VERSION: &[u8] = b"HTTP/1.1 ";
const STATUS: std::ops::Range<usize> = 9..12;
const FORBIDDEN: &[u8] = b"403";

/// A stream of HTTP/1.1 on which a request for forward-auth has a status that proxies know.
pub(super) struct ForwardAuthStream<S> {
    stream: S,
    /// The beginning of what was read since the last response.
    beginning: Vec<u8>,
    is_answering: bool,
}

impl<S> ForwardAuthStream<S> {
    pub(super) fn new(stream: S) -> Self {
        Self {
            stream,
            beginning: Vec::with_capacity(MAX_BEGINNING),
            is_answering: false,
        }
    }

    fn add_read(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        if std::mem::take(&mut self.is_answering) {
            self.beginning.clear();
        }
        let missing = MAX_BEGINNING.saturating_sub(self.beginning.len());
        self.beginning.extend(bytes.iter().take(missing));
    }

    /// What to write instead of `bytes`, if they are the beginning of a response that must not leave.
    fn replacement(&mut self, bytes: &[u8]) -> Option<Vec<u8>> {
        if self.is_answering || bytes.is_empty() {
            return None;
        }
        self.is_answering = true;
        if !is_for_forward_auth(&self.beginning) || !bytes.starts_with(VERSION) {
            return None;
        }
        let status = bytes.get(STATUS)?;
        let is_known = matches!(status, b"401" | FORBIDDEN | [b'1' | b'2', ..]);
        if is_known {
            return None;
        }
        let mut replaced = bytes.to_vec();
        replaced.get_mut(STATUS)?.copy_from_slice(FORBIDDEN);
        Some(replaced)
    }
}

/// Whether a request that begins so is one for forward-auth. Empty lines before it are skipped, as by hyper
/// (RFC 9112 section 2.2).
fn is_for_forward_auth(beginning: &[u8]) -> bool {
    let line = beginning.trim_ascii_start();
    let target = line
        .strip_prefix(b"GET ")
        .or_else(|| line.strip_prefix(b"HEAD "));
    let rest = target.and_then(|target| target.strip_prefix(FORWARD_AUTH_PATH.as_bytes()));
    rest.is_some_and(|rest| {
        let rest = rest.strip_prefix(b"/").unwrap_or(rest);
        matches!(
            rest.first(),
            None | Some(b' ' | b'?' | b'#' | b'\r' | b'\n')
        )
    })
}

impl<S: AsyncRead + Unpin> AsyncRead for ForwardAuthStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        let bytes = buffer.filled().get(before..).unwrap_or_default();
        self.add_read(bytes);
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for ForwardAuthStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let replaced = self.replacement(bytes);
        let bytes = replaced.as_deref().unwrap_or(bytes);
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        if replaced.is_some() && written.is_pending() {
            // It is offered again.
            self.is_answering = false;
        }
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let first = slices.iter().find(|slice| !slice.is_empty());
        let first = first.map_or(&[][..], |slice| slice);
        match self.replacement(first) {
            Some(replaced) => {
                let written = Pin::new(&mut self.stream).poll_write(cx, &replaced);
                if written.is_pending() {
                    self.is_answering = false;
                }
                written
            }
            None => Pin::new(&mut self.stream).poll_write_vectored(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_responses_of_forward_auth_are_replaced() {
        for (request, response, replaced) in [
            (
                "GET /auth/verify HTTP/1.1",
                "HTTP/1.1 400 Bad",
                Some("HTTP/1.1 403 Bad"),
            ),
            (
                "\r\nHEAD /auth/verify?x HTTP/1.1",
                "HTTP/1.1 431 Big",
                Some("HTTP/1.1 403 Big"),
            ),
            (
                "GET /auth/verify/ HTTP/1.1",
                "HTTP/1.1 503 X",
                Some("HTTP/1.1 403 X"),
            ),
            ("GET /auth/verify HTTP/1.1", "HTTP/1.1 204 No", None),
            ("GET /auth/verify HTTP/1.1", "HTTP/1.1 401 No", None),
            ("GET /auth/verify HTTP/1.1", "HTTP/1.1 403 No", None),
            ("GET /auth/verify HTTP/1.1", "HTTP/1.1 4", None),
            ("GET /auth/verifying HTTP/1.1", "HTTP/1.1 400 Bad", None),
            ("POST /auth/verify HTTP/1.1", "HTTP/1.1 405 Bad", None),
            ("GET /x HTTP/1.1", "HTTP/1.1 400 Bad", None),
            ("", "HTTP/1.1 400 Bad", None),
        ] {
            let mut stream = ForwardAuthStream::new(());
            let (start, end) = request.split_at(request.len() / 2);
            stream.add_read(start.as_bytes());
            stream.add_read(end.as_bytes());
            let found = stream.replacement(response.as_bytes());
            let replaced = replaced.map(|text| text.as_bytes().to_vec());
            assert_eq!(found, replaced, "{request:?} {response:?}");
            // The rest of a response is what it is.
            assert_eq!(stream.replacement(b"HTTP/1.1 400 Bad"), None);
            // And the next request is another one.
            stream.add_read(b"GET /x HTTP/1.1");
            assert_eq!(stream.replacement(b"HTTP/1.1 400 Bad"), None);
        }
    }
}
