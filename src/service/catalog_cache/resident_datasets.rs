//! Resident datasets: packed datasets in the order of their ids, in pages, bounded in bytes.
//!
//! A page has its ids, where each one's bytes end, and the bytes: about twenty bytes a dataset beside the packed
//! ones, and no allocation for each.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::packed_dataset::{RoleNumbers, pack, unpack};
use crate::domain::dataset::Dataset;
use crate::domain::id::DatasetId;

/// The most bytes of one packed dataset; a larger one is read from the database.
const MAX_PACKED_SIZE: usize = 4 * 1024;
/// A page that has as many datasets, or as many bytes, is full.
const MAX_PAGE_DATASETS: usize = 512;
const MAX_PAGE_SIZE: usize = 64 * 1024;
/// About how many bytes a page takes beside what it has, and the name of a role.
const PAGE_SIZE: usize = 160;
const ROLE_SIZE: usize = 250;

/// Packed datasets by id.
pub(super) struct ResidentDatasets {
    /// By an id that none of them is below; the first page has the lowest one there can be.
    pages: BTreeMap<DatasetId, Page>,
    roles: RoleNumbers,
    /// How many bytes the pages have room for.
    size: usize,
    max_size: usize,
}

#[derive(Default)]
struct Page {
    ids: Vec<DatasetId>,
    /// Where the bytes of each end.
    ends: Vec<u32>,
    bytes: Vec<u8>,
}

impl ResidentDatasets {
    /// None, of at most so many bytes.
    pub(super) fn new(max_size: usize) -> Self {
        Self {
            pages: BTreeMap::new(),
            roles: RoleNumbers::default(),
            size: 0,
            max_size,
        }
    }

    /// The dataset with an id, if it is there.
    pub(super) fn get(&self, id: DatasetId) -> Option<Dataset> {
        let (_, page) = self.pages.range(..=id).next_back()?;
        unpack(id, page.get(id)?, &self.roles)
    }

    /// Adds or replaces a dataset; false if there is no room.
    pub(super) fn put(&mut self, dataset: &Dataset) -> bool {
        self.remove(dataset.id);
        let packed = pack(dataset, &mut self.roles);
        let Some(packed) = packed.filter(|packed| packed.len() <= MAX_PACKED_SIZE) else {
            return true;
        };
        if self.size() + packed.len() + MAX_PAGE_SIZE > self.max_size {
            return false;
        }
        let first = self.page_of(dataset.id);
        let mut page = self.take_page(first);
        if page.is_full() {
            let (next_first, mut next) = page.split(dataset.id);
            let target = if dataset.id < next_first {
                &mut page
            } else {
                &mut next
            };
            target.insert(dataset.id, &packed);
            self.add_page(next_first, next);
        } else {
            page.insert(dataset.id, &packed);
        }
        self.add_page(first, page);
        true
    }

    /// Removes a dataset, if it is there.
    pub(super) fn remove(&mut self, id: DatasetId) {
        let first = self.page_of(id);
        if let Some(page) = self.pages.get_mut(&first) {
            let before = page.size();
            page.remove(id);
            self.size = self.size + page.size() - before;
        }
    }

    /// About how many bytes they take.
    pub(super) fn size(&self) -> usize {
        self.size + self.roles.len() * ROLE_SIZE
    }

    /// The first id of the page where an id belongs.
    fn page_of(&self, id: DatasetId) -> DatasetId {
        let found = self.pages.range(..=id).next_back();
        found.map_or(DatasetId(Uuid::nil()), |(first, _)| *first)
    }

    fn take_page(&mut self, first: DatasetId) -> Page {
        let page = self.pages.remove(&first);
        self.size -= page.as_ref().map_or(0, Page::size);
        page.unwrap_or_default()
    }

    fn add_page(&mut self, first: DatasetId, page: Page) {
        self.size += page.size();
        self.pages.insert(first, page);
    }
}

impl Page {
    fn get(&self, id: DatasetId) -> Option<&[u8]> {
        let position = self.ids.binary_search(&id).ok()?;
        self.bytes.get(self.range(position))
    }

    /// Where the bytes of the dataset at a position are.
    fn range(&self, position: usize) -> std::ops::Range<usize> {
        let end = |position: usize| self.ends.get(position).map_or(0, |end| *end as usize);
        position.checked_sub(1).map_or(0, end)..end(position)
    }

