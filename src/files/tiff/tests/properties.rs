use proptest::prelude::*;

use super::builder::layouts;
use super::{check_sized, samples};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn changed_bytes_never_make_the_check_fail_to_end(
        sample in 0usize..6,
        layout in 0usize..8,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in any::<prop::sample::Index>(),
        is_cut: bool,
    ) {
        let mut content = samples(layouts()[layout])[sample].clone();
        for (at, byte) in changes {
            let at = at.index(content.len());
            content[at] = byte;
        }
        if is_cut {
            content.truncate(cut.index(content.len()));
        }
        // Whatever it says, it ends, and reads little.
        let _ = check_sized(&content, content.len() as u64, 1 << 20);
    }

    #[test]
    fn any_bytes_after_a_header_are_checked_without_a_panic(
        rest in prop::collection::vec(any::<u8>(), 0..300),
        header in 0usize..4,
        size in any::<u64>(),
    ) {
        let headers: [&[u8]; 4] = [
            b"II*\0\x08\0\0\0", b"MM\0*\0\0\0\x08",
            b"II+\0\x08\0\0\0\x10\0\0\0\0\0\0\0", b"MM\0+\0\x08\0\0\0\0\0\0\0\0\0\x10",
        ];
        let content = [headers[header], &rest].concat();
        let _ = check_sized(&content, content.len() as u64, 1 << 20);
        // A length that has nothing to do with the content.
        let _ = check_sized(&content, size, 1 << 20);
    }
}
