//! The access matrix of a draft beside the policies in force, over what its author may see.

use serde_json::{Value, json};

use super::{TestDraft, server_with_authors};
use crate::support::admin_client::AdminClient;
use crate::support::records::records;
use crate::support::server::{PRIVATE, RESTRICTED, Server, UNKNOWN};

fn question(people: &Value, datasets: &Value) -> Value {
    json!({"action": "read", "people": people, "datasets": datasets})
}

async fn matrix(draft: &TestDraft<'_>, body: &Value) -> Value {
    let answer = draft.client.post(&draft.path("matrix"), body.clone()).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

fn labels(groups: &Value) -> Vec<&str> {
    let groups = groups.as_array().unwrap().iter();
    groups.map(|one| one["label"].as_str().unwrap()).collect()
}

/// The cell of a row and a column, by their labels.
fn cell<'m>(matrix: &'m Value, row: &str, column: &str) -> &'m Value {
    let row = labels(&matrix["rows"]).iter().position(|one| *one == row);
    let column = labels(&matrix["columns"])
        .iter()
        .position(|one| *one == column);
    &matrix["cells"][row.unwrap()][column.unwrap()]
}

/// The key of a row or a column with this label.
fn key<'m>(groups: &'m Value, label: &str) -> &'m Value {
    let mut groups = groups.as_array().unwrap().iter();
    &groups.find(|one| one["label"] == label).unwrap()["key"]
}

const HYDROLOGY: &str = "@id(\"hydrology\") @reason(\"x\")\npermit (principal in Role::\"hydrology\", action == \
                         Action::\"read\", resource)\nwhen { resource.visibility == Visibility::\"private\" };";

#[tokio::test]
async fn an_author_sees_whom_a_draft_lets_read_what() {
    let server = Server::start().await;
    let ada = AdminClient::sign_in(&server, "ada").await;
    let draft = TestDraft::create(&ada, json!({"hydrology.cedar": HYDROLOGY})).await;
    let body = question(&json!({"by": "role"}), &json!({"by": "visibility"}));
    let whole = matrix(&draft, &body).await;
    assert_eq!(whole["version"], 1);
    assert_ne!(whole["from"], whole["to"]);
    // Four users who are not disabled, and whoever did not sign in.
    assert_eq!(
        (&whole["people"], &whole["datasets"]),
        (&json!(5), &json!(6))
    );
    assert_eq!(
        labels(&whole["columns"]),
        ["anonymous", "no role", "admin", "hydrology"]
    );
    assert_eq!(
        labels(&whole["rows"]),
        ["public", "internal", "restricted", "private"]
    );
    let gained = cell(&whole, "private", "hydrology");
    let mo = ada.user_id("mo").await;
    assert_eq!(
        gained,
        &json!({"pairs": 1, "in_force": 0, "draft": 1, "gained": 1, "lost": 0, "sometimes": 0,
            "example": {"principal": mo, "principal_name": "mo", "dataset_id": PRIVATE, "dataset_title": "Private"}})
    );
    let owned = cell(&whole, "private", "no role");
    assert_eq!((&owned["pairs"], &owned["draft"]), (&json!(2), &json!(1)));
    assert_eq!(owned["example"]["principal_name"], "olivia");
    let public = cell(&whole, "public", "anonymous");
    assert_eq!(
        (&public["pairs"], &public["in_force"]),
        (&json!(3), &json!(2))
    );
    assert_eq!(whole["totals"]["gained"], 1);
    assert_eq!(whole["totals"]["pairs"], 30);
    let contexts = whole["contexts"].as_array().unwrap();
    assert_eq!(contexts.len(), 1);
    assert_eq!(contexts[0]["label"], "in every context");
    assert_eq!(contexts[0]["draft"], whole["totals"]["draft"]);
    // Into one cell, down to one user and one dataset.
    let zoomed = question(
        &json!({"by": "person", "in": [key(&whole["columns"], "hydrology")]}),
        &json!({"by": "dataset", "in": [key(&whole["rows"], "private")]}),
    );
    let zoomed = matrix(&draft, &zoomed).await;
    assert_eq!(labels(&zoomed["columns"]), ["mo"]);
    assert_eq!(labels(&zoomed["rows"]), ["Private"]);
    assert_eq!(zoomed["columns"][0]["user_id"], *mo);
    assert_eq!(zoomed["rows"][0]["dataset_id"], PRIVATE);
    assert_eq!(&zoomed["cells"][0][0], gained);
    let recorded = records(&server).await;
    let is_viewed = |record: &&Value| record["reason"] == "viewed who may read under a draft";
    assert_eq!(recorded.iter().filter(is_viewed).count(), 2);
}

