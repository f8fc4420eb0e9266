//! Pages: some items of a list, in an order that is stable while others add and remove items.

use uuid::Uuid;

use super::error::ServiceError;

/// The most items of one page.
pub const MAX_PAGE_SIZE: u32 = 100;

/// How a filtered list is read.
#[derive(Clone, Copy, Debug)]
pub(super) struct ReadBounds {
    /// How many items one read asks for.
    batch_size: u32,
    /// How many items are read for one page at most; with fewer that pass, the page ends before it is full.
    max_read_items: u32,
}

impl ReadBounds {
    /// Of a list whose filter is what the caller may see.
    pub(super) const LIST: Self = Self {
        batch_size: 100,
        max_read_items: 1_000,
    };
    /// Of a search, for which little passes of what the caller may see.
    pub(super) const SEARCH: Self = Self {
        batch_size: 1_000,
        max_read_items: 10_000,
    };
}

/// Some items of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// Whether more follow after the last of them.
    pub has_more: bool,
    /// Where the next page begins, if this one ended before it was full.
    resume_after: Option<Uuid>,
}

/// How a filtered list is read.
pub(super) struct FilteredRead<R, K, F, C> {
    /// Takes a turn and reads up to so many items after an id.
    pub(super) read: R,
    /// The id of an item.
    pub(super) id_of: K,
    /// Keeps the items that pass, and ends the turn.
    pub(super) filter: F,
    /// Charges one more batch to the caller.
    pub(super) charge: C,
    /// How much is read.
    pub(super) bounds: ReadBounds,
}

impl<T> Page<T> {
    /// Reads a page of `limit` items. `read` is asked for one item more, which shows whether another
    /// page follows.
    pub(super) async fn read<E>(
        limit: u32,
        read: impl AsyncFnOnce(u32) -> Result<Vec<T>, E>,
    ) -> Result<Self, E> {
        let limit = limit.clamp(1, MAX_PAGE_SIZE);
        Ok(Self::cut(read(limit + 1).await?, limit))
    }

    /// Reads a page of the items that pass a filter: as many batches as it takes to fill the page or to
    /// reach the end of the list, up to [`ReadBounds::max_read_items`].
    ///
    /// The page ends with an item that passed, or else with a random id between two items: the id of one
    /// that did not pass would disclose it.
    pub(super) async fn read_filtered<G, U, Batch, Passed>(
        after: Option<Uuid>,
        limit: u32,
        list: FilteredRead<
            impl Fn(Option<Uuid>, u32) -> Batch,
            impl Fn(&U) -> Uuid,
            impl Fn(G, Vec<U>) -> Passed,
            impl Fn(),
        >,
    ) -> Result<Self, ServiceError>
    where
        Batch: Future<Output = Result<(G, Vec<U>), ServiceError>>,
        Passed: Future<Output = Result<Vec<T>, ServiceError>>,
    {
        let limit = limit.clamp(1, MAX_PAGE_SIZE);
        let mut items = Vec::new();
        let mut position = after;
        let ReadBounds {
            batch_size,
            max_read_items,
        } = list.bounds;
        // A page that everything passes is read at once.
        let mut size = ReadBounds::LIST.batch_size.min(limit + 1);
        let mut read_items = 0;
        loop {
            if read_items > 0 {
                (list.charge)();
            }
            let (turn, mut batch) = (list.read)(position, size).await?;
            let is_last_batch = batch.len() < size as usize;
            read_items += size;
            let mut resume_after = None;
            if read_items >= max_read_items && !is_last_batch {
                // The last item is left to the next page, which begins somewhere before it.
                let next = batch.pop().map(|item| (list.id_of)(&item));
                let before = batch.last().map(&list.id_of).or(position);
                resume_after = next.map(|next| random_between(before, next));
            }
            position = batch.last().map(&list.id_of).or(position);
            items.extend((list.filter)(turn, batch).await?);
            let is_full = items.len() > limit as usize;
            if is_last_batch || is_full {
                return Ok(Self::cut(items, limit));
            }
            if resume_after.is_some() {
                return Ok(Self {
                    items,
                    has_more: true,
                    resume_after,
                });
            }
            size = batch_size;
        }
    }

