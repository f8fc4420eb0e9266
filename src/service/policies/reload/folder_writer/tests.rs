use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use tempfile::TempDir;

use super::*;

const FILES: [(&str, &str); 4] = [
    ("schema.cedarschema", "schema"),
    ("kept.cedar", "kept"),
    ("changed.cedar", "before"),
    ("removed.cedar", "removed"),
];
const EDITED: [(&str, &str); 4] = [
    ("schema.cedarschema", "schema"),
    ("kept.cedar", "kept"),
    ("changed.cedar", "after"),
    ("invariants/new.cedar", "new"),
];

/// A policy folder and a data directory.
struct Folders {
    policies: TempDir,
    data: TempDir,
}

impl Folders {
    fn new() -> Self {
        let folders = Self {
            policies: tempfile::tempdir().unwrap(),
            data: tempfile::tempdir().unwrap(),
        };
        for (name, text) in FILES {
            fs::write(folders.policies.path().join(name), text).unwrap();
        }
        folders
    }

    fn writer(&self) -> FolderWriter {
        FolderWriter::new(self.policies.path(), self.data.path())
    }

    fn write(&self) -> Result<WrittenFolder, FolderWriteError> {
        self.writer().write(&FolderRewrite {
            user: UserId::random(),
            from: &folder_of(&FILES),
            to: &folder_of(&EDITED),
        })
    }

    /// Everything in the policy folder, hidden files too.
    fn content(&self) -> BTreeMap<String, Vec<u8>> {
        let mut content = BTreeMap::new();
        add_content(self.policies.path(), "", &mut content);
        content
    }

    fn has_journal(&self) -> bool {
        fs::read_dir(self.data.path()).unwrap().count() > 0
    }
}

fn add_content(folder: &Path, prefix: &str, content: &mut BTreeMap<String, Vec<u8>>) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = format!("{prefix}{}", entry.file_name().to_str().unwrap());
        if entry.path().is_dir() {
            add_content(&entry.path(), &format!("{name}/"), content);
        } else {
            content.insert(name, fs::read(entry.path()).unwrap());
        }
    }
}

fn folder_of(files: &[(&str, &str)]) -> PolicyFolder {
    let files = files
        .iter()
        .map(|(name, text)| ((*name).to_owned(), Arc::from(*text)));
    PolicyFolder::from_files("", files.collect())
}

fn content_of(files: &[(&str, &str)]) -> BTreeMap<String, Vec<u8>> {
    let files = files.iter();
    files
        .map(|(name, text)| ((*name).to_owned(), text.as_bytes().to_vec()))
        .collect()
}

#[test]
fn an_edit_is_written_and_kept_or_taken_back() {
    for is_kept in [true, false] {
        let folders = Folders::new();
        let written = folders.write().unwrap();
        assert_eq!(folders.content(), content_of(&EDITED));
        assert!(folders.has_journal());
        let expected = if is_kept {
            written.keep();
            content_of(&EDITED)
        } else {
            written.take_back();
            content_of(&FILES)
        };
        assert_eq!(folders.content(), expected);
        assert!(!folders.has_journal());
        assert!(folders.writer().finish().unwrap().is_none());
    }
}

#[test]
fn whatever_was_written_when_the_process_ended_the_next_start_finishes_it() {
    let all = ["changed.cedar", "invariants/new.cedar", "removed.cedar"];
    for done in 0_u8..8 {
        let folders = Folders::new();
        let path_of = |name: &str| folders.policies.path().join(name);
        // The process ends without the journal being removed; some files are put back as they were.
        drop(folders.write().unwrap());
        for (number, name) in all.iter().enumerate() {
            if done & (1 << number) != 0 {
                continue;
            }
            match FILES.iter().find(|(known, _)| known == name) {
                Some((_, text)) => fs::write(path_of(name), text).unwrap(),
                None => fs::remove_file(path_of(name)).unwrap(),
            }
        }
        fs::write(path_of(".cedargate-publish-0"), "half").unwrap();
        let finished = folders.writer().finish().unwrap().unwrap();
        assert_eq!(folders.content(), content_of(&EDITED), "{done}");
        assert!(folders.has_journal(), "it is not on record yet");
        finished.keep();
        assert!(!folders.has_journal());
    }
}

