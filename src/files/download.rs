//! Streams the bytes of one span in large chunks.
//!
//! The store's own stream of a local file comes in chunks of 8 KiB and never ends when the file
//! shrinks under it, so open files are read here: what is in the page cache at once, and the rest on a thread for
//! blocking work, which also has the system read ahead while a chunk is on its way to the client.

use std::io;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream, Stream, StreamExt, TryStreamExt};
use object_store::Result as StoreResult;

use super::bounded_calls::BoundedCalls;
use super::chunk_buffers::{BUFFER_SIZE, ChunkBuffer, ChunkBuffers};
use super::error::FilesError;
use super::open_file::OpenFile;
use crate::domain::dataset::StoredFile;

/// The bytes of a span, in chunks of at most a few hundred kibibytes.
pub type ByteStream = BoxStream<'static, Result<Bytes, FilesError>>;

/// The size of a chunk in bytes; each active download holds one or two of them in memory.
pub(super) const CHUNK_SIZE: u64 = BUFFER_SIZE as u64;

/// The span of an open file that is still to be read.
pub(super) struct LocalSpan {
    open: Arc<OpenFile>,
    stored: StoredFile,
    rest: Range<u64>,
    buffers: ChunkBuffers,
    calls: BoundedCalls,
    /// The chunk that a thread is reading.
    reading: Option<BoxFuture<'static, Result<Bytes, FilesError>>>,
}

impl LocalSpan {
    pub(super) fn new(
        open: Arc<OpenFile>,
        stored: StoredFile,
        span: Range<u64>,
        buffers: ChunkBuffers,
        calls: BoundedCalls,
    ) -> Self {
        Self {
            open,
            stored,
            rest: span,
            buffers,
            calls,
            reading: None,
        }
    }

    /// The chunks of the span; the first one is read before this returns.
    pub(super) async fn into_stream(mut self) -> Result<ByteStream, FilesError> {
        let Some(first) = self.next().await.transpose()? else {
            return Ok(stream::empty().boxed());
        };
        let first = stream::once(std::future::ready(Ok(first)));
        if self.rest.is_empty() {
            return Ok(first.boxed());
        }
        Ok(first.chain(self).boxed())
    }

    /// The next chunk, if it can be read at once; begins to read it otherwise.
    fn read_or_begin(&mut self) -> Option<Bytes> {
        let length = (self.rest.end - self.rest.start).min(CHUNK_SIZE);
        let length = usize::try_from(length).unwrap_or_default();
        let mut buffer = self.buffers.take(length);
        let offset = self.rest.start;
        let read = self.open.read_at_once(buffer.as_mut_slice(), offset);
        if read == length {
            return Some(buffer.into_bytes());
        }
        let (open, stored) = (Arc::clone(&self.open), self.stored.clone());
        let reading = read_elsewhere(open, stored, buffer, read, offset, self.calls.clone());
        self.reading = Some(Box::pin(reading));
        None
    }
}

impl Stream for LocalSpan {
    type Item = Result<Bytes, FilesError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.rest.is_empty() {
            return Poll::Ready(None);
        }
        if self.reading.is_none()
            && let Some(chunk) = self.read_or_begin()
        {
            self.rest.start += chunk.len() as u64;
            return Poll::Ready(Some(Ok(chunk)));
        }
        let Some(reading) = &mut self.reading else {
            return Poll::Ready(None);
        };
        let read = ready!(reading.as_mut().poll(cx));
        self.reading = None;
        match &read {
            Ok(chunk) => self.rest.start += chunk.len() as u64,
            Err(_) => self.rest.start = self.rest.end,
        }
        Poll::Ready(Some(read))
    }
}

/// A span that is one chunk, if it can be read without waiting.
pub(super) fn read_at_once(
    open: &OpenFile,
    span: &Range<u64>,
    buffers: &ChunkBuffers,
) -> Option<Bytes> {
    let length = span.end - span.start;
    let length = usize::try_from(length)
        .ok()
        .filter(|_| length <= CHUNK_SIZE)?;
    let mut buffer = buffers.take(length);
    let read = open.read_at_once(buffer.as_mut_slice(), span.start);
    (read == length).then(|| buffer.into_bytes())
}

