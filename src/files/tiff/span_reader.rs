//! Reading a file in spans, each of which is small, and not more of them than a budget.

use std::ops::Range;

use bytes::Bytes;

use super::TiffDefect;
use super::form::{Entry, Form};

/// How much is read at once of a list of values, in bytes.
const LIST_SPAN: u64 = 64 * 1024;
/// How much is read at least, in bytes: a directory and what is usually beside it.
const MIN_SPAN: u64 = 4 * 1024;

/// Reads spans of a file.
pub(crate) trait ReadSpan {
    /// Why a span could not be read.
    type Error;

    /// Reads a span, which lies within the file.
    fn read(&mut self, span: Range<u64>)
    -> impl Future<Output = Result<Bytes, Self::Error>> + Send;
}

/// Why a file did not pass.
#[derive(Debug)]
pub(crate) enum StructureError<E> {
    /// It is not a complete TIFF.
    Defective(TiffDefect),
    /// It could not be read.
    Unreadable(E),
}

impl<E> From<TiffDefect> for StructureError<E> {
    fn from(defect: TiffDefect) -> Self {
        Self::Defective(defect)
    }
}

/// Reads a file within a budget, and remembers what was read last.
pub(super) struct SpanReader<R> {
    source: R,
    /// The length of the file in bytes.
    pub(super) size: u64,
    left: u64,
    last: Bytes,
    last_start: u64,
}

impl<R: ReadSpan> SpanReader<R> {
    pub(super) fn new(source: R, size: u64, budget: u64) -> Self {
        Self {
            source,
            size,
            left: budget,
            last: Bytes::new(),
            last_start: 0,
        }
    }

    /// The bytes at a place; fewer if the file ends before.
    pub(super) async fn read(
        &mut self,
        offset: u64,
        length: u64,
    ) -> Result<Bytes, StructureError<R::Error>> {
        let end = offset.saturating_add(length).min(self.size);
        if offset >= end {
            return Ok(Bytes::new());
        }
        if let Some(known) = self.known(offset, end) {
            return Ok(known);
        }
        let read_to = end.max(offset.saturating_add(MIN_SPAN)).min(self.size);
        let left = self.left.checked_sub(read_to - offset);
        self.left = left.ok_or(TiffDefect::TooLarge)?;
        let reading = self.source.read(offset..read_to);
        self.last = reading.await.map_err(StructureError::Unreadable)?;
        self.last_start = offset;
        Ok(self.known(offset, end).unwrap_or_default())
    }

    fn known(&self, start: u64, end: u64) -> Option<Bytes> {
        let from = usize::try_from(start.checked_sub(self.last_start)?).ok()?;
        let to = usize::try_from(end.checked_sub(self.last_start)?).ok()?;
        (from <= to && to <= self.last.len()).then(|| self.last.slice(from..to))
    }
}

/// The numbers of an entry, read a few at a time.
pub(super) struct NumberList<'e> {
    entry: &'e Entry,
    form: Form,
    value_length: usize,
    next: u64,
    read: Bytes,
}

impl<'e> NumberList<'e> {
    /// The numbers of an entry, whose values lie within the file; `None` if they are no unsigned numbers.
    pub(super) fn new(entry: &'e Entry, form: Form) -> Option<Self> {
        Some(Self {
            entry,
            form,
            value_length: entry.number_length()?,
            next: 0,
            read: Bytes::new(),
        })
    }

    /// The next number; `None` at the end.
    pub(super) async fn next<R: ReadSpan>(
        &mut self,
        reader: &mut SpanReader<R>,
    ) -> Result<Option<u64>, StructureError<R::Error>> {
        if self.next == self.entry.count {
            return Ok(None);
        }
        if self.read.len() < self.value_length {
            self.read = match self.entry.outside() {
                None => Bytes::copy_from_slice(self.entry.inline_values()),
                Some(offset) => {
                    let done = self.next.saturating_mul(self.value_length as u64);
                    let length = self.entry.length.saturating_sub(done).min(LIST_SPAN);
                    reader.read(offset.saturating_add(done), length).await?
                }
            };
        }
        if self.read.len() < self.value_length {
            return Ok(None);
        }
        self.next += 1;
        let value = self.read.split_to(self.value_length);
        Ok(Some(self.form.number(&value)))
    }
}
