//! Edits that need to be accepted, and what the command line says of them.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::policy_reload::{health, public_policy_with_ttl, reload, server_on};
use crate::support::cli::{CommandOutput, cedargate, copy_of_shipped_policies, edit, repository};
use crate::support::eventually;
use crate::support::records::records;
use crate::support::server::{Server, ServerOptions};

use super::{OPEN, assert_not_in_force, reloads, remove_cases, remove_invariants};

/// A command on the data directory and the policy folder of a server.
fn run(server: &Server, folder: &Path, words: &[&str]) -> CommandOutput {
    run_with(server, folder, words, &[])
}

fn run_with(
    server: &Server,
    folder: &Path,
    words: &[&str],
    more: &[(&str, &str)],
) -> CommandOutput {
    let data = server.folder.path().to_str().unwrap();
    let policies = [
        ("CEDARGATE_DATA_DIR", data),
        ("CEDARGATE_POLICY_DIR", folder.to_str().unwrap()),
    ];
    cedargate(server.folder.path(), words, &[&policies, more].concat())
}

/// The revision that a refusal says to accept.
fn revision_to_accept(refusal: &str) -> String {
    let (_, rest) = refusal.split_once("cedargate policy accept ").unwrap();
    rest.chars().take_while(char::is_ascii_hexdigit).collect()
}

#[tokio::test]
async fn an_accepted_edit_that_loses_invariants_comes_into_force_and_only_that_one() {
    let folder = copy_of_shipped_policies();
    let server = server_on(folder.path(), "require", "if-available").await;
    let session = server.session("ada").await;
    let before = health(&server).await["revision"].clone();
    remove_invariants(folder.path());
    let detail = reload(&server, &session).await.problem(409);
    let accepted = revision_to_accept(&detail);
    // The folder changes after it was reviewed.
    fs::write(folder.path().join("open.cedar"), OPEN).unwrap();
    let output = run(&server, folder.path(), &["policy", "accept", &accepted]);
    assert_eq!(output.code, 1, "{}", output.messages);
    assert!(output.messages.contains("hint: "), "{}", output.messages);
    fs::remove_file(folder.path().join("open.cedar")).unwrap();
    let output = run(&server, folder.path(), &["policy", "accept", &accepted]);
    assert_eq!(output.code, 0, "{}", output.messages);
    assert!(
        output.data.contains("invariants removed: `admins-may"),
        "{}",
        output.data
    );
    // It is changed again before the server looks at it.
    fs::write(folder.path().join("open.cedar"), OPEN).unwrap();
    reload(&server, &session).await.problem(409);
    assert_not_in_force(&server, &before, "another edit").await;
    fs::remove_file(folder.path().join("open.cedar")).unwrap();
    eventually(async || {
        let problems = health(&server).await["problems"].to_string();
        problems.contains("have no invariants")
    })
    .await;
    let [reason] = &reloads(&server, "granted").await[..] else {
        panic!("not one record");
    };
    assert!(
        reason.contains("invariants removed: `admins-may-do-everything`")
            && reason.contains("accepted"),
        "{reason}"
    );
    let records = records(&server).await;
    let acceptance = records.iter().find(|one| {
        let reason = one["reason"].as_str().unwrap_or_default();
        one["authentication"] == "command_line" && reason.contains(&accepted)
    });
    assert_eq!(acceptance.unwrap()["event"], "administer");
}

#[tokio::test]
async fn an_acceptance_is_noticed_without_a_reload_and_survives_a_restart() {
    for is_restarted in [false, true] {
        let folder = copy_of_shipped_policies();
        let mut server = server_on(folder.path(), "require", "off").await;
        remove_cases(folder.path());
        let detail = reload(&server, &server.session("ada").await)
            .await
            .problem(409);
        let accepted = revision_to_accept(&detail);
        if is_restarted {
            assert!(server.stop().await);
        }
        let output = run(&server, folder.path(), &["policy", "accept", &accepted]);
        assert_eq!(output.code, 0, "{}", output.messages);
        if is_restarted {
            server = server.started_again().await;
        }
        eventually(async || {
            let problems = health(&server).await["problems"].to_string();
            problems.contains("have no cases")
        })
        .await;
    }
}

