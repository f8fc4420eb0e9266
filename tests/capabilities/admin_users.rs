//! Administration of users: create, list, get, update, disable, delete; authorized and audited.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::admin_client::{AdminClient, USERS};
use crate::support::records::records;
use crate::support::server::{PASSWORD, PUBLIC, RESTRICTED, Server, TestResponse, UNKNOWN};

fn user_body(username: &str, roles: &[&str], is_disabled: bool) -> Value {
    json!({"username": username, "roles": roles, "is_disabled": is_disabled})
}

#[tokio::test]
async fn an_admin_creates_gets_updates_and_deletes_a_user() {
    let server = Server::start().await;
    let ada = AdminClient::sign_in(&server, "ada").await;
    let body = json!({"username": "nina", "roles": ["hydrology"], "password": PASSWORD,
        "claims": {"groups": ["field", "office"]}});
    let created = ada.post(USERS, body).await;
    assert_eq!(created.status, 201, "{}", created.text());
    let user = created.json();
    let path = format!("{USERS}/{}", user["id"].as_str().unwrap());
    assert_eq!(format!("/admin/{}", created.header("location")), path);
    assert_eq!(
        user,
        json!({"id": user["id"], "username": "nina", "roles": ["hydrology"],
            "claims": {"groups": ["field", "office"]}, "attributes": {}, "is_disabled": false,
            "has_password": true})
    );
    let read = ada.get(&path).await;
    assert_eq!(read.json(), user);
    assert_eq!(read.header("etag"), created.header("etag"));
    assert_eq!(read.header("cache-control"), "no-store");
    let nina = server.session("nina").await;
    server.mint(RESTRICTED, Some(&nina)).await.token();

    let changed = ada.put(&path, user_body("nina.k", &[], false)).await;
    assert_eq!(changed.status, 200, "{}", changed.text());
    assert_eq!(changed.json()["username"], "nina.k");
    assert_eq!(changed.json()["roles"], json!([]));
    assert_eq!(
        changed.json()["claims"],
        user["claims"],
        "left out, it stays"
    );
    assert_ne!(changed.header("etag"), created.header("etag"));
    server.mint(RESTRICTED, Some(&nina)).await.problem(403);
    server.session("nina.k").await;

    assert_eq!(ada.delete(&path).await.status, 204);
    ada.get(&path).await.problem(404);
    ada.delete(&path).await.problem(404);
    server.mint(PUBLIC, Some(&nina)).await.problem(401);
}

#[tokio::test]
async fn a_user_can_be_updated_by_sending_back_what_was_read() {
    let server = Server::start().await;
    let ada = AdminClient::sign_in(&server, "ada").await;
    let path = ada.user_path("mo").await;
    let mut mo = ada.get(&path).await.json();
    mo["is_disabled"] = json!(true);
    let changed = ada.put(&path, mo.clone()).await;
    assert_eq!(changed.status, 200, "{}", changed.text());
    assert_eq!(changed.json(), mo);
    for (field, other) in [
        ("id", json!(UNKNOWN)),
        ("issuer", json!("https://issuer.example")),
        ("has_password", json!(false)),
    ] {
        let mut body = mo.clone();
        body[field] = other;
        assert_eq!(ada.put(&path, body).await.problem_field(422), field);
    }
}

#[tokio::test]
async fn a_change_applies_to_the_version_in_if_match() {
    let server = Server::start().await;
    let ada = AdminClient::sign_in(&server, "ada").await;
    let path = ada.user_path("mo").await;
    let etag = ada.get(&path).await.header("etag").to_owned();
    let put = async |etag: &str, body: Value| {
        let request = ada.request(Method::PUT, &path).header("if-match", etag);
        TestResponse::send(request.json(&body)).await
    };
    let changed = put(&etag, user_body("mo", &[], false)).await;
    assert_eq!(changed.status, 200, "{}", changed.text());
    put(&etag, user_body("mo", &["hydrology"], false))
        .await
        .problem(412);
    assert_eq!(ada.get(&path).await.json()["roles"], json!([]));
    let remove = async |etag: &str| {
        TestResponse::send(ada.request(Method::DELETE, &path).header("if-match", etag)).await
    };
    remove(&etag).await.problem(412);
    assert_eq!(put("*", user_body("mo", &[], false)).await.status, 200);
    assert_eq!(remove(changed.header("etag")).await.status, 204);
}

