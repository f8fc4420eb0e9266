//! Edits of the policy folder while the server runs: each comes into force as a whole or not at all.

mod load;

use std::fs;
use std::path::{Path, PathBuf};

use cedargate::app::{App, Stores};
use cedargate::policy::Bundle;
use serde_json::Value;

use crate::support::cli::edit;
use crate::support::cli::{cedargate, copy_folder, copy_of_shipped_policies, repository};
use crate::support::eventually;
use crate::support::records::records;
use crate::support::server::{INTERNAL, PUBLIC, Server, ServerOptions, TestResponse};

const BROKEN: &str = "@id(\"secret-word\")\npermit (principal, action, resorce);\n";

/// A server with this policy folder and these settings of the policy gate.
pub(crate) async fn server_on(folder: &Path, cases: &str, proofs: &str) -> Server {
    Server::start_with(ServerOptions {
        environment: vec![
            ("CEDARGATE_POLICY_DIR", folder.display().to_string()),
            ("CEDARGATE_GATE_CASES", cases.to_owned()),
            ("CEDARGATE_GATE_PROOFS", proofs.to_owned()),
        ],
        ..ServerOptions::default()
    })
    .await
}

pub(crate) async fn reload(server: &Server, session: &str) -> TestResponse {
    TestResponse::send(server.post("/admin/policies/reload").bearer_auth(session)).await
}

async fn policies_in_force(server: &Server, session: &str) -> Value {
    TestResponse::send(server.get("/admin/policies").bearer_auth(session))
        .await
        .json()
}

pub(crate) async fn health(server: &Server) -> Value {
    let ready = TestResponse::send(server.get("/health/ready")).await;
    assert_eq!(ready.status, 200);
    ready.json()
}

fn revision_of(folder: &Path) -> String {
    Bundle::load(folder).unwrap().revision().to_string()
}

/// The shipped public policy with this `@max_ttl`.
pub(crate) fn public_policy_with_ttl(seconds: u32) -> String {
    let text = fs::read_to_string(repository().join("policies/public.cedar")).unwrap();
    text.replace("permit (", &format!("@max_ttl(\"{seconds}\")\npermit ("))
}

#[tokio::test]
async fn an_edit_comes_into_force_however_it_is_saved() {
    let folder = copy_of_shipped_policies();
    let path_in = |name: &str| folder.path().join(name);
    let server = server_on(folder.path(), "require", "off").await;
    let is_live = async |seconds: u32| {
        let revision = revision_of(folder.path());
        eventually(async || health(&server).await["revision"] == revision).await;
        let response = server.mint(PUBLIC, None).await.json();
        assert_eq!(response["expires_in"], seconds);
    };
    // Truncated and written.
    fs::write(path_in("public.cedar"), public_policy_with_ttl(50)).unwrap();
    is_live(50).await;
    // Renamed over.
    fs::write(path_in(".public.cedar.new"), public_policy_with_ttl(40)).unwrap();
    fs::rename(path_in(".public.cedar.new"), path_in("public.cedar")).unwrap();
    is_live(40).await;
    // Several files: a policy moves to another one.
    fs::remove_file(path_in("public.cedar")).unwrap();
    fs::create_dir(path_in("more")).unwrap();
    fs::write(path_in("more/open.cedar"), public_policy_with_ttl(30)).unwrap();
    is_live(30).await;
    let reloads = records(&server).await;
    let reloads = reloads
        .iter()
        .filter(|record| record["event"] == "policy_reload" && record["outcome"] == "granted");
    assert_eq!(reloads.count(), 3);
    assert_eq!(health(&server).await["status"], "ready");
}

