//! The cases of a draft: run, and added from decisions.

use reqwest::Method;
use serde_json::{Value, json};

use super::{TestDraft, server_with_authors};
use crate::support::admin_client::AdminClient;
use crate::support::events::last_event;
use crate::support::server::{INTERNAL, PUBLIC, RESTRICTED, Server, TestResponse};

/// A policy that denies everybody what is public.
const NIGHT: &str = "@id(\"night\")\n@reason(\"Closed.\")\nforbid (principal, action == Action::\"read\", \
                     resource)\nwhen { resource.visibility == Visibility::\"public\" };\n";

/// A policy that takes effect in no case.
const IDLE: &str =
    "@id(\"idle\")\n@reason(\"x\")\nforbid (principal, action, resource) when { false };\n";

fn decision(principal: &str, dataset_id: &str) -> Value {
    json!({
        "principal": principal, "action": "read", "dataset_id": dataset_id,
        "address": "192.0.2.7", "time": "2026-03-01T12:00:00Z",
    })
}

fn with(mut body: Value, members: &Value) -> Value {
    let members = members.as_object().unwrap().clone();
    body.as_object_mut().unwrap().extend(members);
    body
}

#[tokio::test]
async fn the_cases_of_a_draft_are_run_and_failures_say_why() {
    let server = Server::start().await;
    let ada = AdminClient::sign_in(&server, "ada").await;
    let draft = TestDraft::create(&ada, json!({})).await;
    let results = ada.get(&draft.path("cases")).await.json();
    assert_eq!(results["version"], 1);
    assert_eq!(results["failed"], 0);
    let cases = results["cases"].as_array().unwrap();
    assert_eq!(results["passed"], cases.len());
    assert!(results.get("failures").is_none(), "{results}");
    assert_eq!(results["uncovered_policies"], json!([]));

    let files = json!({"night.cedar": NIGHT, "idle.cedar": IDLE});
    let draft = TestDraft::create(&ada, files).await;
    let results = ada.get(&draft.path("cases")).await.json();
    let cases = results["cases"].as_array().unwrap();
    let failed: Vec<&Value> = cases
        .iter()
        .filter(|case| case["is_passed"] == false)
        .collect();
    assert!(!failed.is_empty());
    assert_eq!(results["failed"], failed.len());
    for case in failed {
        assert_eq!(
            (&case["expected"], &case["decision"]),
            (&json!("permit"), &json!("deny"))
        );
        assert_eq!(case["determining_policies"], json!(["night"]));
        let failure = case["failure"].as_str().unwrap();
        assert!(failure.starts_with("expected allow, got deny"), "{failure}");
    }
    let failures = results["failures"].as_str().unwrap();
    assert!(failures.contains("`night` denies"), "{failures}");
    assert_eq!(results["uncovered_policies"], json!(["idle"]));
}

#[tokio::test]
async fn the_cases_of_an_invalid_draft_are_a_conflict_with_its_first_problem() {
    let server = Server::start().await;
    let ada = AdminClient::sign_in(&server, "ada").await;
    for files in [
        json!({"broken.cedar": "permit ("}),
        json!({"broken.cases.json": "[{}]"}),
    ] {
        let draft = TestDraft::create(&ada, files).await;
        let detail = ada.get(&draft.path("cases")).await.problem(409);
        assert!(detail.contains("broken.c"), "{detail}");
    }
}

