//! What happens while a draft is judged: its author loses the permission, or goes away.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use futures_util::StreamExt;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::admin_client::USERS;
use crate::support::cli::copy_of_shipped_policies;
use crate::support::eventually;
use crate::support::server::{CATALOG, PASSWORD, TestResponse};
use crate::support::server_process::{ProcessSettings, ServerProcess};

use super::{DRAFTS, files};

/// A policy that nothing is known of before the solver was asked.
const UNPROVED: &str = "@id(\"more\") @reason(\"x\")\n\
    permit (principal in Role::\"hydrology\", action == Action::\"read\", resource is Dataset)\n\
    when { resource.visibility == Visibility::\"internal\" && \
    resource.record_status == RecordStatus::\"published\" };";

/// A server whose solver waits until a file is there, once it has started.
struct SlowJudge {
    folder: TempDir,
    _run: ProcessSettings,
    process: ServerProcess,
    go: PathBuf,
    asked: PathBuf,
}

impl SlowJudge {
    async fn start() -> Self {
        let folder = copy_of_shipped_policies();
        let policies = folder.path().display().to_string();
        let run = ProcessSettings::new(&[
            ("CEDARGATE_POLICY_DIR", &policies),
            ("CEDARGATE_POLICY_WRITES", "allow"),
        ]);
        let eve = format!(
            "[[users]]\nusername = \"eve\"\npassword = \"{PASSWORD}\"\nroles = [\"admin\"]\n"
        );
        run.apply(&[CATALOG, &eve].concat()).await;
        let path_of = |name| run.folder.path().join(name);
        let (go, asked, solver) = (path_of("go"), path_of("asked"), path_of("solver"));
        write_waiting_solver(&solver, &go, &asked);
        fs::write(&go, "").unwrap();
        let process = run.start(&[("CVC5", &solver.display().to_string())]);
        fs::remove_file(&go).unwrap();
        fs::remove_file(&asked).unwrap();
        Self {
            folder,
            _run: run,
            process,
            go,
            asked,
        }
    }

    /// Begins to publish, and waits until the draft is being proved.
    async fn begin_to_publish(&self, session: &str) -> reqwest::Response {
        let edit = json!({"files": {"more.cedar": UNPROVED}});
        let request = self.process.post(DRAFTS, session).json(&edit);
        let draft = TestResponse::send(request).await.json();
        let id = draft["id"].as_str().unwrap();
        let path = format!("{DRAFTS}/{id}/publish?version={}", draft["version"]);
        let tag = format!("\"{}\"", draft["base_revision"].as_str().unwrap());
        let request = self.process.post(&path, session).header("If-Match", tag);
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        eventually(async || self.asked.exists()).await;
        response
    }

    async fn get(&self, path: &str, session: &str) -> Value {
        let url = format!("{}{path}", self.process.url);
        let request = self.process.http.get(url).bearer_auth(session);
        TestResponse::send(request).await.json()
    }

    /// The last record of a publish.
    async fn record(&self, session: &str) -> Value {
        let audit = self.get("/admin/audit?action=edit_policies", session).await;
        audit["items"][0].clone()
    }
}

fn write_waiting_solver(path: &Path, go: &Path, asked: &Path) {
    let script = format!(
        "#!/bin/sh\ncase \"$1\" in --version) exec cvc5 \"$@\";; esac\n\
         touch '{}'\nwhile [ ! -e '{}' ]; do sleep 0.02; done\nexec cvc5 \"$@\"\n",
        asked.display(),
        go.display()
    );
    fs::write(path, script).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

#[tokio::test]
async fn an_author_who_may_not_publish_any_more_when_the_draft_is_judged_changes_nothing() {
    let judge = SlowJudge::start().await;
    let before = files(judge.folder.path());
    let (ada, eve) = (
        judge.process.session("ada").await,
        judge.process.session("eve").await,
    );
    let publishing = judge.begin_to_publish(&ada).await;
    let found = judge.get(&format!("{USERS}?username=ada"), &eve).await;
    let id = found["items"][0]["id"].as_str().unwrap();
    let url = format!("{}{USERS}/{id}", judge.process.url);
    let body = json!({"username": "ada", "roles": [], "is_disabled": false});
    let request = judge.process.http.put(url).bearer_auth(&eve).json(&body);
    assert_eq!(TestResponse::send(request).await.status, 200);
    fs::write(&judge.go, "").unwrap();
    let events = publishing.text().await.unwrap();
    assert!(events.contains("event: problem\n"), "{events}");
    assert!(events.contains("edit_policies"), "{events}");
    assert_eq!(files(judge.folder.path()), before);
    assert_eq!(judge.record(&eve).await["outcome"], "denied");
}

#[tokio::test]
async fn an_author_who_goes_away_while_the_draft_is_judged_gives_it_up() {
    let judge = SlowJudge::start().await;
    let before = files(judge.folder.path());
    let ada = judge.process.session("ada").await;
    let publishing = judge.begin_to_publish(&ada).await;
    let mut body = publishing.bytes_stream();
    body.next().await.unwrap().unwrap();
    drop(body);
    eventually(async || !judge.record(&ada).await.is_null()).await;
    fs::write(&judge.go, "").unwrap();
    let record = judge.record(&ada).await;
    assert_ne!(record["outcome"], "granted", "{record}");
    assert_eq!(files(judge.folder.path()), before);
}
