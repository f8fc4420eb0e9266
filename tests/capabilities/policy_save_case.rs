//! `policy explain --save-case`: one command adds a case, and `policy test` runs it at once.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::cli::{CommandOutput, cedargate, copy_folder, repository};

const DATASET: &str = "2489e9ad-2ee2-8e00-8ec9-32d5f69181c0";
const FILE: &str = "policies/sea.cases.json";

/// A catalog, with the shipped policies as a folder beside it.
fn catalog() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    copy_folder(
        &repository().join("policies"),
        &folder.path().join("policies"),
    );
    let catalog = format!(
        "[[roles]]\nname = \"geology\"\n\
         [[users]]\nusername = \"ada\"\n\
         [[users]]\nusername = \"bea\"\nroles = [\"geology\"]\n\
         [[users]]\nusername = \"old\"\ndisabled = true\n\
         [[datasets]]\nid = \"{DATASET}\"\ntitle = \"Salish Sea\"\nvisibility = \"restricted\"\n\
         record_status = \"published\"\nowner = \"bea\"\nreader_roles = [\"geology\"]\n"
    );
    fs::write(folder.path().join("catalog.toml"), catalog).unwrap();
    let applied = cedargate(folder.path(), &["catalog", "apply", "catalog.toml"], &[]);
    assert_eq!(applied.code, 0, "{}", applied.messages);
    folder
}

fn save(folder: &Path, who: &str, file: &str, more: &[&str]) -> CommandOutput {
    let arguments = [
        "policy",
        "explain",
        "--dataset",
        DATASET,
        "--principal",
        who,
        "--action",
        "read",
        "--time",
        "2026-03-01T12:00:00Z",
        "--save-case",
        file,
    ];
    cedargate(folder, &[&arguments, more].concat(), &[])
}

/// The results of the cases of `FILE` under `policy test`, by name.
fn tested(folder: &Path) -> Vec<(String, bool)> {
    let output = cedargate(folder, &["policy", "test", "policies", "--json"], &[]);
    let report: Value =
        serde_json::from_str(&output.data).unwrap_or_else(|_| panic!("{}", output.messages));
    let results = report["results"].as_array().unwrap().iter();
    let ours = results.filter(|result| result["file"] == "sea.cases.json");
    ours.map(|result| {
        let name = result["name"].as_str().unwrap().to_owned();
        (name, result["is_passed"].as_bool().unwrap())
    })
    .collect()
}

#[test]
fn one_command_adds_a_case_that_policy_test_runs_at_once_and_not_again() {
    let folder = catalog();
    let folder = folder.path();
    let saved = save(folder, "ada", FILE, &[]);
    assert_eq!(saved.code, 0, "{}", saved.messages);
    let denied = "ada may not read: Salish Sea";
    assert_eq!(
        saved.messages.trim(),
        format!("added the case {denied:?} to {FILE}")
    );
    assert_eq!(tested(folder), [(denied.to_owned(), true)]);

    let before = fs::read_to_string(folder.join(FILE)).unwrap();
    let again = save(folder, "ada", FILE, &["--case-name", "another name"]);
    assert_eq!(
        again.messages.trim(),
        format!("{FILE} has this case already: {denied:?}")
    );
    assert_eq!(fs::read_to_string(folder.join(FILE)).unwrap(), before);

    for more in [
        &[][..],
        &["--address", "unknown"],
        &["--address", "2001:db8::1"],
    ] {
        let saved = save(folder, "bea", FILE, more);
        assert_eq!(saved.code, 0, "{}", saved.messages);
    }
    let saved = save(
        folder,
        "anonymous",
        FILE,
        &["--case-name", "nobody reads it"],
    );
    assert_eq!(saved.code, 0, "{}", saved.messages);
    let permitted = "bea may read: Salish Sea".to_owned();
    assert_eq!(
        tested(folder),
        [
            (denied.to_owned(), true),
            (permitted.clone(), true),
            (format!("{permitted} (2)"), true),
            (format!("{permitted} (3)"), true),
            ("nobody reads it".to_owned(), true),
        ]
    );
    let after = fs::read_to_string(folder.join(FILE)).unwrap();
    assert!(
        after.starts_with(before.trim_end().trim_end_matches(']').trim_end()),
        "{after}"
    );
}

