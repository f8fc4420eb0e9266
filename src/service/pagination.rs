//! Pages: some items of a list, in an order that is stable while others add and remove items.

use super::error::ServiceError;

/// The most items of one page.
pub const MAX_PAGE_SIZE: u32 = 100;

/// How many items one read of a filtered list asks for.
const BATCH_SIZE: u32 = 100;

/// Some items of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// Whether more follow after the last of them.
    pub has_more: bool,
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

    /// Reads a page of the items that pass `filter`: as many batches as it takes to fill the page or
    /// to reach the end of the list.
    ///
    /// `read` returns up to so many items after a key. The page ends with an item that passed: a key
    /// of one that did not would disclose it.
    pub(super) async fn read_filtered<U, K: Copy, Batch, Passed>(
        after: Option<K>,
        limit: u32,
        read: impl Fn(Option<K>, u32) -> Batch,
        key_of: impl Fn(&U) -> K,
        filter: impl Fn(Vec<U>) -> Passed,
    ) -> Result<Self, ServiceError>
    where
        Batch: Future<Output = Result<Vec<U>, ServiceError>>,
        Passed: Future<Output = Result<Vec<T>, ServiceError>>,
    {
        let limit = limit.clamp(1, MAX_PAGE_SIZE);
        let mut items = Vec::new();
        let mut last = after;
        let mut size = BATCH_SIZE.min(limit + 1);
        loop {
            let batch = read(last, size).await?;
            let is_last_batch = batch.len() < size as usize;
            last = batch.last().map(&key_of).or(last);
            items.extend(filter(batch).await?);
            if is_last_batch || items.len() > limit as usize {
                return Ok(Self::cut(items, limit));
            }
            size = BATCH_SIZE;
        }
    }

    fn cut(mut items: Vec<T>, limit: u32) -> Self {
        let has_more = items.len() > limit as usize;
        items.truncate(limit as usize);
        Self { items, has_more }
    }

    /// Where the next page begins: the key of the last item, when more items follow it.
    pub fn next_cursor<K>(&self, key_of: impl FnOnce(&T) -> K) -> Option<K> {
        self.items.last().filter(|_| self.has_more).map(key_of)
    }
}