#[tokio::test]
async fn a_matrix_asks_in_every_context_and_tells_the_reach_in_each() {
    let server = Server::start().await;
    let ada = AdminClient::sign_in(&server, "ada").await;
    let office = "@id(\"office\") @reason(\"x\")\npermit (principal, action == Action::\"read\", resource)\nwhen { \
                  resource.visibility == Visibility::\"restricted\" && context.address.isInRange(ip(\"192.0.2.0/24\")) \
                  && context.authentication != Authentication::\"api_key\" };";
    let draft = TestDraft::create(&ada, json!({"office.cedar": office})).await;
    let body = question(&json!({"by": "person"}), &json!({"by": "dataset"}));
    let whole = matrix(&draft, &body).await;
    let changed = cell(&whole, "Restricted", "otto");
    assert_eq!(
        (&changed["gained"], &changed["sometimes"]),
        (&json!(1), &json!(1))
    );
    let example = &changed["example"];
    let address = example["address"].as_str().unwrap();
    assert!(address.starts_with("192.0.2."), "{address}");
    assert_eq!(example.get("authentication"), None);
    let contexts = whole["contexts"].as_array().unwrap().iter();
    let gaining = contexts.filter(|one| one["gained"] != 0);
    for one in gaining.clone() {
        assert_eq!(one["address"], address);
    }
    let in_words = gaining.map(|one| (one["label"].as_str().unwrap(), one["gained"].clone()));
    // Otto gains it without a key; whoever did not sign in has none, and gains it all the same.
    assert_eq!(
        in_words.collect::<Vec<_>>(),
        [
            ("from 192.0.2.0/24, without an API key", json!(2)),
            ("from 192.0.2.0/24, with an API key", json!(1)),
        ]
    );
    for (context, gained) in [
        (json!({"address": address}), 1),
        (
            json!({"address": address, "authentication": "signed_in"}),
            1,
        ),
        (json!({"address": address, "authentication": "api_key"}), 0),
        (json!({"address": "unknown"}), 0),
        (
            json!({"address": "198.51.100.1", "authentication": "password"}),
            0,
        ),
    ] {
        let mut confined = body.clone();
        confined["context"] = context;
        let confined = matrix(&draft, &confined).await;
        assert_eq!(cell(&confined, "Restricted", "otto")["gained"], gained);
    }
}

#[tokio::test]
async fn a_matrix_has_those_alone_whom_its_author_may_see() {
    let server = server_with_authors().await;
    let author = AdminClient::sign_in(&server, "of-author").await;
    // The draft permits its author to see everything: the policies in force decide what it sees.
    let all = "@id(\"all\") @reason(\"x\") permit (principal, action, resource);";
    let draft = TestDraft::create(&author, json!({"all.cedar": all})).await;
    let body = question(&json!({"by": "person"}), &json!({"by": "dataset"}));
    let seen = matrix(&draft, &body).await;
    assert_eq!(labels(&seen["columns"]), ["anonymous", "of-shown"]);
    assert_eq!(labels(&seen["rows"]), ["Draft", "Public", "Without a file"]);
    assert_eq!(seen["totals"]["pairs"], 6);
    // Whom it may not see does not exist.
    let ada = AdminClient::sign_in(&server, "ada").await;
    let otto = ada.user_id("otto").await;
    for (people, datasets) in [
        (
            json!({"by": "person", "in": [format!("user:{otto}")]}),
            json!({"by": "dataset"}),
        ),
        (
            json!({"by": "person", "in": [format!("class:{otto}")]}),
            json!({"by": "dataset"}),
        ),
        (
            json!({"by": "person", "in": ["role:hydrology"]}),
            json!({"by": "dataset"}),
        ),
        (
            json!({"by": "person", "after": format!("user:{UNKNOWN}")}),
            json!({"by": "dataset"}),
        ),
        (
            json!({"by": "person"}),
            json!({"by": "dataset", "in": [format!("dataset:{RESTRICTED}")]}),
        ),
        (
            json!({"by": "person"}),
            json!({"by": "dataset", "in": ["nonsense"]}),
        ),
    ] {
        let body = question(&people, &datasets);
        author.post(&draft.path("matrix"), body).await.problem(404);
    }
    // Owners whom it may not see have no name.
    let owners = question(&json!({"by": "role"}), &json!({"by": "owner"}));
    let owners = matrix(&draft, &owners).await;
    let olivia = ada.user_id("olivia").await;
    assert_eq!(labels(&owners["rows"]), [olivia.as_str()]);
    // What it may see changes with the catalog, at once.
    let path = ada.user_path("otto").await;
    let user = ada.get(&path).await.json();
    let change = json!({"username": user["username"], "roles": ["shown"], "is_disabled": false});
    assert_eq!(ada.put(&path, change).await.status, 200);
    let seen = matrix(&draft, &body).await;
    assert_eq!(labels(&seen["columns"]), ["anonymous", "of-shown", "otto"]);
}

#[tokio::test]
async fn a_matrix_of_no_draft_or_an_invalid_one_is_refused() {
    let server = server_with_authors().await;
    let author = AdminClient::sign_in(&server, "of-author").await;
    let draft = TestDraft::create(&author, json!({"broken.cedar": "permit ("})).await;
    let body = question(&json!({"by": "class"}), &json!({"by": "visibility"}));
    for operation in ["matrix", "effect"] {
        let body = if operation == "effect" {
            json!({})
        } else {
            body.clone()
        };
        let path = draft.path(operation);
        let detail = author.post(&path, body.clone()).await.problem(409);
        assert!(detail.contains("broken.cedar"), "{detail}");
        let ada = AdminClient::sign_in(&server, "ada").await;
        ada.post(&path, body.clone()).await.problem(404);
        let shown = AdminClient::sign_in(&server, "of-shown").await;
        shown.post(&path, body).await.problem(403);
    }
    let draft = TestDraft::create(&author, json!({})).await;
    let by = |datasets: &Value| question(&json!({"by": "class"}), datasets);
    let mut too_many = by(&json!({"by": "owner"}));
    too_many["limit"] = json!(201);
    let mut elsewhere = by(&json!({"by": "owner"}));
    elsewhere["context"] = json!({"address": "nowhere"});
    for body in [
        by(&json!({"by": "tag"})),
        by(&json!({"by": "owner", "tag": "theme"})),
        by(&json!({"by": "owner", "in": vec!["no_owner"; 9]})),
        too_many,
        elsewhere,
    ] {
        author.post(&draft.path("matrix"), body).await.problem(422);
    }
}