#[tokio::test]
async fn an_invalid_user_is_refused_with_its_field_and_changes_nothing() {
    let server = Server::start().await;
    let ada = AdminClient::sign_in(&server, "ada").await;
    let create = async |body: Value| ada.post(USERS, body).await;
    let taken = create(json!({"username": "mo"})).await;
    assert_eq!(taken.problem_field(409), "username");
    assert_eq!(
        create(json!({"username": "n o"})).await.problem_field(422),
        "username"
    );
    let nosuch = create(json!({"username": "nina", "roles": ["hydrolgy"]})).await;
    assert_eq!(nosuch.problem_field(422), "roles");
    let short = create(json!({"username": "nina", "password": "seven.."})).await;
    assert_eq!(short.problem_field(422), "password");
    let long = create(json!({"username": "nina", "claims": {"x": ["y".repeat(257)]}})).await;
    assert_eq!(long.problem_field(422), "claims");
    let misspelt = json!({"username": "nina", "disabled": true});
    create(misspelt).await.problem(422);
    let mo = ada.user_path("mo").await;
    let renamed = ada.put(&mo, user_body("otto", &[], false)).await;
    assert_eq!(renamed.problem_field(409), "username");
    ada.put(&mo, json!({"username": "mo"})).await.problem(422);
    ada.get(&format!("{USERS}/nobody")).await.problem(422);
    ada.get(&format!("{USERS}?after=nobody")).await.problem(422);
    let nina = ada.get(&format!("{USERS}?username=nina")).await.json();
    assert_eq!(nina, json!({"items": []}));
    assert_eq!(ada.get(&mo).await.json()["roles"], json!(["hydrology"]));
}

#[tokio::test]
async fn the_last_admin_cannot_be_removed() {
    let server = Server::start().await;
    let ada = AdminClient::sign_in(&server, "ada").await;
    let (path, dora) = (ada.user_path("ada").await, ada.user_path("dora").await);
    // A disabled admin does not count.
    let response = ada.put(&dora, user_body("dora", &["admin"], true)).await;
    assert_eq!(response.status, 200);
    let disabled = ada.put(&path, user_body("ada", &["admin"], true)).await;
    assert_eq!(disabled.problem_field(409), "is_disabled");
    let plain = ada.put(&path, user_body("ada", &[], false)).await;
    assert_eq!(plain.problem_field(409), "roles");
    assert_eq!(ada.delete(&path).await.problem_field(409), "id");
    assert_eq!(ada.get(&path).await.json()["roles"], json!(["admin"]));
    let response = ada.put(&dora, user_body("dora", &["admin"], false)).await;
    assert_eq!(response.status, 200);
    let response = ada.put(&path, user_body("ada", &["admin"], true)).await;
    assert_eq!(response.status, 200, "{}", response.text());
    ada.get(&path).await.problem(401);
}

#[tokio::test]
async fn two_admins_who_disable_each_other_leave_one() {
    let server = Server::start().await;
    let ada = AdminClient::sign_in(&server, "ada").await;
    let (path, mo) = (ada.user_path("ada").await, ada.user_path("mo").await);
    let response = ada.put(&mo, user_body("mo", &["admin"], false)).await;
    assert_eq!(response.status, 200);
    let replica = server.replica().await;
    let other = AdminClient::sign_in(&replica, "mo").await;
    let (one, two) = tokio::join!(
        ada.put(&mo, user_body("mo", &["admin"], true)),
        other.put(&path, user_body("ada", &["admin"], true)),
    );
    let created = [one.status, two.status];
    assert_eq!(created.iter().filter(|status| **status == 200).count(), 1);
    assert!(
        created.contains(&409) || created.contains(&401),
        "{created:?}: {} {}",
        one.text(),
        two.text()
    );
}

