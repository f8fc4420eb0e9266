//! The server under attack: its process, its catalog, its audit log and its honest callers.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use reqwest::Client;
use serde_json::{Value, json};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{Connection, Executor};
use tempfile::TempDir;

pub(crate) const PUBLIC_DATASET: &str = "2489e9ad-2ee2-8e00-8ec9-32d5f69181c0";
const PASSWORD: &str = "correct horse";
const HIDDEN_DATASET_COUNT: u32 = 20_000;
const AUDIT_RECORD_COUNT: u32 = 1_000_000;

pub(crate) struct World {
    process: Child,
    folder: TempDir,
    pub(crate) url: String,
    pub(crate) port: u16,
    /// The trusted proxy of the honest callers: it names another address for each mint.
    proxy: Client,
    administrator: Client,
    admin_session: String,
    /// Of another administrator, so that its limits are not those of the honest one.
    pub(crate) other_admin_session: String,
    pub(crate) outsider_session: String,
    pub(crate) outsider_refresh_token: String,
    counter: AtomicU64,
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A client that connects from this address.
pub(crate) fn client_from(address: Ipv4Addr) -> Client {
    let builder = Client::builder().no_proxy();
    builder.local_address(IpAddr::V4(address)).build().unwrap()
}

impl World {
    pub(crate) async fn start() -> Arc<Self> {
        let folder = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let file = folder.path().join("catalog.toml");
        std::fs::write(&file, catalog(HIDDEN_DATASET_COUNT, "hidden")).unwrap();
        let applied = command(folder.path(), port)
            .args(["catalog", "apply"])
            .arg(&file)
            .status();
        assert!(applied.unwrap().success());
        fill_audit_log(&folder.path().join("data/cedargate.db")).await;
        let process = command(folder.path(), port).arg("serve").spawn().unwrap();
        let url = format!("http://127.0.0.1:{port}");
        let administrator = client_from(Ipv4Addr::new(127, 0, 1, 1));
        let ready = format!("{url}/health/ready");
        while administrator.get(&ready).send().await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let admin = login(&administrator, &url, "ada").await;
        let other_admin = login(&administrator, &url, "eve").await;
        let outsider = login(&administrator, &url, "otto").await;
        Arc::new(Self {
            process,
            folder,
            url,
            port,
            proxy: client_from(Ipv4Addr::LOCALHOST),
            administrator,
            admin_session: text(&admin, "access_token"),
            other_admin_session: text(&other_admin, "access_token"),
            outsider_session: text(&outsider, "access_token"),
            outsider_refresh_token: text(&outsider, "refresh_token"),
            counter: AtomicU64::new(0),
        })
    }

    pub(crate) fn next_number(&self) -> u64 {
        self.counter.fetch_add(1, Ordering::Relaxed)
    }

    /// Mints for an anonymous caller of one of many addresses.
    pub(crate) async fn mint(&self, dataset: &str) -> bool {
        let number = self.next_number();
        let address = format!("10.9.{}.{}", (number / 250) % 250, number % 250 + 1);
        let request = self
            .proxy
            .post(format!("{}/auth/download-token/{dataset}", self.url));
        let answer = request.header("x-forwarded-for", address).send().await;
        is_success(answer).await
    }

    /// Asks `/health/live` on a connection of its own.
    pub(crate) async fn probe(&self) -> bool {
        let client = client_from(Ipv4Addr::new(127, 0, 2, 1));
        is_success(client.get(format!("{}/health/live", self.url)).send().await).await
    }

    /// Creates a role.
    pub(crate) async fn change_catalog(&self) -> bool {
        let role = json!({"name": format!("role-{}", self.next_number())});
        let request = self.administrator.post(format!("{}/admin/roles", self.url));
        let request = request.bearer_auth(&self.admin_session);
        let request = request.header("content-type", "application/json");
        is_success(request.body(role.to_string()).send().await).await
    }

    pub(crate) fn memory_mib(&self) -> f64 {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let line = status
            .lines()
            .find(|line| line.starts_with("VmRSS:"))
            .unwrap();
        let kib: f64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
        kib / 1024.0
    }

    pub(crate) async fn audit_record_count(&self) -> i64 {
        let mut connection = open(&self.folder.path().join("data/cedargate.db")).await;
        sqlx::query_scalar("SELECT count(*) FROM audit_records")
            .fetch_one(&mut connection)
            .await
            .unwrap()
    }

