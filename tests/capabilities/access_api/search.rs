//! Searches.

use serde_json::{Value, json};

use super::{AccessServer, entity, question};
use crate::support::admin_client::AdminClient;
use crate::support::server::{INTERNAL, PRIVATE, PUBLIC, RESTRICTED};

const SUBJECT: &str = "/access/v1/search/subject";
const RESOURCE: &str = "/access/v1/search/resource";
const ACTION: &str = "/access/v1/search/action";

/// The ids or names on all pages of a search, which have so many results at most.
async fn search_all(access: &AccessServer, path: &str, body: &Value, limit: usize) -> Vec<String> {
    let mut body = body.clone();
    body["page"] = json!({"limit": limit});
    let mut all = Vec::new();
    for _ in 0..100 {
        let response = access.ask(path, &body).await;
        assert_eq!(response.status, 200, "{}", response.text());
        assert!(
            response.text().starts_with("{\"page\":"),
            "{}",
            response.text()
        );
        let page = response.json();
        let results = page["results"].as_array().unwrap();
        assert_eq!(page["page"]["count"], results.len());
        assert!(results.len() <= limit);
        all.extend(results.iter().map(|result| {
            let name = result.get("id").or(result.get("name"));
            name.unwrap().as_str().unwrap().to_owned()
        }));
        let token = page["page"]["next_token"].as_str().unwrap();
        if token.is_empty() {
            return all;
        }
        // A limit that is left out is that of the token.
        body["page"] = json!({"token": token});
    }
    panic!("the search has no end");
}

#[tokio::test]
async fn a_search_finds_what_an_evaluation_permits() {
    let access = AccessServer::start().await;
    let people = ["alice", "bob", "carol", "dave", "erin"];
    for limit in [1, 2, 100] {
        for (action, soft) in [("view", false), ("view", true), ("edit", false)] {
            for record in ["r0", "r1", "r3", "r-new"] {
                let mut asked = question(("person", "x"), action, ("record", record));
                asked["context"] = json!({"soft": soft});
                let mut expected = Vec::new();
                for person in people {
                    asked["subject"]["id"] = json!(person);
                    if access.evaluate(&asked).await["decision"] == true {
                        expected.push(person);
                    }
                }
                let found = search_all(&access, SUBJECT, &asked, limit).await;
                assert_eq!(found, expected, "{asked}");
            }
        }
        let mut asked = question(("person", "alice"), "view", ("record", "x"));
        let found = search_all(&access, RESOURCE, &asked, limit).await;
        assert_eq!(found, ["r0", "r2", "r3", "r5"]);
        asked["resource"]["properties"] = json!({"status": "open"});
        let found = search_all(&access, RESOURCE, &asked, limit).await;
        assert_eq!(found, ["r0", "r1", "r2", "r3", "r4", "r5"]);
        let asked = question(("person", "bob"), "ignored", ("record", "r3"));
        assert_eq!(search_all(&access, ACTION, &asked, limit).await, ["edit"]);
        let asked = question(("person", "alice"), "ignored", ("record", "r3"));
        assert_eq!(search_all(&access, ACTION, &asked, limit).await, ["view"]);
    }
}

#[tokio::test]
async fn a_search_finds_users_and_datasets_of_the_catalog() {
    let access = AccessServer::start().await;
    let ada = AdminClient::sign_in(&access.server, "ada").await;
    let mut readers = vec![
        ada.user_id("ada").await,
        ada.user_id("olivia").await,
        ada.user_id("mo").await,
    ];
    readers.sort();
    let asked = question(("user", "x"), "read", ("dataset", RESTRICTED));
    assert_eq!(search_all(&access, SUBJECT, &asked, 2).await, readers);
    let asked = question(("user", "mo"), "read", ("dataset", "x"));
    let found = search_all(&access, RESOURCE, &asked, 2).await;
    for (dataset, expected) in [
        (PUBLIC, true),
        (INTERNAL, true),
        (RESTRICTED, true),
        (PRIVATE, false),
    ] {
        assert_eq!(found.contains(&dataset.to_owned()), expected, "{dataset}");
    }
    assert!(found.is_sorted());
    let asked = question(("user", "ada"), "x", ("dataset", PRIVATE));
    let found = search_all(&access, ACTION, &asked, 2).await;
    assert_eq!(found, ["administer", "discover", "read", "share"]);
    let records = access.asked().await;
    let last = records.last().unwrap();
    assert_eq!(
        (&last["event"], &last["outcome"]),
        (&json!("search"), &json!("granted"))
    );
    assert_eq!(last["reason"], "2 results");
    assert_eq!(last["asked_action"], "*");
    assert!(
        records
            .iter()
            .any(|record| record["asked_principal"] == "User::*"
                && record["asked_action"] == "Action::\"read\""
                && record["reason"] == "2 results, more follow")
    );
}