#[tokio::test]
async fn locked_invariants_change_only_after_acceptance() {
    let folder = copy_of_shipped_policies();
    let server = Server::start_with(ServerOptions {
        environment: vec![
            ("CEDARGATE_POLICY_DIR", folder.path().display().to_string()),
            ("CEDARGATE_GATE_INVARIANTS", "locked".to_owned()),
            ("CEDARGATE_GATE_PROOFS", "off".to_owned()),
        ],
        ..ServerOptions::default()
    })
    .await;
    let session = server.session("ada").await;
    // More invariants are no matter.
    let more = "@id(\"more\") @reason(\"x\") @invariant(\"upper\")\n\
        forbid (principal is Anonymous, action == Action::\"view_audit\", resource);\n";
    fs::write(folder.path().join("invariants/more.cedar"), more).unwrap();
    assert_eq!(reload(&server, &session).await.status, 200);
    fs::write(
        folder.path().join("public.cedar"),
        public_policy_with_ttl(50),
    )
    .unwrap();
    assert_eq!(reload(&server, &session).await.status, 200);
    let shipped = fs::read_to_string(folder.path().join("invariants/datasets.cedar")).unwrap();
    let (condition, weaker) = (
        "resource.visibility != Visibility::\"private\" ||",
        "resource.visibility != Visibility::\"private\" || principal is User ||",
    );
    for (what, name) in [("changed", "private-stays-inside"), ("removed", "renamed")] {
        let text = shipped.replace(condition, weaker);
        let text = text.replace("@id(\"private-stays-inside\")", &format!("@id(\"{name}\")"));
        fs::write(folder.path().join("invariants/datasets.cedar"), text).unwrap();
        let detail = reload(&server, &session).await.problem(409);
        assert!(
            detail.contains("locked") && detail.contains(what),
            "{detail}"
        );
        assert!(detail.contains("private-stays-inside"), "{detail}");
        if what == "removed" {
            let accepted = revision_to_accept(&detail);
            let output = run(&server, folder.path(), &["policy", "accept", &accepted]);
            assert_eq!(output.code, 0, "{}", output.messages);
            assert_eq!(reload(&server, &session).await.status, 200);
        }
    }
    let recorded = reloads(&server, "granted").await;
    let removed = "invariants removed: `private-stays-inside`";
    assert!(
        recorded.iter().any(|reason| reason.contains(removed)),
        "{recorded:?}"
    );
}

#[tokio::test]
async fn the_command_line_gives_the_verdict_of_the_gate() {
    let folder = copy_of_shipped_policies();
    let server = server_on(folder.path(), "require", "if-available").await;
    let edited = copy_of_shipped_policies();
    let path = edited.path().to_str().unwrap();
    remove_invariants(edited.path());
    let check = run(&server, folder.path(), &["policy", "check", path]);
    assert_eq!(check.code, 3, "{}", check.messages);
    let diff = run(
        &server,
        folder.path(),
        &["policy", "diff", "--to", path, "--json"],
    );
    assert_eq!(diff.code, 0, "{}", diff.messages);
    let diff: Value = serde_json::from_str(&diff.data).unwrap();
    let revision = diff["accept"].as_str().unwrap();
    assert_eq!(diff["safeguards"]["removed"].as_array().unwrap().len(), 8);
    let check = run(&server, folder.path(), &["policy", "check", path, "--json"]);
    assert_eq!(revision_to_accept(&check.data), revision);
    let shipped = repository().join("policies");
    let from = [
        "policy",
        "diff",
        "--from",
        shipped.to_str().unwrap(),
        "--to",
        path,
    ];
    let diff = run(
        &server,
        folder.path(),
        &[&from[..], &["--fail-on-change"]].concat(),
    );
    assert_eq!(diff.code, 3);
    assert!(diff.data.contains("invariants removed"), "{}", diff.data);
    // One that is only changed is a warning, unless invariants are locked.
    let edited = copy_of_shipped_policies();
    let path = edited.path().to_str().unwrap();
    edit(
        edited.path(),
        "invariants/anonymous.cedar",
        "action in Action::\"administer\"",
        "action",
    );
    for (locked, code) in [("recorded", 0), ("locked", 3)] {
        let more = [("CEDARGATE_GATE_INVARIANTS", locked)];
        let words = ["policy", "check", path, "--json"];
        let check = run_with(&server, folder.path(), &words, &more);
        assert_eq!(check.code, code, "{}", check.messages);
        assert!(
            check.data.contains("anonymous-administers-nothing"),
            "{}",
            check.data
        );
    }
}
