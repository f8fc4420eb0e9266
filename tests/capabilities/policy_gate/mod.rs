//! The policy gate cannot be disarmed: an edit that loses invariants or cases needs to be accepted, and one that
//! changes some is on record.

mod acceptance;
mod exceptions;
mod many_at_start;
mod remembered_proofs;
mod starts;
mod uncovered;

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::policy_reload::{health, public_policy_with_ttl, reload, server_on};
use crate::support::cli::{copy_folder, copy_of_shipped_policies, edit};
use crate::support::records::records;
use crate::support::server::{PRIVATE, PUBLIC, Server};

const OPEN: &str = "@id(\"open\") @reason(\"x\")\npermit (principal, action, resource);\n";
const PROBLEM: &str = "it loses invariants or cases that are in force";

/// The reasons in the records of policy reloads with an outcome, in any order.
async fn reloads(server: &Server, outcome: &str) -> Vec<String> {
    let records = records(server).await;
    let reloads = records.iter().filter(|one| one["event"] == "policy_reload");
    let with_outcome = reloads.filter(|one| one["outcome"] == outcome);
    with_outcome
        .map(|one| one["reason"].as_str().unwrap().to_owned())
        .collect()
}

fn remove_cases(folder: &Path) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.to_string_lossy().ends_with(".cases.json") {
            fs::remove_file(path).unwrap();
        }
    }
}

fn remove_invariants(folder: &Path) {
    fs::remove_dir_all(folder.join("invariants")).unwrap();
}

/// Replaces the text of every file of invariants.
fn rewrite_invariants(folder: &Path, rewrite: impl Fn(&str) -> String) {
    for entry in fs::read_dir(folder.join("invariants")).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        fs::write(path, rewrite(&text)).unwrap();
    }
}

async fn assert_not_in_force(server: &Server, before: &Value, what: &str) {
    let ready = health(server).await;
    assert_eq!(ready["revision"], *before, "{what}");
    assert_eq!(ready["status"], "degraded", "{what}");
    server.mint(PRIVATE, None).await.problem(404);
}

