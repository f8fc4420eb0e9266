//! The policy gate remembers what it proved: an edit costs the policies that it changes, also after a restart.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::WAIT_TIMEOUT;
use crate::support::cli::{copy_of_shipped_policies, edit};
use crate::support::server_process::{ProcessSettings, ServerProcess};

/// How many policies stand beside the shipped ones.
const MORE: usize = 30;
/// A server whose proofs are counted, from its start.
struct ProvingServer(ServerProcess);

impl ProvingServer {
    fn start(settings: &ProcessSettings) -> Self {
        Self(settings.start(&[]))
    }

    fn get(&self, path: &str) -> String {
        let response = reqwest::blocking::get(format!("{}{path}", self.0.url)).unwrap();
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

fn until(what: &str, mut is_done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_done() {
        assert!(start.elapsed() < WAIT_TIMEOUT, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn policy_count(policies: &Path) -> usize {
    let files = fs::read_dir(policies).unwrap().map(|file| file.unwrap());
    let texts = files
        .filter(|file| file.path().extension().is_some_and(|kind| kind == "cedar"))
        .map(|file| fs::read_to_string(file.path()).unwrap());
    texts.map(|text| text.matches("@id(").count()).sum()
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
    let all = policy_count(policies.path());
    let settings = ProcessSettings::new(&[
        ("CEDARGATE_POLICY_DIR", policies.path().to_str().unwrap()),
        ("CEDARGATE_GATE_PROOFS", "require"),
    ]);
    let server = ProvingServer::start(&settings);
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

    let saved = settings.folder.path().join("data/proofs.bin");
    until("the proofs are saved", || saved.exists());
    drop(server);
    let server = ProvingServer::start(&settings);
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
    let server = ProvingServer::start(&settings);
    assert_eq!(server.proofs(), (all, 0), "a damaged file is not believed");
}