    /// Waits until what an attack left in the queues is done.
    pub(crate) async fn settle(&self) {
        tokio::time::sleep(Duration::from_secs(3)).await;
        for _ in 0..30 {
            if self.change_catalog().await {
                break;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    /// Writes a catalog file of so many datasets, and applies it beside the running server.
    pub(crate) fn apply_catalog(&self, dataset_count: u32) -> tokio::process::Child {
        let file = self.folder.path().join("large.toml");
        std::fs::write(&file, catalog(dataset_count, "large")).unwrap();
        let mut apply = tokio::process::Command::from(command(self.folder.path(), self.port));
        apply
            .args(["catalog", "apply"])
            .arg(&file)
            .stderr(Stdio::null());
        apply.kill_on_drop(true).spawn().unwrap()
    }
}

async fn is_success(answer: Result<reqwest::Response, reqwest::Error>) -> bool {
    match answer {
        Ok(answer) => answer.status().is_success() && answer.bytes().await.is_ok(),
        Err(_) => false,
    }
}

fn text(answer: &Value, member: &str) -> String {
    answer[member].as_str().unwrap().to_owned()
}

async fn login(client: &Client, url: &str, username: &str) -> Value {
    let form = [
        ("grant_type", "password"),
        ("username", username),
        ("password", PASSWORD),
    ];
    let answer = client
        .post(format!("{url}/auth/login"))
        .form(&form)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status().as_u16(), 200);
    answer.json().await.unwrap()
}

fn command(folder: &Path, port: u16) -> Command {
    let program = std::env::var("CEDARGATE_BENCH_PROGRAM")
        .unwrap_or_else(|_| env!("CARGO_BIN_EXE_cedargate").to_owned());
    let mut command = Command::new(program);
    command
        .current_dir(folder)
        .env_remove("CEDARGATE_BENCH_PROGRAM")
        .env("CEDARGATE_LISTEN", format!("127.0.0.1:{port}"))
        .env("CEDARGATE_TRUSTED_PROXIES", "127.0.0.1/32")
        .env("CEDARGATE_LOG_LEVEL", "error")
        .stdout(Stdio::null());
    command
}

/// Two administrators, an outsider, one public dataset, and many that neither the public nor the outsider sees.
fn catalog(dataset_count: u32, prefix: &str) -> String {
    let demo: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("demo");
    let mut text = format!(
        "[[users]]\nusername = \"ada\"\npassword = \"{PASSWORD}\"\nroles = [\"admin\"]\n\n\
         [[users]]\nusername = \"eve\"\npassword = \"{PASSWORD}\"\nroles = [\"admin\"]\n\n\
         [[users]]\nusername = \"otto\"\npassword = \"{PASSWORD}\"\n\n\
         [[datasets]]\nid = \"{PUBLIC_DATASET}\"\ntitle = \"Public\"\nvisibility = \"public\"\n\
         record_status = \"published\"\nowner = \"ada\"\nfile = \"{}/jacksboro-fault-dem.cog.tif\"\n",
        demo.display()
    );
    let is_large = prefix == "large";
    let readers = if is_large { reader_names() } else { Vec::new() };
    for name in &readers {
        write!(text, "\n[[users]]\nusername = \"{name}\"\n").unwrap();
    }
    let kind = if is_large { 2 } else { 1 };
    for number in 0..dataset_count {
        write!(
            text,
            "\n[[datasets]]\nid = \"0000000{kind}-0000-4000-8000-{number:012}\"\n\
             title = \"{prefix} {number}\"\nvisibility = \"private\"\nrecord_status = \"published\"\n\
             owner = \"ada\"\nreader_users = {readers:?}\n"
        )
        .unwrap();
    }
    text
}

fn reader_names() -> Vec<String> {
    (0..20).map(|number| format!("reader-{number}")).collect()
}

async fn open(database: &Path) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(database);
    SqliteConnection::connect_with(&options).await.unwrap()
}

/// Downloads of many users and datasets, one a second.
async fn fill_audit_log(database: &Path) {
    let fill = format!(
        "WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {AUDIT_RECORD_COUNT})
         INSERT INTO audit_records (id, unix_millis, event, outcome, user_id, authentication, address,
             dataset_id, action, determining_policies, errors)
         SELECT unhex(printf('%012x70008000%012x', 1700000000000 + n * 1000, n)), 1700000000000 + n * 1000,
             'download', 'granted', unhex(printf('%032x', n % 50)), 'none', '10.1.2.3',
             unhex(printf('%032x', n % 200)), 'read', '[]', '[]'
         FROM numbers"
    );
    let mut connection = open(database).await;
    connection.execute(sqlx::AssertSqlSafe(fill)).await.unwrap();
}