#[test]
fn a_file_that_was_edited_after_an_interrupted_publish_stays_as_it_is() {
    let folders = Folders::new();
    drop(folders.write().unwrap());
    let edited = folders.policies.path().join("changed.cedar");
    fs::write(edited, "by hand").unwrap();
    folders.writer().finish().unwrap().unwrap().keep();
    let mut expected = content_of(&EDITED);
    expected.insert("changed.cedar".to_owned(), b"by hand".to_vec());
    assert_eq!(folders.content(), expected);
}

#[test]
fn a_folder_that_is_not_as_it_was_is_not_written() {
    let folders = Folders::new();
    fs::write(folders.policies.path().join("more.cedar"), "x").unwrap();
    let before = folders.content();
    assert!(matches!(
        folders.write().err(),
        Some(FolderWriteError::Changed)
    ));
    assert_eq!(folders.content(), before);
    assert!(!folders.has_journal());
}

#[test]
fn of_two_servers_one_writes_at_a_time() {
    let folders = Folders::new();
    let written = folders.write().unwrap();
    let other = folders.writer().write(&FolderRewrite {
        user: UserId::random(),
        from: &folder_of(&EDITED),
        to: &folder_of(&FILES),
    });
    assert!(matches!(other.err(), Some(FolderWriteError::Busy)));
    written.keep();
}

#[test]
fn a_byte_order_mark_permissions_and_links_within_the_folder_stay() {
    let folders = Folders::new();
    let path_of = |name: &str| folders.policies.path().join(name);
    fs::write(path_of("changed.cedar"), "\u{feff}before").unwrap();
    fs::rename(path_of("changed.cedar"), path_of("target")).unwrap();
    symlink("target", path_of("changed.cedar")).unwrap();
    fs::set_permissions(path_of("target"), fs::Permissions::from_mode(0o640)).unwrap();
    folders.write().unwrap().keep();
    assert_eq!(
        fs::read_to_string(path_of("target")).unwrap(),
        "\u{feff}after"
    );
    assert!(path_of("changed.cedar").is_symlink());
    let mode = fs::metadata(path_of("target"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o640);
}

#[test]
fn nothing_outside_of_the_folder_is_written() {
    let outside = tempfile::tempdir().unwrap();
    let victim = outside.path().join("victim");
    fs::write(&victim, "before").unwrap();
    let folders = Folders::new();
    let path_of = |name: &str| folders.policies.path().join(name);
    fs::remove_file(path_of("changed.cedar")).unwrap();
    symlink(&victim, path_of("changed.cedar")).unwrap();
    let refused = folders.write().err().unwrap().to_string();
    assert!(
        refused.contains("changed.cedar: it is outside"),
        "{refused}"
    );
    assert_eq!(fs::read_to_string(&victim).unwrap(), "before");
    assert!(!folders.has_journal());
    let files = FolderFiles {
        folder: folders.policies.path().to_owned(),
    };
    for name in ["../victim", "/etc/victim", "", "a/../../b", "./a"] {
        assert!(files.put(&[(name, Some(b"x"))]).is_err(), "{name}");
    }
    symlink(outside.path(), path_of("linked")).unwrap();
    assert!(files.put(&[("linked/new.cedar", Some(b"x"))]).is_err());
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1);
}

#[test]
fn a_folder_that_cannot_be_written_wholly_stays_as_it_was() {
    let folders = Folders::new();
    let path_of = |name: &str| folders.policies.path().join(name);
    // A file is where a folder has to be.
    fs::write(path_of("invariants"), "x").unwrap();
    let before = folders.content();
    assert!(folders.write().is_err());
    assert_eq!(folders.content(), before);
    assert!(!folders.has_journal());
}