#[test]
fn a_case_follows_what_a_person_wrote_and_keeps_its_bytes() {
    let folder = catalog();
    let folder = folder.path();
    for (at, text) in ["[]", " [ ]\n", "[\r\n]\r\n"].iter().enumerate() {
        let file = format!("policies/empty{at}.cases.json");
        fs::write(folder.join(&file), text).unwrap();
        let saved = save(folder, "ada", &file, &[]);
        assert_eq!(saved.code, 0, "{}", saved.messages);
        let cases: Value =
            serde_json::from_str(&fs::read_to_string(folder.join(&file)).unwrap()).unwrap();
        assert_eq!(cases.as_array().unwrap().len(), 1);
    }
    let by_hand = fs::read_to_string(folder.join("policies/public.cases.json")).unwrap();
    let one_line = serde_json::from_str::<Value>(&by_hand).unwrap().to_string();
    let kept = one_line.strip_suffix(']').unwrap();
    fs::write(folder.join(FILE), &one_line).unwrap();
    assert_eq!(save(folder, "ada", FILE, &[]).code, 0);
    let after = fs::read_to_string(folder.join(FILE)).unwrap();
    assert!(after.starts_with(kept));
    assert!(tested(folder).iter().all(|(_, is_passed)| *is_passed));
}

#[test]
fn a_file_that_has_problems_or_a_case_that_expects_something_else_stays_as_it_is() {
    let folder = catalog();
    let folder = folder.path();
    assert_eq!(save(folder, "ada", FILE, &[]).code, 0);
    let text = fs::read_to_string(folder.join(FILE)).unwrap();
    let mut told = Vec::new();
    for broken in [
        text.replace("\"deny\"", "\"allow\""),
        text.replace("\"deny\"", "\"denied\""),
        text.replace(']', ""),
        json!({"cases": []}).to_string(),
    ] {
        fs::write(folder.join(FILE), &broken).unwrap();
        let output = save(folder, "ada", FILE, &[]);
        assert_eq!(output.code, 1, "{}", output.messages);
        assert_eq!(fs::read_to_string(folder.join(FILE)).unwrap(), broken);
        told.push(output.messages);
    }
    insta::assert_snapshot!(told.join("-----\n"));
}

#[test]
fn a_case_needs_a_file_name_of_cases_and_a_decision_of_policies() {
    let folder = catalog();
    let folder = folder.path();
    for (file, suggested) in [
        ("policies/sea.json", "policies/sea.cases.json"),
        ("sea", "sea.cases.json"),
        ("policies/.cases.json", "policies/.cases.cases.json"),
    ] {
        let output = save(folder, "ada", file, &[]);
        assert_eq!(output.code, 1, "{}", output.messages);
        assert!(output.messages.contains(suggested), "{}", output.messages);
        assert!(!folder.join(file).exists());
    }
    let output = save(folder, "old", FILE, &[]);
    assert_eq!(output.code, 1);
    assert!(
        output.messages.contains("there is no case to save"),
        "{}",
        output.messages
    );
    assert!(!folder.join(FILE).exists());
    let nowhere = save(folder, "ada", "nowhere/sea.cases.json", &[]);
    assert_eq!(nowhere.code, 1);
    assert!(
        nowhere
            .messages
            .contains("cannot write nowhere/sea.cases.json"),
        "{}",
        nowhere.messages
    );
}

#[test]
fn commands_that_add_to_one_file_at_once_lose_nothing() {
    let folder = catalog();
    let folder = folder.path();
    let names: Vec<String> = (0..6)
        .map(|number| format!("at 192.0.2.{number}"))
        .collect();
    std::thread::scope(|scope| {
        for (number, name) in names.iter().enumerate() {
            scope.spawn(move || {
                let address = format!("192.0.2.{number}");
                let more = ["--address", address.as_str(), "--case-name", name];
                assert_eq!(save(folder, "ada", FILE, &more).code, 0);
            });
        }
    });
    let mut saved: Vec<String> = tested(folder).into_iter().map(|(name, _)| name).collect();
    saved.sort();
    assert_eq!(saved, names);
}
