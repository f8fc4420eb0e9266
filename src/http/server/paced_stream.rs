//! Paced streams: a connection breaks when its client reads more slowly than the least rate.
//!
//! Without it a client with a small receive window holds a connection, a file and a buffer for days.

use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep};

use super::close_reason::CloseReason;
use super::rate_meter::{RateMeter, TooSlow};

/// How many bytes that are not sent yet the kernel takes, so that what it takes shows how fast the
/// client reads. It would take several mebibytes otherwise, and then nothing for minutes.
const MAX_UNSENT_BYTES: u32 = 128 * 1024;

/// A stream whose writes fail when its peer reads too slowly.
pub(super) struct PacedStream<S> {
    stream: S,
    meter: RateMeter,
    /// Since when a write waits.
    waiting: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
}

/// A connection whose client must read at the least rate of the meter.
pub(super) fn paced(stream: TcpStream, meter: RateMeter) -> PacedStream<TcpStream> {
    #[cfg(any(target_os = "android", target_os = "linux"))]
    if let Err(error) = socket2::SockRef::from(&stream).set_tcp_notsent_lowat(MAX_UNSENT_BYTES) {
        tracing::debug!(%error, "cannot limit the unsent bytes of a connection");
    }
    PacedStream::new(stream, meter)
}

impl<S> PacedStream<S> {
    fn new(stream: S, meter: RateMeter) -> Self {
        Self {
            stream,
            meter,
            waiting: None,
            timer: None,
        }
    }

    /// Measures the result of an attempt to write.
    fn measure(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        match written {
            Poll::Ready(Ok(bytes)) => {
                self.meter.add_bytes(bytes);
                if let Some(since) = self.waiting.take()
                    && let Err(TooSlow) = self.meter.add_wait(since.elapsed())
                {
                    return Poll::Ready(Err(too_slow()));
                }
                Poll::Ready(Ok(bytes))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => self.wait(cx),
        }
    }

    /// Waits for the client until the window ends, and through further windows while it is fast enough.
    fn wait(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        loop {
            let since = match self.waiting {
                Some(since) => since,
                None => self.start_waiting(),
            };
            let timer = self
                .timer
                .get_or_insert_with(|| Box::pin(tokio::time::sleep(self.meter.window_left())));
            if timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            self.waiting = None;
            if let Err(TooSlow) = self.meter.add_wait(since.elapsed()) {
                return Poll::Ready(Err(too_slow()));
            }
        }
    }

    fn start_waiting(&mut self) -> Instant {
        let now = Instant::now();
        self.waiting = Some(now);
        if let Some(timer) = &mut self.timer {
            timer.as_mut().reset(now + self.meter.window_left());
        }
        now
    }
}

fn too_slow() -> io::Error {
    CloseReason::TooSlow.count();
    io::Error::new(ErrorKind::TimedOut, "the client reads too slowly")
}

impl<S: AsyncRead + Unpin> AsyncRead for PacedStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for PacedStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.measure(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.measure(cx, written)
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
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use crate::config::limits::RATE_WINDOW;

    use super::*;

    /// A meter whose first window ends in a moment.
    fn meter_near_window_end(min_bytes_per_minute: u32) -> RateMeter {
        let mut meter = RateMeter::new(min_bytes_per_minute);
        meter
            .add_wait(RATE_WINDOW.saturating_sub(Duration::from_millis(50)))
            .unwrap();
        meter
    }

    #[tokio::test]
    async fn a_write_that_waits_too_long_for_too_few_bytes_fails() {
        let (client, server) = tokio::io::duplex(16);
        let mut stream = PacedStream::new(server, meter_near_window_end(17));
        let error = stream.write_all(&[0; 64]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        drop(client);
    }

    #[tokio::test]
    async fn a_client_that_reads_enough_in_each_window_may_go_on() {
        let (mut client, server) = tokio::io::duplex(16);
        let mut stream = PacedStream::new(server, meter_near_window_end(16));
        let writing = tokio::spawn(async move { stream.write_all(&[7; 64]).await });
        // The first window ends while nobody reads, with as many bytes as it has to have.
        tokio::time::sleep(Duration::from_millis(100)).await;
        let mut read = vec![0; 64];
        client.read_exact(&mut read).await.unwrap();
        writing.await.unwrap().unwrap();
        assert_eq!(read, [7; 64]);
    }
}
