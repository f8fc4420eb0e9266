//! A TIFF of any form, put together from directories.

/// Byte order, width of numbers, and where the directories are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) is_little_endian: bool,
    pub(super) is_big_tiff: bool,
    pub(super) has_directories_last: bool,
}

/// All layouts.
pub(super) fn layouts() -> Vec<Layout> {
    let is = [false, true];
    let layouts = is.into_iter().flat_map(|is_little_endian| {
        is.into_iter().flat_map(move |is_big_tiff| {
            is.map(|has_directories_last| Layout {
                is_little_endian,
                is_big_tiff,
                has_directories_last,
            })
        })
    });
    layouts.collect()
}

/// An entry: its tag, its type and its values as numbers.
#[derive(Clone, Debug)]
pub(super) struct TestEntry {
    pub(super) tag: u16,
    pub(super) kind: u16,
    pub(super) values: Vec<u64>,
}

pub(super) fn short(tag: u16, value: u64) -> TestEntry {
    entry(tag, 3, vec![value])
}

pub(super) fn entry(tag: u16, kind: u16, values: Vec<u64>) -> TestEntry {
    TestEntry { tag, kind, values }
}

/// A directory of an image whose blocks are each `block_length` bytes, in tiles of 16 by 16 pixels.
#[derive(Clone, Debug)]
pub(super) struct TestDirectory {
    pub(super) entries: Vec<TestEntry>,
    /// The lengths of its blocks; one of length 0 is absent.
    pub(super) blocks: Vec<u64>,
    pub(super) is_tiled: bool,
    /// Its `SubIFDs`.
    pub(super) children: Vec<TestDirectory>,
}

impl TestDirectory {
    pub(super) fn tiled(blocks: &[u64]) -> Self {
        let width = 16 * blocks.len() as u64;
        let sizes = [(256, width), (257, 16), (258, 8), (322, 16), (323, 16)];
        Self {
            entries: sizes.map(|(tag, value)| short(tag, value)).to_vec(),
            blocks: blocks.to_vec(),
            is_tiled: true,
            children: Vec::new(),
        }
    }

    pub(super) fn in_strips(blocks: &[u64]) -> Self {
        let sizes = [(256, 10), (257, 2 * blocks.len() as u64), (278, 2)];
        Self {
            entries: sizes.map(|(tag, value)| short(tag, value)).to_vec(),
            blocks: blocks.to_vec(),
            is_tiled: false,
            children: Vec::new(),
        }
    }

    pub(super) fn with(mut self, entry: TestEntry) -> Self {
        self.entries.retain(|known| known.tag != entry.tag);
        self.entries.push(entry);
        self
    }

    pub(super) fn without(mut self, tag: u16) -> Self {
        self.entries.retain(|known| known.tag != tag);
        self
    }
}

/// A file that is put together.
pub(super) struct Builder {
    layout: Layout,
    content: Vec<u8>,
}

impl Builder {
    /// A complete file with these directories, one after the other.
    pub(super) fn build(layout: Layout, directories: &[TestDirectory]) -> Vec<u8> {
        let mut builder = Self {
            layout,
            content: if layout.is_little_endian {
                b"II"
            } else {
                b"MM"
            }
            .to_vec(),
        };
        if layout.is_big_tiff {
            for number in [43, 8, 0] {
                builder.number(2, number);
            }
        } else {
            builder.number(2, 42);
        }
        let mut link = builder.content.len();
        builder.number(builder.offset_length(), 0);
        let mut data = Vec::new();
        if layout.has_directories_last {
            data = directories.iter().map(|it| builder.data(it)).collect();
        }
        for (index, directory) in directories.iter().enumerate() {
            let known = data.get(index).cloned();
            let start = builder.directory(directory, known);
            builder.set(link, start);
            link = builder.next_link(start);
        }
        builder.content
    }

    /// Where the directory at `start` says where the next one is.
    pub(super) fn next_link(&self, start: usize) -> usize {
        let (count_length, entry_length) = if self.layout.is_big_tiff {
            (8, 20)
        } else {
            (2, 12)
        };
        let count = &self.content[start..start + count_length];
        let count = if self.layout.is_little_endian {
            usize::from(count[0])
        } else {
            usize::from(count[count_length - 1])
        };
        start + count_length + count * entry_length
    }

