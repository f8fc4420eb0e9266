mod builder;
mod properties;
mod unwritten_end;

use std::convert::Infallible;
use std::ops::Range;
use std::path::Path;

use bytes::Bytes;
use futures_util::FutureExt;

use builder::{Builder, Layout, TestDirectory, entry, layouts, set_number, short};

use super::check::check_within;
use super::form::Form;
use super::test_file::{MIN_TEST_TIFF_LENGTH, test_tiff};
use super::*;

const CLASSIC: Layout = Layout {
    is_little_endian: true,
    is_big_tiff: false,
    has_directories_last: false,
};
const BIG: Layout = Layout {
    is_big_tiff: true,
    ..CLASSIC
};

/// A file in memory, whose length may be another than that of the content: the rest is zeros.
struct TestSource<'a> {
    content: &'a [u8],
    is_read: &'a mut u64,
}

impl ReadSpan for TestSource<'_> {
    type Error = Infallible;

    async fn read(&mut self, span: Range<u64>) -> Result<Bytes, Infallible> {
        assert!(span.start < span.end, "{span:?}");
        *self.is_read += span.end - span.start;
        let [start, end] = [span.start, span.end].map(|at| usize::try_from(at).unwrap());
        let there = self.content.get(start..end.min(self.content.len()));
        let mut bytes = there.unwrap_or_default().to_vec();
        bytes.resize(end - start, 0);
        Ok(bytes.into())
    }
}

fn check_sized(content: &[u8], size: u64, budget: u64) -> Result<(), TiffDefect> {
    let mut is_read = 0;
    let source = TestSource {
        content,
        is_read: &mut is_read,
    };
    let checked = check_within(source, size, budget).now_or_never().unwrap();
    assert!(is_read <= budget, "{is_read}");
    checked.map_err(|error| match error {
        StructureError::Defective(defect) => defect,
        StructureError::Unreadable(never) => match never {},
    })
}

fn check(content: &[u8]) -> Result<(), TiffDefect> {
    check_sized(content, content.len() as u64, MAX_READ)
}

fn demo(name: &str) -> Vec<u8> {
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("demo");
    std::fs::read(demo.join(name)).unwrap()
}

/// Files of many kinds, each complete.
fn samples(layout: Layout) -> Vec<Vec<u8>> {
    let mut with_children = TestDirectory::tiled(&[100, 50]);
    with_children.children = vec![
        TestDirectory::tiled(&[20]),
        TestDirectory::in_strips(&[9, 8]),
    ];
    let mask = TestDirectory::tiled(&[30]).with(short(254, 4));
    let planar = TestDirectory::in_strips(&[5, 6])
        .with(short(284, 2))
        .with(short(277, 2));
    let planar = planar.with(short(257, 2));
    let described = TestDirectory::in_strips(&[40])
        .with(entry(34_735, 3, vec![1; 32]))
        .with(entry(33_550, 12, vec![0; 3]))
        .with(entry(42_112, 2, vec![65; 300]));
    let whole_image = TestDirectory::in_strips(&[77]).without(278);
    [
        vec![TestDirectory::tiled(&[64])],
        vec![TestDirectory::in_strips(&[10, 20, 30])],
        vec![
            TestDirectory::tiled(&[64, 0, 32]),
            mask,
            TestDirectory::tiled(&[16]),
        ],
        vec![with_children],
        vec![planar],
        vec![described, whole_image],
    ]
    .map(|directories| Builder::build(layout, &directories))
    .to_vec()
}

#[test]
fn complete_files_of_every_form_pass() {
    for layout in layouts() {
        for (index, content) in samples(layout).iter().enumerate() {
            assert_eq!(check(content), Ok(()), "{layout:?} {index}");
        }
    }
    for length in [MIN_TEST_TIFF_LENGTH, 1000] {
        assert_eq!(check(&test_tiff(length)), Ok(()));
    }
    for name in [
        "jacksboro-fault-dem.cog.tif",
        "salish-sea-topobathy.cog.tif",
    ] {
        assert_eq!(check(&demo(name)), Ok(()), "{name}");
    }
}

