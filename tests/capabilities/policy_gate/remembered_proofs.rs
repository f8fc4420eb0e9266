//! The policy gate remembers what it proved: an edit costs the policies that it changes, also after a restart.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::cli::{copy_of_shipped_policies, edit};
use crate::support::postgres::free_port;

/// How many policies stand beside the shipped ones.
const MORE: usize = 30;
const SHIPPED: usize = 7;

/// A server in a process of its own, whose counters begin at zero.
struct ServerProcess {
    process: Child,
    base: String,
}

impl ServerProcess {
    fn start(folder: &Path, policies: &Path) -> Self {
        let port = free_port();
        let mut process = Command::new(env!("CARGO_BIN_EXE_cedargate"))
            .arg("serve")
            .current_dir(folder)
            .env("CEDARGATE_DATA_DIR", folder.join("data"))
            .env("CEDARGATE_POLICY_DIR", policies)
            .env("CEDARGATE_GATE_PROOFS", "require")
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
        let base = format!("http://127.0.0.1:{port}");
        Self { process, base }
    }

    fn get(&self, path: &str) -> String {
        let response = reqwest::blocking::get(format!("{}{path}", self.base)).unwrap();
        response.text().unwrap()
    }

    fn revision(&self) -> String {
        let ready: Value = serde_json::from_str(&self.get("/health/ready")).unwrap();
        ready["revision"].as_str().unwrap().to_owned()
    }

    /// The policies of which something was proved, and those of which everything was remembered.
    fn proofs(&self) -> (usize, usize) {
        let page = self.get("/metrics");
        let series: BTreeMap<&str, &str> = page
            .lines()
            .filter_map(|line| line.rsplit_once(' '))
            .collect();
        let count = |result: &str| -> usize {
            let name = format!("cedargate_policy_proofs_total{{result=\"{result}\"}}");
            series[&*name].parse().unwrap()
        };
        (count("proved"), count("remembered"))
    }

    fn is_refused(&self) -> bool {
        self.get("/metrics")
            .contains("\ncedargate_policy_folder_refused 1\n")
    }

    /// Edits the policies, and waits until that is in force.
    fn edit(&self, change: impl FnOnce()) {
        let before = self.revision();
        change();
        until("the edit is in force", || self.revision() != before);
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn until(what: &str, mut is_done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_done() {
        assert!(start.elapsed() < Duration::from_mins(2), "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn add_policies(policies: &Path) {
    let mut text = String::new();
    for number in 0..MORE {
        writeln!(
            text,
            "@id(\"more-{number}\") @reason(\"x\")\n\
             permit (principal in Role::\"team-{number}\", action == Action::\"read\", resource)\n\
             when {{ resource.visibility == Visibility::\"internal\" && resource.record_status == RecordStatus::\"published\" && resource.title == \"title {number}\" }};"
        )
        .unwrap();
    }
    fs::write(policies.join("more.cedar"), text).unwrap();
}

#[test]
fn an_edit_of_one_of_many_policies_proves_that_one_alone_and_a_restart_none() {
    let policies = copy_of_shipped_policies();
    add_policies(policies.path());
    let all = SHIPPED + MORE;
    let folder = tempfile::tempdir().unwrap();
    let server = ServerProcess::start(folder.path(), policies.path());
    assert_eq!(server.proofs(), (all, 0));
    server.edit(|| {
        edit(
            policies.path(),
            "more.cedar",
            "title 7\"",
            "another title\"",
        );
    });
    assert_eq!(server.proofs(), (all + 1, all - 1));
    // Another id is another policy, and one more.
    server.edit(|| {
        edit(
            policies.path(),
            "more.cedar",
            "\"more-8\"",
            "\"more-eight\"",
        );
    });
    assert_eq!(server.proofs(), (all + 2, 2 * (all - 1)));
    // An edit that violates an invariant is refused whatever is remembered.
    let revision = server.revision();
    edit(
        policies.path(),
        "more.cedar",
        "RecordStatus::\"published\" && resource.title == \"title 9\"",
        "RecordStatus::\"draft\"",
    );
    until("the edit is refused", || server.is_refused());
    assert_eq!(server.revision(), revision);
    edit(
        policies.path(),
        "more.cedar",
        "RecordStatus::\"draft\"",
        "RecordStatus::\"published\" && resource.title == \"title 9\"",
    );
    until("the edit is taken back", || !server.is_refused());

    let saved = folder.path().join("data/proofs.bin");
    until("the proofs are saved", || saved.exists());
    drop(server);
    let server = ServerProcess::start(folder.path(), policies.path());
    let (proved, remembered) = server.proofs();
    // The last edits may not have been saved when the server was killed.
    assert!(
        proved <= 2 && proved + remembered == all,
        "{proved} {remembered}"
    );
    drop(server);
    let mut bytes = fs::read(&saved).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(&saved, bytes).unwrap();
    let server = ServerProcess::start(folder.path(), policies.path());
    assert_eq!(server.proofs(), (all, 0), "a damaged file is not believed");
}
