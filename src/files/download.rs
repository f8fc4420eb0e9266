//! Streams the bytes of one span in large chunks.
//!
//! The store's own stream of a local file comes in chunks of 8 KiB and never ends when the file
//! shrinks under it, so open files are read here.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;

use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt, TryStreamExt};
use object_store::Result as StoreResult;

use super::bounded_calls::BoundedCalls;
use super::error::FilesError;
use crate::domain::dataset::StoredFile;

/// The bytes of a span, in chunks of at most a few hundred kibibytes.
pub type ByteStream = BoxStream<'static, Result<Bytes, FilesError>>;

/// The size of a chunk in bytes; each active download holds about one of them in memory.
pub(super) const CHUNK_SIZE: u64 = 256 * 1024;

/// An open file and the span that is still to be read.
struct RemainingSpan {
    calls: BoundedCalls,
    file: File,
    stored: StoredFile,
    span: Range<u64>,
}

/// Streams `span` of an open file; the first chunk is read before this returns.
pub(super) async fn stream_open_file(
    file: File,
    stored: StoredFile,
    span: Range<u64>,
    calls: BoundedCalls,
) -> Result<ByteStream, FilesError> {
    let rest = RemainingSpan {
        calls,
        file,
        stored,
        span,
    };
    let Some((first, rest)) = next_chunk(rest).await? else {
        return Ok(stream::empty().boxed());
    };
    let others = stream::try_unfold(rest, next_chunk);
    Ok(stream::once(async { Ok(first) }).chain(others).boxed())
}

async fn next_chunk(rest: RemainingSpan) -> Result<Option<(Bytes, RemainingSpan)>, FilesError> {
    if rest.span.is_empty() {
        return Ok(None);
    }
    let calls = rest.calls.clone();
    let name = rest.stored.name.clone();
    let reading = async { tokio::task::spawn_blocking(move || read_chunk(rest)).await };
    let read = calls.read(reading).await?;
    read.unwrap_or_else(|lost| Err(unreadable(name, io::Error::other(lost))))
        .map(Some)
}

fn read_chunk(mut rest: RemainingSpan) -> Result<(Bytes, RemainingSpan), FilesError> {
    let length = (rest.span.end - rest.span.start).min(CHUNK_SIZE);
    let mut chunk = Vec::with_capacity(usize::try_from(length).unwrap_or_default());
    let position = rest.file.seek(SeekFrom::Start(rest.span.start));
    let reading = position.and_then(|_| (&mut rest.file).take(length).read_to_end(&mut chunk));
    let read = reading.map_err(|source| unreadable(rest.stored.name.clone(), source))?;
    if (read as u64) < length {
        return Err(damaged(&rest.stored));
    }
    rest.span.start += length;
    Ok((chunk.into(), rest))
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
        let calls = BoundedCalls::default();
        let stream = stream_open_file(file, stored(size), 0..size, calls);
        let mut stream = stream.await.unwrap();
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
