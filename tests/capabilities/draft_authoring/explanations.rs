//! Explanations of a decision in force beside that of a draft.

use serde_json::{Value, json};

use super::{TestDraft, server_with_authors};
use crate::support::admin_client::{AdminClient, EXPLAIN};
use crate::support::records::records;
use crate::support::server::{INTERNAL, PUBLIC, RESTRICTED, Server, UNKNOWN};

fn question(principal: &str, dataset_id: &str) -> Value {
    json!({"principal": principal, "action": "read", "dataset_id": dataset_id})
}

#[tokio::test]
async fn a_decision_is_explained_in_force_and_under_the_draft() {
    let server = Server::start().await;
    let ada = AdminClient::sign_in(&server, "ada").await;
    let otto = ada.user_id("otto").await;
    let policy = format!(
        "@id(\"otto\")\n@reason(\"He asked.\")\npermit (principal == User::\"{otto}\", action == \
         Action::\"read\", resource == Dataset::\"{RESTRICTED}\");\n"
    );
    let draft = TestDraft::create(&ada, json!({"otto.cedar": policy})).await;
    let answer = ada
        .post(&draft.path("explain"), question("otto", RESTRICTED))
        .await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let answer = answer.json();
    assert_eq!(answer["version"], 1);
    let in_force = ada.post(EXPLAIN, question("otto", RESTRICTED)).await.json();
    assert_eq!(answer["in_force"], in_force);
    assert_eq!(in_force["is_permitted"], false);
    let by_draft = &answer["draft"];
    assert_eq!(by_draft["is_permitted"], true);
    assert_ne!(by_draft["revision"], in_force["revision"]);
    let determining = &by_draft["determining"][0];
    assert_eq!(determining["id"], "otto");
    assert_eq!(determining["file"], "otto.cedar");
    assert_eq!(determining["line"], 1);
    assert_eq!(determining["reason"], "He asked.");
    let uid = format!("User::\"{otto}\"");
    assert_eq!(by_draft["principal"], uid);
    let record = records(&server).await;
    let is_of_draft = |record: &&Value| {
        record["reason"] == "explained the decision on read by otto under a draft"
    };
    let record = record.iter().find(is_of_draft).unwrap();
    assert_eq!(record["dataset_id"], RESTRICTED);
    assert_eq!(record["resource_user_id"], otto);
}

#[tokio::test]
async fn an_explanation_asks_in_the_context_that_is_given() {
    let server = Server::start().await;
    let ada = AdminClient::sign_in(&server, "ada").await;
    let policy = "@id(\"no-keys\") @reason(\"x\") forbid (principal, action, resource)\nwhen { \
                  context.authentication == Authentication::\"api_key\" && \
                  context.time < datetime(\"2027-01-01\") && context.address.isInRange(ip(\"192.0.2.0/24\")) };";
    let draft = TestDraft::create(&ada, json!({"keys.cedar": policy})).await;
    let mut body = question("mo", PUBLIC);
    body["time"] = json!("2026-12-31T23:59:59Z");
    body["address"] = json!("192.0.2.1");
    body["authentication"] = json!("api_key");
    let decide = async |body: &Value| {
        let answer = ada.post(&draft.path("explain"), body.clone()).await.json();
        answer["draft"]["is_permitted"].as_bool().unwrap()
    };
    assert!(!decide(&body).await);
    for (member, value) in [
        ("time", json!("2027-01-01T00:00:00Z")),
        ("address", json!("198.51.100.1")),
        ("authentication", json!("password")),
    ] {
        let mut other = body.clone();
        other[member] = value;
        assert!(decide(&other).await, "{member}");
    }
    for (principal, word) in [
        ("mo", "none"),
        ("anonymous", "password"),
        ("mo", "command_line"),
    ] {
        let mut refused = question(principal, PUBLIC);
        refused["authentication"] = json!(word);
        ada.post(&draft.path("explain"), refused).await.problem(422);
    }
}

#[tokio::test]
async fn an_author_learns_nothing_of_whom_or_what_it_may_not_see_whole() {
    let server = server_with_authors().await;
    let author = AdminClient::sign_in(&server, "of-author").await;
    // The draft asks about what is hidden, and permits its author to see it.
    let asks = "@id(\"asks\") @reason(\"x\")\npermit (principal, action, resource)\n\
                when { principal is User && principal.username like \"o*\" };";
    let draft = TestDraft::create(&author, json!({"asks.cedar": asks})).await;
    let ada = AdminClient::sign_in(&server, "ada").await;
    let otto = ada.user_id("otto").await;
    let explain = async |principal: &str, dataset: &str| {
        author
            .post(&draft.path("explain"), question(principal, dataset))
            .await
    };
    let unknown = explain(UNKNOWN, PUBLIC).await.problem(403);
    for principal in ["otto", &otto, "nobody"] {
        assert_eq!(
            explain(principal, PUBLIC).await.problem(403),
            unknown,
            "{principal}"
        );
    }
    // Of one that may be discovered, nothing is told either: the draft could ask for its attributes.
    let unknown = explain("of-shown", UNKNOWN).await.problem(403);
    for dataset in [RESTRICTED, INTERNAL] {
        assert_eq!(
            explain("of-shown", dataset).await.problem(403),
            unknown,
            "{dataset}"
        );
    }
    let seen = explain("of-shown", PUBLIC).await;
    assert_eq!(seen.status, 200, "{}", seen.text());
    assert_eq!(seen.json()["draft"]["is_permitted"], true);
}

#[tokio::test]
async fn an_explanation_under_a_draft_needs_the_draft_to_be_valid_and_ones_own() {
    let server = Server::start().await;
    let ada = AdminClient::sign_in(&server, "ada").await;
    let broken = TestDraft::create(&ada, json!({"broken.cedar": "permit ("})).await;
    let detail = ada
        .post(&broken.path("explain"), question("mo", PUBLIC))
        .await
        .problem(409);
    assert!(detail.contains("broken.cedar"), "{detail}");
    let mo = AdminClient::sign_in(&server, "mo").await;
    mo.post(&broken.path("explain"), question("mo", PUBLIC))
        .await
        .problem(403);
    let unknown = format!("{}/{UNKNOWN}/explain", super::DRAFTS);
    ada.post(&unknown, question("mo", PUBLIC))
        .await
        .problem(404);
}
