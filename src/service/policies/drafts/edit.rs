//! Edits of drafts: the files of the next version, within the bounds of a policy folder.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::policy::bundle::{MAX_FILE_SIZE, MAX_FILES, MAX_FOLDER_SIZE};
use crate::policy::file_name::{FileNameError, check_file_name};
use crate::policy::folder::FolderPart;
use crate::service::policies::patch::FileTexts;

use super::draft::Draft;

const BYTE_ORDER_MARK: char = '\u{feff}';

/// The texts of files by name; none removes a file.
pub type DraftEdit = BTreeMap<String, Option<String>>;

/// Why a policy folder cannot have the files of an edit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DraftEditError {
    /// A name is none of a file of the folder.
    #[error("{name:?}: {source}")]
    Name {
        /// The name.
        name: String,
        /// Why.
        source: FileNameError,
    },
    /// A file is too large.
    #[error("{name:?}: the file is larger than {} KiB", MAX_FILE_SIZE / 1024)]
    FileTooLarge {
        /// The file.
        name: String,
    },
    /// One file would be in the place of the folder of another one.
    #[error("{name:?}: {file:?} is a file, so no other file can be in it")]
    InsideFile {
        /// The file that cannot be there.
        name: String,
        /// The file that would have to be a folder.
        file: String,
    },
    /// The files of a part of the folder are too large together.
    #[error("the files of one kind are larger than {} KiB together", MAX_FOLDER_SIZE / 1024)]
    FolderTooLarge,
    /// There are too many files in a part of the folder.
    #[error("more than {MAX_FILES} files of one kind")]
    TooManyFiles,
}

/// The files of a draft upon another base.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rebase {
    /// The files.
    pub files: FileTexts,
    /// The files that both sides have changed, each differently, in this rebase or in one before about which nobody has
    /// decided. The draft keeps its own text, or their removal.
    pub conflicts: BTreeSet<String>,
}

/// The files with an edit laid over them. Texts that are those of `base` are shared with it.
pub fn laid_over(
    base: &FileTexts,
    files: &FileTexts,
    edit: &DraftEdit,
) -> Result<FileTexts, DraftEditError> {
    let mut files = files.clone();
    for (name, text) in edit {
        // What is in the folder already may be edited, whatever it is called.
        let is_known = base.contains_key(name) || files.contains_key(name);
        if let Err(source) = check_file_name(name)
            && !is_known
        {
            let name = name.clone();
            return Err(DraftEditError::Name { name, source });
        }
        let Some(text) = text else {
            files.remove(name);
            continue;
        };
        let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
        if text.len() as u64 > MAX_FILE_SIZE {
            let name = name.clone();
            return Err(DraftEditError::FileTooLarge { name });
        }
        let known = base.get(name).filter(|known| ***known == *text);
        let text = known.map_or_else(|| Arc::from(text), Arc::clone);
        files.insert(name.clone(), text);
    }
    check_folder(&files)?;
    Ok(files)
}

/// The files of a draft upon `base`: what only one side has changed is taken from that side.
pub fn rebased(draft: &Draft, base: &FileTexts) -> Result<Rebase, DraftEditError> {
    let (before, own) = (draft.base().files(), draft.files());
    let names: BTreeSet<&String> = before.keys().chain(own.keys()).chain(base.keys()).collect();
    let mut files = FileTexts::new();
    let mut conflicts = BTreeSet::new();
    for name in names {
        let (before, own, new) = (before.get(name), own.get(name), base.get(name));
        let is_open = draft.conflicts().contains(name);
        let taken = if own == new || (own == before && !is_open) {
            new
        } else {
            if new != before || is_open {
                conflicts.insert(name.clone());
            }
            own
        };
        if let Some(text) = taken {
            files.insert(name.clone(), Arc::clone(text));
        }
    }
    check_folder(&files)?;
    Ok(Rebase { files, conflicts })
}