/// A name, and a change of a folder that takes invariants or cases away.
type Disarming = (&'static str, fn(&Path));

#[tokio::test]
async fn an_edit_that_loses_the_invariants_or_cases_in_force_is_refused() {
    let ways: Vec<Disarming> = vec![
        ("invariants deleted", remove_invariants),
        ("cases deleted", remove_cases),
        ("both deleted", |folder| {
            remove_invariants(folder);
            remove_cases(folder);
        }),
        ("invariants emptied", |folder| {
            rewrite_invariants(folder, |_| String::new());
        }),
        ("invariants commented out", |folder| {
            rewrite_invariants(folder, |text| format!("// {}", text.replace('\n', "\n// ")));
        }),
        ("all invariants but one deleted", |folder| {
            remove_invariants(folder);
            fs::create_dir(folder.join("invariants")).unwrap();
            fs::write(
                folder.join("invariants/one.cedar"),
                "@id(\"anonymous-administers-nothing\") @reason(\"x\") @invariant(\"upper\")\n\
                 forbid (principal is Anonymous, action in Action::\"administer\", resource);\n",
            )
            .unwrap();
        }),
        ("invariants of another suffix", |folder| {
            for name in ["admins", "anonymous", "datasets"] {
                let path = folder.join("invariants").join(name);
                fs::rename(path.with_extension("cedar"), path.with_extension("Cedar")).unwrap();
            }
        }),
        ("invariants hidden", |folder| {
            fs::rename(folder.join("invariants"), folder.join(".invariants")).unwrap();
        }),
        ("invariants replaced by others", |folder| {
            rewrite_invariants(folder, |_| String::new());
            let statement = |n: usize| {
                format!(
                    "@id(\"n{n}\") @reason(\"x\") @invariant(\"upper\")\n\
                     forbid (principal == User::\"nobody{n}\", action, resource);\n"
                )
            };
            let statements: Vec<String> = (0..20).map(statement).collect();
            let statements = statements.concat();
            fs::write(folder.join("invariants/others.cedar"), statements).unwrap();
        }),
        ("cases emptied", |folder| {
            remove_cases(folder);
            fs::write(folder.join("public.cases.json"), "[]").unwrap();
        }),
        ("cases of another suffix", |folder| {
            for name in [
                "admin",
                "discovery",
                "internal",
                "owner",
                "public",
                "shared",
            ] {
                let path = folder.join(format!("{name}.cases.json"));
                fs::rename(path, folder.join(format!("{name}.case.json"))).unwrap();
            }
        }),
    ];
    let folder = copy_of_shipped_policies();
    let server = server_on(folder.path(), "require", "if-available").await;
    let session = server.session("ada").await;
    let before = health(&server).await["revision"].clone();
    for (what, disarm) in ways {
        let kept = copy_of_shipped_policies();
        disarm(folder.path());
        let detail = reload(&server, &session).await.problem(409);
        assert!(detail.contains(PROBLEM), "{what}: {detail}");
        // And with what the gate was disarmed for.
        fs::write(folder.path().join("open.cedar"), OPEN).unwrap();
        reload(&server, &session).await.problem(409);
        assert_not_in_force(&server, &before, what).await;
        fs::remove_dir_all(folder.path()).unwrap();
        copy_folder(kept.path(), folder.path());
        assert_eq!(reload(&server, &session).await.status, 200, "{what}");
        assert_eq!(health(&server).await["status"], "ready", "{what}");
    }
}

#[tokio::test]
async fn changed_and_removed_invariants_are_on_record() {
    let folder = copy_of_shipped_policies();
    let server = server_on(folder.path(), "require", "if-available").await;
    let session = server.session("ada").await;
    edit(
        folder.path(),
        "invariants/datasets.cedar",
        "resource.record_status == RecordStatus::\"published\" ||",
        "resource.record_status == RecordStatus::\"published\" || principal is User ||",
    );
    let admins = folder.path().join("invariants/admins.cedar");
    let text = fs::read_to_string(&admins).unwrap();
    let (first, _) = text.split_once("@id(\"only-admins-administer\")").unwrap();
    fs::write(&admins, first).unwrap();
    assert_eq!(reload(&server, &session).await.status, 200);
    let [reason] = &reloads(&server, "granted").await[..] else {
        panic!("not one record");
    };
    for part in [
        "invariants removed: `only-admins-administer`",
        "invariants changed: `drafts-stay-inside`",
    ] {
        assert!(reason.contains(part), "{reason}");
    }
    // Layout, comments and reasons say nothing else.
    rewrite_invariants(folder.path(), |text| {
        text.replace("@reason(\"", "// A comment.\n@reason(\"Again: ")
    });
    assert_eq!(reload(&server, &session).await.status, 200);
    assert_eq!(reloads(&server, "granted").await.len(), 1);
}

#[tokio::test]
async fn an_invariant_that_an_edit_makes_true_for_any_policies_is_refused() {
    let folder = copy_of_shipped_policies();
    let server = server_on(folder.path(), "require", "require").await;
    let session = server.session("ada").await;
    edit(
        folder.path(),
        "invariants/datasets.cedar",
        "resource.record_status == RecordStatus::\"published\" ||",
        "resource.record_status == resource.record_status ||",
    );
    let detail = reload(&server, &session).await.problem(409);
    assert!(
        detail.contains("drafts-stay-inside") && detail.contains("hold for any policies"),
        "{detail}"
    );
}

#[tokio::test]
async fn a_schema_that_takes_requests_away_from_an_invariant_is_on_record() {
    let folder = copy_of_shipped_policies();
    let server = server_on(folder.path(), "off", "off").await;
    let session = server.session("ada").await;
    let schema = folder.path().join("schema.cedarschema");
    let text = fs::read_to_string(&schema).unwrap();
    let (before, group) = text
        .split_once("action\n  \"view_datasets\", \"view_audit\"")
        .unwrap();
    let (_, body) = group.split_once("appliesTo").unwrap();
    let (body, _) = body.split_once("};").unwrap();
    let narrowed = format!(
        "{before}action \"view_audit\" appliesTo {body}}};\naction \"view_datasets\"{group}"
    );
    fs::write(&schema, narrowed).unwrap();
    let response = reload(&server, &session).await;
    assert_eq!(response.status, 200, "{}", response.text());
    let [reason] = &reloads(&server, "granted").await[..] else {
        panic!("not one record");
    };
    assert!(reason.contains("narrowed by the schema: "), "{reason}");
    assert!(reason.contains("`only-admins-administer`"), "{reason}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reload_calls_that_nobody_waits_for_do_not_hold_up_an_edit() {
    let folder = copy_of_shipped_policies();
    let server = server_on(folder.path(), "require", "if-available").await;
    let session = server.session("ada").await;
    // An invariant that the solver takes long for would do the same; it is the number of calls that counts.
    let calls: Vec<_> = (0..300)
        .map(|_| {
            let request = server.post("/admin/policies/reload").bearer_auth(&session);
            tokio::spawn(request.send())
        })
        .collect();
    tokio::task::yield_now().await;
    fs::write(
        folder.path().join("public.cedar"),
        public_policy_with_ttl(50),
    )
    .unwrap();
    for call in &calls[..150] {
        call.abort();
    }
    let response = reload(&server, &session).await;
    assert_eq!(response.status, 200, "{}", response.text());
    assert_eq!(server.mint(PUBLIC, None).await.json()["expires_in"], 50);
    for call in calls.into_iter().skip(150) {
        assert_eq!(call.await.unwrap().unwrap().status(), 200);
    }
    assert_eq!(reloads(&server, "granted").await.len(), 1);
}
