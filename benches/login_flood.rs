//! The latency of minting during a flood of logins: `cargo bench --bench login_flood`.
//!
//! The server runs in its own process. One client mints at a constant rate, alternately alone and
//! while other clients send logins without a pause, each for another account and from another address, so
//! that each login costs an Argon2id. A latency counts from the time when the mint was due, so that a
//! server that stalls does not hide it. It prints figures and asserts none.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a bench prints, and fails by panicking"
)]

use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio::time::Instant;

const DATASET: &str = "2489e9ad-2ee2-8e00-8ec9-32d5f69181c0";
const PASSWORD: &str = "correct horse";
/// How often each of the two is measured.
const ROUND_COUNT: u32 = 5;
/// The duration of one measurement.
const ROUND_DURATION: Duration = Duration::from_secs(8);
/// The rate of minting.
const MINTS_PER_SECOND: u32 = 100;
/// How many clients send logins; fewer than may wait on one core, so that the server refuses none.
const FLOOD_CLIENTS: u32 = 60;

struct Server {
    process: Child,
    url: String,
    _folder: TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Server {
    async fn start(http: &reqwest::Client) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .unwrap()
            .port();
        let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("demo");
        let catalog = format!(
            "[[users]]\nusername = \"olivia\"\npassword = \"{PASSWORD}\"\n\n\
             [[datasets]]\nid = \"{DATASET}\"\ntitle = \"Private\"\nvisibility = \"private\"\n\
             record_status = \"published\"\nowner = \"olivia\"\n\
             file = \"{}/jacksboro-fault-dem.cog.tif\"\n",
            demo.display()
        );
        let file = folder.path().join("catalog.toml");
        std::fs::write(&file, catalog).unwrap();
        let cedargate = || {
            let mut command = Command::new(env!("CARGO_BIN_EXE_cedargate"));
            command
                .current_dir(folder.path())
                .env("CEDARGATE_LISTEN", format!("127.0.0.1:{port}"))
                .env("CEDARGATE_MINT_LIMIT_PER_MINUTE", "0")
                .env("CEDARGATE_TRUSTED_PROXIES", "127.0.0.1/32")
                .env("CEDARGATE_LOG_LEVEL", "error")
                .stdout(Stdio::null());
            command
        };
        let applied = cedargate().args(["catalog", "apply"]).arg(&file).status();
        assert!(applied.unwrap().success());
        let server = Self {
            process: cedargate().arg("serve").spawn().unwrap(),
            url: format!("http://127.0.0.1:{port}"),
            _folder: folder,
        };
        let ready = format!("{}/health/ready", server.url);
        while http.get(&ready).send().await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        server
    }
}

async fn login(http: &reqwest::Client, url: &str, username: &str, from: Ipv4Addr) -> (u16, Value) {
    let form = [
        ("grant_type", "password"),
        ("username", username),
        ("password", PASSWORD),
    ];
    let request = http.post(format!("{url}/auth/login")).form(&form);
    let request = request.header("x-forwarded-for", from.to_string());
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

/// Sends logins until it is dropped, and counts the checked ones.
fn flood(http: &reqwest::Client, url: &str, checked: &Arc<AtomicU64>) -> JoinSet<()> {
    let mut flooders = JoinSet::new();
    for _ in 0..FLOOD_CLIENTS {
        let (http, url, checked) = (http.clone(), url.to_owned(), Arc::clone(checked));
        flooders.spawn(async move {
            loop {
                let from = Ipv4Addr::from(rand::random::<u32>() | 0x0100_0000);
                let username = format!("nobody-{:08x}", rand::random::<u32>());
                let (status, _) = login(&http, &url, &username, from).await;
                if status == 401 {
                    checked.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
    }
    flooders
}

/// Mints at a constant rate for one round, and returns the latencies.
async fn mint(http: &reqwest::Client, url: &str, session: &str) -> Vec<Duration> {
    let pace = Duration::from_secs(1) / MINTS_PER_SECOND;
    let begun = Instant::now();
    let mut mints = JoinSet::new();
    let mut due = begun;
    while due < begun + ROUND_DURATION {
        tokio::time::sleep_until(due).await;
        let request = http.post(format!("{url}/auth/download-token/{DATASET}"));
        let request = request.bearer_auth(session);
        mints.spawn(async move {
            let answer = request.send().await.unwrap();
            assert_eq!(answer.status().as_u16(), 200);
            answer.bytes().await.unwrap();
            due.elapsed()
        });
        due += pace;
    }
    mints.join_all().await
}

fn percentile(latencies: &[Duration], percent: usize) -> f64 {
    let at = (latencies.len() * percent / 100).min(latencies.len() - 1);
    latencies.get(at).unwrap().as_secs_f64() * 1000.0
}

#[tokio::main]
async fn main() {
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let server = Server::start(&http).await;
    let (status, answer) = login(&http, &server.url, "olivia", Ipv4Addr::LOCALHOST).await;
    assert_eq!(status, 200, "{answer}");
    let session = answer["access_token"].as_str().unwrap();
    mint(&http, &server.url, session).await; // warms up

    let (mut quiet, mut flooded) = (Vec::new(), Vec::new());
    let checked = Arc::new(AtomicU64::new(0));
    let mut flooding = Duration::ZERO;
    for _ in 0..ROUND_COUNT {
        quiet.extend(mint(&http, &server.url, session).await);
        let begun = Instant::now();
        let mut flooders = flood(&http, &server.url, &checked);
        flooded.extend(mint(&http, &server.url, session).await);
        flooding += begun.elapsed();
        flooders.shutdown().await;
        // Checks that still run belong to the flood.
        tokio::time::sleep(Duration::from_secs(3)).await;
    }
    quiet.sort_unstable();
    flooded.sort_unstable();
    let logins = checked.load(Ordering::Relaxed) as f64 / flooding.as_secs_f64();
    println!("{MINTS_PER_SECOND} mints/s, {FLOOD_CLIENTS} flooders, {logins:.0} logins/s checked");
    println!("mint                 p50 ms    p99 ms");
    for (name, latencies) in [("quiet", &quiet), ("in a login flood", &flooded)] {
        let (p50, p99) = (percentile(latencies, 50), percentile(latencies, 99));
        println!("{name:<18} {p50:>8.2}  {p99:>8.2}");
    }
    let ratio = |percent| percentile(&flooded, percent) / percentile(&quiet, percent);
    println!("ratio              {:>8.2}  {:>8.2}", ratio(50), ratio(99));
}
