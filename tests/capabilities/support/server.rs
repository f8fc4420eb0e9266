//! A server for each test: real HTTP, a real database, real files, and a clock that the test sets.

use std::net::SocketAddr;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cedargate::app::{App, Stores};
use cedargate::config::{SettingSources, Settings};
use cedargate::domain::clock::Clock;
use cedargate::service::catalog;
use cedargate::service::catalog::{ApplyOptions, CatalogFile};
use cedargate::storage::Database;
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{LONG_LIMITS, WAIT_TIMEOUT};

pub(crate) const PUBLIC: &str = "2489e9ad-2ee2-8e00-8ec9-32d5f69181c0";
pub(crate) const INTERNAL: &str = "c05d7e1b-34f6-4b09-a2c8-7e91d46f0b32";
pub(crate) const RESTRICTED: &str = "6b1f0a52-8c3d-4e7a-9f14-05d2c7e3a981";
pub(crate) const PRIVATE: &str = "91e4c6d8-7a20-4f5b-8d3e-1b60f9a2c574";
pub(crate) const DRAFT: &str = "3fa82b90-d5c1-4867-b7e2-c4093d6e15af";
pub(crate) const WITHOUT_FILE: &str = "5d0c2a91-6f38-4be4-a7d1-90e2b84c6f17";
pub(crate) const UNKNOWN: &str = "00000000-0000-4000-8000-000000000000";

pub(crate) const PASSWORD: &str = "correct horse";

/// The users and datasets of most tests. All have [`PASSWORD`], hashed already: five hashes a server took their time.
pub(crate) const CATALOG: &str = r#"
[[roles]]
name = "hydrology"

[[users]]
username = "ada"
password_hash = "$argon2id$v=19$m=19456,t=2,p=1$umDgao0lT474xMUA3/lhBw$+Y5Dy2SCI7eo/olnpjMBxE/4NKiAu2SsKjvAD53Vqno"
roles = ["admin"]

[[users]]
username = "olivia"
password_hash = "$argon2id$v=19$m=19456,t=2,p=1$umDgao0lT474xMUA3/lhBw$+Y5Dy2SCI7eo/olnpjMBxE/4NKiAu2SsKjvAD53Vqno"

[[users]]
username = "mo"
password_hash = "$argon2id$v=19$m=19456,t=2,p=1$umDgao0lT474xMUA3/lhBw$+Y5Dy2SCI7eo/olnpjMBxE/4NKiAu2SsKjvAD53Vqno"
roles = ["hydrology"]

[[users]]
username = "otto"
password_hash = "$argon2id$v=19$m=19456,t=2,p=1$umDgao0lT474xMUA3/lhBw$+Y5Dy2SCI7eo/olnpjMBxE/4NKiAu2SsKjvAD53Vqno"

[[users]]
username = "dora"
password_hash = "$argon2id$v=19$m=19456,t=2,p=1$umDgao0lT474xMUA3/lhBw$+Y5Dy2SCI7eo/olnpjMBxE/4NKiAu2SsKjvAD53Vqno"
disabled = true

[[datasets]]
id = "2489e9ad-2ee2-8e00-8ec9-32d5f69181c0"
title = "Public"
visibility = "public"
record_status = "published"
owner = "olivia"
file = "jacksboro-fault-dem.cog.tif"

[[datasets]]
id = "c05d7e1b-34f6-4b09-a2c8-7e91d46f0b32"
title = "Internal"
visibility = "internal"
record_status = "published"
owner = "olivia"
file = "salish-sea-topobathy.cog.tif"

[[datasets]]
id = "6b1f0a52-8c3d-4e7a-9f14-05d2c7e3a981"
title = "Restricted"
visibility = "restricted"
record_status = "published"
owner = "olivia"
file = "salish-sea-topobathy.cog.tif"
reader_roles = ["hydrology"]

[[datasets]]
id = "91e4c6d8-7a20-4f5b-8d3e-1b60f9a2c574"
title = "Private"
visibility = "private"
record_status = "published"
owner = "olivia"
file = "jacksboro-fault-dem.cog.tif"

[[datasets]]
id = "3fa82b90-d5c1-4867-b7e2-c4093d6e15af"
title = "Draft"
visibility = "public"
record_status = "draft"
owner = "olivia"
file = "jacksboro-fault-dem.cog.tif"