/// Reads what is missing of a chunk, of which there are `filled` bytes, on a thread for blocking work.
async fn read_elsewhere(
    open: Arc<OpenFile>,
    stored: StoredFile,
    mut buffer: ChunkBuffer,
    filled: usize,
    offset: u64,
    calls: BoundedCalls,
) -> Result<Bytes, FilesError> {
    let name = stored.name.clone();
    let read = move || {
        let missing = buffer.as_mut_slice().get_mut(filled..).unwrap_or_default();
        let begin = offset.saturating_add(filled as u64);
        let end = begin.saturating_add(missing.len() as u64);
        let read = open.read_blocking(missing, begin);
        if read.map_err(|source| unreadable(stored.name.clone(), source))? < missing.len() {
            return Err(damaged(&stored));
        }
        open.read_ahead(end);
        Ok(buffer.into_bytes())
    };
    let reading = async { tokio::task::spawn_blocking(read).await };
    let done = calls.read(reading).await?;
    done.unwrap_or_else(|lost| Err(unreadable(name, io::Error::other(lost))))
}

/// Forwards the stream of a remote store, and fails if it is not exactly `expected` bytes.
pub(super) fn stream_remote(
    chunks: BoxStream<'static, StoreResult<Bytes>>,
    stored: StoredFile,
    expected: u64,
) -> ByteStream {
    let name = stored.name.clone();
    let chunks = chunks.map_err(move |error| unreadable(name.clone(), error.into()));
    let end = stream::once(async { Ok(Bytes::new()) });
    let ended = chunks
        .map_ok(|chunk| (chunk, false))
        .chain(end.map_ok(|chunk| (chunk, true)));
    let counted = ended.scan(expected, move |left, next| {
        let checked = next.and_then(|(chunk, is_end)| {
            let kept = left.checked_sub(chunk.len() as u64);
            match kept {
                Some(kept) if !is_end || kept == 0 => {
                    *left = kept;
                    Ok(chunk)
                }
                _ => Err(damaged(&stored)),
            }
        });
        std::future::ready(Some(checked))
    });
    counted
        .try_filter(|chunk| std::future::ready(!chunk.is_empty()))
        .boxed()
}

pub(super) fn unreadable(name: String, source: io::Error) -> FilesError {
    FilesError::Unreadable { name, source }
}

pub(super) fn damaged(stored: &StoredFile) -> FilesError {
    FilesError::Damaged {
        name: stored.name.clone(),
        sha256: stored.sha256.clone(),
        size: stored.size,
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    fn stored(size: u64) -> StoredFile {
        StoredFile {
            sha256: "0".repeat(64),
            name: "a.tif".into(),
            size,
            modified: 0,
        }
    }

    async fn remote(expected: u64, chunks: &[&'static [u8]]) -> Result<Vec<u8>, FilesError> {
        let chunks: Vec<_> = chunks
            .iter()
            .map(|chunk| Ok(Bytes::from_static(chunk)))
            .collect();
        let stream = stream_remote(stream::iter(chunks).boxed(), stored(10), expected);
        let chunks: Vec<Bytes> = stream.try_collect().await?;
        Ok(chunks.concat())
    }

    #[tokio::test]
    async fn a_remote_stream_of_the_right_length_passes() {
        assert_eq!(remote(5, &[b"abc", b"", b"de"]).await.unwrap(), b"abcde");
    }

    #[tokio::test]
    async fn a_remote_stream_of_another_length_is_damage() {
        for chunks in [&[b"abc".as_slice()][..], &[b"abcdef"], &[]] {
            let error = remote(5, chunks).await.unwrap_err();
            assert!(matches!(error, FilesError::Damaged { .. }), "{error}");
        }
    }

    #[tokio::test]
    async fn a_file_that_shrinks_while_it_is_read_ends_the_stream_with_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.tif");
        std::fs::write(&path, vec![7; 3 * 256 * 1024]).unwrap();
        let size = 3 * CHUNK_SIZE;
        let file = File::open(&path).unwrap();
        let open = Arc::new(OpenFile::new(file, size, None));
        let (buffers, calls) = (ChunkBuffers::default(), BoundedCalls::default());
        let span = LocalSpan::new(open, stored(size), 0..size, buffers, calls);
        let mut stream = span.into_stream().await.unwrap();
        assert_eq!(
            stream.next().await.unwrap().unwrap().len() as u64,
            CHUNK_SIZE
        );
        let writer = File::options().write(true).open(&path).unwrap();
        writer.set_len(CHUNK_SIZE + 1).unwrap();
        let error = stream.next().await.unwrap().unwrap_err();
        assert!(matches!(error, FilesError::Damaged { .. }), "{error}");
        assert!(stream.next().await.is_none());
    }
}
