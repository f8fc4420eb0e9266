//! The rate meter: whether a peer moves at least so many bytes a minute.
//!
//! Only the time in which the server waits for the peer counts, so that a slow file store is not
//! the client's fault.

use std::time::Duration;

use crate::config::limits::RATE_WINDOW;

/// A peer was slower than the least rate for a whole window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooSlow;

/// Measures what a peer moves in each window of waiting for it.
#[derive(Clone, Copy, Debug)]
pub struct RateMeter {
    min_bytes: u64,
    bytes: u64,
    waited: Duration,
}

impl RateMeter {
    /// A meter that demands at least so many bytes in each window.
    #[must_use]
    pub fn new(min_bytes_per_minute: u32) -> Self {
        Self {
            min_bytes: min_bytes_per_minute.into(),
            bytes: 0,
            waited: Duration::ZERO,
        }
    }

    /// How much longer the server may wait until the window ends.
    #[must_use]
    pub fn window_left(&self) -> Duration {
        RATE_WINDOW.saturating_sub(self.waited)
    }

    /// Counts bytes that arrived or were taken.
    pub fn add_bytes(&mut self, bytes: usize) {
        self.bytes = self.bytes.saturating_add(bytes as u64);
    }

    /// Counts time that was spent waiting; at the end of a window its bytes have to suffice.
    pub fn add_wait(&mut self, time: Duration) -> Result<(), TooSlow> {
        self.waited = self.waited.saturating_add(time);
        if self.waited < RATE_WINDOW {
            return Ok(());
        }
        if self.bytes < self.min_bytes {
            return Err(TooSlow);
        }
        self.bytes = 0;
        self.waited = Duration::ZERO;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_too_slow_when_a_whole_window_of_waiting_brings_too_little() {
        let mut meter = RateMeter::new(1000);
        meter.add_bytes(999);
        assert_eq!(meter.add_wait(RATE_WINDOW / 2), Ok(()));
        assert_eq!(meter.window_left(), RATE_WINDOW / 2);
        meter.add_bytes(1);
        assert_eq!(meter.add_wait(RATE_WINDOW / 2), Ok(()));
        meter.add_bytes(999);
        assert_eq!(meter.add_wait(meter.window_left()), Err(TooSlow));
    }

    #[test]
    fn a_fast_peer_is_never_too_slow_however_long_it_takes() {
        let mut meter = RateMeter::new(1000);
        for _ in 0..1_000_000 {
            meter.add_bytes(100);
            assert_eq!(meter.add_wait(Duration::from_millis(1)), Ok(()));
        }
    }
}
