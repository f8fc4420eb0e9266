//! What would open the door, and what was decided then: `policy explain` on a denial, and on an audit record.

use std::fs;
use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::cli::{CommandOutput, cedargate, copy_folder, repository};
use crate::support::eventually;
use crate::support::records::records;
use crate::support::server::{PUBLIC, RESTRICTED, Server};

const SEA: &str = "6b1f0a52-8c3d-4e7a-9f14-05d2c7e3a981";
const DRAFT: &str = "3fa82b90-d5c1-4867-b7e2-c4093d6e15af";

/// A catalog, with the shipped policies and one more as a folder beside it.
fn catalog(policy: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let policies = folder.path().join("policies");
    copy_folder(&repository().join("policies"), &policies);
    fs::write(policies.join("more.cedar"), policy).unwrap();
    let dataset = |id: &str, title: &str, visibility: &str, status: &str| {
        format!(
            "[[datasets]]\nid = \"{id}\"\ntitle = \"{title}\"\nvisibility = \"{visibility}\"\n\
             record_status = \"{status}\"\nowner = \"olivia\"\nreader_roles = [\"hydrology\"]\n"
        )
    };
    let catalog = [
        "[[roles]]\nname = \"hydrology\"\n[[users]]\nusername = \"olivia\"\n[[users]]\nusername = \"otto\"\n\
         [[users]]\nusername = \"old\"\nroles = [\"hydrology\"]\ndisabled = true\n"
            .to_owned(),
        dataset(SEA, "Salish Sea", "restricted", "published"),
        dataset(DRAFT, "Next", "public", "draft"),
    ];
    fs::write(folder.path().join("catalog.toml"), catalog.concat()).unwrap();
    let applied = cedargate(folder.path(), &["catalog", "apply", "catalog.toml"], &[]);
    assert_eq!(applied.code, 0, "{}", applied.messages);
    folder
}

fn explain(folder: &Path, who: &str, dataset: &str, more: &[&str]) -> CommandOutput {
    let arguments = [
        "policy",
        "explain",
        "--dir",
        "policies",
        "--principal",
        who,
        "--action",
        "read",
        "--dataset",
        dataset,
    ];
    let output = cedargate(folder, &[&arguments, more].concat(), &[]);
    assert_eq!(output.code, 0, "{}", output.messages);
    output
}

fn at(time: &str) -> [&str; 2] {
    ["--time", time]
}

/// The changes with their commands.
fn openings(output: &CommandOutput) -> Vec<(String, String)> {
    let report: Value = serde_json::from_str(&output.data).unwrap();
    let text =
        |opening: &Value, member: &str| opening[member].as_str().unwrap_or_default().to_owned();
    let openings = report["openings"]
        .as_array()
        .unwrap_or_else(|| panic!("{report}"));
    openings
        .iter()
        .map(|it| (text(it, "change"), text(it, "command")))
        .collect()
}

const NIGHT: &str = "@id(\"night\") @reason(\"x\")\n\
    forbid (principal, action == Action::\"read\", resource)\n\
    unless { context.time.toTime() < duration(\"22h\") };\n\
    @id(\"office\") @reason(\"x\")\n\
    forbid (principal, action == Action::\"read\", resource)\n\
    when { principal is User && !context.address.isInRange(ip(\"198.51.100.0/24\")) };\n";

#[test]
fn a_denial_says_which_share_role_or_sign_in_would_open_it_and_each_does() {
    let folder = catalog("");
    let folder = folder.path();
    let noon = at("2026-03-01T12:00:00Z");
    let json = [&noon[..], &["--json"]].concat();
    let share = format!("cedargate share add {SEA} --user otto");
    assert_eq!(
        openings(&explain(folder, "otto", SEA, &json)),
        [
            ("share the dataset with otto".to_owned(), share.clone()),
            ("give otto the role hydrology".to_owned(), String::new()),
        ]
    );
    let told = explain(folder, "otto", SEA, &noon);
    assert!(
        told.data
            .contains(&format!("\n  share the dataset with otto: {share}\n")),
        "{}",
        told.data
    );
    assert!(
        told.data.contains("(olivia)"),
        "the owner is named: {}",
        told.data
    );
    let words: Vec<&str> = share.split(' ').skip(1).collect();
    assert_eq!(cedargate(folder, &words, &[]).code, 0);
    assert!(
        explain(folder, "otto", SEA, &noon)
            .data
            .starts_with("PERMITTED")
    );

    let enable = (
        "enable old".to_owned(),
        "cedargate user enable old".to_owned(),
    );
    assert_eq!(openings(&explain(folder, "old", SEA, &json)), [enable]);
    // A draft is for its owner: it has to be published, and nothing less opens it.
    let publish = "publish the dataset: record_status published".to_owned();
    assert_eq!(
        openings(&explain(folder, "otto", DRAFT, &json)),
        [(publish.clone(), String::new())]
    );
    assert_eq!(
        openings(&explain(folder, "anonymous", DRAFT, &json)),
        [(publish, String::new())]
    );
    // Signing in opens nothing by itself here, so it is not told.
    assert!(openings(&explain(folder, "anonymous", SEA, &json)).is_empty());
    let told = explain(folder, "anonymous", SEA, &noon);
    assert!(
        told.data
            .contains("\nNo share, role, time or address that was tried would permit it.\n")
    );
}

