//! `policy format`: only the layout changes, and a broken folder stays as it is.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use crate::support::cli::{cedargate, copy_of_shipped_policies, repository};

const UNFORMATTED: &str = "// Why it is here.\n@id(\"untidy\")   @reason(\"A reason.\")\n\
    permit(principal,action==Action::\"read\",resource) // of all\nwhen{resource.title==\"x\"};\n// The end.\n";

#[test]
fn an_unformatted_file_is_listed_with_check_and_formatted_without_it() {
    let folder = copy_of_shipped_policies();
    let path = folder.path().to_str().unwrap();
    let untidy = folder.path().join("invariants/untidy.cedar");
    fs::write(&untidy, UNFORMATTED).unwrap();
    let checked = cedargate(folder.path(), &["policy", "format", "--check", path], &[]);
    assert_eq!(checked.code, 3, "{}", checked.messages);
    assert_eq!(checked.data.trim_end(), untidy.to_str().unwrap());
    assert_eq!(fs::read_to_string(&untidy).unwrap(), UNFORMATTED);

    let formatted = cedargate(folder.path(), &["policy", "format", path], &[]);
    assert_eq!(formatted.code, 0, "{}", formatted.messages);
    assert_eq!(formatted.data.trim_end(), untidy.to_str().unwrap());
    let tidy = fs::read_to_string(&untidy).unwrap();
    for kept in [
        "// Why it is here.",
        "@id(\"untidy\")\n",
        "@reason(\"A reason.\")\n",
        "// of all",
        "// The end.",
        "action == Action::\"read\"",
    ] {
        assert!(tidy.contains(kept), "{kept} is not in {tidy}");
    }
    let checked = cedargate(folder.path(), &["policy", "format", "--check", path], &[]);
    assert_eq!(checked.code, 0, "{}", checked.data);
}

#[test]
fn formatting_keeps_a_files_link_and_permissions() {
    let folder = copy_of_shipped_policies();
    let elsewhere = tempfile::tempdir().unwrap();
    let real = elsewhere.path().join("real.cedar");
    fs::write(&real, UNFORMATTED).unwrap();
    fs::set_permissions(&real, fs::Permissions::from_mode(0o640)).unwrap();
    let link = folder.path().join("untidy.cedar");
    symlink(&real, &link).unwrap();
    let path = folder.path().to_str().unwrap();
    let formatted = cedargate(folder.path(), &["policy", "format", path], &[]);
    assert_eq!(formatted.code, 0, "{}", formatted.messages);
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_ne!(fs::read_to_string(&real).unwrap(), UNFORMATTED);
    let mode = fs::metadata(&real).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o640);
    assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 1);
}

#[test]
fn a_broken_file_is_reported_with_its_line_and_nothing_is_written() {
    let folder = copy_of_shipped_policies();
    fs::write(folder.path().join("a.cedar"), UNFORMATTED).unwrap();
    fs::write(folder.path().join("b.cedar"), "permit (\n  principl);\n").unwrap();
    let path = folder.path().to_str().unwrap();
    let formatted = cedargate(folder.path(), &["policy", "format", path], &[]);
    assert_eq!(formatted.code, 1, "{}", formatted.data);
    assert!(
        formatted.messages.contains("b.cedar:2"),
        "{}",
        formatted.messages
    );
    let left = fs::read_to_string(folder.path().join("a.cedar")).unwrap();
    assert_eq!(left, UNFORMATTED);
}

#[test]
fn the_embedded_policies_cannot_be_formatted() {
    let folder = tempfile::tempdir().unwrap();
    let formatted = cedargate(folder.path(), &["policy", "format"], &[]);
    assert_eq!(formatted.code, 1);
    assert!(
        formatted.messages.contains("\nhint: "),
        "{}",
        formatted.messages
    );
}

#[test]
fn the_shipped_policies_and_the_examples_are_formatted() {
    let folder = tempfile::tempdir().unwrap();
    for shipped in ["policies", "docs/examples"] {
        let path = repository().join(shipped);
        let check = ["policy", "format", "--check", path.to_str().unwrap()];
        let checked = cedargate(folder.path(), &check, &[]);
        assert_eq!(checked.code, 0, "{}{}", checked.data, checked.messages);
    }
}