#[test]
fn a_file_that_is_cut_anywhere_is_refused() {
    for layout in layouts() {
        for content in samples(layout) {
            for length in 0..content.len() {
                let cut = check(&content[..length]).unwrap_err();
                assert!(
                    matches!(cut, TiffDefect::OtherHeader | TiffDefect::Truncated { .. }),
                    "{layout:?} {length}: {cut}"
                );
            }
        }
    }
    // Its blocks are followed by marks, which count as well.
    let cog = demo("salish-sea-topobathy.cog.tif");
    for length in (0..cog.len())
        .rev()
        .take(600)
        .chain((0..cog.len()).step_by(37))
    {
        assert!(check(&cog[..length]).is_err(), "{length}");
    }
}

#[test]
fn what_is_missing_of_a_file_is_said() {
    let cog = demo("jacksboro-fault-dem.cog.tif");
    let size = cog.len() as u64;
    let cut = check(&cog[..150_000]).unwrap_err();
    let promised = size;
    assert_eq!(
        cut,
        TiffDefect::Truncated {
            size: 150_000,
            promised
        }
    );
    assert_eq!(
        cut.to_string(),
        "is an incomplete TIFF: it has 150000 bytes but refers to bytes up to 194751, so at least 44751 \
         are missing"
    );
}

#[test]
fn a_file_without_a_directory_is_incomplete() {
    assert_eq!(check(b"II*\0\0\0\0\0 pixels"), Err(TiffDefect::NoDirectory));
    let big = b"MM\0+\0\x08\0\0\0\0\0\0\0\0\0\0 pixels";
    assert_eq!(check(big), Err(TiffDefect::NoDirectory));
    // Room for a file, of which only the header was written.
    let mut zeros = vec![0; 5000];
    zeros[..8].copy_from_slice(b"II*\0\x08\0\0\0");
    let empty = TiffDefect::Directory {
        directory: 8,
        problem: DirectoryProblem::Empty,
    };
    assert_eq!(check(&zeros), Err(empty));
}

#[test]
fn a_directory_without_what_an_image_needs_is_refused() {
    let refused = |directory: TestDirectory| {
        let content = Builder::build(CLASSIC, &[directory]);
        check(&content).unwrap_err().to_string()
    };
    for (tag, name) in [
        (256, "ImageWidth"),
        (257, "ImageLength"),
        (323, "TileLength"),
    ] {
        let without = refused(TestDirectory::tiled(&[9]).without(tag));
        assert!(without.ends_with(&format!("has no {name}")), "{without}");
        let zero = refused(TestDirectory::tiled(&[9]).with(short(tag, 0)));
        assert!(
            zero.ends_with(&format!("has a {name} that is not valid")),
            "{zero}"
        );
    }
    let zero = refused(TestDirectory::in_strips(&[9]).with(short(278, 0)));
    assert!(
        zero.ends_with("has a RowsPerStrip that is not valid"),
        "{zero}"
    );
    let text = refused(TestDirectory::tiled(&[9]).with(entry(256, 2, vec![65])));
    assert!(
        text.ends_with("has a ImageWidth that is not valid"),
        "{text}"
    );
    let large = refused(TestDirectory::tiled(&[9]).with(short(256, 40)));
    assert!(
        large.ends_with("lists 1 tiles, but its image has 3"),
        "{large}"
    );
    let long = refused(TestDirectory::in_strips(&[9, 9]).with(short(257, 100)));
    assert!(
        long.ends_with("lists 2 strips, but its image has 50"),
        "{long}"
    );
    let planes = TestDirectory::tiled(&[9])
        .with(short(284, 2))
        .with(short(277, 4));
    let planes = refused(planes);
    assert!(
        planes.ends_with("lists 1 tiles, but its image has 4"),
        "{planes}"
    );
}

#[test]
fn sparse_tiles_pass_and_data_in_the_header_does_not() {
    assert_eq!(
        check(&Builder::build(CLASSIC, &[TestDirectory::tiled(&[0, 0])])),
        Ok(())
    );
    for layout in layouts() {
        let mut content = Builder::build(layout, &[TestDirectory::tiled(&[9])]);
        // The one offset stands in its entry, before the byte count.
        let start = content.windows(2).rposition(|pair| {
            pair == if layout.is_little_endian {
                [0x44, 1]
            } else {
                [1, 0x44]
            }
        });
        let field = start.unwrap() + if layout.is_big_tiff { 12 } else { 8 };
        let length = if layout.is_big_tiff { 8 } else { 4 };
        set_number(&mut content, layout, field, length, 0);
        let refused = check(&content).unwrap_err().to_string();
        assert!(
            refused.ends_with("data at byte 0, within the header"),
            "{refused}"
        );
        // Nor does the end of a block overflow.
        let far = u64::MAX >> (64 - 8 * length);
        set_number(&mut content, layout, field, length, far);
        let refused = check(&content).unwrap_err();
        assert!(matches!(refused, TiffDefect::Truncated { .. }), "{refused}");
    }
}