#[test]
fn a_denial_says_until_when_to_wait_and_from_where_to_ask() {
    let folder = catalog(NIGHT);
    let folder = folder.path();
    let office = ["--address", "198.51.100.7", "--json"];
    let night = at("2026-03-01T23:00:00Z");
    let waits = |time: &str| (format!("wait until {time}"), String::new());
    assert_eq!(
        openings(&explain(
            folder,
            "olivia",
            SEA,
            &[&night[..], &office].concat()
        )),
        [waits("2026-03-02T00:00:00Z")]
    );
    let outside = [
        &at("2026-03-01T12:00:00Z")[..],
        &["--address", "192.0.2.9", "--json"],
    ]
    .concat();
    let asks = "ask from the network 198.51.100.0/24, for instance 198.51.100.1".to_owned();
    assert_eq!(
        openings(&explain(folder, "olivia", SEA, &outside)),
        [(asks.clone(), String::new())]
    );
    // Both at once, where one is not enough.
    let both = [&night[..], &["--address", "192.0.2.9", "--json"]].concat();
    let both = openings(&explain(folder, "olivia", SEA, &both));
    assert_eq!(
        both,
        [(
            format!("wait until 2026-03-02T00:00:00Z, and {asks}"),
            String::new()
        )]
    );
}

fn on(server: &Server, more: &[&str]) -> CommandOutput {
    let data = server.folder.path().to_str().unwrap();
    let arguments = [&["policy", "explain"], more].concat();
    cedargate(
        server.folder.path(),
        &arguments,
        &[("CEDARGATE_DATA_DIR", data)],
    )
}

#[tokio::test]
async fn what_was_decided_is_explained_by_the_id_of_the_request_or_of_the_record() {
    let server = Server::start().await;
    assert_eq!(server.mint(RESTRICTED, None).await.status, 404);
    assert_eq!(server.mint(PUBLIC, None).await.status, 200);
    let mints = async || {
        let records = records(&server).await;
        let mints = records
            .into_iter()
            .filter(|record| record["event"] == "mint");
        mints.collect::<Vec<Value>>()
    };
    eventually(async || mints().await.len() == 2).await;
    for record in mints().await {
        let text = |member: &str| record[member].as_str().unwrap().to_owned();
        let by_request = on(&server, &["--request-id", &text("request_id")]);
        assert_eq!(by_request.code, 0, "{}", by_request.messages);
        let by_record = on(&server, &["--record", &text("id")]);
        assert_eq!(by_record.data, by_request.data);
        let (id, outcome) = (text("id"), text("outcome"));
        let first = by_record.data.lines().next().unwrap();
        assert!(
            first.starts_with(&format!("Record {id}: mint at ")),
            "{first}"
        );
        assert!(first.contains(&format!(" was {outcome} by ")), "{first}");
        assert!(
            by_record
                .data
                .contains("Explained under the same revision of the policies.\n")
        );
        assert!(
            by_record
                .data
                .contains("what they were then is not kept.\n")
        );
        let verdict = if outcome == "granted" {
            "PERMITTED"
        } else {
            "DENIED"
        };
        assert!(
            by_record
                .data
                .contains(&format!("\n{verdict}: anonymous, read, "))
        );
        // Under other policies it says so, and that the decision is another one.
        let none = catalog("@id(\"none\") @reason(\"x\")\nforbid (principal, action, resource);\n");
        let dir = none.path().join("policies");
        let other = on(&server, &["--record", &id, "--dir", dir.to_str().unwrap()]);
        assert!(
            other.data.contains("The policies of then are not kept"),
            "{}",
            other.data
        );
        let is_another = other.data.contains("The decision would be another one now");
        assert_eq!(is_another, outcome == "granted", "{}", other.data);
    }
    let unknown = on(&server, &["--request-id", "nobody-had-it"]);
    assert_eq!(unknown.code, 1);
    assert!(
        unknown
            .messages
            .contains("there is no audit record of request"),
        "{}",
        unknown.messages
    );
    let both = on(&server, &["--request-id", "a", "--principal", "anonymous"]);
    assert_eq!(both.code, 2, "{}", both.messages);
    assert_eq!(on(&server, &["--principal", "anonymous"]).code, 2);
}
