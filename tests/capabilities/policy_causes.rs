//! One cause is one entry: of failed cases, of errors in files, and of counterexamples; and what to do about it.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use crate::support::cli::{cedargate, copy_of_shipped_policies, edit, prove};

/// Many links give a solver many datasets: the one that matters is told, and the summary comes last.
#[test]
fn a_counterexample_has_only_what_matters_and_a_time_that_people_can_read() {
    let folder = copy_of_shipped_policies();
    let template = "@id(\"for-role\") @reason(\"x\")\npermit (principal in ?principal, action == Action::\"read\", resource == ?resource)\n\
        when { context.time >= datetime(\"2027-01-01\") && context.time.toTime() >= duration(\"22h\") \
        && context.address.isInRange(ip(\"10.0.0.0/8\")) };\n";
    fs::write(folder.path().join("links.cedar"), template).unwrap();
    let link = |number: u32| {
        json!({
            "template_id": "for-role",
            "link_id": format!("link-{number}"),
            "args": {
                "?principal": format!("Role::\"team-{}\"", number % 3),
                "?resource": format!("Dataset::\"00000000-0000-4000-8000-{number:012}\""),
            },
        })
    };
    let links: Vec<Value> = (0..12).map(link).collect();
    fs::write(
        folder.path().join("links.links.json"),
        json!(links).to_string(),
    )
    .unwrap();
    let proved = prove(folder.path(), &["--time-limit", "300"], &[]);
    assert_eq!(proved.code, 3, "{}", proved.messages);
    let violated = proved.data.matches("VIOLATED").count();
    let entities = proved.data.matches("entity     ").count();
    assert_eq!(entities, 2 * violated, "{}", proved.data);
    assert!(!proved.data.contains("\"decision\""), "{}", proved.data);
    assert!(
        proved.data.contains("address: ip(\"10.0.0.1\")"),
        "{}",
        proved.data
    );
    let time = "time: datetime(\"2027-01-01T22:00:00Z\")";
    assert_eq!(
        proved.data.matches(time).count(),
        violated,
        "{}",
        proved.data
    );
    let last = proved.data.trim_end().lines().last().unwrap();
    assert!(
        last.contains(" violated, ") && last.contains(" s of 300 s"),
        "{last}"
    );
    assert!(proved.messages.contains("--save"), "{}", proved.messages);
    // The decisive link is the only one that is named.
    let named = proved
        .data
        .lines()
        .filter(|line| line.contains("determined by"));
    for line in named {
        assert_eq!(line.matches("link-").count(), 1, "{line}");
    }
}

#[test]
fn a_proof_that_is_not_finished_says_how_far_it_came() {
    let folder = copy_of_shipped_policies();
    let slow = folder.path().join("slow-solver");
    fs::write(
        &slow,
        "#!/bin/sh\n[ \"$1\" = --version ] && exec cvc5 --version\nexec sleep 60\n",
    )
    .unwrap();
    fs::set_permissions(&slow, fs::Permissions::from_mode(0o755)).unwrap();
    let proved = prove(
        folder.path(),
        &["--time-limit", "1"],
        &[("CVC5", slow.to_str().unwrap())],
    );
    assert_eq!(proved.code, 3, "{}", proved.messages);
    let told = " of 22 request environments were proved in";
    assert!(proved.data.contains(told), "{}", proved.data);
    assert!(proved.data.contains("gate_proof_limit"), "{}", proved.data);
}

#[test]
fn a_forbid_about_one_user_that_an_invariant_refuses_is_told_what_stops_a_user() {
    for (condition, command) in [
        (
            "when { principal.username == \"otto\" }",
            "cedargate user disable otto",
        ),
        (
            "when { principal == User::\"5a000000-0000-4000-8000-000000000001\" }",
            "for 5a000000-0000-4000-8000-000000000001",
        ),
    ] {
        let folder = copy_of_shipped_policies();
        let policy = format!(
            "@id(\"stop\") @reason(\"x\")\nforbid (principal is User, action, resource)\n{condition};\n"
        );
        fs::write(folder.path().join("stop.cedar"), policy).unwrap();
        let proved = prove(folder.path(), &[], &[]);
        assert_eq!(proved.code, 3, "{}", proved.messages);
        assert!(
            proved.data.contains("hint: to stop a user now"),
            "{}",
            proved.data
        );
        assert!(proved.data.contains(command), "{}", proved.data);
    }
    let folder = copy_of_shipped_policies();
    let policy = "@id(\"stop\") @reason(\"x\")\nforbid (principal, action == Action::\"read\", resource)\n\
        when { context.address.isLoopback() };\n";
    fs::write(folder.path().join("stop.cedar"), policy).unwrap();
    let proved = prove(folder.path(), &[], &[]);
    assert!(!proved.data.contains("user disable"), "{}", proved.data);
}

#[test]
fn failures_of_one_cause_are_one_entry_and_the_summary_is_last() {
    let folder = copy_of_shipped_policies();
    let policy = "@id(\"office-only\") @reason(\"x\")\n\
        forbid (principal, action in [Action::\"read\", Action::\"discover\"], resource is Dataset)\n\
        unless { context.address.isInRange(ip(\"198.18.0.0/15\")) };\n";
    fs::write(folder.path().join("office.cedar"), policy).unwrap();
    let path = folder.path().to_str().unwrap().to_owned();
    let tested = cedargate(folder.path(), &["policy", "test", &path], &[]);
    assert_eq!(tested.code, 3, "{}", tested.messages);
    let json = cedargate(folder.path(), &["policy", "test", "--json", &path], &[]);
    let report: Value = serde_json::from_str(&json.data).unwrap();
    let failed = report["failed"].as_u64().unwrap();
    assert!(failed > 10);
    let causes = report["failures"].as_array().unwrap();
    assert_eq!(causes.len(), 1, "{causes:#?}");
    assert_eq!(causes[0]["cases"].as_array().unwrap().len() as u64, failed);
    let message = format!("`office-only` denies {failed} cases that expected allow");
    let last = tested.data.trim_end().lines().last().unwrap();
    assert!(last.ends_with(&message), "{last}");
    assert_eq!(
        tested.data.matches("What decided").count(),
        1,
        "{}",
        tested.data
    );
    assert_eq!(
        tested.data.matches("context.address = ").count(),
        1,
        "{}",
        tested.data
    );
}

#[test]
fn an_attribute_that_every_case_lacks_is_one_error() {
    let folder = copy_of_shipped_policies();
    edit(
        folder.path(),
        "schema.cedarschema",
        "  \"title\": String,\n",
        "  \"title\": String,\n  \"licence\": String,\n",
    );
    let path = folder.path().to_str().unwrap().to_owned();
    let checked = cedargate(folder.path(), &["policy", "check", &path], &[]);
    assert_eq!(checked.code, 3);
    assert!(
        checked.messages.contains(" more like it:"),
        "{}",
        checked.messages
    );
    assert!(
        checked.messages.lines().count() < 30,
        "{}",
        checked.messages
    );
    let json = cedargate(folder.path(), &["policy", "check", "--json", &path], &[]);
    let json: Value = serde_json::from_str(&json.data).unwrap();
    assert!(json["problems"].as_array().unwrap().len() > 40);
}