    /// Writes the blocks; returns where each is.
    fn data(&mut self, directory: &TestDirectory) -> Vec<u64> {
        let place = |builder: &mut Self, length: u64| {
            let start = builder.content.len();
            let end = start + usize::try_from(length).unwrap();
            builder.content.resize(end, 7);
            if length == 0 { 0 } else { start as u64 }
        };
        let places = directory.blocks.iter().map(|length| place(self, *length));
        places.collect()
    }

    /// Writes a directory and what it refers to; returns where it is.
    fn directory(&mut self, directory: &TestDirectory, data: Option<Vec<u64>>) -> usize {
        let children: Vec<u64> = directory
            .children
            .iter()
            .map(|child| self.directory(child, None) as u64)
            .collect();
        let is_last = data.is_some();
        let places = data.unwrap_or_else(|| vec![0; directory.blocks.len()]);
        let kind = if self.layout.is_big_tiff { 16 } else { 4 };
        let (offsets_tag, counts_tag) = if directory.is_tiled {
            (324, 325)
        } else {
            (273, 279)
        };
        let mut entries = directory.entries.clone();
        entries.push(entry(offsets_tag, kind, places));
        entries.push(entry(counts_tag, 4, directory.blocks.clone()));
        if !children.is_empty() {
            entries.push(entry(330, 13, children));
        }
        let start = self.content.len();
        let count_length = if self.layout.is_big_tiff { 8 } else { 2 };
        self.number(count_length, entries.len() as u64);
        let mut fields = Vec::new();
        for it in &entries {
            self.number(2, it.tag.into());
            self.number(2, it.kind.into());
            self.number(self.offset_length(), it.values.len() as u64);
            fields.push(self.content.len());
            self.number(self.offset_length(), 0);
        }
        self.number(self.offset_length(), 0);
        let mut offsets_at = 0;
        for (it, field) in entries.iter().zip(fields) {
            let at = self.values(it, field);
            if it.tag == offsets_tag {
                offsets_at = at;
            }
        }
        if !is_last {
            let value_length = usize::from(kind / 2).max(4);
            for (index, place) in self.data(directory).into_iter().enumerate() {
                self.set_number(offsets_at + index * value_length, value_length, place);
            }
        }
        start
    }

    /// Writes the values of an entry, into its field or elsewhere; returns where they are.
    fn values(&mut self, it: &TestEntry, field: usize) -> usize {
        let value_length = match it.kind {
            1 | 2 | 6 | 7 => 1,
            3 | 8 => 2,
            5 | 10 | 12 | 16 | 17 | 18 => 8,
            _ => 4,
        };
        let at = if value_length * it.values.len() > self.offset_length() {
            let at = self.content.len();
            self.content.resize(at + value_length * it.values.len(), 0);
            self.set(field, at);
            at
        } else {
            field
        };
        for (index, value) in it.values.iter().enumerate() {
            self.set_number(at + index * value_length, value_length, *value);
        }
        at
    }

    fn offset_length(&self) -> usize {
        if self.layout.is_big_tiff { 8 } else { 4 }
    }

    fn number(&mut self, length: usize, number: u64) {
        let at = self.content.len();
        self.content.resize(at + length, 0);
        self.set_number(at, length, number);
    }

    fn set(&mut self, at: usize, offset: usize) {
        self.set_number(at, self.offset_length(), offset as u64);
    }

    fn set_number(&mut self, at: usize, length: usize, number: u64) {
        set_number(&mut self.content, self.layout, at, length, number);
    }
}

/// Writes a number in the byte order of a layout.
pub(super) fn set_number(
    content: &mut [u8],
    layout: Layout,
    at: usize,
    length: usize,
    number: u64,
) {
    let bytes = if layout.is_little_endian {
        number.to_le_bytes()[..length].to_vec()
    } else {
        number.to_be_bytes()[8 - length..].to_vec()
    };
    content[at..at + length].copy_from_slice(&bytes);
}
