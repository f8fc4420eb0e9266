//! Policies that name users, roles and datasets that cannot exist, or that the catalog does not have.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::cli::{CommandOutput, cedargate, copy_of_shipped_policies, edit};
use crate::support::server::{
    CATALOG, PRIVATE, RESTRICTED, Server, ServerOptions, TestResponse, UNKNOWN,
};

use super::{READ, policy, warnings};

#[test]
fn ids_and_names_that_nobody_can_have_are_told_in_policies_invariants_and_cases() {
    let folder = copy_of_shipped_policies();
    let path = folder.path();
    let id = "a7696c08-3f0e-4a51-9d2c-1b60f9a2c574";
    let same = [
        id.to_uppercase(),
        id.replace('-', ""),
        format!("{{{id}}}"),
        format!("urn:uuid:{id}"),
        format!(" {id}"),
    ];
    let mut text = String::new();
    for (number, written) in same.iter().enumerate() {
        text += &policy(
            number,
            &format!("principal == User::\"{written}\", {READ}"),
            "",
        );
        let condition = format!("when {{ resource == Dataset::\"{written}\" }}");
        text += &policy(number + 10, &format!("principal, {READ}"), &condition);
    }
    for (number, conditions) in [
        "when { resource has owner && resource.owner == User::\"otto\" }",
        "when { resource.reader_users.contains(User::\"otto\") }",
        "when { resource.reader_users.containsAny([User::\"otto\"]) }",
        "unless { principal in Role::\"Hydrology\" }",
        "when { principal is User && principal.username == \"Otto Mann\" }",
        "when { principal is User && [\"OTTO\"].contains(principal.username) }",
    ]
    .iter()
    .enumerate()
    {
        text += &policy(number + 20, &format!("principal, {READ}"), conditions);
    }
    fs::write(path.join("mine.cedar"), text).unwrap();
    edit(
        path,
        "invariants/datasets.cedar",
        "principal in resource.reader_roles\n",
        "principal in resource.reader_roles || principal == User::\"mo\"\n",
    );
    let case = json!([{
        "name": "by name",
        "request": {"principal": "User::\"otto\"", "action": "Action::\"read\"", "resource": "Dataset::\"maps\"",
            "context": {"address": {"__extn": {"fn": "ip", "arg": "192.0.2.7"}},
                "time": {"__extn": {"fn": "datetime", "arg": "2026-03-01"}}, "authentication": "password"}},
        "entities": [{"uid": {"type": "User", "id": "otto"}, "attrs": {"username": "otto"},
            "parents": [{"type": "Role", "id": "Hydrology"}]}],
        "decision": "deny", "reason": ["publik"], "num_errors": 0}]);
    fs::write(path.join("mine.cases.json"), case.to_string()).unwrap();
    let found = warnings(path, &[]);
    let said: Vec<String> = found
        .iter()
        .filter(|(_, message, _)| !message.contains("redundant"))
        .map(|(piece, message, help)| {
            // What a name may hold is told too, but elsewhere tested.
            let message = message.split(": \"Otto Mann\"").next().unwrap();
            format!("{piece} -> {message} ({help})")
        })
        .collect();
    insta::assert_snapshot!(said.join("\n"));
}

/// A command on the data directory of a server.
fn on_catalog_of(server: &Server, folder: &Path, words: &[&str]) -> CommandOutput {
    let data = server.folder.path().to_str().unwrap();
    let path = folder.to_str().unwrap();
    cedargate(
        folder,
        &[words, &[path]].concat(),
        &[("CEDARGATE_DATA_DIR", data)],
    )
}

async fn id_of(server: &Server, name: &str) -> String {
    let session = server.session("ada").await;
    let url = format!("/admin/users?username={name}");
    let found = TestResponse::send(server.get(&url).bearer_auth(session)).await;
    found.json()["items"][0]["id"].as_str().unwrap().to_owned()
}