[[datasets]]
id = "5d0c2a91-6f38-4be4-a7d1-90e2b84c6f17"
title = "Without a file"
visibility = "public"
record_status = "published"
owner = "olivia"
"#;

/// How to start a server; the default is that of [`Server::start`].
#[derive(Default)]
pub(crate) struct ServerOptions {
    /// `CEDARGATE_*` variables in addition to those of every test.
    pub environment: Vec<(&'static str, String)>,
    /// The catalog; [`CATALOG`] if absent.
    pub catalog: Option<String>,
    /// Policies instead of the shipped ones, as one file; the schema is the shipped one.
    pub policies: Option<&'static str>,
}

pub(crate) struct Server {
    pub url: String,
    pub address: SocketAddr,
    pub clock: Clock,
    pub folder: TempDir,
    pub settings: Settings,
    pub http: reqwest::Client,
    stop: CancellationToken,
    running: Option<JoinHandle<bool>>,
}

/// A response with its whole body.
pub(crate) struct TestResponse {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub body: Vec<u8>,
}

impl TestResponse {
    pub(crate) async fn send(request: reqwest::RequestBuilder) -> Self {
        Self::read(request.send().await.unwrap()).await
    }

    pub(crate) async fn read(response: reqwest::Response) -> Self {
        Self {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            body: response.bytes().await.unwrap().to_vec(),
        }
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|_| panic!("no JSON: {}", String::from_utf8_lossy(&self.body)))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    /// The detail of a problem, after checking its status and its other members.
    pub(crate) fn problem(&self, status: u16) -> String {
        assert_eq!(
            self.status,
            status,
            "{}",
            String::from_utf8_lossy(&self.body)
        );
        assert_eq!(self.header("content-type"), "application/problem+json");
        assert!(!self.header("x-request-id").is_empty());
        let problem = self.json();
        assert_eq!(problem["status"], status);
        assert_eq!(problem["type"], "about:blank");
        assert!(problem["title"].is_string());
        problem["detail"].as_str().unwrap().to_owned()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The `field` of a problem with this status, `-` if it has none.
    pub(crate) fn problem_field(&self, status: u16) -> String {
        self.problem(status);
        self.json()["field"].as_str().unwrap_or("-").to_owned()
    }

    /// The token of a granted mint.
    pub(crate) fn token(&self) -> String {
        assert_eq!(self.status, 200, "{}", String::from_utf8_lossy(&self.body));
        self.json()["token"].as_str().unwrap().to_owned()
    }
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::start_with(ServerOptions::default()).await
    }

    pub(crate) async fn start_with(options: ServerOptions) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut environment = vec![
            (
                "CEDARGATE_DATA_DIR".to_owned(),
                folder.path().display().to_string(),
            ),
            (
                "CEDARGATE_ISSUER".to_owned(),
                "http://cedargate.test".to_owned(),
            ),
            ("CEDARGATE_MINT_LIMIT_PER_MINUTE".to_owned(), "0".to_owned()),
            (
                "CEDARGATE_REQUEST_LIMIT_PER_MINUTE".to_owned(),
                "0".to_owned(),
            ),
        ];
        environment.extend(LONG_LIMITS.map(|(name, value)| (name.to_owned(), value.to_owned())));
        if let Some(policies) = options.policies {
            let bundle = folder.path().join("policies");
            std::fs::create_dir(&bundle).unwrap();
            let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies");
            let schema = "schema.cedarschema";
            std::fs::copy(shipped.join(schema), bundle.join(schema)).unwrap();
            std::fs::write(bundle.join("test.cedar"), policies).unwrap();
            environment.push((
                "CEDARGATE_POLICY_DIR".to_owned(),
                bundle.display().to_string(),
            ));
        }
        for (name, value) in options.environment {
            environment.retain(|(known, _)| known != name);
            environment.push((name.to_owned(), value));
        }
        let sources = SettingSources {
            directory: folder.path().to_owned(),
            environment,
        };
        let settings = Settings::load(&sources).unwrap();
        let clock = Clock::fixed_at(Clock::system().unix_millis());
        let stores = Stores::open(&settings).await.unwrap();
        apply(
            &stores,
            options.catalog.as_deref().unwrap_or(CATALOG),
            &clock,
        )
        .await;
        Self::run(folder, settings, clock, stores).await
    }

