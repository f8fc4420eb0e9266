//! A server that is killed while it writes the policy folder: after the next start the folder is wholly new.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use cedargate::app::Stores;
use cedargate::domain::clock::Clock;
use serde_json::{Value, json};

use crate::policy_reload::{health, public_policy_with_ttl};
use crate::support::admin_client::AdminClient;
use crate::support::cli::copy_of_shipped_policies;
use crate::support::eventually;
use crate::support::records::records;
use crate::support::server::{CATALOG, PUBLIC, Server, TestResponse, apply};
use crate::support::server_process::{ProcessSettings, ServerProcess};

use super::{DRAFTS, files};

const NEW: [&str; 2] = ["a.cedar", "more/b.cedar"];

/// Begins to publish a draft, and does not wait for the end.
async fn begin_to_publish(process: &ServerProcess, edit: &Value) {
    let session = process.session("ada").await;
    let request = process.post(DRAFTS, &session).json(&json!({"files": edit}));
    let draft = TestResponse::send(request).await.json();
    let (id, base) = (draft["id"].clone(), draft["base_revision"].clone());
    let path = format!("{DRAFTS}/{}/publish", id.as_str().unwrap());
    let tag = format!("\"{}\"", base.as_str().unwrap());
    let request = process.post(&path, &session).header("If-Match", tag);
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 200);
    tokio::spawn(response.bytes());
}

fn journals(data: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(data)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let name_of = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
    entries
        .filter(|path| name_of(path).starts_with("publish-"))
        .collect()
}

/// Everything is as it is when the process is killed after it has put `done` files in their places.
fn put_in_place(policies: &Path, edit: &Value, done: usize) {
    for (name, text) in edit.as_object().unwrap().iter().take(done) {
        let path = policies.join(name);
        match text.as_str() {
            Some(text) => {
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, text).unwrap();
            }
            None => fs::remove_file(path).unwrap(),
        }
    }
}

#[tokio::test]
async fn a_publish_that_a_kill_interrupts_is_finished_by_the_next_start_and_on_record() {
    for done in 0..=3 {
        let folder = copy_of_shipped_policies();
        let policies = folder.path().display().to_string();
        let environment = [
            ("CEDARGATE_POLICY_DIR", &*policies),
            ("CEDARGATE_POLICY_WRITES", "allow"),
            ("CEDARGATE_GATE_PROOFS", "off"),
        ];
        let run = ProcessSettings::new(&environment);
        let settings = run.settings();
        let clock = Clock::system();
        let stores = Stores::open(&settings).await.unwrap();
        apply(&stores, CATALOG, &clock).await;
        drop(stores);
        let process = run.start(&[]);
        let mut edit = json!({"public.cedar": public_policy_with_ttl(50)});
        for name in NEW {
            edit[name] = format!("// {name}\n").into();
        }
        // The server waits for a reader of this pipe before it puts any file in its place.
        let pipe = folder.path().join(".cedargate-publish-0");
        let made = Command::new("mkfifo").arg(&pipe).status().unwrap();
        assert!(made.success());
        begin_to_publish(&process, &edit).await;
        eventually(async || !journals(&settings.data_dir).is_empty()).await;
        process.kill();
        assert!(!folder.path().join("a.cedar").exists());
        put_in_place(folder.path(), &edit, done);

        let server = Server::replica_of(settings.clone(), clock).await;
        let now = files(folder.path());
        for (name, text) in edit.as_object().unwrap() {
            assert_eq!(&now[name], text.as_str().unwrap(), "{done}");
        }
        assert!(now.keys().all(|name| !name.contains(".cedargate")));
        assert!(journals(&settings.data_dir).is_empty());
        assert_eq!(health(&server).await["status"], "ready");
        assert_eq!(server.mint(PUBLIC, None).await.json()["expires_in"], 50);
        let ada = AdminClient::sign_in(&server, "ada").await;
        let published_by = format!("; published by user {}", ada.user_id("ada").await);
        let records = records(&server).await;
        let mut reloads = records
            .iter()
            .filter(|record| record["event"] == "policy_reload");
        let reason = reloads.next().unwrap()["reason"].as_str().unwrap();
        assert!(reason.starts_with("at the start, "), "{reason}");
        assert!(reason.ends_with(&published_by), "{reason}");
        assert!(reloads.next().is_none());
    }
}
