//! A small TIFF for tests, of any length.

/// The length of its header and its directory, in bytes.
const DIRECTORY_END: usize = 8 + 2 + 8 * 12 + 4;
/// The shortest of these files, in bytes.
pub(crate) const MIN_TEST_TIFF_LENGTH: usize = DIRECTORY_END + 1;

/// A complete TIFF of `length` bytes: one image of one row, whose pixels encode their offset.
pub(crate) fn test_tiff(length: usize) -> Vec<u8> {
    assert!(length >= MIN_TEST_TIFF_LENGTH, "too short for a TIFF");
    let [width, start, entries] = [length - DIRECTORY_END, DIRECTORY_END, 8].map(to_u32);
    let mut content = b"MM\0*\0\0\0\x08".to_vec();
    content.extend(&entries.to_be_bytes()[2..]);
    for (tag, kind, value) in [
        (256u16, 4u16, width), // ImageWidth
        (257, 4, 1),           // ImageLength
        (258, 3, 8 << 16),     // BitsPerSample
        (259, 3, 1 << 16),     // Compression: none
        (262, 3, 1 << 16),     // PhotometricInterpretation: black is zero
        (273, 4, start),       // StripOffsets
        (278, 4, 1),           // RowsPerStrip
        (279, 4, width),       // StripByteCounts
    ] {
        content.extend(tag.to_be_bytes());
        content.extend(kind.to_be_bytes());
        content.extend(1u32.to_be_bytes());
        content.extend(value.to_be_bytes());
    }
    content.extend([0; 4]);
    content.extend((content.len()..length).map(|at| u8::try_from(at * 31 % 251).unwrap()));
    content
}

fn to_u32(length: usize) -> u32 {
    u32::try_from(length).unwrap()
}