#[tokio::test]
async fn a_broken_edit_leaves_the_policies_in_force_and_is_reported_once_everywhere() {
    let folder = copy_of_shipped_policies();
    let server = server_on(folder.path(), "require", "off").await;
    let session = server.session("ada").await;
    let before = health(&server).await["revision"].clone();
    let broken = folder.path().join("broken.cedar");
    fs::write(&broken, BROKEN).unwrap();
    eventually(async || health(&server).await["status"] == "degraded").await;
    let ready = health(&server).await;
    assert_eq!(ready["revision"], before);
    let message = ready["problems"].to_string();
    assert!(message.contains("not valid"), "{message}");
    assert!(!message.contains("secret-word") && !message.contains("broken.cedar"));
    let detail = reload(&server, &session).await.problem(409);
    assert!(detail.contains("broken.cedar:2"), "{detail}");
    let policies = policies_in_force(&server, &session).await;
    assert_eq!(policies["in_force"]["revision"], before);
    let diagnostic = &policies["refused"]["diagnostics"][0];
    assert!(
        diagnostic["file"]
            .as_str()
            .unwrap()
            .ends_with("broken.cedar")
    );
    assert_eq!(diagnostic["line"], 2);
    assert!(diagnostic["column"].is_u64());
    server.mint(PUBLIC, None).await.token();
    let metrics = TestResponse::send(server.get("/metrics")).await.body;
    let metrics = String::from_utf8(metrics).unwrap();
    assert!(metrics.contains("cedargate_policy_folder_refused"));
    assert!(metrics.contains("cedargate_policy_reloads_total{outcome=\"refused\"}"));
    fs::remove_file(&broken).unwrap();
    assert_eq!(reload(&server, &session).await.status, 200);
    assert_eq!(health(&server).await["status"], "ready");
    assert!(policies_in_force(&server, &session).await["refused"].is_null());
    let refused = records(&server).await;
    let refused: Vec<&Value> = refused
        .iter()
        .filter(|record| record["event"] == "policy_reload" && record["outcome"] == "refused")
        .collect();
    assert_eq!(refused.len(), 1, "{refused:?}");
}

#[tokio::test]
async fn an_edit_that_fails_its_cases_is_refused() {
    let folder = copy_of_shipped_policies();
    let server = server_on(folder.path(), "require", "off").await;
    let session = server.session("ada").await;
    edit(folder.path(), "internal.cedar", "&&", "||");
    let detail = reload(&server, &session).await.problem(409);
    assert!(detail.contains("cases are not met"), "{detail}");
    let refused = policies_in_force(&server, &session).await["refused"].clone();
    let first = refused["details"][0].as_str().unwrap();
    assert!(first.contains(".cases.json:"), "{first}");
}

#[tokio::test]
async fn an_edit_of_the_policy_folder_is_compared_with_the_policies_in_force() {
    let folder = copy_of_shipped_policies();
    let server = server_on(folder.path(), "require", "off").await;
    let live = health(&server).await["revision"].clone();
    let live = live.as_str().unwrap();
    edit(folder.path(), "internal.cedar", "&&", "||");
    reload(&server, &server.session("ada").await)
        .await
        .problem(409);
    let data = server.folder.path().to_str().unwrap();
    let edited = folder.path().to_str().unwrap();
    let settings = [
        ("CEDARGATE_DATA_DIR", data),
        ("CEDARGATE_POLICY_DIR", edited),
    ];
    let run = |words: &[&str]| cedargate(server.folder.path(), words, &settings);
    for from in ["live", live] {
        let diff = ["policy", "diff", "--from", from, "--to", edited, "--json"];
        let compared = run(&diff);
        assert_eq!(compared.code, 0, "{}", compared.messages);
        let compared: Value = serde_json::from_str(&compared.data).unwrap();
        assert_eq!(compared["from"], live);
        assert_ne!(compared["changed"], 0);
    }
    let other = revision_of(folder.path());
    let unknown = run(&["policy", "diff", "--from", &other, "--to", edited]);
    assert_eq!(unknown.code, 1);
    let message = unknown.messages;
    assert!(
        message.contains(&other) && message.contains(live) && message.contains("hint: "),
        "{message}"
    );
    let arguments = [
        "--principal",
        "mo",
        "--action",
        "read",
        "--dataset",
        INTERNAL,
        "--json",
    ];
    let explained = run(&[&["policy", "explain"], &arguments[..]].concat());
    let explained: Value = serde_json::from_str(&explained.data).unwrap();
    assert_eq!(explained["revision"], live);
}