/// What a policy says that the catalog does not have, and what its warning suggests.
fn named_in_vain(otto: &str) -> Vec<(String, &'static str, String)> {
    let last = if otto.ends_with('0') { "1" } else { "0" };
    let misspelt = format!("{}{last}", &otto[..otto.len() - 1]);
    let is_otto = format!("`User::\"{otto}\"` (otto)");
    let restricted = format!("`Dataset::\"{RESTRICTED}\"` (Restricted)");
    vec![
        (
            format!("principal == User::\"otto\", {READ}"),
            "",
            is_otto.clone(),
        ),
        (
            format!("principal == User::\"OTTO\", {READ}"),
            "",
            is_otto.clone(),
        ),
        (
            format!("principal == User::\"otot\", {READ}"),
            "",
            is_otto.clone(),
        ),
        (
            format!("principal == User::\"{misspelt}\", {READ}"),
            "",
            is_otto.clone(),
        ),
        (
            format!("principal == User::\"hydrology\", {READ}"),
            "",
            "in Role::\"hydrology\"".to_owned(),
        ),
        (
            format!("principal == User::\"{RESTRICTED}\", {READ}"),
            "",
            "the id of the dataset \"Restricted\"".to_owned(),
        ),
        (
            format!("principal == User::\"{UNKNOWN}\", {READ}"),
            "",
            "has no effect until".to_owned(),
        ),
        (
            format!("principal in Role::\"hydrolgy\", {READ}"),
            "",
            "`Role::\"hydrology\"`".to_owned(),
        ),
        (
            format!("principal in Role::\"Admins\", {READ}"),
            "",
            "`Role::\"admin\"`".to_owned(),
        ),
        (
            format!("principal in Role::\"otto\", {READ}"),
            "",
            format!("`User::\"{otto}\"`"),
        ),
        (
            format!("principal, {READ} == Dataset::\"Restricted\""),
            "",
            restricted.clone(),
        ),
        (
            format!("principal, {READ} == Dataset::\"restrictd\""),
            "",
            restricted.clone(),
        ),
        (
            format!(
                "principal, {READ} == Dataset::\"{}\"",
                RESTRICTED.to_uppercase()
            ),
            "",
            RESTRICTED.to_owned(),
        ),
        (
            format!("principal, {READ} == Dataset::\"{otto}\""),
            "",
            "the id of the user otto".to_owned(),
        ),
        (
            format!("principal is User, {READ}"),
            "when { principal.username == \"oto\" }",
            "\"otto\"".to_owned(),
        ),
    ]
}

#[tokio::test]
async fn what_the_catalog_does_not_have_is_told_with_what_was_meant() {
    let server = Server::start().await;
    let otto = id_of(&server, "otto").await;
    let folder = copy_of_shipped_policies();
    let expected = named_in_vain(&otto);
    let known = [
        (
            format!("principal == User::\"{otto}\", {READ} == Dataset::\"{PRIVATE}\""),
            "",
        ),
        (
            format!("principal in Role::\"hydrology\", {READ} == Dataset::\"{PRIVATE}\""),
            "",
        ),
        (
            format!("principal is User, {READ} == Dataset::\"{PRIVATE}\""),
            "when { principal.username == \"dora\" }",
        ),
    ];
    let mut text = String::new();
    for (number, (scope, conditions, _)) in expected.iter().enumerate() {
        text += &policy(number, scope, conditions);
    }
    for (number, (scope, conditions)) in known.iter().enumerate() {
        text += &policy(number + 50, scope, conditions);
    }
    fs::write(folder.path().join("mine.cedar"), text).unwrap();
    let data = server.folder.path().to_str().unwrap();
    let found = warnings(folder.path(), &[("CEDARGATE_DATA_DIR", data)]);
    for (number, (scope, conditions, meant)) in expected.iter().enumerate() {
        let id = format!("policy `p{number}`");
        let is_told = |(_, message, help): &(String, String, String)| {
            message.contains(&id) && help.contains(meant)
        };
        assert!(
            found.iter().any(is_told),
            "{scope} {conditions}: {meant}\n{found:#?}"
        );
    }
    let of_known = |(_, message, _): &&(String, String, String)| message.contains("policy `p5");
    let of_known: Vec<_> = found
        .iter()
        .filter(of_known)
        .filter(|w| !w.1.contains("`p5`"))
        .collect();
    assert!(of_known.is_empty(), "{of_known:#?}");

    // The comparison of decisions says why nothing changes, and cases are worlds of their own.
    let output = on_catalog_of(&server, folder.path(), &["policy", "diff", "--to"]);
    assert_eq!(output.code, 0, "{}", output.messages);
    assert!(
        output.messages.contains("did you mean"),
        "{}",
        output.messages
    );
    let output = on_catalog_of(&server, folder.path(), &["policy", "test"]);
    assert!(
        output.messages.contains("User::\"otto\" is no user"),
        "{}",
        output.messages
    );
}

