//! `cedargate dataset` and `cedargate share` on the database directly.

use serde_json::Value;

use super::catalog_with;
use crate::support::cli::cedargate;

#[test]
fn datasets_are_listed_shown_and_shared_by_commands() {
    let folder = catalog_with("restricted");
    let more = "[[roles]]\nname = \"hydrology\"\n[[users]]\nusername = \"robot\"\n";
    let path = folder.path().join("catalog.toml");
    let catalog = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, format!("{catalog}{more}")).unwrap();
    let run = |arguments: &[&str]| cedargate(folder.path(), arguments, &[]);
    assert_eq!(
        run(&["dataset", "list"]).code,
        1,
        "there is no database yet"
    );
    assert!(!folder.path().join("data").exists());
    assert_eq!(run(&["catalog", "apply", "catalog.toml"]).code, 0);

    let id = "2489e9ad-2ee2-8e00-8ec9-32d5f69181c0";
    let listed = run(&["dataset", "list"]);
    assert!(listed.data.contains(id), "{}", listed.data);
    assert!(listed.data.contains("restricted"), "{}", listed.data);
    let shared = run(&["share", "add", id, "--user", "robot"]);
    assert_eq!(shared.code, 0, "{}", shared.messages);
    assert_eq!(shared.data, "reader users   robot\nreader roles   none\n");
    let shared = run(&["share", "add", id, "--role", "hydrology"]);
    assert_eq!(
        shared.data,
        "reader users   robot\nreader roles   hydrology\n"
    );
    let until = ["share", "add", id, "--role", "hydrology", "--until"];
    let limited = run(&[&until[..], &["2999-01-01"]].concat());
    assert_eq!(
        limited.data,
        "reader users   robot\nreader roles   hydrology (until 2999-01-01T00:00:00Z)\n"
    );
    let past = run(&[&until[..], &["1999-01-01T12:00:00+02:00"]].concat());
    assert_eq!(past.code, 1);
    assert!(
        past.messages.contains("already, at 1999-01-01T10:00:00Z"),
        "{}",
        past.messages
    );
    let misspelt = run(&[&until[..], &["next year"]].concat());
    assert_eq!(misspelt.code, 2);
    assert!(
        misspelt.messages.contains("such as 2027-01-31"),
        "{}",
        misspelt.messages
    );
    let printed = run(&["dataset", "show", id, "--json"]);
    let dataset: Value = serde_json::from_str(&printed.data).unwrap();
    assert_eq!(dataset["reader_users"], serde_json::json!(["robot"]));
    let ends = serde_json::json!({"hydrology": "2999-01-01T00:00:00Z"});
    assert_eq!(dataset["reader_roles_until"], ends);
    assert_eq!(dataset["file"]["name"], "salish-sea-topobathy.cog.tif");
    let listed = run(&["dataset", "list", "--json"]);
    let listed: Value = serde_json::from_str(&listed.data).unwrap();
    assert_eq!(listed, serde_json::json!([dataset]));
    assert_eq!(run(&["share", "remove", id, "--user", "robot"]).code, 0);
    let printed = run(&["dataset", "show", id]);
    assert!(
        printed.data.contains("reader users   none"),
        "{}",
        printed.data
    );
    assert!(printed.data.contains("hydrology"), "{}", printed.data);

    let exported = run(&["audit", "export"]).data;
    let records: Vec<Value> = exported
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let changes: Vec<_> = records
        .iter()
        .skip_while(|record| record["dataset_id"].is_null())
        .filter(|record| record["event"] == "administer")
        .collect();
    let granted = changes
        .iter()
        .filter(|record| record["outcome"] == "granted");
    assert_eq!(granted.count(), 4, "{exported}");
    let until = changes.iter().any(|record| {
        record["reason"]
            .to_string()
            .contains("hydrology 2999-01-01T00:00:00Z")
    });
    assert!(until, "{exported}");
    for record in changes {
        assert_eq!(record["authentication"], "command_line");
        assert_eq!(record["dataset_id"], id);
    }
}

#[test]
fn an_unknown_name_is_reported_with_the_closest_one() {
    let folder = catalog_with("restricted");
    let run = |arguments: &[&str]| cedargate(folder.path(), arguments, &[]);
    let path = folder.path().join("catalog.toml");
    let catalog = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, format!("{catalog}[[users]]\nusername = \"robot\"\n")).unwrap();
    assert_eq!(run(&["catalog", "apply", "catalog.toml"]).code, 0);
    let id = "2489e9ad-2ee2-8e00-8ec9-32d5f69181c0";
    for verb in ["add", "remove"] {
        let misspelt = run(&["share", verb, id, "--user", "robto"]);
        assert_eq!(misspelt.code, 1);
        assert!(
            misspelt.messages.contains("there is no user robto"),
            "{}",
            misspelt.messages
        );
        assert!(
            misspelt.messages.contains("did you mean \"robot\"?"),
            "{}",
            misspelt.messages
        );
        assert_eq!(run(&["share", verb, id]).code, 2);
        assert_eq!(
            run(&["share", verb, id, "--user", "robot", "--role", "admin"]).code,
            2
        );
    }
    let unknown = run(&["dataset", "show", "00000000-0000-4000-8000-000000000000"]);
    assert_eq!(unknown.code, 1);
    assert!(unknown.messages.contains("hint: "), "{}", unknown.messages);
}
