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
/// A chunk that is smaller gets memory of its own size: most of a whole buffer would be empty.
const MIN_BUFFERED: usize = BUFFER_SIZE / 2;

/// Buffers for chunks; clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct ChunkBuffers(Arc<Mutex<Vec<Vec<u8>>>>);

/// Memory for one chunk.
#[derive(Debug)]
pub(super) struct ChunkBuffer {
    memory: Vec<u8>,
    length: usize,
    /// Where the memory goes afterwards; none if it has another size.
    buffers: Option<ChunkBuffers>,
}

impl ChunkBuffers {
    /// Memory for `length` bytes; what is in it is of no meaning.
    pub(super) fn take(&self, length: usize) -> ChunkBuffer {
        if !(MIN_BUFFERED..=BUFFER_SIZE).contains(&length) {
            return ChunkBuffer {
                memory: vec![0; length],
                length,
                buffers: None,
            };
        }
        let kept = self.0.lock().pop();
        ChunkBuffer {
            memory: kept.unwrap_or_else(|| vec![0; BUFFER_SIZE]),
            length,
            buffers: Some(self.clone()),
        }
    }
}

impl ChunkBuffer {
    pub(super) fn as_mut_slice(&mut self) -> &mut [u8] {
        self.memory.get_mut(..self.length).unwrap_or_default()
    }

    /// The bytes that were read into it: all of its length.
    pub(super) fn into_bytes(mut self) -> Bytes {
        if self.buffers.is_some() {
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
        let Some(ChunkBuffers(kept)) = self.buffers.take() else {
            return;
        };
        let memory = std::mem::take(&mut self.memory);
        let mut kept = kept.lock();
        if kept.len() < MAX_KEPT {
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
    fn a_small_buffer_has_its_own_size() {
        let buffers = ChunkBuffers::default();
        assert_eq!(buffers.take(16).into_bytes().as_ref(), [0; 16]);
        assert!(buffers.take(0).into_bytes().is_empty());
        assert!(buffers.0.lock().is_empty());
    }
}