#[tokio::test]
async fn the_same_unknown_role_is_told_once() {
    let server = Server::start().await;
    let folder = copy_of_shipped_policies();
    let policies = (0..3).map(|number| {
        let condition = format!("when {{ resource.title == \"{number}\" }}");
        policy(
            number,
            &format!("principal in Role::\"night-crew\", {READ}"),
            &condition,
        )
    });
    fs::write(
        folder.path().join("mine.cedar"),
        policies.collect::<String>(),
    )
    .unwrap();
    let data = server.folder.path().to_str().unwrap();
    let found = warnings(folder.path(), &[("CEDARGATE_DATA_DIR", data)]);
    let messages: Vec<&str> = found
        .iter()
        .map(|(_, message, _)| message.as_str())
        .collect();
    assert_eq!(
        messages,
        ["in policy `p0`, the catalog has no role \"night-crew\", named in 3 places"]
    );
}

#[test]
fn a_check_without_a_catalog_says_so_creates_none_and_passes() {
    let folder = copy_of_shipped_policies();
    let text = policy(0, &format!("principal in Role::\"hydrology\", {READ}"), "");
    fs::write(folder.path().join("mine.cedar"), text).unwrap();
    let path = folder.path().to_str().unwrap();
    for url in ["", "postgres://nobody@127.0.0.1:1/nothing"] {
        let environment = [("CEDARGATE_DATABASE_URL", url)];
        let environment = if url.is_empty() {
            &[][..]
        } else {
            &environment[..]
        };
        let output = cedargate(
            folder.path(),
            &["policy", "check", path, "--json"],
            environment,
        );
        assert_eq!(output.code, 0, "{}", output.messages);
        let report: Value = serde_json::from_str(&output.data).unwrap();
        assert_eq!(report["warnings"], json!([]));
        assert_eq!(report["is_compared_with_catalog"], false);
        assert!(
            output
                .messages
                .contains("are not compared with the catalog"),
            "{}",
            output.messages
        );
        assert!(!folder.path().join("data").exists(), "{url}");
    }
}

#[tokio::test]
async fn a_running_server_says_what_its_policies_name_in_vain_without_naming_others() {
    let folder = copy_of_shipped_policies();
    let text = policy(0, &format!("principal == User::\"otto\", {READ}"), "")
        + &policy(1, &format!("principal in Role::\"hydrolgy\", {READ}"), "")
        + &policy(
            2,
            "principal, action == Action::\"read\", resource is Role",
            "",
        );
    fs::write(folder.path().join("mine.cedar"), text).unwrap();
    let server = Server::start_with(ServerOptions {
        environment: vec![
            ("CEDARGATE_POLICY_DIR", folder.path().display().to_string()),
            ("CEDARGATE_GATE_CASES", "off".to_owned()),
            ("CEDARGATE_GATE_PROOFS", "off".to_owned()),
        ],
        catalog: Some(CATALOG.to_owned()),
        ..ServerOptions::default()
    })
    .await;
    let session = server.session("ada").await;
    let told = async || -> Vec<String> {
        let answer = TestResponse::send(server.get("/admin/policies").bearer_auth(&session)).await;
        let answer = answer.json();
        let warnings = answer["in_force"]["warnings"].as_array().unwrap().clone();
        let text = |warning: &Value| format!("{} ({})", warning["message"], warning["help"]);
        warnings.iter().map(text).collect()
    };
    let first = told().await;
    assert_eq!(first.len(), 3, "{first:#?}");
    assert!(
        first[0].contains("User::\\\"otto\\\" is no user"),
        "{first:#?}"
    );
    assert!(first[1].contains("the catalog has no role"), "{first:#?}");
    assert!(
        first[2].contains("never has a resource of type `Role`"),
        "{first:#?}"
    );
    assert!(!first.concat().contains("did you mean"), "{first:#?}");
    // A role that is made later is no longer told.
    let role = server
        .post("/admin/roles")
        .bearer_auth(&session)
        .json(&json!({"name": "hydrolgy"}));
    assert_eq!(TestResponse::send(role).await.status, 201);
    assert_eq!(told().await.len(), 2);
}

#[test]
fn names_with_combining_marks_are_shown_as_they_are_written() {
    let folder = copy_of_shipped_policies();
    let text = policy(
        0,
        &format!("principal in Role::\"Ä\u{932}\u{94d}\", {READ}"),
        "",
    );
    fs::write(folder.path().join("mine.cedar"), text).unwrap();
    let found = warnings(folder.path(), &[]);
    let shown = |message: &str| message.contains("Role::\"Ä\u{932}\u{94d}\" is no role");
    assert!(
        found.iter().any(|(_, message, _)| shown(message)),
        "{found:#?}"
    );
}