#[tokio::test]
async fn what_is_not_known_is_not_found() {
    let access = AccessServer::start().await;
    for (path, asked) in [
        (SUBJECT, question(("person", "x"), "view", ("ghost", "r0"))),
        (SUBJECT, question(("ghost", "x"), "view", ("record", "r0"))),
        (SUBJECT, question(("person", "x"), "fly", ("record", "r0"))),
        (SUBJECT, question(("user", "x"), "read", ("dataset", "x"))),
        (
            RESOURCE,
            question(("user", "nobody"), "read", ("dataset", "x")),
        ),
        (
            RESOURCE,
            question(("person", "alice"), "view", ("ghost", "x")),
        ),
        (
            ACTION,
            question(("user", "nobody"), "x", ("dataset", PUBLIC)),
        ),
        (ACTION, question(("ghost", "x"), "x", ("ghost", "x"))),
    ] {
        let response = access.ask(path, &asked).await;
        let expected = json!({"page": {"next_token": "", "count": 0}, "results": []});
        assert_eq!(response.json(), expected, "{path} {asked}");
    }
    let mut missing = question(("person", "alice"), "view", ("record", "x"));
    missing["subject"] = json!({"type": "person"});
    access.ask(RESOURCE, &missing).await.problem(400);
    missing.as_object_mut().unwrap().remove("action");
    access.ask(SUBJECT, &missing).await.problem(400);
}

#[tokio::test]
async fn a_token_is_for_one_search_alone() {
    let access = AccessServer::start().await;
    let mut asked = question(("person", "x"), "view", ("record", "r0"));
    asked["subject"].as_object_mut().unwrap().remove("id");
    asked["page"] = json!({"limit": 0});
    let empty = access.ask(SUBJECT, &asked).await.json();
    assert_eq!(empty["results"], json!([]));
    assert!(!empty["page"]["next_token"].as_str().unwrap().is_empty());
    asked["page"] = json!({"limit": 1});
    let first = access.ask(SUBJECT, &asked).await.json();
    assert_eq!(first["results"], json!([entity(("person", "alice"))]));
    let token = first["page"]["next_token"].clone();
    for (path, member, value) in [
        (SUBJECT, "page", json!({"token": token, "limit": 2})),
        (SUBJECT, "action", json!({"name": "edit"})),
        (SUBJECT, "resource", entity(("record", "r2"))),
        (SUBJECT, "context", json!({"soft": true})),
        (RESOURCE, "subject", entity(("person", "x"))),
        (SUBJECT, "page", json!({"token": "forged"})),
        (SUBJECT, "page", json!({"token": 7})),
        (SUBJECT, "page", json!({"limit": -1})),
        (SUBJECT, "page", json!({"limit": 1.5})),
    ] {
        let mut other = asked.clone();
        other["page"] = json!({"token": token, "limit": 1});
        other[member] = value;
        access.ask(path, &other).await.problem(400);
    }
    asked["page"] = json!({"token": token, "limit": 1});
    let restarted = AccessServer {
        server: access.server.restarted().await,
        ..access
    };
    let second = restarted.ask(SUBJECT, &asked).await.json();
    assert_eq!(second["results"], json!([entity(("person", "carol"))]));
    assert!(restarted.policies.path().is_dir());
}

#[tokio::test]
async fn a_search_counts_as_ten_questions() {
    let limit = ("CEDARGATE_EVALUATION_LIMIT_PER_MINUTE", "25".to_owned());
    let access = AccessServer::start_with(vec![limit]).await;
    let asked = question(("person", "x"), "view", ("record", "r0"));
    for _ in 0..2 {
        assert_eq!(access.ask(SUBJECT, &asked).await.status, 200);
    }
    access.ask(SUBJECT, &asked).await.problem(429);
}
