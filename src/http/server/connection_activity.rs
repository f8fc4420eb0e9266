//! The activity of a connection: whether it is busy and since when, which changes with each request, without a lock.
//!
//! Everything is sequentially consistent: whoever waits for a turn announces itself before it reads what the connections
//! do, and a request that ends is noted before it is asked whether somebody waits, so that one of them sees the other.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

/// What all connections have in common.
#[derive(Default)]
pub(super) struct Events {
    /// Numbers connections and orders events.
    counter: AtomicU64,
    /// How many wait for their turn, or are about to.
    waiting: AtomicUsize,
}

/// What one connection does.
#[derive(Default)]
pub(super) struct Activity {
    is_busy: AtomicBool,
    has_had_request: AtomicBool,
    is_forwarding: AtomicBool,
    since: AtomicU64,
}

impl Events {
    /// The number of the next event.
    pub(super) fn next(&self) -> u64 {
        self.counter.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// Somebody is about to look whether a connection may give way, and to wait if none may.
    pub(super) fn begin_waiting(&self) {
        self.waiting.fetch_add(1, Ordering::SeqCst);
    }

    /// Somebody waits no more.
    pub(super) fn end_waiting(&self) {
        self.waiting.fetch_sub(1, Ordering::SeqCst);
    }

    /// Whether somebody waits, or is about to.
    pub(super) fn is_awaited(&self) -> bool {
        self.waiting.load(Ordering::SeqCst) > 0
    }
}

impl Activity {
    /// That of a connection that was opened at this event.
    pub(super) fn opened(event: u64) -> Self {
        Self {
            since: AtomicU64::new(event),
            ..Self::default()
        }
    }

    pub(super) fn begin_request(&self, events: &Events) {
        self.has_had_request.store(true, Ordering::SeqCst);
        self.since.store(events.next(), Ordering::SeqCst);
        self.is_busy.store(true, Ordering::SeqCst);
    }

    pub(super) fn end_request(&self, events: &Events) {
        self.since.store(events.next(), Ordering::SeqCst);
        self.is_busy.store(false, Ordering::SeqCst);
    }

    pub(super) fn is_busy(&self) -> bool {
        self.is_busy.load(Ordering::SeqCst)
    }

    pub(super) fn has_had_request(&self) -> bool {
        self.has_had_request.load(Ordering::SeqCst)
    }

    /// The event at which it became idle or busy.
    pub(super) fn since(&self) -> u64 {
        self.since.load(Ordering::SeqCst)
    }

    /// Whether its request counts for another network than that of its peer.
    pub(super) fn is_forwarding(&self) -> bool {
        self.is_forwarding.load(Ordering::SeqCst)
    }

    pub(super) fn set_forwarding(&self, is_forwarding: bool) {
        self.is_forwarding.store(is_forwarding, Ordering::SeqCst);
    }
}
