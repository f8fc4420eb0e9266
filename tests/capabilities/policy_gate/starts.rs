//! The policy gate at a start.

use std::fs;

use crate::policy_reload::{health, public_policy_with_ttl, server_on};
use crate::support::cli::copy_of_shipped_policies;
use crate::support::server::{PUBLIC, Server};

use super::{OPEN, PROBLEM, assert_not_in_force, reloads, remove_cases, remove_invariants};

#[tokio::test]
async fn a_restart_does_not_disarm_the_gate_either() {
    let folder = copy_of_shipped_policies();
    let server = server_on(folder.path(), "require", "if-available").await;
    let before = health(&server).await["revision"].clone();
    remove_invariants(folder.path());
    remove_cases(folder.path());
    fs::write(folder.path().join("open.cedar"), OPEN).unwrap();
    let server = server.restarted().await;
    assert_not_in_force(&server, &before, "restart").await;
    let recorded = reloads(&server, "refused").await;
    assert!(
        recorded
            .iter()
            .any(|reason| reason.contains("at the start") && reason.contains(PROBLEM)),
        "{recorded:?}"
    );
    let server = server.restarted().await;
    assert_not_in_force(&server, &before, "second restart").await;
}

#[tokio::test]
async fn the_policies_inside_the_program_guard_a_folder_that_replaces_them() {
    let server = Server::start().await;
    let before = health(&server).await["revision"].clone();
    assert_eq!(health(&server).await["status"], "ready");
    let folder = copy_of_shipped_policies();
    remove_invariants(folder.path());
    fs::write(folder.path().join("open.cedar"), OPEN).unwrap();
    let mut settings = server.settings.clone();
    settings.policy_dir = Some(folder.path().to_owned());
    let server = server.restarted_with(settings).await;
    assert_not_in_force(&server, &before, "a new folder").await;
}

#[tokio::test]
async fn a_start_on_a_folder_without_proofs_or_cases_says_so() {
    for (cases, proofs, count) in [("require", "if-available", 2), ("off", "off", 0)] {
        let folder = copy_of_shipped_policies();
        remove_invariants(folder.path());
        remove_cases(folder.path());
        let server = server_on(folder.path(), cases, proofs).await;
        let ready = health(&server).await;
        let problems = ready["problems"].as_array().unwrap();
        assert_eq!(problems.len(), count, "{ready}");
        let status = if count == 0 { "ready" } else { "degraded" };
        assert_eq!(ready["status"], status);
    }
}

#[tokio::test]
async fn policies_that_changed_while_the_server_was_down_leave_a_record() {
    let folder = copy_of_shipped_policies();
    let mut server = server_on(folder.path(), "require", "off").await;
    let before = health(&server).await["revision"].clone();
    assert!(server.stop().await);
    fs::write(
        folder.path().join("public.cedar"),
        public_policy_with_ttl(50),
    )
    .unwrap();
    let invariants = folder.path().join("invariants/anonymous.cedar");
    let text = fs::read_to_string(&invariants).unwrap();
    fs::write(
        &invariants,
        text.replace("action in Action::\"administer\"", "action"),
    )
    .unwrap();
    let server = server.started_again().await;
    let after = health(&server).await["revision"].clone();
    assert_ne!(before, after);
    assert_eq!(server.mint(PUBLIC, None).await.json()["expires_in"], 50);
    let [reason] = &reloads(&server, "granted").await[..] else {
        panic!("not one record");
    };
    for part in [
        "at the start",
        before.as_str().unwrap(),
        "invariants changed: `anonymous-administers-nothing`",
    ] {
        assert!(reason.contains(part), "{reason}");
    }
    let server = server.restarted().await;
    assert_eq!(reloads(&server, "granted").await.len(), 1);
}
