//! A memory pool for Argon2, reused between checks.
//!
//! Each check fills its memory from end to end. Memory fresh from the system costs a page fault for every
//! 4 KiB of it, during which other threads of the process wait when they want memory too: enough to hold
//! up minting.

use argon2::Block;
use parking_lot::Mutex;

/// Memory areas of one size, as many as checks ran at a time.
pub(super) struct MemoryPool {
    blocks: usize,
    free: Mutex<Vec<Vec<Block>>>,
}

impl MemoryPool {
    /// A pool of areas of `blocks` KiB.
    pub(super) fn new(blocks: usize) -> Self {
        Self {
            blocks,
            free: Mutex::default(),
        }
    }

    /// Gives back what is not in use to the system.
    pub(super) fn clear(&self) {
        self.free.lock().clear();
    }

    /// Runs `work` with `blocks` KiB of memory; a larger area than the pool's is allocated and freed.
    pub(super) fn with_memory<T>(&self, blocks: usize, work: impl FnOnce(&mut [Block]) -> T) -> T {
        if blocks > self.blocks {
            return work(&mut vec![Block::default(); blocks]);
        }
        let reused = self.free.lock().pop();
        let mut area = reused.unwrap_or_else(|| vec![Block::default(); self.blocks]);
        let result = work(area.get_mut(..blocks).unwrap_or_default());
        self.free.lock().push(area);
        result
    }
}
