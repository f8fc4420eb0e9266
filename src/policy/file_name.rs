//! The names of the files of a policy folder: which files it may have, by name alone.

use crate::domain::token_refusal::is_invisible;

use super::cases::is_case_or_entity_file;
use super::sources::{INVARIANTS_FOLDER, MAX_FOLDER_DEPTH, is_bundle_file, is_policy_file};

/// The longest name of a file, with the folders that it is in, in bytes.
pub const MAX_FILE_NAME_LENGTH: usize = 1024;
/// The longest part of a name, in bytes: file systems have no longer ones.
const MAX_PART_LENGTH: usize = 255;

/// Why a policy folder has no file of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FileNameError {
    /// It is no name of a file in a folder.
    #[error(
        "it is not the name of a file in the policy folder: write its path without a slash at the beginning or at \
         the end, and with no part that is empty, `.` or `..`"
    )]
    Malformed,
    /// A character in it is invisible or a backslash.
    #[error("it has a backslash, or a character that is not shown or changes how others are shown")]
    ForbiddenCharacter,
    /// It or a folder of it begins or ends with a blank.
    #[error("a part of it begins or ends with a blank")]
    OuterBlank,
    /// It is too long.
    #[error(
        "it is longer than {MAX_FILE_NAME_LENGTH} bytes, or a part of it than {MAX_PART_LENGTH}"
    )]
    TooLong,
    /// It is in too many folders.
    #[error("folders nest deeper than {MAX_FOLDER_DEPTH}")]
    TooDeep,
    /// It or a folder of it is hidden.
    #[error("a part of it begins with a dot: hidden files are no part of the policies")]
    Hidden,
    /// No such file is read.
    #[error(
        "a policy folder has no such file: it has schema.cedarschema, networks.toml, and files that end in .cedar or \
         .json, and its folder `invariants` has those that end in .cedar"
    )]
    UnknownKind,
}

/// Checks that a policy folder that is read may have a file of this name.
pub fn check_file_name(name: &str) -> Result<(), FileNameError> {
    let parts = || name.split('/');
    if parts().any(|part| part.is_empty() || part == "." || part == "..") {
        return Err(FileNameError::Malformed);
    }
    if name.contains(|c: char| is_invisible(c) || c == '\\') {
        return Err(FileNameError::ForbiddenCharacter);
    }
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    if parts().chain([stem]).any(|part| part.trim() != part) {
        return Err(FileNameError::OuterBlank);
    }
    if name.len() > MAX_FILE_NAME_LENGTH || parts().any(|part| part.len() > MAX_PART_LENGTH) {
        return Err(FileNameError::TooLong);
    }
    if parts().count() > MAX_FOLDER_DEPTH + 1 {
        return Err(FileNameError::TooDeep);
    }
    if parts().any(|part| part.starts_with('.')) {
        return Err(FileNameError::Hidden);
    }
    let is_read = match parts().next() {
        Some(INVARIANTS_FOLDER) if name != INVARIANTS_FOLDER => is_policy_file(name),
        _ => is_bundle_file(name) || is_case_or_entity_file(name),
    };
    if is_read {
        Ok(())
    } else {
        Err(FileNameError::UnknownKind)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use crate::policy::folder::PolicyFolder;

    use super::*;

    const NAMES: [&str; 14] = [
        "schema.cedarschema",
        "networks.toml",
        "owner.cedar",
        "a b/owner.cedar",
        "größe.cedar",
        "owner.links.json",
        "owner.cases.json",
        "situation.json",
        "teams/situation.json",
        "org.entities.json",
        "invariants/public.cedar",
        "invariants/teams/public.cedar",
        "teams/invariants/x.cedar",
        "\"quoted\".cedar",
    ];

    #[test]
    fn every_name_of_a_file_that_is_read_is_allowed_and_every_allowed_one_is_read() {
        let folder = tempfile::tempdir().unwrap();
        for name in NAMES {
            assert_eq!(check_file_name(name), Ok(()), "{name}");
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        let read = PolicyFolder::load(folder.path()).unwrap();
        let mut read: Vec<String> = read.files().map(|(name, _)| name.to_owned()).collect();
        read.sort_unstable();
        let mut expected = NAMES.map(str::to_owned).to_vec();
        expected.sort_unstable();
        assert_eq!(read, expected);
    }

    #[test]
    fn what_is_not_read_from_a_folder_is_refused() {
        let deep = format!("{}x.cedar", "a/".repeat(MAX_FOLDER_DEPTH + 1));
        let long = format!("{}.cedar", "a".repeat(MAX_PART_LENGTH));
        for (name, error) in [
            ("", FileNameError::Malformed),
            ("/etc/x.cedar", FileNameError::Malformed),
            ("a//x.cedar", FileNameError::Malformed),
            ("../x.cedar", FileNameError::Malformed),
            ("a/../x.cedar", FileNameError::Malformed),
            ("./x.cedar", FileNameError::Malformed),
            ("a/", FileNameError::Malformed),
            ("a\nb.cedar", FileNameError::ForbiddenCharacter),
            ("a\0.cedar", FileNameError::ForbiddenCharacter),
            ("..\\x.cedar", FileNameError::ForbiddenCharacter),
            ("a\u{202e}b.cedar", FileNameError::ForbiddenCharacter),
            ("a\u{2028}b.cedar", FileNameError::ForbiddenCharacter),
            ("a\u{200b}.cedar", FileNameError::ForbiddenCharacter),
            (" a.cedar", FileNameError::OuterBlank),
            ("a .cedar", FileNameError::OuterBlank),
            ("a\u{a0}/b.cedar", FileNameError::OuterBlank),
            (&long, FileNameError::TooLong),
            (&deep, FileNameError::TooDeep),
            (".git/x.cedar", FileNameError::Hidden),
            ("a/.x.cedar", FileNameError::Hidden),
            ("README.md", FileNameError::UnknownKind),
            ("x.CEDAR", FileNameError::UnknownKind),
            ("sub/schema.cedarschema", FileNameError::UnknownKind),
            ("sub/networks.toml", FileNameError::UnknownKind),
            ("invariants", FileNameError::UnknownKind),
            ("invariants/x.cases.json", FileNameError::UnknownKind),
        ] {
            assert_eq!(check_file_name(name), Err(error), "{name:?}");
        }
    }
}