#[test]
fn directories_in_a_loop_are_refused() {
    for layout in layouts() {
        let directories = [TestDirectory::tiled(&[9]), TestDirectory::in_strips(&[9])];
        let content = Builder::build(layout, &directories);
        let length = if layout.is_big_tiff { 8 } else { 4 };
        let first = usize::try_from(Form::parse(&content).unwrap().1).unwrap();
        let second = next_directory(&content, first);
        for (from, to) in [(first, first), (second, first), (second, second)] {
            let mut content = content.clone();
            let link = link_of(&content, from);
            set_number(&mut content, layout, link, length, to as u64);
            let refused = check(&content).unwrap_err().to_string();
            assert!(
                refused.ends_with("is referred to twice, as in a loop"),
                "{refused}"
            );
        }
        // A directory within another one that refers to that one.
        let sub = TestDirectory::tiled(&[9]).with(entry(330, 4, vec![first as u64]));
        let content = Builder::build(layout, &[sub]);
        let own = Form::parse(&content).unwrap().1;
        let sub = TestDirectory::tiled(&[9]).with(entry(330, 4, vec![own]));
        let refused = check(&Builder::build(layout, &[sub]))
            .unwrap_err()
            .to_string();
        assert!(
            refused.ends_with("is referred to twice, as in a loop"),
            "{refused}"
        );
    }
}

fn link_of(content: &[u8], directory: usize) -> usize {
    let (form, _) = Form::parse(content).unwrap();
    let count_length = usize::try_from(form.count_length()).unwrap();
    let count = form.number(&content[directory..directory + count_length]);
    directory + count_length + usize::try_from(count * form.entry_length()).unwrap()
}

fn next_directory(content: &[u8], directory: usize) -> usize {
    let (form, _) = Form::parse(content).unwrap();
    let link = link_of(content, directory);
    let length = usize::try_from(form.offset_length()).unwrap();
    usize::try_from(form.number(&content[link..link + length])).unwrap()
}

#[test]
fn what_a_directory_may_cost_is_bounded() {
    // One with more entries than any has.
    let mut content = b"II+\0\x08\0\0\0\x10\0\0\0\0\0\0\0".to_vec();
    content.extend(u64::MAX.to_le_bytes());
    let refused = check_sized(&content, u64::MAX, MAX_READ)
        .unwrap_err()
        .to_string();
    assert!(
        refused.contains("has 18446744073709551615 entries"),
        "{refused}"
    );
    // A list of a billion tiles in a file that is long enough for it.
    let tiles = TestDirectory::tiled(&[0, 0]);
    let mut content = Builder::build(BIG, &[tiles]);
    for tag in [[0x44, 1], [0x45, 1]] {
        let at = content.windows(2).rposition(|pair| pair == tag).unwrap();
        set_number(&mut content, BIG, at + 2, 2, 16);
        set_number(&mut content, BIG, at + 4, 8, 1 << 30);
        set_number(&mut content, BIG, at + 12, 8, 1 << 30);
    }
    let refused = check_sized(&content, 1 << 40, 4 << 20).unwrap_err();
    assert_eq!(refused, TiffDefect::TooLarge);
    // And one of as many directories.
    let many = TestDirectory::tiled(&[9]).with(entry(330, 4, (1000..70_000).collect()));
    assert_eq!(
        check(&Builder::build(CLASSIC, &[many])),
        Err(TiffDefect::TooLarge)
    );
}

#[test]
fn a_jpeg_stream_of_an_old_form_counts_as_the_image() {
    let jpeg = |start: u64, length: u64| {
        let directory = TestDirectory::in_strips(&[50]).with(entry(513, 4, vec![start]));
        let content = Builder::build(CLASSIC, &[directory.with(entry(514, 4, vec![length]))]);
        check(&content)
    };
    assert_eq!(jpeg(20, 30), Ok(()));
    assert!(matches!(jpeg(20, 3000), Err(TiffDefect::Truncated { .. })));
}
