//! A table of recent entries: a set-associative cache, bounded in count.
//!
//! Each key has one set of a few places, and a new entry takes the place of the one of its set that was not used
//! for longest. An insertion or a look-up holds the lock of one set for some nanoseconds; nothing is queued and no
//! other thread maintains it, which is what makes it cheaper than a general cache where every request inserts.
//! Keys are hashed with random keys, so nobody can choose keys that share a set.
//!
//! Sets are made some at a time, once one of them is needed: a table that few keys were put into takes little memory.

use std::fmt;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::OnceLock;

use parking_lot::Mutex;

/// How many entries share a set.
const WAYS: usize = 8;
/// How many sets are made at a time: about a page of memory.
const SETS_PER_CHUNK: usize = 64;

/// A table of at most so many recent entries.
pub struct RecentTable<K, V> {
    chunks: Box<[OnceLock<Chunk<K, V>>]>,
    /// How many sets there are, at least one. Of the last chunk some may be never used.
    set_count: u64,
    hasher: RandomState,
}

type Chunk<K, V> = Box<[Mutex<EntrySet<K, V>>]>;

/// The entries of one set. They stay where they are until they are replaced, and what tells which is which fits into
/// a line of the processor's cache: the entries themselves are seldom in it.
struct EntrySet<K, V> {
    entries: Vec<(K, V)>,
    /// A part of the hash of each entry's key.
    tags: [u16; WAYS],
    /// Where the entries are, from the one that was not used for longest to the one that was used last.
    order: [u8; WAYS],
}

impl<K: Eq + Hash, V: Clone> RecentTable<K, V> {
    /// A table of at most `max_entries` entries, and of at least one set.
    #[must_use]
    pub fn new(max_entries: usize) -> Self {
        let sets = (max_entries / WAYS).max(1);
        let chunks = sets.div_ceil(SETS_PER_CHUNK);
        Self {
            chunks: std::iter::repeat_with(OnceLock::new).take(chunks).collect(),
            set_count: u64::try_from(sets).unwrap_or(u64::MAX),
            hasher: RandomState::new(),
        }
    }

    /// The value of a key, if it is there still.
    #[must_use]
    pub fn get(&self, key: &K) -> Option<V> {
        let position = self.position(key);
        let mut set = self.made_set(position)?.lock();
        let at = set.find(position.tag, key)?;
        set.touch(at);
        set.entries.get(at).map(|(_, value)| value.clone())
    }

    /// Sets the value of a key.
    pub fn insert(&self, key: K, value: V) {
        let position = self.position(&key);
        let Some(chunk) = self.chunks.get(position.chunk) else {
            return;
        };
        let chunk = chunk.get_or_init(|| self.new_chunk());
        let Some(set) = chunk.get(position.index) else {
            return;
        };
        let mut set = set.lock();
        let former = set.insert(position.tag, (key, value));
        drop(set);
        // After the lock: it may be large.
        drop(former);
    }

    /// Removes a key.
    pub fn remove(&self, key: &K) {
        let position = self.position(key);
        let Some(set) = self.made_set(position) else {
            return;
        };
        let mut set = set.lock();
        let former = set.find(position.tag, key).map(|at| set.remove(at));
        drop(set);
        drop(former);
    }

    /// Removes all keys.
    pub fn clear(&self) {
        for set in self.chunks.iter().filter_map(OnceLock::get).flatten() {
            let former = std::mem::take(&mut *set.lock());
            drop(former);
        }
    }

    fn position(&self, key: &K) -> SetPosition {
        let hash = self.hasher.hash_one(key);
        let [.., high, low] = (hash / self.set_count).to_be_bytes();
        let set = usize::try_from(hash % self.set_count).unwrap_or_default();
        SetPosition {
            chunk: set / SETS_PER_CHUNK,
            index: set % SETS_PER_CHUNK,
            tag: u16::from_be_bytes([high, low]),
        }
    }

    /// The set at a position, if it was made.
    fn made_set(&self, position: SetPosition) -> Option<&Mutex<EntrySet<K, V>>> {
        self.chunks.get(position.chunk)?.get()?.get(position.index)
    }

    fn new_chunk(&self) -> Chunk<K, V> {
        let sets = usize::try_from(self.set_count).unwrap_or(usize::MAX);
        std::iter::repeat_with(Mutex::default)
            .take(sets.min(SETS_PER_CHUNK))
            .collect()
    }
}