const EMBARGO: &str = "@id(\"embargo\")\n\
    forbid (principal, action == Action::\"read\", resource)\n\
    when { resource.hasTag(\"embargo\") }";
const OWNERS_READ: &str = "@id(\"owners-read\")\n\
    @reason(\"Owners read what is theirs, under embargo too.\")\n@invariant(\"lower\")\n\
    permit (principal is User, action == Action::\"read\", resource is Dataset)\n\
    when { resource has owner && resource.owner == principal };\n";

#[tokio::test]
async fn each_of_three_mistakes_is_refused_with_a_counterexample() {
    let folder = copy_of_shipped_policies();
    let server = server_on(folder.path(), "off", "require").await;
    let session = server.session("ada").await;
    let before = health(&server).await["revision"].clone();
    let put_right = |name: &str| {
        let shipped = repository().join("policies").join(name);
        fs::copy(shipped, folder.path().join(name)).unwrap();
    };
    let assert_refused = async |id: &str| {
        let detail = reload(&server, &session).await.problem(409);
        assert!(detail.contains(id), "{detail}");
        let policies = policies_in_force(&server, &session).await;
        assert_eq!(policies["in_force"]["revision"], before);
        let broken = policies["refused"]["invariants"]
            .as_array()
            .unwrap()
            .clone();
        let broken = broken.iter().find(|one| one["id"] == id).unwrap();
        let example = broken["counterexample"].as_str().unwrap();
        assert!(example.contains("answer"), "{example}");
    };
    let check = " &&\n  resource.record_status == RecordStatus::\"published\"";
    edit(folder.path(), "public.cedar", check, "");
    assert_refused("anonymous-reads-public").await;
    put_right("public.cedar");
    edit(folder.path(), "internal.cedar", "&&", "||");
    assert_refused("drafts-stay-inside").await;
    put_right("internal.cedar");
    let path_in = |name: &str| folder.path().join(name);
    fs::write(path_in("invariants/embargo.cedar"), OWNERS_READ).unwrap();
    fs::write(path_in("embargo.cedar"), format!("{EMBARGO};\n")).unwrap();
    assert_refused("owners-read").await;
    let unless = "unless { principal in Role::\"admin\" || \
                  (resource has owner && resource.owner == principal) };\n";
    fs::write(path_in("embargo.cedar"), format!("{EMBARGO}\n{unless}")).unwrap();
    let response = reload(&server, &session).await;
    assert_eq!(
        response.status,
        200,
        "{}",
        String::from_utf8_lossy(&response.body)
    );
    assert_eq!(
        health(&server).await["revision"],
        revision_of(folder.path())
    );
}

/// A name, a change that breaks a policy folder, and part of the message about it.
pub(crate) type BadInput = (&'static str, fn(&Path), &'static str);

pub(crate) fn bad_inputs() -> Vec<BadInput> {
    fn path_in(folder: &Path, name: &str) -> PathBuf {
        folder.join(name)
    }
    vec![
        (
            "an empty folder",
            |folder| {
                fs::remove_dir_all(folder).unwrap();
                fs::create_dir(folder).unwrap();
            },
            "no schema",
        ),
        (
            "a folder that vanishes",
            |folder| fs::remove_dir_all(folder).unwrap(),
            "cannot read",
        ),
        (
            "50 MiB",
            |folder| {
                let large = fs::File::create(path_in(folder, "large.cedar")).unwrap();
                large.set_len(50 * 1024 * 1024).unwrap();
            },
            "larger than",
        ),
        (
            "invalid UTF-8",
            |folder| {
                fs::write(path_in(folder, "odd.cedar"), b"// \xff\xfe").unwrap();
            },
            "not UTF-8",
        ),
        (
            "brackets without end",
            |folder| {
                let brackets = ["(".repeat(5_000), ")".repeat(5_000)].join("true");
                let policy = format!("permit (principal, action, resource) when {{ {brackets} }};");
                fs::write(path_in(folder, "deep.cedar"), policy).unwrap();
            },
            "nest deeper",
        ),
        (
            "an entity type is gone",
            |folder| {
                let schema = path_in(folder, "schema.cedarschema");
                let text = fs::read_to_string(&schema).unwrap();
                fs::write(schema, text.replace("entity Role", "entity Roll")).unwrap();
            },
            "Role",
        ),
        (
            "two policies with one id",
            |folder| {
                fs::copy(
                    path_in(folder, "public.cedar"),
                    path_in(folder, "again.cedar"),
                )
                .unwrap();
            },
            "public",
        ),
    ]
}

