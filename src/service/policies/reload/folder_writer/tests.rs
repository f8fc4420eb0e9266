use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;

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
        self.write_edit(&folder_of(&FILES), &folder_of(&EDITED))
    }

    fn write_edit(
        &self,
        from: &PolicyFolder,
        to: &PolicyFolder,
    ) -> Result<WrittenFolder, FolderWriteError> {
        self.writer().write(&FolderRewrite {
            user: UserId::random(),
            history: 0,
            from,
            to,
        })
    }

    /// Settles what was interrupted, which is not on record; whether there was anything.
    fn settle(&self) -> Result<bool, FolderWriteError> {
        let unfinished = self.writer().find_unfinished()?;
        let in_force = folder_of(&FILES).fingerprint();
        let settle = |unfinished: UnfinishedPublish| unfinished.settle(false, Some(&in_force));
        unfinished
            .map(settle)
            .transpose()
            .map(|settled| settled.is_some())
    }

    fn path_of(&self, name: &str) -> PathBuf {
        self.policies.path().join(name)
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
            written.keep().unwrap();
            content_of(&EDITED)
        } else {
            written.take_back().unwrap();
            content_of(&FILES)
        };
        assert_eq!(folders.content(), expected);
        assert!(!folders.has_journal());
        assert!(!folders.settle().unwrap());
    }
}

#[test]
fn whatever_was_written_when_the_process_ended_it_is_taken_back() {
    let all = ["changed.cedar", "invariants/new.cedar", "removed.cedar"];
    for done in 0_u8..8 {
        let folders = Folders::new();
        // The process ends without the journal being removed; some files are put back as they were.
        drop(folders.write().unwrap());
        for (number, name) in all.iter().enumerate() {
            if done & (1 << number) != 0 {
                continue;
            }
            match FILES.iter().find(|(known, _)| known == name) {
                Some((_, text)) => fs::write(folders.path_of(name), text).unwrap(),
                None => fs::remove_file(folders.path_of(name)).unwrap(),
            }
        }
        fs::write(folders.path_of(".cedargate-publish-0"), "half").unwrap();
        assert!(folders.settle().unwrap());
        assert_eq!(folders.content(), content_of(&FILES), "{done}");
        assert!(!folders.has_journal());
    }
}

#[test]
fn a_publish_that_is_on_record_or_beneath_which_something_else_came_into_force_is_not_taken_back() {
    for is_on_record in [true, false] {
        let folders = Folders::new();
        drop(folders.write().unwrap());
        let now = folder_of(if is_on_record { &FILES } else { &EDITED });
        let unfinished = folders.writer().find_unfinished().unwrap().unwrap();
        unfinished
            .settle(is_on_record, Some(&now.fingerprint()))
            .unwrap();
        assert_eq!(folders.content(), content_of(&EDITED));
        assert!(!folders.has_journal());
    }
}

#[test]
fn a_file_that_was_edited_after_an_interrupted_publish_stays_as_it_is() {
    let folders = Folders::new();
    drop(folders.write().unwrap());
    fs::write(folders.path_of("changed.cedar"), "by hand").unwrap();
    assert!(folders.settle().unwrap());
    let mut expected = content_of(&FILES);
    expected.insert("changed.cedar".to_owned(), b"by hand".to_vec());
    assert_eq!(folders.content(), expected);
}

#[test]
fn an_edit_that_fails_between_two_files_is_taken_back() {
    let folders = Folders::new();
    // Both names are those of one file, which is removed only once.
    fs::create_dir(folders.path_of("d")).unwrap();
    fs::write(folders.path_of("d/a.cedar"), "a").unwrap();
    symlink("d", folders.path_of("e")).unwrap();
    let before = PolicyFolder::load(folders.policies.path()).unwrap();
    let content = folders.content();
    assert!(content.contains_key("e/a.cedar"));
    let refused = folders.write_edit(&before, &folder_of(&EDITED));
    let refused = refused.err().unwrap().to_string();
    assert!(refused.contains("e/a.cedar"), "{refused}");
    assert_eq!(folders.content(), content);
    assert!(!folders.has_journal());
}

