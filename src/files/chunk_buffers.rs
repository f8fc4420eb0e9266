//! Chunk buffers: the memory of chunks that are read for downloads, used again and again.
//!
//! A new buffer of a chunk's size has to be filled with zeros by the allocator or by the kernel, which costs about
//! as much as reading the chunk out of the page cache. What a buffer held before is never seen: only the bytes that
//! were read into it leave.

use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;

/// The size of a buffer, in bytes.
pub(super) const BUFFER_SIZE: usize = 256 * 1024;
/// The most buffers that are kept while nobody uses them: 4 MiB.
const MAX_KEPT: usize = 16;
/// A chunk that is smaller gets no whole buffer: most of it would be empty.
const MIN_BUFFERED: usize = BUFFER_SIZE / 2;

/// The size of a small buffer, in bytes: that of the blocks that GDAL reads at once.
const SMALL_BUFFER_SIZE: usize = 16 * 1024;
/// The most small buffers that are kept while nobody uses them: 1 MiB.
const MAX_SMALL_KEPT: usize = 64;
/// A chunk that is smaller, or between small and large, gets memory of its own size.
const MIN_SMALL_BUFFERED: usize = SMALL_BUFFER_SIZE / 4;

/// Buffers for chunks, large ones and small ones; clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct ChunkBuffers(KeptBuffers, KeptBuffers);

type KeptBuffers = Arc<Mutex<Vec<Vec<u8>>>>;

/// Memory for one chunk.
#[derive(Debug)]
pub(super) struct ChunkBuffer {
    memory: Vec<u8>,
    length: usize,
    /// Where the memory goes afterwards, and how many are kept there; none if it has another size.
    kept: Option<(KeptBuffers, usize)>,
}

impl ChunkBuffers {
    /// Memory for `length` bytes; what is in it is of no meaning.
    pub(super) fn take(&self, length: usize) -> ChunkBuffer {
        let Self(large, small) = self;
        let (kept, size, max_kept) = match length {
            MIN_BUFFERED..=BUFFER_SIZE => (large, BUFFER_SIZE, MAX_KEPT),
            MIN_SMALL_BUFFERED..=SMALL_BUFFER_SIZE => (small, SMALL_BUFFER_SIZE, MAX_SMALL_KEPT),
            _ => {
                return ChunkBuffer {
                    memory: vec![0; length],
                    length,
                    kept: None,
                };
            }
        };
        let memory = kept.lock().pop();
        ChunkBuffer {
            memory: memory.unwrap_or_else(|| vec![0; size]),
            length,
            kept: Some((Arc::clone(kept), max_kept)),
        }
    }
}

impl ChunkBuffer {
    pub(super) fn as_mut_slice(&mut self) -> &mut [u8] {
        self.memory.get_mut(..self.length).unwrap_or_default()
    }

    /// The bytes that were read into it: all of its length.
    pub(super) fn into_bytes(mut self) -> Bytes {
        if self.kept.is_some() {
            Bytes::from_owner(self)
        } else {
            std::mem::take(&mut self.memory).into()
        }
    }
}

impl AsRef<[u8]> for ChunkBuffer {
    fn as_ref(&self) -> &[u8] {
        self.memory.get(..self.length).unwrap_or_default()
    }
}

impl Drop for ChunkBuffer {
    fn drop(&mut self) {
        let Some((kept, max_kept)) = self.kept.take() else {
            return;
        };
        let memory = std::mem::take(&mut self.memory);
        let mut kept = kept.lock();
        if kept.len() < max_kept {
            kept.push(memory);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_buffers_are_used_again_and_only_so_many_are_kept() {
        let buffers = ChunkBuffers::default();
        let mut first = buffers.take(BUFFER_SIZE);
        first.as_mut_slice().fill(7);
        let bytes = first.into_bytes();
        assert_eq!(bytes.len(), BUFFER_SIZE);
        let part = bytes.slice(10..20);
        drop(bytes);
        assert!(buffers.0.lock().is_empty(), "a part of it is still there");
        drop(part);
        assert_eq!(buffers.0.lock().len(), 1);
        let again = buffers.take(MIN_BUFFERED);
        assert!(buffers.0.lock().is_empty());
        assert_eq!(again.into_bytes().len(), MIN_BUFFERED);

        let many: Vec<_> = (0..2 * MAX_KEPT)
            .map(|_| buffers.take(BUFFER_SIZE))
            .collect();
        drop(many);
        assert_eq!(buffers.0.lock().len(), MAX_KEPT);
    }

    #[test]
    fn small_buffers_are_used_again_too() {
        let buffers = ChunkBuffers::default();
        for length in [SMALL_BUFFER_SIZE, MIN_SMALL_BUFFERED] {
            let bytes = buffers.take(length).into_bytes();
            assert_eq!(bytes.len(), length);
            assert!(buffers.1.lock().is_empty());
            drop(bytes);
            assert_eq!(buffers.1.lock().len(), 1);
        }
        let between = buffers.take(SMALL_BUFFER_SIZE + 1).into_bytes();
        assert_eq!(between.len(), SMALL_BUFFER_SIZE + 1);
        drop(between);
        assert_eq!((buffers.0.lock().len(), buffers.1.lock().len()), (0, 1));
    }

    #[test]
    fn a_small_buffer_has_its_own_size() {
        let buffers = ChunkBuffers::default();
        assert_eq!(buffers.take(16).into_bytes().as_ref(), [0; 16]);
        assert!(buffers.take(0).into_bytes().is_empty());
        assert!(buffers.0.lock().is_empty());
    }
}
