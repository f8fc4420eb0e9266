//! Text files as Windows editors save them: a byte order mark at the start, CRLF at line ends.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::command_line::catalog_with;
use crate::support::cli::{
    CommandOutput, cedargate, cedargate_with_input, copy_of_shipped_policies,
};

const MARK: &str = "\u{feff}";

/// Every file in a folder and below.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found
}

fn rewrite(path: &Path, change: impl Fn(&str) -> String) {
    let text = fs::read_to_string(path).unwrap();
    fs::write(path, change(&text)).unwrap();
}

fn with_mark(text: &str) -> String {
    format!("{MARK}{text}")
}

fn with_crlf(text: &str) -> String {
    text.replace('\n', "\r\n")
}

fn saved_on_windows(text: &str) -> String {
    with_mark(&with_crlf(text))
}

fn policy(folder: &Path, arguments: &[&str]) -> CommandOutput {
    let (command, options) = arguments.split_first().unwrap();
    let folder_name = folder.to_str().unwrap();
    let arguments = [&["policy", command, folder_name], options].concat();
    cedargate(folder, &arguments, &[])
}

fn revision(folder: &Path) -> String {
    let checked = policy(folder, &["check", "--json"]);
    assert_eq!(checked.code, 0, "{}{}", checked.data, checked.messages);
    let report: Value = serde_json::from_str(&checked.data).unwrap();
    report["revision"].as_str().unwrap().to_owned()
}

#[test]
fn policies_saved_with_a_mark_are_the_same_revision_and_with_crlf_another() {
    let folder = copy_of_shipped_policies();
    let path = folder.path();
    let before = revision(path);
    for file in files(path) {
        rewrite(&file, with_mark);
    }
    assert_eq!(revision(path), before);
    for file in files(path) {
        rewrite(&file, with_crlf);
    }
    assert_ne!(revision(path), before);
    let tested = policy(path, &["test"]);
    assert_eq!(tested.code, 0, "{}{}", tested.data, tested.messages);
    let formatted = policy(path, &["format", "--check"]);
    assert_eq!(formatted.code, 0, "{}", formatted.data);
}

#[test]
fn every_kind_of_policy_file_may_begin_with_a_mark() {
    let folder = copy_of_shipped_policies();
    let path = folder.path();
    let template = "@id(\"shared\")\npermit (principal == ?principal, action, resource);\n";
    fs::write(path.join("t.cedar"), with_mark(template)).unwrap();
    let links = "[{\"template_id\": \"shared\", \"link_id\": \"one\",\r\n \"args\": {\"?principal\": \
        \"Role::\\\"hydrology\\\"\"}}]";
    fs::write(path.join("t.links.json"), with_mark(links)).unwrap();
    revision(path);
    fs::write(path.join("t.links.json"), with_mark(&with_mark(links))).unwrap();
    assert_eq!(policy(path, &["check"]).code, 3);
}

#[test]
fn an_error_is_at_the_same_line_and_column_with_and_without_mark_and_crlf() {
    let folder = copy_of_shipped_policies();
    let path = folder.path();
    for (name, text) in [
        (
            "a.cedar",
            "permit (principal, action\n  === x, resource);\n",
        ),
        ("b.cedar", "permit principal;"),
        (
            "b.cedar",
            "// one\n@id(\"b\") permit (principal, action, resource)\nwhen { resource.titel == 1 };\n",
        ),
        ("c.cases.json", "[\n {\"nam\": 1}\n]\n"),
        ("c.links.json", "[\n {\"template_id\": 1}\n]\n"),
        ("schema.cedarschema", "entity A\n  {;\n"),
    ] {
        let saved = fs::read(path.join(name)).ok();
        let place = |text: String| {
            fs::write(path.join(name), text).unwrap();
            let checked = policy(path, &["check", "--json"]);
            let report: Value = serde_json::from_str(&checked.data).unwrap();
            let first = report["problems"][0].clone();
            assert!(first["message"].is_string(), "{name}: {report:#}");
            (first["line"].clone(), first["column"].clone())
        };
        let plain = place(text.to_owned());
        for change in [with_mark, with_crlf, saved_on_windows] {
            assert_eq!(place(change(text)), plain, "{name}");
        }
        match saved {
            Some(saved) => fs::write(path.join(name), saved).unwrap(),
            None => fs::remove_file(path.join(name)).unwrap(),
        }
    }
}

