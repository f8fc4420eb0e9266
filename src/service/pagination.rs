//! Pages: some members of a list, in an order that stays while others add and remove.
//!
//! This module refuses to know what is listed.

/// The most members of one page.
pub const MAX_PAGE_SIZE: u32 = 100;

/// Some members of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// The members.
    pub items: Vec<T>,
    /// Whether more follow after the last of them.
    pub has_more: bool,
}

impl<T> Page<T> {
    /// How many to read for a page of `limit`: one more tells whether more follow.
    pub(crate) fn fetch_size(limit: u32) -> u32 {
        limit.clamp(1, MAX_PAGE_SIZE).saturating_add(1)
    }

    /// Cuts what was read to a page of `limit`.
    pub(crate) fn from_fetched(mut read: Vec<T>, limit: u32) -> Self {
        let wanted = limit.clamp(1, MAX_PAGE_SIZE) as usize;
        let has_more = read.len() > wanted;
        read.truncate(wanted);
        Self {
            items: read,
            has_more,
        }
    }

    /// The same page of other things.
    #[must_use]
    pub fn map<U>(self, each: impl FnMut(T) -> U) -> Page<U> {
        Page {
            items: self.items.into_iter().map(each).collect(),
            has_more: self.has_more,
        }
    }

    /// What names the last member, when more follow it.
    pub fn next_cursor<I>(&self, name: impl FnOnce(&T) -> I) -> Option<I> {
        self.items.last().filter(|_| self.has_more).map(name)
    }
}
