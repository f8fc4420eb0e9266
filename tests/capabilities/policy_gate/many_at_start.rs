//! A start with so many new policies that it does not wait for their proofs.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::policy_reload::{health, public_policy_with_ttl};
use crate::support::WAIT_TIMEOUT;
use crate::support::cli::copy_of_shipped_policies;
use crate::support::server::{PUBLIC, Server, ServerOptions, TestResponse};

use super::reloads;

/// More than a start waits for.
const MORE: usize = 201;
/// Nobody may read a draft by a role.
const VIOLATING: &str = "RecordStatus::\"draft\"";
const KEEPING: &str = "RecordStatus::\"published\"";

/// A server with this policy folder, proofs and enough time for them.
async fn server_on(folder: &Path) -> Server {
    Server::start_with(ServerOptions {
        environment: vec![
            ("CEDARGATE_POLICY_DIR", folder.display().to_string()),
            ("CEDARGATE_GATE_PROOFS", "require".to_owned()),
        ],
        ..ServerOptions::default()
    })
    .await
}

/// Adds policies, of which the last one is about datasets with this record status.
fn add_policies(folder: &Path, last_status: &str) {
    let mut text = String::new();
    for number in 0..MORE {
        let status = if number + 1 == MORE {
            last_status
        } else {
            KEEPING
        };
        // Policies are proved in the order of their names; what is proved before the violation is remembered.
        let id = 1_000 + number;
        writeln!(
            text,
            "@id(\"more-{id}\") @reason(\"x\")\n\
             permit (principal in Role::\"team-{number}\", action == Action::\"read\", resource)\n\
             when {{ resource.visibility == Visibility::\"internal\" && resource.record_status == {status} }};"
        )
        .unwrap();
    }
    // Replaced whole: an edit that is half written is no other edit.
    let new = folder.join(".more.new");
    fs::write(&new, text).unwrap();
    fs::rename(new, folder.join("more.cedar")).unwrap();
}

async fn ready(server: &Server) -> (u16, Value) {
    let ready = TestResponse::send(server.get("/health/ready")).await;
    (ready.status, ready.json())
}

async fn until(what: &str, server: &Server, holds: impl Fn(u16, &Value) -> bool) {
    let begun = Instant::now();
    loop {
        let (status, ready) = ready(server).await;
        if holds(status, &ready) {
            return;
        }
        assert!(begun.elapsed() < WAIT_TIMEOUT, "{what}: {status} {ready}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn has_problem(ready: &Value, part: &str) -> bool {
    let mut problems = ready["problems"].as_array().unwrap().iter();
    problems.any(|problem| problem.as_str().unwrap().contains(part))
}

#[tokio::test]
async fn a_first_start_with_many_policies_serves_and_decides_nothing_until_they_are_proved() {
    let folder = copy_of_shipped_policies();
    add_policies(folder.path(), VIOLATING);
    let server = server_on(folder.path()).await;
    let (status, first) = ready(&server).await;
    assert_eq!((status, &first["status"]), (503, &Value::from("unready")));
    assert!(has_problem(&first, "no policies are in force"), "{first}");
    server.mint(PUBLIC, None).await.problem(503);
    let key_set = TestResponse::send(server.get("/.well-known/jwks.json")).await;
    assert_eq!(key_set.status, 200);

    let is_refused = |status: u16, ready: &Value| {
        status == 503 && has_problem(ready, "an invariant is violated")
    };
    until("the violation is found", &server, is_refused).await;
    server.mint(PUBLIC, None).await.problem(503);
    assert_eq!(reloads(&server, "refused").await.len(), 1);

    add_policies(folder.path(), KEEPING);
    until("the policies are in force", &server, |status, _| {
        status == 200
    })
    .await;
    assert_eq!(health(&server).await["status"], "ready");
    assert_eq!(server.mint(PUBLIC, None).await.status, 200);
    let [reason] = &reloads(&server, "granted").await[..] else {
        panic!("not one record");
    };
    assert!(
        reason.starts_with("the first policies came into force"),
        "{reason}"
    );
    // They are remembered: the next start decides at once.
    let server = server.restarted().await;
    assert_eq!(health(&server).await["status"], "ready");
}

#[tokio::test]
async fn a_restart_with_many_new_policies_keeps_the_earlier_ones_in_force_until_they_are_proved() {
    let folder = copy_of_shipped_policies();
    let mut server = server_on(folder.path()).await;
    let before = health(&server).await["revision"].clone();
    let lifetime = server.mint(PUBLIC, None).await.json()["expires_in"].clone();
    assert!(server.stop().await);
    add_policies(folder.path(), VIOLATING);
    let public = folder.path().join("public.cedar");
    fs::write(public, public_policy_with_ttl(50)).unwrap();
    let server = server.started_again().await;
    let first = health(&server).await;
    assert_eq!(
        (&first["revision"], &first["status"]),
        (&before, &Value::from("degraded"))
    );
    let is_refused = |_: u16, ready: &Value| has_problem(ready, "an invariant is violated");
    until("the violation is found", &server, is_refused).await;
    assert_eq!(health(&server).await["revision"], before);
    assert_eq!(
        server.mint(PUBLIC, None).await.json()["expires_in"],
        lifetime
    );

    add_policies(folder.path(), KEEPING);
    until("the policies are in force", &server, |_, ready| {
        ready["status"] == "ready"
    })
    .await;
    assert_ne!(health(&server).await["revision"], before);
    assert_eq!(server.mint(PUBLIC, None).await.json()["expires_in"], 50);
}
