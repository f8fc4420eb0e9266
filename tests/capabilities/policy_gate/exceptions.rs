//! Exceptions of invariants, refused folders with a revision of their own, and policies that never apply, at the gate.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::policy_reload::{health, reload, server_on};
use crate::support::cli::{cedargate, copy_of_shipped_policies, edit};
use crate::support::records::records;
use crate::support::server::{Server, ServerOptions, TestResponse};
use crate::support::server_process::ProcessSettings;
use crate::support::{eventually, eventually_some};

use super::reloads;

const DATASETS: &str = "invariants/datasets.cedar";
const GUEST: &str = "@id(\"guest\") @reason(\"A guest of the project.\")\n\
    permit (principal in Role::\"guests\", action == Action::\"read\", resource)\n\
    when { resource.visibility == Visibility::\"private\" && resource.record_status == RecordStatus::\"published\" };\n";

/// Excepts a policy from the invariant about private datasets.
fn except(folder: &Path, names: &str) {
    let written = "@id(\"private-stays-inside\")\n";
    edit(
        folder,
        DATASETS,
        written,
        &format!("{written}@except(\"{names}\")\n"),
    );
}

async fn policies(server: &Server, session: &str) -> Value {
    TestResponse::send(server.get("/admin/policies").bearer_auth(session))
        .await
        .json()
}

async fn locked_server(folder: &Path) -> Server {
    Server::start_with(ServerOptions {
        environment: vec![
            ("CEDARGATE_POLICY_DIR", folder.display().to_string()),
            ("CEDARGATE_GATE_INVARIANTS", "locked".to_owned()),
            ("CEDARGATE_GATE_PROOFS", "off".to_owned()),
        ],
        ..ServerOptions::default()
    })
    .await
}

#[tokio::test]
async fn a_refusal_names_the_policy_and_the_ways_on_and_the_exception_is_on_record() {
    let folder = copy_of_shipped_policies();
    let server = server_on(folder.path(), "require", "require").await;
    let session = server.session("ada").await;
    fs::write(folder.path().join("guest.cedar"), GUEST).unwrap();
    let detail = reload(&server, &session).await.problem(409);
    for part in [
        "an invariant is violated: ",
        "invariant `private-stays-inside` is violated by policy `guest` (guest.cedar:1): ",
        // With the condition, if the solver finds it in time.
        "narrow policy `guest` (guest.cedar:1)",
        "write `@except(\"guest\")` at invariants/datasets.cedar:17",
    ] {
        assert!(detail.contains(part), "{part}\n{detail}");
    }
    let listed = policies(&server, &session).await;
    let [invariant] = &listed["refused"]["invariants"].as_array().unwrap()[..] else {
        panic!("{listed:#}");
    };
    assert_eq!(invariant["is_violated"], true);
    assert_eq!(invariant["policies"], serde_json::json!(["guest"]));
    assert_eq!(invariant["suggestions"].as_array().unwrap().len(), 2);
    except(folder.path(), "guest");
    let response = reload(&server, &session).await;
    assert_eq!(response.status, 200, "{}", response.text());
    let excepts = "`private-stays-inside` excepts `guest` (A guest of the project.)";
    let granted = reloads(&server, "granted").await;
    assert!(
        granted.iter().any(|reason| {
            reason.contains("invariants changed: `private-stays-inside`")
                && reason.contains(excepts)
        }),
        "{granted:#?}"
    );
    // An edit of the excepted policy is one of the invariant.
    edit(
        folder.path(),
        "guest.cedar",
        "Role::\"guests\"",
        "Role::\"visitors\"",
    );
    let response = reload(&server, &session).await;
    assert_eq!(response.status, 200, "{}", response.text());
    let granted = reloads(&server, "granted").await;
    let changed = granted.iter().filter(|reason| reason.contains(excepts));
    assert_eq!(changed.count(), 2, "{granted:#?}");
}