    async fn run(folder: TempDir, settings: Settings, clock: Clock, stores: Stores) -> Self {
        let app = App::open(&settings, stores, clock.clone()).await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let running = Some(tokio::spawn(app.serve(listener, stop.clone())));
        let http = reqwest::Client::builder()
            .timeout(WAIT_TIMEOUT)
            .no_proxy()
            .build()
            .unwrap();
        let url = format!("http://{address}");
        Self {
            url,
            address,
            clock,
            folder,
            settings,
            http,
            stop,
            running,
        }
    }

    /// Another server on the same data.
    pub(crate) async fn replica(&self) -> Self {
        Self::replica_of(self.settings.clone(), self.clock.clone()).await
    }

    /// A server on the data that the settings name.
    pub(crate) async fn replica_of(settings: Settings, clock: Clock) -> Self {
        let stores = Stores::open(&settings).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        Self::run(folder, settings, clock, stores).await
    }

    /// Stops the server; false if requests in flight were aborted.
    pub(crate) async fn stop(&mut self) -> bool {
        self.stop.cancel();
        self.running.take().unwrap().await.unwrap()
    }

    /// Stops the server and starts it again on the same data.
    pub(crate) async fn restarted(mut self) -> Self {
        assert!(self.stop().await);
        self.started_again().await
    }

    /// Starts a stopped server again on the same data.
    pub(crate) async fn started_again(self) -> Self {
        let stores = Stores::open(&self.settings).await.unwrap();
        Self::run(self.folder, self.settings, self.clock, stores).await
    }

    /// Stops the server and starts it again on the same data with other settings.
    pub(crate) async fn restarted_with(mut self, settings: Settings) -> Self {
        assert!(self.stop().await);
        self.settings = settings;
        self.started_again().await
    }

    /// A second connection to the server's database.
    pub(crate) async fn database(&self) -> Database {
        Database::open(self.settings.database_url.reveal(), 2)
            .await
            .unwrap()
    }

    /// Applies a catalog through connections of its own, as another process would.
    pub(crate) async fn apply(&self, catalog: &str) {
        let stores = Stores::open(&self.settings).await.unwrap();
        apply(&stores, catalog, &self.clock).await;
    }

    pub(crate) fn get(&self, path: &str) -> reqwest::RequestBuilder {
        self.http.get(format!("{}{path}", self.url))
    }

    pub(crate) fn post(&self, path: &str) -> reqwest::RequestBuilder {
        self.http.post(format!("{}{path}", self.url))
    }

    pub(crate) fn mint_request(&self, dataset_id: &str) -> reqwest::RequestBuilder {
        self.post(&format!("/auth/download-token/{dataset_id}"))
    }

    pub(crate) async fn mint(&self, dataset_id: &str, session: Option<&str>) -> TestResponse {
        let request = self.mint_request(dataset_id);
        TestResponse::send(match session {
            Some(session) => request.bearer_auth(session),
            None => request,
        })
        .await
    }

    pub(crate) fn download_request(
        &self,
        dataset_id: &str,
        token: &str,
    ) -> reqwest::RequestBuilder {
        self.get(&format!(
            "/datasets/{dataset_id}/download/cog?token={token}"
        ))
    }

    pub(crate) async fn download(&self, dataset_id: &str, token: &str) -> TestResponse {
        TestResponse::send(self.download_request(dataset_id, token)).await
    }

    pub(crate) async fn login(&self, username: &str, password: &str) -> TestResponse {
        let form = [
            ("grant_type", "password"),
            ("username", username),
            ("password", password),
        ];
        TestResponse::send(self.post("/auth/login").form(&form)).await
    }

    /// A session token of a user of the catalog.
    pub(crate) async fn session(&self, username: &str) -> String {
        let response = self.login(username, PASSWORD).await;
        assert_eq!(
            response.status,
            200,
            "{}",
            String::from_utf8_lossy(&response.body)
        );
        response.json()["access_token"].as_str().unwrap().to_owned()
    }
}

pub(crate) async fn apply(stores: &Stores, catalog: &str, clock: &Clock) {
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("demo");
    let file = CatalogFile::parse("catalog.toml", catalog, &demo);
    let Stores {
        database,
        files,
        passwords,
    } = stores;
    let options = ApplyOptions::new(clock.clone());
    catalog::apply(database, files, passwords, &file, &options)
        .await
        .unwrap();
}

/// One part of a token as JSON: 0 is the header, 1 the claims.
pub(crate) fn decode_part(token: &str, index: usize) -> Value {
    let part = token.split('.').nth(index).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}
