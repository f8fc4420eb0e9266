//! Paths of source files: the same name in another Unicode normal form names the same file.
//!
//! macOS and programs that copy from it write decomposed names (`o` and a diaeresis), keyboards write composed ones
//! (`ö`), and Linux tells them apart, although nobody can see the difference. So where there is no file of a name,
//! the one whose name is canonically equivalent (UAX #15) is meant, if there is exactly one.

use std::path::{Component, Path, PathBuf};

use crate::domain::normal_form::compose;

/// The path under which a file is stored: `path` itself, unless only a canonically equivalent one exists.
pub(super) fn as_stored(path: &Path) -> PathBuf {
    if exists(path) || path.to_string_lossy().is_ascii() {
        return path.into();
    }
    let mut stored = PathBuf::new();
    for component in path.components() {
        let next = stored.join(component);
        let Component::Normal(name) = component else {
            stored = next;
            continue;
        };
        let equivalent = || equivalent_entry(&stored, name.to_str()?);
        stored = if exists(&next) {
            next
        } else {
            equivalent().unwrap_or(next)
        };
    }
    stored
}

fn exists(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

/// The one entry of a folder whose name is canonically equivalent to `name`.
fn equivalent_entry(folder: &Path, name: &str) -> Option<PathBuf> {
    if name.is_ascii() {
        return None;
    }
    let folder = if folder.as_os_str().is_empty() {
        Path::new(".")
    } else {
        folder
    };
    let name = compose(name);
    let entries = folder.read_dir().ok()?.filter_map(Result::ok);
    let mut equivalent = entries.filter(|entry| {
        let found = entry.file_name();
        found.to_str().is_some_and(|found| compose(found) == name)
    });
    let found = equivalent.next()?;
    equivalent.next().is_none().then(|| found.path())
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMPOSED: &str = "H\u{f6}he.tif";
    const DECOMPOSED: &str = "Ho\u{308}he.tif";

    #[test]
    fn a_name_in_another_normal_form_names_the_same_file() {
        for (stored, asked) in [
            (COMPOSED, DECOMPOSED),
            (DECOMPOSED, COMPOSED),
            ("\u{1112}\u{1161}\u{11ab}.tif", "\u{d55c}.tif"),
            ("\u{212b}.tif", "\u{c5}.tif"),
        ] {
            let folder = tempfile::tempdir().unwrap();
            // The folder's own name is equivalent only, too.
            let inside = folder.path().join(DECOMPOSED);
            std::fs::create_dir(&inside).unwrap();
            std::fs::write(inside.join(stored), b"").unwrap();
            let asked = folder.path().join(COMPOSED).join(asked);
            assert_eq!(as_stored(&asked), inside.join(stored));
        }
    }

    #[test]
    fn an_exact_name_an_ambiguous_one_and_one_of_other_letters_stay_as_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for name in [COMPOSED, DECOMPOSED, "\u{1e69}.tif", "s\u{323}\u{307}.tif"] {
            std::fs::write(path(name), b"").unwrap();
        }
        for name in [
            COMPOSED,
            DECOMPOSED,
            "s\u{307}\u{323}.tif",
            "h\u{f6}he.tif",
            "Hohe.tif",
            "\u{ff28}\u{f6}he.tif",
        ] {
            assert_eq!(as_stored(&path(name)), path(name), "{name:?}");
        }
        assert_eq!(as_stored(Path::new("\u{f6}")), Path::new("\u{f6}"));
    }
}
