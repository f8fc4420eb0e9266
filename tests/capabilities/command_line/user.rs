//! `cedargate user`: add, list, disable and set passwords on the database directly.

use std::path::Path;

use serde_json::{Value, json};

use crate::support::eventually;
use crate::support::records::records;
use crate::support::server::{PASSWORD, RESTRICTED, Server, TestResponse};

use crate::support::cli::{CommandOutput, cedargate_with_input};

fn run_ok(folder: &Path, arguments: &str, input: &str) -> CommandOutput {
    let output = cedargate_with_input(folder, arguments, input);
    assert_eq!(output.code, 0, "{arguments}: {}", output.messages);
    output
}

fn run_err(folder: &Path, arguments: &str, input: &str) -> String {
    let output = cedargate_with_input(folder, arguments, input);
    assert_eq!(output.code, 1, "{arguments}: {}", output.messages);
    assert!(
        output.messages.starts_with("error: "),
        "{}",
        output.messages
    );
    assert!(output.data.is_empty());
    output.messages
}

fn users(folder: &Path) -> Vec<Value> {
    let listed = run_ok(folder, "user list --json", "");
    serde_json::from_str(&listed.data).unwrap()
}

#[test]
fn the_first_admin_is_created_in_an_empty_database() {
    let folder = tempfile::tempdir().unwrap();
    let added = run_ok(folder.path(), "user add root --admin", "correct horse\n");
    let id = added.data.trim_end();
    assert_eq!(added.data, format!("{id}\n"));
    assert!(!added.messages.contains("correct horse"));
    run_ok(folder.path(), "user add robot --no-password", "");
    assert_eq!(
        users(folder.path()),
        [
            json!({"id": users(folder.path())[0]["id"], "username": "robot",
                "display_name": null, "issuer": null,
                "roles": [], "attributes": {}, "is_disabled": false, "has_password": false}),
            json!({"id": id, "username": "root", "display_name": null, "issuer": null,
                "roles": ["admin"], "attributes": {}, "is_disabled": false, "has_password": true}),
        ]
    );
    let table = run_ok(folder.path(), "user list", "").data;
    let lines: Vec<_> = table.lines().collect();
    assert_eq!(lines.len(), 3, "{table}");
    assert!(
        lines[0].contains("USER") && lines[2].contains(id),
        "{table}"
    );
    assert!(lines[2].contains("admin") && lines[2].contains("enabled"));
    let message = run_err(folder.path(), "user disable root", "");
    assert!(
        message.contains("the last admin who can sign in"),
        "{message}"
    );
    assert!(message.contains("hint: cedargate user add NAME --admin"));
}

#[test]
fn an_impossible_command_is_reported_with_a_hint_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    run_ok(folder.path(), "user add nadia --no-password", "");
    let message = run_err(folder.path(), "user disable nadja", "");
    assert!(
        message.contains("hint: did you mean \"nadia\"?"),
        "{message}"
    );
    let message = run_err(folder.path(), "user password somebody", "correct horse\n");
    assert!(message.contains("hint: cedargate user list"), "{message}");
    let message = run_err(folder.path(), "user enable somebody", "");
    assert!(message.contains("there is no user somebody"), "{message}");
    let message = run_err(folder.path(), "user add eve --role admn", "correct horse\n");
    assert!(
        message.contains("hint: did you mean \"admin\"?"),
        "{message}"
    );
    let message = run_err(folder.path(), "user add nadia", "correct horse\n");
    assert!(message.contains("is taken"), "{message}");
    let message = run_err(folder.path(), "user add eve", "");
    assert!(
        message.contains("no password on standard input"),
        "{message}"
    );
    let message = run_err(folder.path(), "user add eve", "short\n");
    assert!(message.contains("at least 8 characters"), "{message}");
    let message = run_err(folder.path(), "api-key create --user nadja --name x", "");
    assert!(
        message.contains("hint: did you mean \"nadia\"?"),
        "{message}"
    );
    let usage = cedargate_with_input(folder.path(), "user add Eve!", "correct horse\n");
    assert_eq!(usage.code, 2, "{}", usage.messages);
    let all = users(folder.path());
    assert_eq!(all.len(), 1);
    assert_eq!(all[0]["has_password"], false);
}

#[tokio::test]
async fn a_running_server_follows_the_command_line_within_a_second() {
    let server = Server::start().await;
    let folder = server.folder.path();
    let mo = server.session("mo").await;
    let token = server.mint(RESTRICTED, Some(&mo)).await.token();
    let opens = async || {
        let session = server.mint(RESTRICTED, Some(&mo)).await.status;
        let token = server.download(RESTRICTED, &token).await.status;
        (session, token)
    };
    assert_eq!(opens().await, (200, 200));
    run_ok(folder, "user disable mo", "");
    eventually(async || opens().await == (401, 401)).await;
    run_ok(folder, "user enable mo", "");
    eventually(async || opens().await == (401, 200)).await;

    run_ok(folder, "user password mo", "battery staple\r\n");
    let login = server.login("mo", "battery staple").await;
    assert_eq!(login.status, 200, "{}", login.text());
    server.login("mo", PASSWORD).await.problem(401);

    let key = run_ok(folder, "api-key create --user mo --name k", "").data;
    let request = server
        .mint_request(RESTRICTED)
        .header("x-api-key", key.trim());
    assert_eq!(TestResponse::send(request).await.status, 200);
}

#[tokio::test]
async fn commands_are_audited() {
    let server = Server::start().await;
    let folder = server.folder.path();
    run_ok(folder, "user add nina --role hydrology", "battery staple\n");
    run_ok(folder, "user disable nina", "");
    run_ok(folder, "user disable nina", "");
    run_ok(folder, "user password nina", "correct staple\n");
    run_ok(folder, "user list", "");
    run_ok(folder, "api-key create --user nina --name k", "");
    run_err(folder, "user disable nobody", "");
    let id = users(folder)
        .into_iter()
        .find(|user| user["username"] == "nina")
        .unwrap()["id"]
        .clone();
    let records = records(&server).await;
    let of_command_line = records
        .iter()
        .filter(|record| record["authentication"] == "command_line");
    let message: Vec<_> = of_command_line
        .inspect(|record| {
            assert_eq!(record["resource_user_id"], id);
            assert_eq!(record["outcome"], "granted");
            assert_eq!(record["user_id"], Value::Null);
            assert_eq!(record["request_id"], Value::Null);
        })
        .map(|record| {
            let event = record["event"].as_str().unwrap();
            let reason = record["reason"].as_str().unwrap();
            format!("{event}: {reason}")
        })
        .collect();
    assert_eq!(message.len(), 4, "{message:?}");
    assert_eq!(
        message[..3],
        [
            "administer: created the user nina, roles: hydrology",
            "administer: changed the user nina: disabled",
            "administer: set the password of the user nina",
        ]
    );
    assert!(
        message[3].starts_with("api_key_create: API key "),
        "{message:?}"
    );
    let all = serde_json::to_string(&records).unwrap();
    assert!(!all.contains("staple"));
}
