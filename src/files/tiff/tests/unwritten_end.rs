//! Files whose end was not written, or was written by another program.

use super::*;

#[test]
fn a_file_whose_end_was_not_written_yet_is_refused() {
    for name in [
        "jacksboro-fault-dem.cog.tif",
        "salish-sea-topobathy.cog.tif",
    ] {
        let mut cog = demo(name);
        for unwritten in [20, 100, 5000] {
            let end = cog.len();
            cog[end - unwritten..].fill(0);
            let refused = check(&cog).unwrap_err();
            assert!(
                matches!(refused, TiffDefect::BlockNotWritten { .. }),
                "{refused}"
            );
        }
    }
}

#[test]
fn the_unwritten_end_of_a_plain_tiff_is_told_by_compressions_that_end_in_something() {
    for (compression, is_told) in [
        (1, false),
        (5, true),
        (7, true),
        (8, true),
        (32_773, false),
        (32_946, true),
        (34_887, false),
        (34_925, true),
    ] {
        let tiles = TestDirectory::tiled(&[60, 40]).with(short(259, compression));
        for layout in layouts() {
            if layout.has_directories_last {
                continue;
            }
            let mut content = Builder::build(layout, std::slice::from_ref(&tiles));
            let end = content.len();
            content[end - 40..].fill(1);
            assert_eq!(check(&content), Ok(()), "{compression}");
            content[end - 16..].fill(0);
            let refused = matches!(check(&content), Err(TiffDefect::BlockNotWritten { .. }));
            assert_eq!(refused, is_told, "{compression} {layout:?}");
        }
    }
}

#[test]
fn a_block_that_another_program_rewrote_is_no_reason_to_refuse() {
    let mut cog = demo("salish-sea-topobathy.cog.tif");
    let end = cog.len();
    cog[end - 4..].copy_from_slice(b"abcd");
    assert_eq!(check(&cog), Ok(()));
}
