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
    assert!(first.data.contains("created    dataset"), "{}", first.data);
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