#[tokio::test]
async fn bad_folders_are_refused_with_a_clear_reason_and_repair_recovers() {
    let outer = tempfile::tempdir().unwrap();
    let folder = outer.path().join("policies");
    copy_folder(&repository().join("policies"), &folder);
    let server = server_on(&folder, "off", "off").await;
    let session = server.session("ada").await;
    let before = health(&server).await["revision"].clone();
    for (name, break_folder, message) in bad_inputs() {
        break_folder(&folder);
        let detail = reload(&server, &session).await.problem(409);
        assert!(detail.contains(message), "{name}: {detail}");
        let ready = health(&server).await;
        assert_eq!(ready["status"], "degraded", "{name}");
        assert_eq!(ready["revision"], before, "{name}");
        server.mint(PUBLIC, None).await.token();
        fs::remove_dir_all(&folder).ok();
        copy_folder(&repository().join("policies"), &folder);
        assert_eq!(reload(&server, &session).await.status, 200, "{name}");
        assert_eq!(health(&server).await["status"], "ready", "{name}");
    }
}

#[tokio::test]
async fn a_restart_with_a_broken_folder_uses_the_last_good_policies() {
    let folder = copy_of_shipped_policies();
    let server = server_on(folder.path(), "require", "off").await;
    fs::write(
        folder.path().join("public.cedar"),
        public_policy_with_ttl(50),
    )
    .unwrap();
    let session = server.session("ada").await;
    // The watcher may have been first.
    let good = revision_of(folder.path());
    assert_eq!(reload(&server, &session).await.json()["revision"], good);
    fs::write(folder.path().join("broken.cedar"), BROKEN).unwrap();
    let mut server = server.restarted().await;
    let ready = health(&server).await;
    assert_eq!(
        (&ready["status"], &ready["revision"]),
        (&"degraded".into(), &good.into())
    );
    assert_eq!(server.mint(PUBLIC, None).await.json()["expires_in"], 50);
    let refused = records(&server).await;
    assert!(
        refused
            .iter()
            .any(|record| record["event"] == "policy_reload" && record["outcome"] == "refused")
    );
    assert!(server.stop().await);
    let kept = server.settings.data_dir.join("last-good-policies.json");
    let text = fs::read_to_string(&kept).unwrap();
    for edited in [
        text.replace("@max_ttl", "@min_ttl"),
        text[..text.len() / 2].to_owned(),
    ] {
        fs::write(&kept, edited).unwrap();
        let stores = Stores::open(&server.settings).await.unwrap();
        let opened = App::open(&server.settings, stores, server.clock.clone()).await;
        let error = opened.err().unwrap().to_string();
        assert!(
            error.contains("damaged") && error.contains("broken.cedar:2"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_reload_requires_a_permit_and_reports_a_missing_folder() {
    let server = Server::start().await;
    reload(&server, &server.session("mo").await)
        .await
        .problem(403);
    TestResponse::send(server.post("/admin/policies/reload"))
        .await
        .problem(401);
    let response = reload(&server, &server.session("ada").await).await.json();
    assert_eq!(response["has_folder"], false);
    assert_eq!(response["is_changed"], false);
}