#[tokio::test]
async fn a_decision_becomes_a_case_beside_its_policy_that_expects_what_the_draft_decides() {
    let server = Server::start().await;
    let ada = AdminClient::sign_in(&server, "ada").await;
    let draft = TestDraft::create(&ada, json!({"night.cedar": NIGHT})).await;
    let added = ada.post(&draft.path("cases"), decision("mo", PUBLIC)).await;
    assert_eq!(added.status, 201, "{}", added.text());
    let added = added.json();
    assert_eq!(added["file"], "night.cases.json");
    assert_eq!(added["name"], "mo may not read: Public");
    assert_eq!(added["is_added"], true);
    assert_eq!(added["draft"]["version"], 2);
    assert_eq!(
        draft.file("night.cases.json").await,
        added["text"].as_str().unwrap()
    );
    let results = ada.get(&draft.path("cases")).await.json();
    let cases = results["cases"].as_array().unwrap();
    let case = cases
        .iter()
        .find(|case| case["name"] == added["name"])
        .unwrap();
    assert_eq!(case["is_passed"], true, "{case}");
    assert_eq!(case["determining_policies"], json!(["night"]));

    // The same again is there already.
    let again = ada
        .post(&draft.path("cases"), decision("mo", PUBLIC))
        .await
        .json();
    assert_eq!(
        (&again["is_added"], &again["name"]),
        (&json!(false), &added["name"])
    );
    assert_eq!(draft.version().await, 2);
    // Nobody determines that a user may not read it.
    let denied = ada
        .post(&draft.path("cases"), decision("otto", RESTRICTED))
        .await;
    assert_eq!(denied.json()["file"], "new.cases.json");
}

#[tokio::test]
async fn a_case_may_expect_what_the_draft_does_not_decide_yet() {
    let server = Server::start().await;
    let ada = AdminClient::sign_in(&server, "ada").await;
    let draft = TestDraft::create(&ada, json!({})).await;
    let wanted =
        json!({"expected": "permit", "file": "team/wish.cases.json", "name": "Otto reads it"});
    let body = with(decision("otto", RESTRICTED), &wanted);
    let added = ada.post(&draft.path("cases"), body.clone()).await;
    assert_eq!(added.status, 201, "{}", added.text());
    assert_eq!(added.json()["name"], "Otto reads it");
    let results = ada.get(&draft.path("cases")).await.json();
    assert_eq!(results["failed"], 1);
    // In the same file, the opposite contradicts it; in another one it is a case of its own.
    let opposite = with(body, &json!({"expected": "deny"}));
    let contradiction = ada.post(&draft.path("cases"), opposite.clone()).await;
    let (field, detail) = (contradiction.problem_field(409), contradiction.problem(409));
    assert_eq!(field, "file");
    assert!(
        detail.contains("asks the same and expects allow"),
        "{detail}"
    );
    let elsewhere = with(opposite, &json!({"file": "other.cases.json"}));
    assert_eq!(ada.post(&draft.path("cases"), elsewhere).await.status, 201);
}

#[tokio::test]
async fn a_case_asks_in_the_context_that_is_given() {
    let server = Server::start().await;
    let ada = AdminClient::sign_in(&server, "ada").await;
    let keys = "@id(\"no-keys\") @reason(\"x\") forbid (principal, action == Action::\"read\", resource)\n\
                when { context.authentication == Authentication::\"api_key\" };";
    let draft = TestDraft::create(&ada, json!({"keys.cedar": keys})).await;
    let body = with(
        decision("mo", PUBLIC),
        &json!({"authentication": "api_key"}),
    );
    let added = ada.post(&draft.path("cases"), body).await.json();
    assert_eq!(added["file"], "keys.cases.json");
    let text = added["text"].as_str().unwrap();
    for member in ["api_key", "192.0.2.7", "2026-03-01T12:00:00"] {
        assert!(text.contains(member), "{member}: {text}");
    }
    let none = with(decision("mo", PUBLIC), &json!({"authentication": "none"}));
    let refused = ada.post(&draft.path("cases"), none).await;
    assert_eq!(refused.problem_field(422), "authentication");
}