#[tokio::test]
async fn locked_invariants_except_nothing_more_without_acceptance() {
    let folder = copy_of_shipped_policies();
    except(folder.path(), "guest, friends");
    let template = "@id(\"friends\") @reason(\"Friends of the project.\")\n\
        permit (principal in ?principal, action == Action::\"read\", resource)\n\
        when { resource.visibility == Visibility::\"private\" && resource.record_status == RecordStatus::\"published\" };\n";
    let links = |roles: &[&str]| {
        let link = |role: &&str| {
            serde_json::json!({"template_id": "friends", "link_id": format!("friends-{role}"),
                               "args": {"?principal": format!("Role::\"{role}\"")}})
        };
        Value::from(roles.iter().map(link).collect::<Vec<_>>()).to_string()
    };
    fs::write(folder.path().join("guest.cedar"), GUEST).unwrap();
    fs::write(folder.path().join("friends.cedar"), template).unwrap();
    fs::write(
        folder.path().join("friends.links.json"),
        links(&["visitors"]),
    )
    .unwrap();
    let server = locked_server(folder.path()).await;
    let session = server.session("ada").await;
    // A reason says nothing else, and a template is excepted with all its links.
    edit(folder.path(), "guest.cedar", "A guest", "Some guest");
    assert_eq!(reload(&server, &session).await.status, 200);
    fs::write(
        folder.path().join("friends.links.json"),
        links(&["visitors", "geology"]),
    )
    .unwrap();
    assert_eq!(reload(&server, &session).await.status, 200);
    let edits: [(&str, &str, &str); 4] = [
        (
            DATASETS,
            "@except(\"guest, friends\")",
            "@except(\"friends, guest, owner\")",
        ),
        (DATASETS, "@except(\"guest, friends\")\n", ""),
        ("guest.cedar", "Role::\"guests\"", "Role::\"everybody\""),
        (
            "friends.cedar",
            "action == Action::\"read\"",
            "action in [Action::\"read\", Action::\"discover\"]",
        ),
    ];
    for (file, before, after) in edits {
        let path = folder.path().join(file);
        let kept = fs::read_to_string(&path).unwrap();
        edit(folder.path(), file, before, after);
        let detail = reload(&server, &session).await.problem(409);
        assert!(
            detail.contains("which are locked") && detail.contains("`private-stays-inside`"),
            "{file}: {detail}"
        );
        fs::write(&path, kept).unwrap();
        assert_eq!(reload(&server, &session).await.status, 200, "{file}");
    }
}

#[tokio::test]
async fn a_refused_edit_of_invariants_has_a_revision_of_its_own_that_everybody_tells() {
    let folder = copy_of_shipped_policies();
    let server = locked_server(folder.path()).await;
    let session = server.session("ada").await;
    let before = policies(&server, &session).await["in_force"].clone();
    let ready = health(&server).await;
    assert_eq!(ready["folder_revision"], before["folder_revision"]);
    assert_eq!(ready["refused_folder_revision"], Value::Null);
    edit(
        folder.path(),
        DATASETS,
        "resource.record_status == RecordStatus::\"published\" ||",
        "",
    );
    let detail = reload(&server, &session).await.problem(409);
    let listed = policies(&server, &session).await;
    let refused = &listed["refused"];
    let told = refused["folder_revision"].as_str().unwrap();
    assert_eq!(refused["revision"], before["revision"]);
    assert_ne!(refused["folder_revision"], before["folder_revision"]);
    assert_eq!(
        listed["in_force"]["folder_revision"],
        before["folder_revision"]
    );
    assert!(
        detail.contains(&format!("cedargate policy accept {told}")),
        "{detail}"
    );
    assert_eq!(health(&server).await["refused_folder_revision"], told);
    let refusals = reloads(&server, "refused").await;
    assert!(
        refusals.iter().any(|reason| reason.contains(told)),
        "{refusals:#?}"
    );
    let data = server.folder.path().to_str().unwrap();
    let path = folder.path().to_str().unwrap();
    let environment = [
        ("CEDARGATE_DATA_DIR", data),
        ("CEDARGATE_POLICY_DIR", path),
        ("CEDARGATE_GATE_INVARIANTS", "locked"),
    ];
    let run = |words: &[&str]| cedargate(server.folder.path(), words, &environment);
    let checked = run(&["policy", "check", "--json"]);
    let checked: Value = serde_json::from_str(&checked.data).unwrap();
    assert_eq!(checked["folder_revision"], told, "{checked:#}");
    // The revision of the policies alone is not enough, and the answer says what is.
    let alone = refused["revision"].as_str().unwrap();
    let output = run(&["policy", "accept", alone]);
    assert_eq!(output.code, 1);
    assert!(
        output.messages.contains("the policies alone") && output.messages.contains(told),
        "{}",
        output.messages
    );
    let output = run(&["policy", "accept", told]);
    assert_eq!(output.code, 0, "{}", output.messages);
    assert!(
        records(&server).await.iter().any(|record| {
            let reason = record["reason"].as_str().unwrap_or_default();
            record["authentication"] == "command_line" && reason.contains(told)
        }),
        "the acceptance is not on record"
    );
    assert_eq!(reload(&server, &session).await.status, 200);
    let ready = health(&server).await;
    assert_eq!(ready["folder_revision"], told);
    assert_eq!(ready["refused_folder_revision"], Value::Null);
}

