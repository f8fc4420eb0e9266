//! `cedargate catalog apply`: a file is applied as a whole, or refused with file and line.

use serde_json::Value;

use super::catalog_with;
use crate::support::cli::cedargate;

#[test]
fn applying_a_catalog_prints_the_changes_and_a_second_time_none() {
    let folder = catalog_with("public");
    let apply = ["catalog", "apply", "catalog.toml"];
    let first = cedargate(folder.path(), &apply, &[]);
    assert_eq!(first.code, 0, "{}", first.messages);
    assert!(
        first.data.starts_with("datasets  1 created\n1 created, "),
        "{}",
        first.data
    );
    let second = cedargate(folder.path(), &apply, &[]);
    assert!(
        second.data.contains("0 created, 0 changed, 1 unchanged"),
        "{}",
        second.data
    );
    let json = cedargate(
        folder.path(),
        &["catalog", "apply", "--json", "catalog.toml"],
        &[],
    );
    let report: Value = serde_json::from_str(&json.data).unwrap();
    assert_eq!(report["lines"][0]["outcome"], "left");
}

#[test]
fn verbose_lists_each_item_and_a_dry_run_each_change() {
    let folder = catalog_with("public");
    let run = |flags: &[&str]| {
        let arguments = [&["catalog", "apply", "catalog.toml"], flags].concat();
        cedargate(folder.path(), &arguments, &[])
    };
    let early = run(&["--dry-run"]);
    assert_eq!(early.code, 1, "{}", early.data);
    assert!(run(&["--verbose"]).data.starts_with("created    dataset"));
    std::fs::write(folder.path().join("catalog.toml"), "").unwrap();
    let preview = run(&["--prune", "--dry-run", "--json"]);
    assert_eq!(preview.code, 3, "{}", preview.messages);
    let report: Value = serde_json::from_str(&preview.data).unwrap();
    assert_eq!(report["is_dry_run"], true);
    assert_eq!(report["lines"][0]["outcome"], "removed");
    assert_eq!(report["refused"]["flags"], "--allow-empty");
    let preview = run(&["--prune", "--dry-run", "--allow-empty"]);
    assert_eq!(preview.code, 0, "{}", preview.messages);
    assert!(
        preview.data.starts_with("removed    dataset"),
        "{}",
        preview.data
    );
}

#[test]
fn an_empty_file_prunes_nothing_and_says_with_what_it_would() {
    let folder = catalog_with("public");
    let run = |flags: &[&str]| {
        let arguments = [&["catalog", "apply", "catalog.toml"], flags].concat();
        cedargate(folder.path(), &arguments, &[])
    };
    assert_eq!(run(&[]).code, 0);
    std::fs::write(folder.path().join("catalog.toml"), "# nothing\r\n").unwrap();
    let refused = run(&["--prune"]);
    assert_eq!(refused.code, 3, "{}", refused.data);
    insta::assert_snapshot!(refused.messages, @r"
    the catalog file names no role, no user and no dataset
    error: the catalog file would remove too much
      1 of 1 datasets, of which the file names none: 2489e9ad-2ee2-8e00-8ec9-32d5f69181c0 Salish Sea
    hint: nothing was changed; --dry-run lists what would be removed, and if it is meant, --allow-empty applies it
    ");
    assert!(refused.data.is_empty());
    let applied = run(&["--prune", "--allow-empty"]);
    assert_eq!(applied.code, 0, "{}", applied.messages);
    assert!(applied.data.contains("1 removed"), "{}", applied.data);
}

#[test]
fn a_wrong_visibility_is_reported_with_file_and_line_and_writes_nothing() {
    let folder = catalog_with("pubic");
    let applied = cedargate(folder.path(), &["catalog", "apply", "catalog.toml"], &[]);
    assert_eq!(applied.code, 1);
    assert!(
        applied.messages.starts_with("error: "),
        "{}",
        applied.messages
    );
    assert!(
        applied.messages.contains("catalog.toml:4"),
        "{}",
        applied.messages
    );
    assert!(applied.messages.contains("pubic"), "{}", applied.messages);
    assert!(
        applied.messages.contains("\nhint: "),
        "{}",
        applied.messages
    );
    assert!(applied.data.is_empty());
    let repaired = catalog_with("public");
    std::fs::copy(
        repaired.path().join("catalog.toml"),
        folder.path().join("catalog.toml"),
    )
    .unwrap();
    let applied = cedargate(folder.path(), &["catalog", "apply", "catalog.toml"], &[]);
    assert!(applied.data.contains("1 created"), "{}", applied.data);
}

#[test]
fn a_missing_cog_file_is_reported_with_its_line() {
    let folder = catalog_with("public");
    std::fs::remove_file(folder.path().join("salish-sea-topobathy.cog.tif")).unwrap();
    let applied = cedargate(folder.path(), &["catalog", "apply", "catalog.toml"], &[]);
    assert_eq!(applied.code, 1);
    assert!(
        applied.messages.contains("catalog.toml:6"),
        "{}",
        applied.messages
    );
}