#[tokio::test]
async fn users_are_listed_once_each_while_others_are_created() {
    let server = Server::start().await;
    let ada = AdminClient::sign_in(&server, "ada").await;
    let make = async |prefix: &str, count: usize| {
        for n in 0..count {
            let created = ada
                .post(USERS, json!({"username": format!("{prefix}{n}")}))
                .await;
            assert_eq!(created.status, 201, "{}", created.text());
        }
    };
    make("early", 60).await;
    let (listed, ()) = tokio::join!(ada.list_all(USERS, 7), make("late", 40));
    let names: Vec<_> = listed
        .iter()
        .map(|user| user["username"].as_str().unwrap())
        .collect();
    let once: BTreeSet<_> = names.iter().copied().collect();
    assert_eq!(once.len(), names.len(), "once each");
    for n in 0..60 {
        assert!(once.contains(format!("early{n}").as_str()), "early{n}");
    }
    assert!(["ada", "dora", "mo"].iter().all(|name| once.contains(name)));
    assert_eq!(ada.list_all(USERS, 100).await.len(), 105);
    let ids: Vec<_> = listed.iter().map(|user| user["id"].to_string()).collect();
    assert!(ids.is_sorted());
}

#[tokio::test]
async fn a_list_of_users_can_be_filtered_by_name_or_role() {
    let server = Server::start().await;
    let ada = AdminClient::sign_in(&server, "ada").await;
    let names = async |query: &str| -> Vec<String> {
        let listed = ada.list_all(&format!("{USERS}{query}"), 1).await;
        let names = listed.iter().map(|user| user["username"].as_str().unwrap());
        names.map(str::to_owned).collect()
    };
    assert_eq!(names("?username=dora").await, ["dora"]);
    assert_eq!(names("?role=hydrology").await, ["mo"]);
    assert_eq!(names("?role=hydrology&username=dora").await, [""; 0]);
    assert_eq!(names("?role=nosuch").await, [""; 0]);
}

#[tokio::test]
async fn every_operation_on_users_is_audited_with_its_summary() {
    let server = Server::start().await;
    let ada = AdminClient::sign_in(&server, "ada").await;
    let before = records(&server).await.len();
    let created = ada.post(USERS, json!({"username": "nina"})).await.json();
    let id = created["id"].clone();
    let path = format!("{USERS}/{}", id.as_str().unwrap());
    ada.put(&path, user_body("nina", &["hydrology"], true))
        .await;
    ada.put(&path, user_body("nina", &["nosuch"], true))
        .await
        .problem(422);
    ada.get(&path).await;
    ada.get(USERS).await;
    ada.delete(&path).await;
    ada.delete(&path).await.problem(404);
    let otto = AdminClient::sign_in(&server, "otto").await;
    otto.delete(&path).await.problem(403);
    let all = records(&server).await;
    let audited: Vec<_> = all[before..]
        .iter()
        .filter(|record| record["event"] == "administer")
        .map(|record| {
            let word = |name: &str| record[name].as_str().unwrap_or("-").to_owned();
            let whom = if record["resource_user_id"] == id {
                "nina"
            } else {
                "-"
            };
            let (action, outcome) = (word("action"), word("outcome"));
            format!("{action} {outcome} {whom}: {}", word("reason"))
        })
        .collect();
    let unknown = format!("there is no user {}", id.as_str().unwrap());
    assert_eq!(
        audited,
        [
            "administer_users granted nina: created the user nina, roles: none".to_owned(),
            "administer_users granted nina: changed the user nina: roles: hydrology (were: none); \
             disabled"
                .to_owned(),
            "administer_users refused nina: roles: there is no role nosuch".to_owned(),
            "view_users granted nina: -".to_owned(),
            "view_users granted -: -".to_owned(),
            "administer_users granted nina: deleted the user nina; its datasets have no owner now"
                .to_owned(),
            format!("administer_users refused -: {unknown}"),
            format!("administer_users refused -: {unknown}"),
        ]
    );
    let created = &all[before];
    assert_eq!(created["authentication"], "password");
    assert_eq!(created["determining_policies"], json!(["admin"]));
    assert!(created["user_id"].is_string() && created["revision"].is_string());
}