/// The warnings about policies that never apply.
async fn idle_warnings(server: &Server, session: &str) -> Vec<Value> {
    let listed = policies(server, session).await;
    let warnings = listed["in_force"]["warnings"].as_array().unwrap().iter();
    let is_idle = |warning: &&Value| {
        warning["message"]
            .as_str()
            .unwrap()
            .contains("never applies")
    };
    warnings.filter(is_idle).cloned().collect()
}

#[tokio::test]
async fn a_policy_that_never_applies_is_a_warning_of_what_is_in_force() {
    let never = "@id(\"night-crew\") @reason(\"x\")\npermit (principal, action == Action::\"read\", resource)\n\
        when { resource.visibility == Visibility::\"public\" && context.time.toTime() >= duration(\"22h\") &&\n\
        context.time.toTime() < duration(\"4h\") };\n";
    // Without proofs of invariants an edit waits for nothing; the search needs a solver all the same.
    let folder = copy_of_shipped_policies();
    super::remove_invariants(folder.path());
    let server = server_on(folder.path(), "require", "if-available").await;
    let session = server.session("ada").await;
    assert!(idle_warnings(&server, &session).await.is_empty());
    fs::write(folder.path().join("night.cedar"), never).unwrap();
    let response = reload(&server, &session).await;
    assert_eq!(response.status, 200, "{}", response.text());
    // The solver takes its time, and no edit waits for it.
    let only_one = async || {
        let warnings = idle_warnings(&server, &session).await;
        <[Value; 1]>::try_from(warnings).ok()
    };
    let [warning] = eventually_some(only_one).await;
    assert_eq!(warning["line"], 1);
    assert_eq!(
        warning["message"],
        "policy `night-crew` never applies: `context.time.toTime() >= duration(\"22h\")` (line 3) and \
         `context.time.toTime() < duration(\"4h\")` (line 4) are never true together"
    );
    let help = warning["help"].as_str().unwrap();
    assert!(
        help.contains("over midnight") && help.contains(" || "),
        "{help}"
    );
}

#[tokio::test]
async fn the_search_for_policies_that_never_apply_ends_with_the_policies() {
    let policies = copy_of_shipped_policies();
    super::remove_invariants(policies.path());
    let run = ProcessSettings::new(&[
        ("CEDARGATE_POLICY_DIR", policies.path().to_str().unwrap()),
        ("CEDARGATE_GATE_PROOFS", "if-available"),
    ]);
    let (process, solver) = run.start_with_hanging_solver().await;
    let session = process.session("ada").await;
    let reload = async || {
        let request = process.post("/admin/policies/reload", &session);
        assert_eq!(TestResponse::send(request).await.status, 200);
    };
    let night = policies.path().join("night.cedar");
    fs::write(&night, GUEST).unwrap();
    reload().await;
    // The first question is given up soon, for one that has the time of the whole search.
    eventually(async || solver.starts() >= 2).await;
    fs::remove_file(&night).unwrap();
    reload().await;
    eventually(async || !solver.is_running()).await;
}