/// The set of a key.
#[derive(Clone, Copy)]
struct SetPosition {
    chunk: usize,
    /// Which of the chunk it is.
    index: usize,
    /// The key's tag in the set.
    tag: u16,
}

impl<K, V> Default for EntrySet<K, V> {
    fn default() -> Self {
        Self {
            entries: Vec::new(),
            tags: [0; WAYS],
            order: [0; WAYS],
        }
    }
}

impl<K: Eq, V> EntrySet<K, V> {
    fn find(&self, tag: u16, key: &K) -> Option<usize> {
        let mut tagged = self.tags.iter().zip(&self.entries);
        tagged.position(|(known, entry)| *known == tag && entry.0 == *key)
    }

    /// Notes that an entry is used.
    fn touch(&mut self, at: usize) {
        let used = self.order.get_mut(..self.entries.len());
        let Some(used) = used else { return };
        let found = used.iter().position(|place| usize::from(*place) == at);
        if let Some(rest) = found.and_then(|found| used.get_mut(found..)) {
            rest.rotate_left(1);
        }
    }

    /// Puts an entry in, and returns the one whose place it has.
    fn insert(&mut self, tag: u16, entry: (K, V)) -> Option<(K, V)> {
        let known = self.find(tag, &entry.0);
        let count = self.entries.len();
        let at = match known {
            Some(at) => at,
            None if count < WAYS => count,
            None => self.order.first().copied().map_or(0, usize::from),
        };
        let (Some(known_tag), Ok(place)) = (self.tags.get_mut(at), u8::try_from(at)) else {
            return Some(entry);
        };
        *known_tag = tag;
        if let Some(former) = self.entries.get_mut(at) {
            let former = std::mem::replace(former, entry);
            self.touch(at);
            return Some(former);
        }
        self.entries.push(entry);
        if let Some(last) = self.order.get_mut(at) {
            *last = place;
        }
        None
    }

    /// Takes an entry out; the last one gets its place.
    fn remove(&mut self, at: usize) -> (K, V) {
        self.touch(at);
        let last = self.entries.len() - 1;
        self.tags.swap(at, last);
        for place in &mut self.order {
            if usize::from(*place) == last {
                *place = u8::try_from(at).unwrap_or_default();
            }
        }
        self.entries.swap_remove(at)
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
        table.clear();
        assert_eq!(table.get(&2), None);
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
    fn sets_are_made_when_they_are_needed() {
        let table = RecentTable::new(100_000);
        let made = || {
            table
                .chunks
                .iter()
                .filter(|chunk| chunk.get().is_some())
                .count()
        };
        assert_eq!(table.get(&1), None);
        table.remove(&1);
        table.clear();
        assert_eq!(made(), 0);
        table.insert(1, 1);
        assert_eq!(made(), 1);
        assert_eq!(table.get(&1), Some(1));
    }

    #[test]
    fn every_set_is_used() {
        let table = RecentTable::new(WAYS * (SETS_PER_CHUNK + 1));
        for key in 0..10_000 {
            table.insert(key, key);
            assert_eq!(table.get(&key), Some(key));
        }
        let sets = table.chunks.iter().filter_map(OnceLock::get).flatten();
        let used = sets.filter(|set| !set.lock().entries.is_empty()).count();
        assert_eq!(used, SETS_PER_CHUNK + 1);
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

    #[test]
    fn a_set_keeps_what_was_used_last_whatever_is_removed() {
        let table = RecentTable::new(WAYS);
        let mut expected: Vec<(u64, u64)> = Vec::new();
        let mut random = 1_u64;
        for step in 0..20_000 {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let key = (random >> 33) % 12;
            let known = expected.iter().position(|(known, _)| *known == key);
            let known = known.map(|at| expected.remove(at));
            match (random >> 50) % 4 {
                0 => {
                    table.remove(&key);
                }
                1 => {
                    assert_eq!(table.get(&key), known.map(|(_, value)| value));
                    expected.extend(known);
                }
                _ => {
                    table.insert(key, step);
                    if expected.len() == WAYS {
                        expected.remove(0);
                    }
                    expected.push((key, step));
                }
            }
        }
        for (key, value) in expected {
            assert_eq!(table.get(&key), Some(value));
        }
    }
}
