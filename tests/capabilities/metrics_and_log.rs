//! What an operator watches: the metrics page and the log of a real server process.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::LONG_LIMITS;
use crate::support::cli::repository;
use crate::support::postgres::free_port;

const ISSUER: &str =
    r#"[{"issuer":"https://id.example.org","audience":"maps","jwks_file":"keys.json"}]"#;

/// The public key of RFC 7517 appendix A.1.
const KEYS: &str = r#"{"keys":[{"kty":"EC","crv":"P-256","kid":"1","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}]}"#;

/// A server in a process of its own, so that nothing else was ever counted there.
struct ServerProcess {
    process: Child,
    log: BufReader<ChildStderr>,
    address: SocketAddr,
    _folder: TempDir,
}

impl ServerProcess {
    fn start(environment: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("keys.json"), KEYS).unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let mut process = Command::new(env!("CARGO_BIN_EXE_cedargate"))
            .arg("serve")
            .current_dir(folder.path())
            .env("CEDARGATE_DATA_DIR", folder.path().join("data"))
            .env("CEDARGATE_LISTEN", address.to_string())
            .env("CEDARGATE_LOG_FORMAT", "json")
            .envs(LONG_LIMITS)
            .envs(environment.iter().copied())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::with_capacity(1, process.stderr.take().unwrap());
        let mut line = String::new();
        while !line.contains("\"listening\"") {
            line.clear();
            let length = log.read_line(&mut line).unwrap();
            assert_ne!(length, 0, "it did not start");
        }
        Self {
            process,
            log,
            address,
            _folder: folder,
        }
    }

    /// Sends a request line with further headers; returns status line, headers and body.
    fn request(&self, line: &str, headers: &str) -> String {
        let mut stream = TcpStream::connect(self.address).unwrap();
        let request = format!("{line} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    /// Ends the server and returns what it logged since it listens.
    fn log_lines(mut self) -> Vec<Value> {
        let id = rustix::process::Pid::from_child(&self.process);
        rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();
        let mut text = String::new();
        self.log.read_to_string(&mut text).unwrap();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The metrics of a page: each with its type, its help, and its series with their values.
fn parse_page(page: &str) -> BTreeMap<String, (String, String, BTreeMap<String, String>)> {
    let mut metrics: BTreeMap<String, (String, String, BTreeMap<String, String>)> = BTreeMap::new();
    let (_, body) = page.split_once("\r\n\r\n").unwrap();
    for line in body.lines().filter(|line| !line.is_empty()) {
        if let Some(comment) = line.strip_prefix("# ") {
            let mut words = comment.splitn(3, ' ');
            let (kind, name) = (words.next().unwrap(), words.next().unwrap());
            let text = words.next().unwrap_or_default().to_owned();
            let metric = metrics.entry(name.to_owned()).or_default();
            if kind == "TYPE" {
                metric.0 = text;
            } else {
                metric.1 = text;
            }
        } else if let Some((series, value)) = line.rsplit_once(' ') {
            let name = series.split('{').next().unwrap();
            let metric = metrics.entry(name.to_owned()).or_default();
            metric.2.insert(series.to_owned(), value.to_owned());
        }
    }
    metrics
}

/// The names of metrics in the source of the product.
fn names_in_source(folder: &Path, names: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            names_in_source(&path, names);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            let quoted = text.split('"').filter(|part| {
                part.starts_with("cedargate_")
                    && (part.ends_with("_total") || part.ends_with("_refused"))
            });
            names.extend(quoted.map(str::to_owned));
        }
    }
}

/// The metrics of the operators' page, each with its labels.
fn documented() -> BTreeMap<String, Vec<String>> {
    let text = std::fs::read_to_string(repository().join("docs/operators.md")).unwrap();
    let rows = text
        .lines()
        .filter_map(|line| line.strip_prefix("| `cedargate_"));
    rows.map(|row| {
        let (metric, _) = row.split_once('`').unwrap();
        let (name, labels) = metric.split_once('{').unwrap_or((metric, ""));
        let labels = labels.trim_end_matches('}').split(',');
        let labels = labels.filter(|label| !label.is_empty()).map(str::to_owned);
        (format!("cedargate_{name}"), labels.collect())
    })
    .collect()
}

#[test]
fn every_metric_is_there_before_anything_happened() {
    let server = ServerProcess::start(&[("CEDARGATE_ISSUERS", ISSUER)]);
    let page = server.request("GET /metrics", "");
    let metrics = parse_page(&page);
    let mut in_source = BTreeSet::new();
    names_in_source(&repository().join("src"), &mut in_source);
    let documented = documented();
    let on_page: BTreeSet<String> = metrics.keys().cloned().collect();
    let in_docs: BTreeSet<String> = documented.keys().cloned().collect();
    assert_eq!(on_page, in_source);
    assert_eq!(on_page, in_docs);
    for (name, (kind, help, series)) in &metrics {
        assert!(["counter", "gauge"].contains(&kind.as_str()), "{name}");
        assert!(help.ends_with('.'), "{name}: {help}");
        assert!(!series.is_empty(), "{name}");
        for (one, value) in series {
            // The keys of the provider were read at start, from a file.
            if !one.starts_with("cedargate_issuer_fetches_total") {
                assert_eq!(value, "0", "{one}");
            }
            for label in &documented[name] {
                assert!(one.contains(&format!("{label}=\"")), "{one}");
            }
            let labels = one.matches("=\"").count();
            assert_eq!(labels, documented[name].len(), "{one}");
        }
    }
    for expected in [
        "cedargate_decided_total{event=\"mint\",outcome=\"granted\"}",
        "cedargate_decided_total{event=\"login\",outcome=\"refused\"}",
        "cedargate_undecided_total{event=\"download\"}",
        "cedargate_policy_reloads_total{outcome=\"refused\"}",
        "cedargate_connections_closed_total{reason=\"too_slow\"}",
        "cedargate_unknown_addresses_total{cause=\"unreadable\"}",
        "cedargate_issuer_fetches_total{issuer=\"https://id.example.org\",outcome=\"failed\"}",
    ] {
        let name = expected.split('{').next().unwrap();
        assert!(metrics[name].2.contains_key(expected), "{expected}: {page}");
    }
}

#[test]
fn probes_that_succeed_are_logged_at_debug_and_everything_else_at_info() {
    let probes = [
        "GET /health/live",
        "GET /health/ready",
        "GET /metrics",
        "HEAD /health/live",
        "HEAD /metrics",
    ];
    let others = [
        "GET /health/live?probe=1",
        "POST /health/live",
        "GET /health/nothing",
        "GET /metrics/nothing",
        "GET /health",
        "GET /datasets",
    ];
    for (level, seen) in [("info", 0), ("debug", probes.len())] {
        let server = ServerProcess::start(&[("CEDARGATE_LOG_LEVEL", level)]);
        for line in probes {
            let answer = server.request(line, "");
            assert!(answer.starts_with("HTTP/1.1 200"), "{line}: {answer}");
        }
        for line in others {
            server.request(line, "content-length: 0\r\n");
        }
        let lines = server.log_lines();
        let access = lines
            .iter()
            .filter(|it| it["target"] == "cedargate::access");
        let (quiet, loud): (Vec<_>, Vec<_>) = access.partition(|it| it["level"] == "DEBUG");
        assert_eq!(quiet.len(), seen, "{level}");
        assert!(quiet.iter().all(|it| it["status"] == 200));
        assert_eq!(loud.len(), others.len(), "{level}: {loud:?}");
        assert!(loud.iter().all(|it| it["level"] == "INFO"));
    }
}

#[test]
fn an_unknown_address_is_counted_each_time_and_logged_once_without_noise_from_probes() {
    let server = ServerProcess::start(&[("CEDARGATE_TRUSTED_PROXIES", "127.0.0.1")]);
    for path in ["/health/live", "/health/ready", "/metrics"] {
        server.request(&format!("GET {path}"), "");
    }
    for hop in ["unknown", "203.0.113.8:99999", "evil\""] {
        server.request("GET /datasets", &format!("x-forwarded-for: {hop}\r\n"));
    }
    server.request("GET /datasets", "");
    server.request("GET /datasets", "x-forwarded-for: 203.0.113.8:1\r\n");
    let page = server.request("GET /metrics", "");
    for (cause, count) in [("unreadable", 3), ("missing", 1), ("too_many_hops", 0)] {
        let line = format!("cedargate_unknown_addresses_total{{cause=\"{cause}\"}} {count}\n");
        assert!(page.contains(&line), "{line}{page}");
    }
    let lines = server.log_lines();
    let warnings: Vec<&Value> = lines
        .iter()
        .filter(|line| {
            line["message"]
                .as_str()
                .unwrap_or_default()
                .contains("address unknown")
        })
        .collect();
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert_eq!(warnings[0]["hop"], "unknown");
    assert!(warnings.iter().all(|line| line["level"] == "WARN"));
}
