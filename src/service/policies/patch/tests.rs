//! Patches are applied by the real `git apply`.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use proptest::prelude::*;

use super::*;

const NAMES: [&str; 7] = [
    "a.cedar",
    "teams/b.cedar",
    "with blank.cedar",
    "größe 地.cedar",
    "quo\"te'.cedar",
    "invariants/c.cedar",
    " leading.cases.json",
];

fn files(texts: &[(&str, &str)]) -> FileTexts {
    let texts = texts.iter();
    texts
        .map(|(name, text)| ((*name).to_owned(), Arc::from(*text)))
        .collect()
}

fn write(folder: &Path, files: &FileTexts, marked: &BTreeSet<String>) {
    for (name, text) in files {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let mark = if marked.contains(name) {
            "\u{feff}"
        } else {
            ""
        };
        fs::write(path, format!("{mark}{text}")).unwrap();
    }
}

fn read(folder: &Path, prefix: &str, files: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = format!("{prefix}{}", entry.file_name().to_str().unwrap());
        if entry.file_type().unwrap().is_dir() {
            read(&entry.path(), &format!("{name}/"), files);
        } else {
            files.insert(name, fs::read_to_string(entry.path()).unwrap());
        }
    }
}

/// What `git apply` makes of the files before the edit, without byte order marks.
fn applied(edit: FolderEdit<'_>, prefix: &str) -> BTreeMap<String, String> {
    let repository = tempfile::tempdir().unwrap();
    let folder = repository.path().join(prefix);
    fs::create_dir_all(&folder).unwrap();
    write(&folder, edit.before, edit.marked);
    let patch = edit.patch(prefix);
    if !patch.is_empty() {
        let mut git = Command::new("git")
            .args(["apply", "--whitespace=nowarn", "-"])
            .current_dir(repository.path())
            .env("GIT_CEILING_DIRECTORIES", repository.path())
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = git.stdin.take().unwrap();
        std::io::Write::write_all(&mut input, patch.as_bytes()).unwrap();
        drop(input);
        let output = git.wait_with_output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{error}\n{patch}");
    }
    let mut after = BTreeMap::new();
    if folder.is_dir() {
        read(&folder, "", &mut after);
    }
    for (name, text) in &mut after {
        let is_marked = edit.marked.contains(name) && edit.before.contains_key(name);
        assert_eq!(text.starts_with('\u{feff}'), is_marked, "{name}");
        *text = text.trim_start_matches('\u{feff}').to_owned();
    }
    after
}

fn assert_applies(edit: FolderEdit<'_>, prefix: &str) {
    let expected: BTreeMap<String, String> = edit
        .after
        .iter()
        .map(|(name, text)| (name.clone(), text.to_string()))
        .collect();
    assert_eq!(applied(edit, prefix), expected);
}

#[test]
fn a_patch_has_the_form_that_git_writes() {
    let before = files(&[
        ("gone.cedar", "x\n"),
        ("grown.cedar", "1\n2\n3\n4\n5\n6\n7\n8\n9"),
        ("empty.cedar", ""),
        ("same.cedar", "same\n"),
    ]);
    let after = files(&[
        ("grown.cedar", "1\n2\n3\n4\nfive\r\n6\n7\n8\n9\n"),
        ("größe \"1\".cedar", "new"),
        ("new/empty.cedar", ""),
        ("same.cedar", "same\n"),
    ]);
    let edit = FolderEdit {
        before: &before,
        after: &after,
        marked: &BTreeSet::from(["grown.cedar".to_owned()]),
    };
    insta::assert_snapshot!(edit.patch("policies"));
    assert_applies(edit, "policies");
    assert_applies(edit, "");
}

#[test]
fn a_folder_that_is_not_edited_has_an_empty_patch() {
    let same = files(&[("a.cedar", "x")]);
    let edit = FolderEdit {
        before: &same,
        after: &same.clone(),
        marked: &BTreeSet::new(),
    };
    assert_eq!(edit.patch("policies"), "");
}

#[test]
fn changes_of_files_that_share_their_first_lines_are_hunks_of_their_own() {
    let lines: Vec<String> = (0..100).map(|n| format!("{n}\n")).collect();
    let text = lines.concat();
    let edited = text.replace("\n10\n", "\nten\n").replace("\n80\n", "\n");
    let (before, after) = (files(&[("a.cedar", &text)]), files(&[("a.cedar", &edited)]));
    let edit = FolderEdit {
        before: &before,
        after: &after,
        marked: &BTreeSet::new(),
    };
    assert_eq!(edit.patch("p").matches("@@ -").count(), 2);
    assert_applies(edit, "p");
}

fn text() -> impl Strategy<Value = String> {
    let line = prop::sample::select(vec![
        "a\n",
        "b\n",
        "c\r\n",
        "\n",
        "\r\n",
        "d",
        "\\ No newline at end of file\n",
        "--- a\n",
        "ü \u{feff}地\n",
        "@@ -1 +1 @@\n",
        "e\r",
        "\u{2028}\n",
        " \n",
        "\t\n",
    ]);
    prop::collection::vec(line, 0..12).prop_map(|lines| lines.concat())
}

fn folder() -> impl Strategy<Value = FileTexts> {
    let file = (prop::sample::select(NAMES.to_vec()), text());
    prop::collection::vec(file, 0..6).prop_map(|texts| {
        let texts = texts.into_iter();
        texts
            .map(|(name, text)| (name.to_owned(), Arc::from(text)))
            .collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn git_applies_the_patch_of_any_edit(
        before in folder(),
        after in folder(),
        marked in prop::collection::btree_set(prop::sample::select(NAMES.to_vec()), 0..3),
    ) {
        let marked = marked.into_iter().map(str::to_owned).collect();
        let edit = FolderEdit { before: &before, after: &after, marked: &marked };
        assert_applies(edit, "the policies");
    }
}
