//! Memory for Argon2, kept between checks.
//!
//! Each check fills its memory from end to end. Memory fresh from the system costs a page fault for every
//! 4 KiB of it, during which other threads of the process wait when they want memory too: enough to hold
//! up minting. This module refuses to know what is checked.

use std::sync::{Mutex, PoisonError};

use argon2::Block;

/// Memory of one size, as many pieces as checks ran at a time.
pub(super) struct MemoryPool {
    blocks: usize,
    free: Mutex<Vec<Vec<Block>>>,
}

impl MemoryPool {
    /// Keeps pieces of `blocks` KiB.
    pub(super) fn new(blocks: usize) -> Self {
        Self {
            blocks,
            free: Mutex::default(),
        }
    }

    /// Lends `blocks` KiB to some work; more than is kept comes fresh and goes again.
    pub(super) fn with_memory<T>(&self, blocks: usize, work: impl FnOnce(&mut [Block]) -> T) -> T {
        if blocks > self.blocks {
            return work(&mut vec![Block::default(); blocks]);
        }
        let idle = || self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = idle().pop();
        let mut piece = kept.unwrap_or_else(|| vec![Block::default(); self.blocks]);
        let answer = work(piece.get_mut(..blocks).unwrap_or_default());
        idle().push(piece);
        answer
    }
}
