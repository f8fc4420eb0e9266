//! A server that is killed while it publishes: after the next start the folder is as before it, or the draft is on record
//! and in force.

use std::fs;
use std::path::{Path, PathBuf};

use cedargate::config::Settings;
use cedargate::domain::clock::Clock;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinHandle;

use crate::policy_reload::{health, public_policy_with_ttl};
use crate::support::cli::copy_of_shipped_policies;
use crate::support::eventually;
use crate::support::records::records;
use crate::support::server::{CATALOG, PUBLIC, Server, TestResponse};
use crate::support::server_process::{ProcessSettings, ServerProcess};
use crate::support::sqlite::ExclusiveLock;

use super::{DRAFTS, files};

const NEW: [&str; 2] = ["a.cedar", "more/b.cedar"];
const LAST_GOOD: &str = "last-good-policies.json";

/// A server in a process of its own that has written a draft to its folder and cannot put it on record yet.
struct HeldPublish {
    folder: TempDir,
    settings: Settings,
    _run: ProcessSettings,
    process: ServerProcess,
    lock: ExclusiveLock,
    edit: Value,
    publishing: JoinHandle<TestResponse>,
}

impl HeldPublish {
    async fn begin() -> Self {
        let folder = copy_of_shipped_policies();
        let policies = folder.path().display().to_string();
        let environment = [
            ("CEDARGATE_POLICY_DIR", &*policies),
            ("CEDARGATE_POLICY_WRITES", "allow"),
            ("CEDARGATE_GATE_PROOFS", "off"),
        ];
        let run = ProcessSettings::new(&environment);
        let settings = run.settings();
        run.apply(CATALOG).await;
        let process = run.start(&[]);
        let mut edit = json!({"public.cedar": public_policy_with_ttl(50)});
        for name in NEW {
            edit[name] = format!("// {name}\n").into();
        }
        let session = process.session("ada").await;
        let request = process.post(DRAFTS, &session).json(&json!({"files": edit}));
        let draft = TestResponse::send(request).await.json();
        let (id, base) = (draft["id"].as_str().unwrap(), &draft["base_revision"]);
        let path = format!("{DRAFTS}/{id}/publish?version={}", draft["version"]);
        let tag = format!("\"{}\"", base.as_str().unwrap());
        let request = process.post(&path, &session).header("If-Match", tag);
        let lock = ExclusiveLock::acquire(&settings.data_dir.join("cedargate.db")).await;
        let publishing = tokio::spawn(TestResponse::send(request));
        eventually(async || NEW.iter().all(|name| folder.path().join(name).exists())).await;
        assert_eq!(journals(&settings.data_dir).len(), 1);
        Self {
            folder,
            settings,
            _run: run,
            process,
            lock,
            edit,
            publishing,
        }
    }
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

#[tokio::test]
async fn a_publish_that_a_kill_interrupts_is_taken_back_by_the_next_start() {
    for done in 0..=3 {
        let shipped = copy_of_shipped_policies();
        let held = HeldPublish::begin().await;
        let (folder, edit, settings) = (&held.folder, &held.edit, &held.settings);
        held.process.kill();
        held.lock.release().await;
        // Everything is as it is when it is killed after it has put `done` files in their places.
        for name in edit.as_object().unwrap().keys().skip(done) {
            let path = folder.path().join(name);
            match fs::read(shipped.path().join(name)) {
                Ok(before) => fs::write(path, before).unwrap(),
                Err(_) => fs::remove_file(path).unwrap(),
            }
        }
        let server = Server::replica_of(settings.clone(), Clock::system()).await;
        assert_eq!(files(folder.path()), files(shipped.path()), "{done}");
        assert!(journals(&settings.data_dir).is_empty());
        assert_eq!(health(&server).await["status"], "ready");
        assert_ne!(server.mint(PUBLIC, None).await.json()["expires_in"], 50);
        let records = records(&server).await;
        let mut events = records.iter().map(|record| &record["event"]);
        assert!(events.all(|event| event != "policy_reload"));
    }
}

#[tokio::test]
async fn a_publish_that_is_on_record_is_never_taken_back() {
    // Whether the process ends before it has saved what is in force for the next start.
    for is_saved in [true, false] {
        let held = HeldPublish::begin().await;
        let (folder, edit, data) = (&held.folder, &held.edit, &held.settings.data_dir);
        let journal = journals(data).remove(0);
        let (left, last_good) = (
            fs::read(&journal).unwrap(),
            fs::read(data.join(LAST_GOOD)).unwrap(),
        );
        held.lock.release().await;
        let published = held.publishing.await.unwrap();
        assert!(published.text().contains("event: published"));
        assert!(journals(data).is_empty());
        held.process.kill();
        fs::write(journal, left).unwrap();
        if !is_saved {
            fs::write(data.join(LAST_GOOD), last_good).unwrap();
        }
        let server = Server::replica_of(held.settings.clone(), Clock::system()).await;
        let now = files(folder.path());
        for (name, text) in edit.as_object().unwrap() {
            assert_eq!(&now[name], text.as_str().unwrap());
        }
        assert!(journals(data).is_empty());
        assert_eq!(server.mint(PUBLIC, None).await.json()["expires_in"], 50);
    }
}

#[tokio::test]
async fn a_publish_that_cannot_be_put_on_record_is_taken_back_at_once() {
    let shipped = copy_of_shipped_policies();
    let held = HeldPublish::begin().await;
    let ended = held.publishing.await.unwrap();
    assert!(ended.text().contains("event: problem"), "{}", ended.text());
    assert_eq!(files(held.folder.path()), files(shipped.path()));
    assert!(journals(&held.settings.data_dir).is_empty());
    held.lock.release().await;
}

#[tokio::test]
async fn a_publish_that_cannot_be_taken_back_leaves_the_policies_in_force_that_were() {
    let shipped = copy_of_shipped_policies();
    let held = HeldPublish::begin().await;
    let folder = &held.folder;
    held.process.kill();
    held.lock.release().await;
    // A folder is where a file has to be removed.
    fs::remove_file(folder.path().join("a.cedar")).unwrap();
    fs::create_dir(folder.path().join("a.cedar")).unwrap();
    let server = Server::replica_of(held.settings.clone(), Clock::system()).await;
    assert_ne!(server.mint(PUBLIC, None).await.json()["expires_in"], 50);
    assert_eq!(journals(&held.settings.data_dir).len(), 1);
    let reload = async || {
        let session = server.session("ada").await;
        let request = server
            .http
            .post(format!("{}/admin/policies/reload", server.url));
        TestResponse::send(request.bearer_auth(session)).await
    };
    let detail = reload().await.problem(409);
    assert!(detail.contains("cannot be taken back: "), "{detail}");
    fs::remove_dir(folder.path().join("a.cedar")).unwrap();
    assert_eq!(reload().await.json()["is_changed"], false);
    assert_eq!(files(folder.path()), files(shipped.path()));
    assert!(journals(&held.settings.data_dir).is_empty());
}
