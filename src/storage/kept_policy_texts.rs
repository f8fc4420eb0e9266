//! Which texts of policy revisions are kept: those of the newest ones, within a bound of their size.

use std::collections::{BTreeMap, HashSet};

/// The digest of each file's text, by name.
pub(super) type Manifest = BTreeMap<String, String>;

/// What stays.
pub(super) struct KeptTexts {
    /// The number of the oldest revision that keeps its texts.
    pub(super) first: i64,
    /// The texts.
    pub(super) digests: HashSet<String>,
}

/// The texts of the newest revisions, as far as they are not larger than `max_size` together; `manifests` are those of
/// all, newest first.
pub(super) fn find_kept_texts(
    manifests: &[(i64, String)],
    sizes: &BTreeMap<String, i64>,
    max_size: u64,
) -> Result<KeptTexts, serde_json::Error> {
    let mut kept = KeptTexts {
        first: i64::MAX,
        digests: HashSet::new(),
    };
    let mut size = 0;
    for (number, manifest) in manifests {
        let parsed: Manifest = serde_json::from_str(manifest)?;
        size += manifest.len() as u64;
        let new = parsed.into_values();
        let new: HashSet<String> = new.filter(|one| !kept.digests.contains(one)).collect();
        let of_texts = new.iter().filter_map(|digest| sizes.get(digest));
        size += of_texts.map(|size| size.unsigned_abs()).sum::<u64>();
        if size > max_size {
            break;
        }
        kept.first = *number;
        kept.digests.extend(new);
    }
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(number: i64, digests: &[&str]) -> (i64, String) {
        let files = digests.iter();
        let files: Manifest = files
            .map(|digest| (format!("{digest}.cedar"), (*digest).to_owned()))
            .collect();
        (number, serde_json::to_string(&files).unwrap())
    }

    #[test]
    fn the_newest_revisions_keep_their_texts_and_shared_texts_count_once() {
        let manifests = [
            manifest(4, &["a", "b"]),
            manifest(3, &["a", "c"]),
            manifest(2, &["a", "d"]),
            manifest(1, &["a", "b"]),
        ];
        let sizes = ["a", "b", "c", "d"].map(|digest| (digest.to_owned(), 100));
        let of_manifests = |count: usize| -> u64 {
            let manifests = manifests.iter().take(count);
            manifests.map(|(_, manifest)| manifest.len() as u64).sum()
        };
        for (max_size, first, digests) in [
            (0, i64::MAX, &[][..]),
            (of_manifests(1) + 199, i64::MAX, &[]),
            (of_manifests(1) + 200, 4, &["a", "b"]),
            (of_manifests(2) + 299, 4, &["a", "b"]),
            (of_manifests(2) + 300, 3, &["a", "b", "c"]),
            (of_manifests(4) + 400, 1, &["a", "b", "c", "d"]),
        ] {
            let kept = find_kept_texts(&manifests, &BTreeMap::from(sizes.clone()), max_size);
            let kept = kept.unwrap();
            let digests = digests.iter().map(|digest| (*digest).to_owned());
            assert_eq!(
                (kept.first, kept.digests),
                (first, digests.collect()),
                "{max_size}"
            );
        }
    }
}
