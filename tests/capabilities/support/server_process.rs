//! A server in a process of its own, which can be killed.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use cedargate::app::Stores;
use cedargate::config::{SettingSources, Settings};
use cedargate::domain::clock::Clock;
use tempfile::TempDir;

use super::LONG_LIMITS;
use super::hanging_solver::HangingSolver;
use super::postgres::free_port;
use super::server::{CATALOG, PASSWORD, TestResponse, apply};

/// A running program with its data in a folder.
pub(crate) struct ServerProcess {
    pub url: String,
    pub http: reqwest::Client,
    process: Child,
}

/// The settings of a program, for it and for servers in this process.
pub(crate) struct ProcessSettings {
    pub folder: TempDir,
    environment: Vec<(String, String)>,
}

impl ProcessSettings {
    /// Settings with these `CEDARGATE_*` variables, and a data directory of their own.
    pub(crate) fn new(environment: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data").display().to_string();
        let own = [("CEDARGATE_DATA_DIR", data.as_str())];
        let all = LONG_LIMITS.iter().chain(&own).chain(environment);
        Self {
            environment: all
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            folder,
        }
    }

    pub(crate) fn settings(&self) -> Settings {
        let sources = SettingSources {
            directory: self.folder.path().to_owned(),
            environment: self.environment.clone(),
        };
        Settings::load(&sources).unwrap()
    }

    /// Applies a catalog, before the program starts.
    pub(crate) async fn apply(&self, catalog: &str) {
        let stores = Stores::open(&self.settings()).await.unwrap();
        apply(&stores, catalog, &Clock::system()).await;
    }

    /// Starts the program on the usual catalog, with a solver that never answers.
    pub(crate) async fn start_with_hanging_solver(&self) -> (ServerProcess, HangingSolver) {
        self.apply(CATALOG).await;
        let solver = HangingSolver::write(self.folder.path());
        let process = self.start(&[("CVC5", solver.path.to_str().unwrap())]);
        (process, solver)
    }

    /// Starts the program, with further variables, and waits until it listens.
    pub(crate) fn start(&self, further: &[(&str, &str)]) -> ServerProcess {
        let port = free_port();
        let mut process = Command::new(env!("CARGO_BIN_EXE_cedargate"))
            .arg("serve")
            .current_dir(self.folder.path())
            .envs(self.environment.iter().cloned())
            .envs(further.iter().copied())
            .env("CEDARGATE_LISTEN", format!("127.0.0.1:{port}"))
            .env("CEDARGATE_LOG_FORMAT", "json")
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(process.stderr.take().unwrap()).lines();
        let is_listening =
            |line: &std::io::Result<String>| line.as_ref().unwrap().contains("\"listening\"");
        assert!(log.any(|line| is_listening(&line)), "it did not start");
        std::thread::spawn(move || log.for_each(drop));
        ServerProcess {
            url: format!("http://127.0.0.1:{port}"),
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
            process,
        }
    }
}

impl ServerProcess {
    /// A session token of a user of the catalog.
    pub(crate) async fn session(&self, username: &str) -> String {
        let form = [
            ("grant_type", "password"),
            ("username", username),
            ("password", PASSWORD),
        ];
        let login = self.http.post(format!("{}/auth/login", self.url));
        let response = TestResponse::send(login.form(&form)).await.json();
        response["access_token"].as_str().unwrap().to_owned()
    }

    pub(crate) fn post(&self, path: &str, session: &str) -> reqwest::RequestBuilder {
        let request = self.http.post(format!("{}{path}", self.url));
        request.bearer_auth(session)
    }

    /// Kills it (SIGKILL).
    pub(crate) fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        // It may have been killed.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