#[test]
fn formatting_keeps_crlf_and_is_done_after_once() {
    let untidy =
        "// why\n@id(\"x\")   permit(principal,action,resource) // of all\nwhen{true};\n// end\n";
    for change in [
        |text: &str| text.to_owned(),
        with_crlf,
        with_mark,
        saved_on_windows,
        |text: &str| text.replacen('\n', "\r\n", 2),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("x.cedar");
        let text = change(untidy);
        fs::write(&file, &text).unwrap();
        assert_eq!(policy(folder.path(), &["format", "--check"]).code, 3);
        assert_eq!(policy(folder.path(), &["format"]).code, 0);
        let written = fs::read_to_string(&file).unwrap();
        assert!(!written.starts_with(MARK), "{written:?}");
        let ends = written.matches('\n').count();
        let crlf = written.matches("\r\n").count();
        let is_crlf = text.matches("\r\n").count() == text.matches('\n').count();
        assert_eq!(crlf, if is_crlf { ends } else { 0 }, "{written:?}");
        assert_eq!(written.matches('\r').count(), crlf, "{written:?}");
        let again = policy(folder.path(), &["format", "--check"]);
        assert_eq!(again.code, 0, "{}", again.data);
    }
}

#[test]
fn a_catalog_file_and_the_settings_may_be_saved_on_windows() {
    let folder = catalog_with("public");
    let catalog = folder.path().join("catalog.toml");
    rewrite(&catalog, saved_on_windows);
    let settings = folder.path().join("cedargate.toml");
    fs::write(&settings, saved_on_windows("listen = \"127.0.0.1:9\"\n")).unwrap();
    let apply = ["catalog", "apply", "catalog.toml"];
    let applied = cedargate(folder.path(), &apply, &[]);
    assert_eq!(applied.code, 0, "{}", applied.messages);
    let config = cedargate(folder.path(), &["config"], &[]);
    assert!(config.data.contains("127.0.0.1:9"), "{}", config.data);
    rewrite(&catalog, |text| text.replace("\"public\"", "\"pubic\""));
    let refused = cedargate(folder.path(), &apply, &[]);
    assert!(
        refused.messages.contains("catalog.toml:4:14"),
        "{}",
        refused.messages
    );
    fs::write(&settings, saved_on_windows("# one\nlisten = \n")).unwrap();
    let refused = cedargate(folder.path(), &["config"], &[]);
    assert!(refused.messages.contains("line 2"), "{}", refused.messages);
}

#[test]
fn a_file_in_utf_16_is_refused_by_its_encoding() {
    let folder = catalog_with("public");
    let little: Vec<u8> = "\u{feff}x"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    let big: Vec<u8> = "\u{feff}x"
        .encode_utf16()
        .flat_map(u16::to_be_bytes)
        .collect();
    for (content, encoding) in [
        (little, "UTF-16 (little-endian)"),
        (big, "UTF-16 (big-endian)"),
    ] {
        fs::write(folder.path().join("catalog.toml"), &content).unwrap();
        let applied = cedargate(folder.path(), &["catalog", "apply", "catalog.toml"], &[]);
        assert!(applied.messages.contains(encoding), "{}", applied.messages);
        let policies = copy_of_shipped_policies();
        fs::write(policies.path().join("x.cedar"), &content).unwrap();
        let checked = policy(policies.path(), &["check"]);
        assert!(checked.messages.contains(encoding), "{}", checked.messages);
        fs::write(policies.path().join("cedargate.toml"), &content).unwrap();
        let config = cedargate(policies.path(), &["config"], &[]);
        assert_eq!(config.code, 2, "{}", config.messages);
        assert!(config.messages.contains(encoding), "{}", config.messages);
    }
}

#[test]
fn a_password_may_come_from_a_pipe_with_a_mark_and_crlf() {
    let folder = tempfile::tempdir().unwrap();
    let migrated = cedargate_with_input(folder.path(), "migrate", "");
    assert_eq!(migrated.code, 0, "{}", migrated.messages);
    let input = "\u{feff}correct horse\r\n";
    let added = cedargate_with_input(folder.path(), "user add ada --admin", input);
    assert_eq!(added.code, 0, "{}", added.messages);
    let catalog = "[[users]]\nusername = 'ada'\npassword = 'correct horse'\nroles = ['admin']\n";
    fs::write(folder.path().join("catalog.toml"), catalog).unwrap();
    let applied = cedargate_with_input(folder.path(), "catalog apply catalog.toml", "");
    assert!(applied.data.contains("1 unchanged"), "{}", applied.data);
}