/// Checks what is about all files together.
fn check_folder(files: &FileTexts) -> Result<(), DraftEditError> {
    let mut parts: BTreeMap<FolderPart, (usize, u64)> = BTreeMap::new();
    for (name, text) in files {
        let (count, size) = parts.entry(FolderPart::of(name)).or_default();
        *count += 1;
        *size += text.len() as u64;
        if *count > MAX_FILES {
            return Err(DraftEditError::TooManyFiles);
        }
        if *size > MAX_FOLDER_SIZE {
            return Err(DraftEditError::FolderTooLarge);
        }
    }
    for name in files.keys() {
        let mut folders = name.match_indices('/').filter_map(|(at, _)| name.get(..at));
        if let Some(file) = folders.find(|folder| files.contains_key(*folder)) {
            return Err(DraftEditError::InsideFile {
                name: name.clone(),
                file: file.to_owned(),
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::domain::id::UserId;
    use crate::policy::folder::PolicyFolder;
    use crate::service::policies::drafts::DraftBase;

    use super::*;

    fn files(texts: &[(&str, &str)]) -> FileTexts {
        let texts = texts.iter();
        texts
            .map(|(name, text)| ((*name).to_owned(), Arc::from(*text)))
            .collect()
    }

    fn edit(texts: &[(&str, Option<&str>)]) -> DraftEdit {
        let texts = texts.iter();
        texts
            .map(|(name, text)| ((*name).to_owned(), text.map(str::to_owned)))
            .collect()
    }

    #[test]
    fn an_edit_changes_adds_and_removes_files_and_shares_the_texts_of_the_base() {
        let base = files(&[("a.cedar", "a"), ("b.cedar", "b"), ("c.cedar", "c")]);
        let first = edit(&[
            ("a.cedar", Some("x")),
            ("b.cedar", None),
            ("d.cedar", Some("d")),
        ]);
        let first = laid_over(&base, &base, &first).unwrap();
        assert_eq!(
            first,
            files(&[("a.cedar", "x"), ("c.cedar", "c"), ("d.cedar", "d")])
        );
        let back = edit(&[
            ("a.cedar", Some("\u{feff}a")),
            ("b.cedar", Some("b")),
            ("d.cedar", None),
        ]);
        let back = laid_over(&base, &first, &back).unwrap();
        assert_eq!(back, base);
        for (name, text) in &base {
            assert!(Arc::ptr_eq(&back[name], text), "{name}");
        }
    }

    #[test]
    fn what_a_folder_cannot_have_is_refused_with_the_name_of_the_file() {
        let base = files(&[("a.cedar", "a")]);
        let large = "x".repeat(usize::try_from(MAX_FILE_SIZE).unwrap() + 1);
        for (name, text, message) in [
            ("../a.cedar", Some("a"), "it is not the name of a file"),
            ("README.md", None, "has no such file"),
            ("b.cedar", Some(large.as_str()), "larger than 1024 KiB"),
            ("a.cedar/b.cedar", Some("b"), "\"a.cedar\" is a file"),
        ] {
            let error = laid_over(&base, &base, &edit(&[(name, text)])).unwrap_err();
            let error = error.to_string();
            assert!(error.starts_with(&format!("{name:?}: ")), "{error}");
            assert!(error.contains(message), "{error}");
        }
        let largest = &large[1..];
        let names: Vec<String> = (0..=16).map(|n| format!("{n}.cedar")).collect();
        let full: Vec<_> = names
            .iter()
            .map(|name| (name.as_str(), Some(largest)))
            .collect();
        assert_eq!(
            laid_over(&base, &FileTexts::new(), &edit(&full)),
            Err(DraftEditError::FolderTooLarge)
        );
        // Policies, cases and invariants are bounded each for itself, as in a folder that is read.
        let halves = (0..9).flat_map(|n| [format!("{n}.cedar"), format!("invariants/{n}.cedar")]);
        let names: Vec<String> = halves.collect();
        let parts: Vec<_> = names
            .iter()
            .map(|name| (name.as_str(), Some(largest)))
            .collect();
        assert!(laid_over(&base, &FileTexts::new(), &edit(&parts)).is_ok());
        let names: Vec<String> = (0..MAX_FILES).map(|n| format!("{n}.cedar")).collect();
        let full: Vec<_> = names.iter().map(|name| (name.as_str(), Some(""))).collect();
        assert_eq!(
            laid_over(&base, &base, &edit(&full)),
            Err(DraftEditError::TooManyFiles)
        );
    }

    #[test]
    fn a_rebase_takes_each_file_from_the_side_that_changed_it() {
        let old = files(&[
            ("both.cedar", "1"),
            ("gone.cedar", "1"),
            ("mine.cedar", "1"),
            ("removed.cedar", "1"),
            ("same.cedar", "1"),
            ("theirs.cedar", "1"),
        ]);
        let own = files(&[
            ("added.cedar", "mine"),
            ("both.cedar", "mine"),
            ("gone.cedar", "1"),
            ("mine.cedar", "mine"),
            ("same.cedar", "2"),
            ("theirs.cedar", "1"),
        ]);
        let new = files(&[
            ("added.cedar", "theirs"),
            ("both.cedar", "theirs"),
            ("mine.cedar", "1"),
            ("new.cedar", "theirs"),
            ("removed.cedar", "theirs"),
            ("same.cedar", "2"),
            ("theirs.cedar", "theirs"),
        ]);
        let base = DraftBase::new(String::new(), &PolicyFolder::from_files("", old));
        let owner = UserId::random();
        let draft = Draft::new(owner, 0, Arc::new(base), own, Arc::default());
        let rebase = rebased(&draft, &new).unwrap();
        let expected = files(&[
            ("added.cedar", "mine"),
            ("both.cedar", "mine"),
            ("mine.cedar", "mine"),
            ("new.cedar", "theirs"),
            ("same.cedar", "2"),
            ("theirs.cedar", "theirs"),
        ]);
        assert_eq!(rebase.files, expected);
        let conflicts = ["added.cedar", "both.cedar", "removed.cedar"].map(str::to_owned);
        assert_eq!(rebase.conflicts, BTreeSet::from(conflicts.clone()));
        // Nobody decides about them by rebasing again, unless what is in force is the same then.
        let base = DraftBase::new(String::new(), &PolicyFolder::from_files("", new.clone()));
        let next = draft.next(Some(Arc::new(base)), rebase.files, rebase.conflicts);
        let same = files(&[("both.cedar", "mine")]);
        let again = rebased(&next, &new.into_iter().chain(same).collect()).unwrap();
        let [added, _, removed] = conflicts;
        assert_eq!(again.conflicts, BTreeSet::from([added, removed]));
    }
}
