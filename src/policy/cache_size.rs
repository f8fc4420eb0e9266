//! The sizes of the caches of a bundle.

/// How many times as much the caches of a bundle in force hold as those of one that is tried out.
const REDUCTION: usize = 32;

/// How much a bundle may keep of what was decided with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CacheSize {
    /// As much as the bundle in force, which decides about everybody.
    Full,
    /// A small part of it: there are several such bundles, and none decides for long.
    Small,
}

impl CacheSize {
    /// The bound of a cache that has at most `full` bytes where there is only one.
    pub(super) fn bytes(self, full: u64) -> u64 {
        match self {
            Self::Full => full,
            Self::Small => full / REDUCTION as u64,
        }
    }

    /// The bound of a table that has at most `full` entries where there is only one.
    pub(super) fn entries(self, full: usize) -> usize {
        match self {
            Self::Full => full,
            Self::Small => full / REDUCTION,
        }
    }
}