    /// Adds a dataset that is not there.
    fn insert(&mut self, id: DatasetId, packed: &[u8]) {
        let position = self.ids.partition_point(|known| *known < id);
        let begin = self.range(position).start;
        let length = u32::try_from(packed.len()).unwrap_or_default();
        self.ids.insert(position, id);
        let end = u32::try_from(begin).unwrap_or_default() + length;
        self.ends.insert(position, end);
        self.bytes.splice(begin..begin, packed.iter().copied());
        for end in self.ends.iter_mut().skip(position + 1) {
            *end += length;
        }
    }

    /// Removes a dataset that is there.
    fn remove(&mut self, id: DatasetId) {
        let Ok(position) = self.ids.binary_search(&id) else {
            return;
        };
        let range = self.range(position);
        let length = u32::try_from(range.len()).unwrap_or_default();
        self.bytes.drain(range);
        self.ids.remove(position);
        self.ends.remove(position);
        for end in self.ends.iter_mut().skip(position) {
            *end -= length;
        }
    }

    fn is_full(&self) -> bool {
        self.ids.len() >= MAX_PAGE_DATASETS || self.bytes.len() >= MAX_PAGE_SIZE
    }

    /// Splits off a page with its first id, for a dataset that is not there: an empty one behind the last
    /// dataset, so that pages that are filled in order stay full, and otherwise the second half.
    fn split(&mut self, id: DatasetId) -> (DatasetId, Self) {
        let middle = self.ids.len() / 2;
        let (first, position) = match (self.ids.last(), self.ids.get(middle)) {
            (Some(last), Some(first)) if id < *last => (*first, middle),
            _ => (id, self.ids.len()),
        };
        let begin = self.range(position).start;
        let before = u32::try_from(begin).unwrap_or_default();
        let ends = self.ends.split_off(position);
        let next = Self {
            ids: self.ids.split_off(position),
            ends: ends.into_iter().map(|end| end - before).collect(),
            bytes: self.bytes.split_off(begin),
        };
        self.ids.shrink_to_fit();
        self.ends.shrink_to_fit();
        self.bytes.shrink_to_fit();
        (first, next)
    }

    /// How many bytes there is room for.
    fn size(&self) -> usize {
        PAGE_SIZE
            + self.ids.capacity() * size_of::<DatasetId>()
            + self.ends.capacity() * size_of::<u32>()
            + self.bytes.capacity()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;

    use super::super::packed_dataset::tests::any_dataset;
    use super::*;

    fn id(number: u64) -> DatasetId {
        // In no order, and the lowest and the highest among them.
        let spread = match number {
            0 => 0,
            1 => u128::MAX,
            _ => u128::from(number.wrapping_mul(0x9e37_79b9_7f4a_7c15)) << 64,
        };
        DatasetId(Uuid::from_u128(spread))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn they_are_what_was_put_last(
            template in any_dataset(id(0)).prop_filter("packed", |d| d.attributes.is_empty()),
            steps in vec((0_u64..900, prop::bool::weighted(0.8)), 0..3000),
        ) {
            let mut resident = ResidentDatasets::new(64 * 1024 * 1024);
            let mut expected = BTreeMap::new();
            for (step, (number, is_put)) in steps.into_iter().enumerate() {
                let id = id(number);
                if is_put {
                    let dataset = Dataset { id, title: step.to_string(), ..template.clone() };
                    prop_assert!(resident.put(&dataset));
                    expected.insert(id, dataset);
                } else {
                    resident.remove(id);
                    expected.remove(&id);
                }
            }
            for number in 0..900 {
                prop_assert_eq!(resident.get(id(number)), expected.remove(&id(number)));
            }
        }
    }

    #[test]
    fn they_take_no_more_bytes_than_there_is_room_for() {
        let mut runner = TestRunner::deterministic();
        let dataset = any_dataset(id(0)).new_tree(&mut runner).unwrap().current();
        let template = Dataset {
            attributes: crate::domain::attributes::Attributes::new(),
            ..dataset
        };
        let max_size = 4 * MAX_PAGE_SIZE;
        let mut resident = ResidentDatasets::new(max_size);
        let mut number = 0;
        let mut put = |resident: &mut ResidentDatasets| {
            number += 1;
            resident.put(&Dataset {
                id: id(number),
                ..template.clone()
            })
        };
        while put(&mut resident) {
            assert!(resident.size() <= max_size);
        }
        assert!(resident.size() > max_size / 4);
        for number in 1..=number {
            resident.remove(id(number));
        }
        assert!(resident.get(id(2)).is_none());
        let large = Dataset {
            id: id(7),
            title: "t".repeat(MAX_PACKED_SIZE),
            ..template.clone()
        };
        assert!(ResidentDatasets::new(max_size).put(&large));
        assert_eq!(resident.get(id(7)), None);
    }
}
