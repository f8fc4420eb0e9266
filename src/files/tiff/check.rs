//! The walk through all directories of a file.

use std::collections::HashSet;

use super::cog_layout::CogLayout;
use super::directory::{DirectoryKind, directory_length, parse_directory, referred_kind};
use super::form::{Entry, Form};
use super::image::{Blocks, ImageEntries};
use super::last_block::LastBlock;
use super::span_reader::{NumberList, ReadSpan, SpanReader, StructureError};
use super::{DirectoryProblem, MAX_DIRECTORIES, MAX_READ, TiffDefect};

/// How much of a file is read first, in bytes: the header and GDAL's structural metadata.
const START_LENGTH: u64 = 1024;

/// Checks that all that the directories of a TIFF refer to lies within the file of `size` bytes.
pub(crate) async fn check_structure<R: ReadSpan>(
    source: R,
    size: u64,
) -> Result<(), StructureError<R::Error>> {
    check_within(source, size, MAX_READ).await
}

/// Checks a TIFF, of which at most `budget` bytes are read.
pub(super) async fn check_within<R: ReadSpan>(
    source: R,
    size: u64,
    budget: u64,
) -> Result<(), StructureError<R::Error>> {
    let mut reader = SpanReader::new(source, size, budget);
    let start = reader.read(0, START_LENGTH).await?;
    let (form, first) = Form::parse(&start).ok_or(TiffDefect::OtherHeader)?;
    if first == 0 {
        return Err(TiffDefect::NoDirectory.into());
    }
    let mut walk = DirectoryWalk {
        reader,
        form,
        layout: CogLayout::parse(&start, form),
        promised: 0,
        last_block: None,
        pending: Vec::new(),
        seen: HashSet::new(),
    };
    walk.add(first, DirectoryKind::Image)?;
    while let Some((at, kind)) = walk.pending.pop() {
        walk.check_directory(at, kind).await?;
    }
    walk.check_end().await
}

/// A walk through the directories of one file.
struct DirectoryWalk<R> {
    reader: SpanReader<R>,
    form: Form,
    layout: CogLayout,
    /// The end of all that was referred to so far.
    promised: u64,
    /// The block that ends last.
    last_block: Option<LastBlock>,
    pending: Vec<(u64, DirectoryKind)>,
    seen: HashSet<u64>,
}

impl<R: ReadSpan> DirectoryWalk<R> {
    /// Remembers that the file must have these bytes; returns whether it has them.
    fn promise(&mut self, start: u64, length: u64) -> bool {
        let end = start.saturating_add(length);
        self.promised = self.promised.max(end);
        end <= self.reader.size
    }

    /// Adds a directory that is still to be checked.
    fn add(&mut self, at: u64, kind: DirectoryKind) -> Result<(), TiffDefect> {
        if at < self.form.header_length() {
            return match kind {
                DirectoryKind::Image => Err(problem(at, DirectoryProblem::InHeader)),
                // Writers that have nothing to say there leave 0.
                DirectoryKind::Metadata => Ok(()),
            };
        }
        if !self.seen.insert(at) {
            return match kind {
                DirectoryKind::Image => Err(problem(at, DirectoryProblem::Repeated)),
                // Several images may have one description.
                DirectoryKind::Metadata => Ok(()),
            };
        }
        if self.seen.len() > MAX_DIRECTORIES {
            return Err(TiffDefect::TooLarge);
        }
        self.pending.push((at, kind));
        Ok(())
    }

    async fn check_directory(
        &mut self,
        at: u64,
        kind: DirectoryKind,
    ) -> Result<(), StructureError<R::Error>> {
        let form = self.form;
        if !self.promise(at, form.count_length()) {
            return Ok(());
        }
        let count = self.reader.read(at, form.count_length()).await?;
        let length = directory_length(form, form.number(&count));
        let length = length.map_err(|found| problem(at, found))?;
        if !self.promise(at, length) {
            return Ok(());
        }
        let directory = self.reader.read(at, length).await?;
        let (entries, next) = parse_directory(form, &directory);
        let mut image = ImageEntries::default();
        for entry in entries {
            let is_there = self.is_there(&entry);
            match referred_kind(&entry) {
                Some(referred) if is_there => self.add_referred(&entry, referred).await?,
                Some(_) => {}
                None => image.keep(entry),
            }
        }
        if kind == DirectoryKind::Metadata {
            return Ok(());
        }
        if let Some((start, length)) = image.jpeg(form) {
            self.promise(start, length);
        }
        let blocks = image.blocks(form).map_err(|found| problem(at, found))?;
        if let Some(blocks) = blocks {
            self.check_blocks(at, &blocks).await?;
        }
        if next != 0 {
            self.add(next, DirectoryKind::Image)?;
        }
        Ok(())
    }

    /// Whether the values of an entry lie within the file.
    fn is_there(&mut self, entry: &Entry) -> bool {
        let outside = entry.outside();
        outside.is_none_or(|offset| self.promise(offset, entry.length))
    }

    /// Adds the directories that an entry refers to.
    async fn add_referred(
        &mut self,
        entry: &Entry,
        kind: DirectoryKind,
    ) -> Result<(), StructureError<R::Error>> {
        // One of another type is no reference.
        let Some(mut offsets) = NumberList::new(entry, self.form) else {
            return Ok(());
        };
        while let Some(at) = offsets.next(&mut self.reader).await? {
            self.add(at, kind)?;
        }
        Ok(())
    }

    /// Checks that all blocks of an image lie within the file.
    async fn check_blocks(
        &mut self,
        directory: u64,
        blocks: &Blocks,
    ) -> Result<(), StructureError<R::Error>> {
        if !self.is_there(&blocks.offsets) || !self.is_there(&blocks.byte_counts) {
            return Ok(());
        }
        let lists = (
            NumberList::new(&blocks.offsets, self.form),
            NumberList::new(&blocks.byte_counts, self.form),
        );
        let (Some(mut offsets), Some(mut byte_counts)) = lists else {
            return Ok(());
        };
        while let (Some(offset), Some(length)) = (
            offsets.next(&mut self.reader).await?,
            byte_counts.next(&mut self.reader).await?,
        ) {
            // An absent block, or one of which nothing is promised.
            if length == 0 {
                continue;
            }
            if offset < self.form.header_length() {
                let found = DirectoryProblem::BlockInHeader { offset };
                return Err(problem(directory, found).into());
            }
            let promised_before = self.promised;
            self.promise(offset, length.saturating_add(self.layout.trailer_length()));
            if self.promised > promised_before {
                self.last_block = Some(LastBlock {
                    offset,
                    length,
                    is_compressed: blocks.is_compressed,
                    is_end_marked: blocks.is_end_marked,
                });
            }
        }
        Ok(())
    }

    /// Checks that the file has all that was referred to, and that its last block was written.
    async fn check_end(mut self) -> Result<(), StructureError<R::Error>> {
        let (size, promised) = (self.reader.size, self.promised);
        if promised > size {
            return Err(TiffDefect::Truncated { size, promised }.into());
        }
        match self.last_block {
            Some(block) if self.layout.has_block_marks() => {
                block.check_marks(&mut self.reader).await
            }
            Some(block) if block.is_end_marked => block.check_end(&mut self.reader).await,
            Some(_) | None => Ok(()),
        }
    }
}

fn problem(directory: u64, problem: DirectoryProblem) -> TiffDefect {
    TiffDefect::Directory { directory, problem }
}