    fn cut(mut items: Vec<T>, limit: u32) -> Self {
        let has_more = items.len() > limit as usize;
        items.truncate(limit as usize);
        Self {
            items,
            has_more,
            resume_after: None,
        }
    }

    /// Where the next page begins: the key of the last item, when more items follow it.
    pub fn next_cursor<K>(&self, key_of: impl FnOnce(&T) -> K) -> Option<K> {
        self.items.last().filter(|_| self.has_more).map(key_of)
    }

    /// Where the next page of a filtered list begins: the id of the last item, or another id if the page
    /// ended before it was full.
    pub fn next_id(&self, id_of: impl FnOnce(&T) -> Uuid) -> Option<Uuid> {
        self.resume_after.or_else(|| self.next_cursor(id_of))
    }
}

/// A random id from `before`, inclusive, to `next`, exclusive.
fn random_between(before: Option<Uuid>, next: Uuid) -> Uuid {
    let before = before.map_or(0, |id| id.as_u128());
    let distance = next.as_u128().saturating_sub(before).max(1);
    Uuid::from_u128(before.saturating_add(rand::random::<u128>() % distance))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// Reads a list of the numbers below `count`, of which `passes` says what passes.
    async fn read(
        count: u128,
        after: Option<Uuid>,
        passes: impl Fn(u128) -> bool,
    ) -> (Page<u128>, u32) {
        let charged = Cell::new(0);
        let list = FilteredRead {
            read: async |after: Option<Uuid>, size: u32| {
                let first = after.map_or(0, |id| id.as_u128() + 1);
                let items = (first..count).take(size as usize).collect();
                Ok(((), items))
            },
            id_of: |number: &u128| Uuid::from_u128(*number),
            filter: async |(), items: Vec<u128>| {
                Ok(items.into_iter().filter(|number| passes(*number)).collect())
            },
            charge: || charged.set(charged.get() + 1),
            bounds: ReadBounds::LIST,
        };
        let page = Page::read_filtered(after, 50, list).await.unwrap();
        (page, charged.get())
    }

    #[tokio::test]
    async fn a_page_reads_a_bounded_number_of_items_and_the_next_one_goes_on() {
        let mut after = None;
        let mut found = Vec::new();
        let mut pages = 0;
        loop {
            let (page, charged) = read(20_000, after, |number| number == 19_999).await;
            assert!(charged <= 10, "{charged}");
            found.extend(page.items.clone());
            pages += 1;
            after = page.next_id(|number| Uuid::from_u128(*number));
            if after.is_none() {
                break;
            }
        }
        assert_eq!(found, [19_999]);
        assert!((19..=22).contains(&pages), "{pages}");
    }

    #[tokio::test]
    async fn each_item_that_passes_is_on_one_page() {
        let mut after = None;
        let mut found = Vec::new();
        loop {
            let (page, _) = read(5_000, after, |number| number % 97 == 3).await;
            assert!(page.items.len() <= 50);
            found.extend(page.items.clone());
            after = page.next_id(|number| Uuid::from_u128(*number));
            if after.is_none() {
                break;
            }
        }
        let expected: Vec<u128> = (0..5_000).filter(|number| number % 97 == 3).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_random_id_lies_between_its_bounds() {
        let id = |number| Uuid::from_u128(number);
        assert_eq!(random_between(Some(id(7)), id(8)), id(7));
        for _ in 0..100 {
            let between = random_between(Some(id(7)), id(10)).as_u128();
            assert!((7..10).contains(&between));
        }
        assert!(random_between(None, id(u128::MAX)) < id(u128::MAX));
    }
}
