//! A table of recent entries: a set-associative cache, bounded in count.
//!
//! Each key has one set of a few places, and a new entry takes the place of the one of its set that was not used
//! for longest. An insertion or a look-up holds the lock of one set for some nanoseconds; nothing is queued and no
//! other thread maintains it, which is what makes it cheaper than a general cache where every request inserts.
//! Keys are hashed with random keys, so nobody can choose keys that share a set.

use std::fmt;
use std::hash::{BuildHasher, Hash, RandomState};

use parking_lot::Mutex;

/// How many entries share a set.
const WAYS: usize = 8;

/// The entries of one set; the one that was used last is the last one.
type EntrySet<K, V> = Mutex<Vec<(K, V)>>;

/// A table of at most so many recent entries.
pub struct RecentTable<K, V> {
    sets: Box<[EntrySet<K, V>]>,
    hasher: RandomState,
}

impl<K: Eq + Hash, V: Clone> RecentTable<K, V> {
    /// A table of at most `max_entries` entries, and of at least one set.
    #[must_use]
    pub fn new(max_entries: usize) -> Self {
        let sets = (max_entries / WAYS).max(1);
        Self {
            sets: std::iter::repeat_with(Mutex::default).take(sets).collect(),
            hasher: RandomState::new(),
        }
    }

    /// The value of a key, if it is there still.
    #[must_use]
    pub fn get(&self, key: &K) -> Option<V> {
        let mut set = self.set(key)?.lock();
        let at = set.iter().position(|(known, _)| known == key)?;
        let last = set.len().checked_sub(1)?;
        if at < last {
            set.get_mut(at..)?.rotate_left(1);
        }
        set.last().map(|(_, value)| value.clone())
    }

    /// Sets the value of a key.
    pub fn insert(&self, key: K, value: V) {
        let Some(set) = self.set(&key) else { return };
        let mut set = set.lock();
        let known = set.iter().position(|(known, _)| *known == key);
        let replaced = known.or((set.len() >= WAYS).then_some(0));
        // Dropped after the lock: it may be large.
        let _former = replaced.map(|at| set.remove(at));
        set.push((key, value));
        drop(set);
    }

    /// Removes a key.
    pub fn remove(&self, key: &K) {
        let Some(set) = self.set(key) else { return };
        let mut set = set.lock();
        let known = set.iter().position(|(known, _)| known == key);
        let _former = known.map(|at| set.remove(at));
        drop(set);
    }

    fn set(&self, key: &K) -> Option<&EntrySet<K, V>> {
        let sets = u64::try_from(self.sets.len()).ok()?;
        let at = self.hasher.hash_one(key).checked_rem(sets)?;
        self.sets.get(usize::try_from(at).ok()?)
    }
}

impl<K, V> fmt::Debug for RecentTable<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecentTable").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_found_until_it_is_replaced_or_removed() {
        let table = RecentTable::new(100);
        assert_eq!(table.get(&1), None);
        table.insert(1, "a");
        table.insert(2, "b");
        table.insert(1, "c");
        assert_eq!((table.get(&1), table.get(&2)), (Some("c"), Some("b")));
        table.remove(&1);
        table.remove(&3);
        assert_eq!((table.get(&1), table.get(&2)), (None, Some("b")));
    }

    #[test]
    fn there_are_never_more_entries_than_allowed() {
        let table = RecentTable::new(64);
        for key in 0..10_000 {
            table.insert(key, key);
        }
        let found = (0..10_000).filter(|key| table.get(key).is_some()).count();
        assert!((1..=64).contains(&found), "{found}");
        assert_eq!(table.get(&9_999), Some(9_999));
    }

    #[test]
    fn an_entry_that_is_used_outlives_those_that_are_not() {
        let table = RecentTable::new(WAYS);
        table.insert(0, 0);
        for key in 1..1_000 {
            table.insert(key, key);
            assert_eq!(table.get(&0), Some(0));
        }
    }
}