#[test]
fn a_folder_that_has_something_else_than_was_written_is_put_back() {
    let folders = Folders::new();
    fs::write(folders.path_of("a.cases.json"), "a").unwrap();
    symlink("a.cases.json", folders.path_of("b.cases.json")).unwrap();
    let before = PolicyFolder::load(folders.policies.path()).unwrap();
    let content = folders.content();
    let mut files = before.texts();
    files.insert("b.cases.json".to_owned(), Arc::from("b"));
    let refused = folders.write_edit(&before, &PolicyFolder::from_files("", files));
    assert!(matches!(refused.err(), Some(FolderWriteError::NotTaken)));
    assert_eq!(folders.content(), content);
    assert!(!folders.has_journal());
}

#[test]
fn what_cannot_be_taken_back_now_is_taken_back_later_and_never_applied() {
    let folders = Folders::new();
    let written = folders.write().unwrap();
    // A folder is where a file has to be put back.
    fs::create_dir(folders.path_of("removed.cedar")).unwrap();
    let refused = written.take_back().unwrap_err().to_string();
    assert!(refused.contains("removed.cedar"), "{refused}");
    assert!(folders.settle().is_err());
    fs::write(folders.path_of("changed.cedar"), "before").unwrap();
    fs::remove_dir(folders.path_of("removed.cedar")).unwrap();
    assert!(folders.settle().unwrap());
    assert_eq!(folders.content(), content_of(&FILES));
    assert!(!folders.settle().unwrap());
}

#[test]
fn a_link_that_an_edit_removed_is_put_back_as_a_link() {
    let folders = Folders::new();
    fs::rename(folders.path_of("removed.cedar"), folders.path_of("target")).unwrap();
    symlink("target", folders.path_of("removed.cedar")).unwrap();
    folders.write().unwrap().take_back().unwrap();
    let link = fs::read_link(folders.path_of("removed.cedar")).unwrap();
    assert_eq!(link, PathBuf::from("target"));
    assert_eq!(fs::read(folders.path_of("target")).unwrap(), b"removed");
}

#[test]
fn nothing_that_waits_in_the_folder_is_followed_or_waited_for() {
    let outside = tempfile::tempdir().unwrap();
    let victim = outside.path().join("victim");
    fs::write(&victim, "before").unwrap();
    let folders = Folders::new();
    for number in 0..3 {
        let name = format!(".cedargate-publish-{number}");
        symlink(&victim, folders.path_of(&name)).unwrap();
    }
    folders.write().unwrap().keep().unwrap();
    assert_eq!(fs::read(&victim).unwrap(), b"before");
    assert!(!folders.path_of("changed.cedar").is_symlink());
    // A pipe that nobody writes to.
    let pipe = folders.path_of("new.cedar");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    let files = FolderFiles {
        folder: folders.policies.path().to_owned(),
    };
    let refused = files.read("new.cedar").unwrap_err().to_string();
    assert!(refused.contains("not a regular file"), "{refused}");
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
    let other = folders.write_edit(&folder_of(&EDITED), &folder_of(&FILES));
    assert!(matches!(other.err(), Some(FolderWriteError::Busy)));
    written.keep().unwrap();
}

#[test]
fn a_byte_order_mark_permissions_and_links_within_the_folder_stay() {
    let folders = Folders::new();
    let path_of = |name: &str| folders.path_of(name);
    fs::write(path_of("changed.cedar"), "\u{feff}before").unwrap();
    fs::rename(path_of("changed.cedar"), path_of("target")).unwrap();
    symlink("target", path_of("changed.cedar")).unwrap();
    fs::set_permissions(path_of("target"), fs::Permissions::from_mode(0o640)).unwrap();
    folders.write().unwrap().keep().unwrap();
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
    let path_of = |name: &str| folders.path_of(name);
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
        assert!(
            files.put(&[(name, FileContent::Text("x"))]).is_err(),
            "{name}"
        );
    }
    symlink(outside.path(), path_of("linked")).unwrap();
    assert!(
        files
            .put(&[("linked/new.cedar", FileContent::Text("x"))])
            .is_err()
    );
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1);
}

#[test]
fn a_folder_that_cannot_be_written_wholly_stays_as_it_was() {
    let folders = Folders::new();
    let path_of = |name: &str| folders.path_of(name);
    // A file is where a folder has to be.
    fs::write(path_of("invariants"), "x").unwrap();
    let before = folders.content();
    assert!(folders.write().is_err());
    assert_eq!(folders.content(), before);
    assert!(!folders.has_journal());
}
