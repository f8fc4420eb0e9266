//! How long caches may keep the key set (RFC 9111, RFC 5861): verifiers may use a key so long after it was
//! withdrawn, and may not know of one so long after it was published.

use std::time::Duration;

/// The longest time for which a key set may be used while it is fetched again; never longer than `max-age`.
const MAX_STALE_WHILE_REVALIDATE: Duration = Duration::from_mins(1);

/// How long caches may keep the key set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeySetLifetime {
    /// How long it is fresh (RFC 9111 section 5.2.2.1).
    pub max_age: Duration,
}

impl KeySetLifetime {
    /// How long it may be used afterwards while it is fetched again (RFC 5861 section 3).
    #[must_use]
    pub fn stale_while_revalidate(self) -> Duration {
        self.max_age.min(MAX_STALE_WHILE_REVALIDATE)
    }

    /// How long a cache may give a key set that is out of date.
    #[must_use]
    pub fn total(self) -> Duration {
        self.max_age.saturating_add(self.stale_while_revalidate())
    }

    /// The header `Cache-Control` of the key set.
    #[must_use]
    pub fn cache_control(self) -> String {
        format!(
            "public, max-age={}, stale-while-revalidate={}",
            self.max_age.as_secs(),
            self.stale_while_revalidate().as_secs()
        )
    }
}