#[tokio::test]
async fn a_counterexample_becomes_a_case_that_guards_against_the_mistake() {
    let server = Server::start().await;
    let ada = AdminClient::sign_in(&server, "ada").await;
    let everything = "@id(\"everything\") @reason(\"x\")\npermit (principal, action, resource);\n";
    let draft = TestDraft::create(&ada, json!({"everything.cedar": everything})).await;
    let request = ada.request(Method::POST, &draft.path("proofs"));
    let proof = TestResponse::send(request).await;
    let proof = last_event(&proof, "proof");
    let invariants = proof["invariants"].as_array().unwrap();
    let violated = invariants.iter().find(|one| one["can_be_kept"] == true);
    let id = violated.unwrap()["id"].as_str().unwrap();
    // A mistake is mended, and the case is kept of what was proved before.
    let removed = json!({"files": {"everything.cedar": null}});
    let removal = ada.request(Method::PATCH, &draft.path).json(&removed);
    assert_eq!(TestResponse::send(removal).await.status, 200);
    let added = ada
        .post(&draft.path("cases"), json!({"invariant": id}))
        .await;
    assert_eq!(added.status, 201, "{}", added.text());
    let added = added.json();
    assert_eq!(added["file"], "found.cases.json");
    assert!(added["name"].as_str().unwrap().starts_with(id), "{added}");
    let results = ada.get(&draft.path("cases")).await.json();
    assert_eq!(results["failed"], 0);
    let is_new = |case: &&Value| case["file"] == "found.cases.json";
    assert_eq!(
        results["cases"]
            .as_array()
            .unwrap()
            .iter()
            .filter(is_new)
            .count(),
        1
    );

    for invariant in ["nobody-wrote-it", one_that_holds(invariants)] {
        let none = ada
            .post(&draft.path("cases"), json!({"invariant": invariant}))
            .await;
        assert_eq!(none.problem_field(409), "invariant");
    }
}

/// An invariant that holds.
fn one_that_holds(invariants: &[Value]) -> &str {
    let holds = invariants.iter().find(|one| one["verdict"] == "holds");
    holds.unwrap()["id"].as_str().unwrap()
}

#[tokio::test]
async fn a_malformed_case_is_refused_with_its_field() {
    let server = Server::start().await;
    let ada = AdminClient::sign_in(&server, "ada").await;
    let draft = TestDraft::create(&ada, json!({})).await;
    let good = decision("mo", PUBLIC);
    for (members, field) in [
        (json!({"file": "cases.json"}), "file"),
        (json!({"file": ".cases.json"}), "file"),
        (json!({"file": "invariants/x.cases.json"}), "files"),
        (json!({"name": ""}), "name"),
        (json!({"name": "a\nb"}), "name"),
        (
            json!({"invariant": "anonymous-reads-public-only"}),
            "invariant",
        ),
        (json!({"principal": "User::\"mo\""}), "principal"),
        (json!({"principal": null}), "principal"),
    ] {
        let refused = ada
            .post(&draft.path("cases"), with(good.clone(), &members))
            .await;
        assert_eq!(refused.problem_field(422), field, "{members}");
    }
    let unproved = json!({"invariant": "x"});
    let conflict = ada.post(&draft.path("cases"), unproved).await;
    assert_eq!(conflict.problem_field(409), "invariant");
    assert_eq!(draft.version().await, 1);
}

#[tokio::test]
async fn a_case_is_made_of_a_user_and_a_dataset_alone_that_its_author_sees_whole() {
    let server = server_with_authors().await;
    let author = AdminClient::sign_in(&server, "of-author").await;
    let draft = TestDraft::create(&author, json!({})).await;
    for (principal, dataset) in [
        ("otto", PUBLIC),
        ("of-shown", INTERNAL),
        ("of-shown", RESTRICTED),
        ("anonymous", INTERNAL),
    ] {
        let refused = author
            .post(&draft.path("cases"), decision(principal, dataset))
            .await;
        refused.problem(403);
    }
    for principal in ["of-shown", "anonymous"] {
        let added = author
            .post(&draft.path("cases"), decision(principal, PUBLIC))
            .await;
        assert_eq!(added.status, 201, "{}", added.text());
    }
}
