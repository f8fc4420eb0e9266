//! What a check of forward-auth costs beside a mint: `cargo bench --bench forward_auth`.
//!
//! The server runs in its own process, and its processor time is counted, not that of the clients. Mints, checks and the
//! health probe, which is little more than one HTTP exchange, take turns; everything is warm. A signature is
//! measured alone. It prints figures and asserts none.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a bench prints, and fails by panicking"
)]

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use cedargate::domain::id::{DatasetId, RecordId};
use cedargate::token::{DownloadClaims, SigningKey};
use tempfile::TempDir;
use tokio::task::JoinSet;

const DATASET: &str = "2489e9ad-2ee2-8e00-8ec9-32d5f69181c0";
const ROUND_COUNT: u32 = 3;
const REQUESTS_PER_ROUND: u32 = 6_000;
const CLIENTS: u32 = 16;
/// How long a server may take to start, and to answer one request.
const START_TIMEOUT: Duration = Duration::from_secs(30);
/// The unit of times in `/proc/PID/stat`, on every Linux that Rust supports.
const TICK: Duration = Duration::from_millis(10);

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
    async fn start(http: &reqwest::Client, check: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("demo");
        let catalog = format!(
            "[[datasets]]\nid = \"{DATASET}\"\ntitle = \"Public\"\nvisibility = \"public\"\n\
             record_status = \"published\"\nfile = \"{}/jacksboro-fault-dem.cog.tif\"\n",
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
                .env("CEDARGATE_DOWNLOAD_LIMIT_PER_MINUTE", "0")
                .env("CEDARGATE_TRUSTED_PROXIES", "127.0.0.1/32")
                .env("CEDARGATE_FORWARD_AUTH_PATHS", "/cogs/{dataset_id}.tif")
                .env("CEDARGATE_FORWARD_AUTH_CHECK", check)
                .env("CEDARGATE_LOG_LEVEL", "error")
                .stdout(Stdio::null());
            command
        };
        let applied = cedargate().args(["catalog", "apply"]).arg(&file).status();
        assert!(applied.unwrap().success());
        let mut server = Self {
            process: cedargate().arg("serve").spawn().unwrap(),
            url: format!("http://127.0.0.1:{port}"),
            _folder: folder,
        };
        let ready = format!("{}/health/ready", server.url);
        let started = Instant::now();
        while http.get(&ready).send().await.is_err() {
            let ended = server.process.try_wait().unwrap();
            assert!(ended.is_none(), "the server has ended: {ended:?}");
            assert!(
                started.elapsed() < START_TIMEOUT,
                "the server does not answer"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        server
    }

    /// The processor time that the server has used.
    fn processor_time(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.process.id())).unwrap();
        let fields: Vec<&str> = stat
            .rsplit_once(')')
            .unwrap()
            .1
            .split_whitespace()
            .collect();
        let ticks: u32 = fields[11].parse::<u32>().unwrap() + fields[12].parse::<u32>().unwrap();
        TICK * ticks
    }

    fn mint(&self, http: &reqwest::Client) -> reqwest::RequestBuilder {
        http.post(format!("{}/auth/download-token/{DATASET}", self.url))
            .header("x-forwarded-for", "203.0.113.8")
    }

    fn check(&self, http: &reqwest::Client, token: &str) -> reqwest::RequestBuilder {
        http.get(format!("{}/auth/verify", self.url))
            .header("x-forwarded-for", "203.0.113.8")
            .header(
                "x-original-uri",
                format!("/cogs/{DATASET}.tif?token={token}"),
            )
    }

    fn probe(&self, http: &reqwest::Client) -> reqwest::RequestBuilder {
        http.get(format!("{}/health/live", self.url))
    }

    /// Microseconds of the processor for each request of a round.
    async fn cost(&self, request: reqwest::RequestBuilder) -> f64 {
        let before = self.processor_time();
        let mut clients = JoinSet::new();
        for _ in 0..CLIENTS {
            let request = request.try_clone().unwrap();
            clients.spawn(async move {
                for _ in 0..REQUESTS_PER_ROUND / CLIENTS {
                    let answer = request.try_clone().unwrap().send().await.unwrap();
                    assert!(answer.status().is_success(), "{}", answer.status());
                    answer.bytes().await.unwrap();
                }
            });
        }
        clients.join_all().await;
        let used = self.processor_time().checked_sub(before).unwrap();
        used.as_secs_f64() * 1e6 / f64::from(REQUESTS_PER_ROUND)
    }
}

/// Microseconds for one signature.
fn signature_cost() -> f64 {
    let key = SigningKey::generate().unwrap();
    let claims = DownloadClaims {
        issuer: "https://gate.example.org".to_owned(),
        audience: "cedargate-downloads".to_owned(),
        subject: None,
        dataset_id: DATASET.parse::<DatasetId>().unwrap(),
        id: RecordId::generate_at(1_800_000_000_000),
        issued_at: 1_800_000_000,
        expires_at: 1_800_000_120,
    };
    let started = Instant::now();
    for _ in 0..REQUESTS_PER_ROUND {
        claims.sign(&key).unwrap();
    }
    started.elapsed().as_secs_f64() * 1e6 / f64::from(REQUESTS_PER_ROUND)
}

#[tokio::main]
async fn main() {
    let http = reqwest::Client::builder().no_proxy().timeout(START_TIMEOUT);
    let http = http.build().unwrap();
    println!("signature alone: {:.1} us", signature_cost());
    for check in ["policy", "signature"] {
        let server = Server::start(&http, check).await;
        for round in 1..=ROUND_COUNT {
            let answer = server.mint(&http).send().await.unwrap();
            let text = answer.text().await.unwrap();
            let answer: serde_json::Value = serde_json::from_str(&text).unwrap();
            let token = answer["token"].as_str().unwrap().to_owned();
            let probe = server.cost(server.probe(&http)).await;
            let mint = server.cost(server.mint(&http)).await;
            let verification = server.cost(server.check(&http, &token)).await;
            println!(
                "{check}, round {round}: probe {probe:.0} us, mint {mint:.0} us, check {verification:.0} us; \
                 check : mint = {:.2}",
                verification / mint
            );
        }
    }
}
