//! The action `share`: an owner shares what is its own, sees who may read it, and changes nothing else.

use reqwest::Method;
use serde_json::{Value, json};

use crate::admin_datasets::dataset_path;
use crate::support::admin_client::AdminClient;
use crate::support::server::{
    CATALOG, PRIVATE, PUBLIC, RESTRICTED, Server, ServerOptions, TestResponse, UNKNOWN,
};

fn shares(dataset: &str) -> String {
    dataset_path(dataset) + "/shares"
}

fn principals(dataset: &str) -> String {
    dataset_path(dataset) + "/principals?action=read"
}

fn entry<'a>(list: &'a Value, username: &str) -> Option<&'a Value> {
    let mut items = list["items"].as_array().unwrap().iter();
    items.find(|item| item["user"]["username"] == username)
}

#[tokio::test]
async fn an_owner_shares_and_revokes_and_the_shares_decide_downloads() {
    let server = Server::start().await;
    let olivia = AdminClient::sign_in(&server, "olivia").await;
    let otto = server.session("otto").await;
    let of_otto = format!("{}/users/otto", shares(RESTRICTED));
    let before = olivia.get(&shares(RESTRICTED)).await;
    assert_eq!(before.json(), json!({"users": [], "roles": ["hydrology"]}));
    server.mint(RESTRICTED, Some(&otto)).await.problem(403);
    let shared = olivia.put(&of_otto, json!({})).await;
    assert_eq!(shared.status, 200, "{}", shared.text());
    let token = server.mint(RESTRICTED, Some(&otto)).await.token();
    assert_eq!(server.download(RESTRICTED, &token).await.status, 200);
    let ada = AdminClient::sign_in(&server, "ada").await;
    let record = ada.get("/admin/audit?limit=1&action=share").await.json();
    let record = &record["items"][0];
    assert_eq!(record["determining_policies"], json!(["owner-shares"]));
    assert_eq!(record["dataset_id"], RESTRICTED);
    assert_eq!(olivia.delete(&of_otto).await.status, 200);
    server.download(RESTRICTED, &token).await.problem(403);
}

#[tokio::test]
async fn an_owner_who_may_share_may_change_nothing_else() {
    let server = Server::start().await;
    let olivia = AdminClient::sign_in(&server, "olivia").await;
    let ada = AdminClient::sign_in(&server, "ada").await;
    let dataset = dataset_path(RESTRICTED);
    let whole = ada.get(&dataset).await.json();
    olivia.get(&dataset).await.problem(403);
    olivia.put(&dataset, whole.clone()).await.problem(403);
    olivia.delete(&dataset).await.problem(403);
    let file = format!("{dataset}/file");
    let upload = olivia.request(Method::PUT, &file).body("II*\0");
    let upload = upload.header("content-type", "image/tiff");
    TestResponse::send(upload).await.problem(403);
    olivia.delete(&file).await.problem(403);
    olivia.get("/admin/datasets").await.problem(403);
    assert_eq!(ada.get(&dataset).await.json(), whole);
}

#[tokio::test]
async fn only_an_owner_or_an_administrator_sees_and_changes_shares() {
    let server = Server::start().await;
    // A reader by role, and somebody who may only know of it.
    for username in ["mo", "otto"] {
        let other = AdminClient::sign_in(&server, username).await;
        for dataset in [RESTRICTED, PRIVATE, UNKNOWN] {
            let detail = other.get(&shares(dataset)).await.problem(403);
            let of_unknown = other.get(&shares(UNKNOWN)).await.problem(403);
            assert_eq!(detail, of_unknown);
            other.get(&principals(dataset)).await.problem(403);
            let of_otto = format!("{}/users/otto", shares(dataset));
            other.put(&of_otto, json!({})).await.problem(403);
            other.delete(&of_otto).await.problem(403);
            let of_nobody = format!("{}/users/nobody", shares(dataset));
            other.put(&of_nobody, json!({})).await.problem(403);
        }
    }
    let anonymous = TestResponse::send(server.get(&shares(PUBLIC))).await;
    anonymous.problem(401);
    let ada = AdminClient::sign_in(&server, "ada").await;
    assert_eq!(ada.get(&shares(RESTRICTED)).await.status, 200);
}

#[tokio::test]
async fn an_owner_sees_who_may_read_as_far_as_it_may_see_them() {
    let server = Server::start().await;
    let olivia = AdminClient::sign_in(&server, "olivia").await;
    let until = "2030-01-01T00:00:00Z";
    for (who, query) in [("mo", ""), ("otto", "?until=2030-01-01T00:00:00Z")] {
        let share = format!("{}/users/{who}{query}", shares(RESTRICTED));
        assert_eq!(olivia.put(&share, json!({})).await.status, 200);
    }
    let seen = olivia.get(&principals(RESTRICTED)).await.json();
    let items = seen["items"].as_array().unwrap();
    // Not ada, who reads it as an admin.
    assert_eq!(items.len(), 3, "{seen}");
    let grants = |name: &str| {
        let grants = entry(&seen, name).unwrap()["access"]["grants"].clone();
        let through = grants.as_array().unwrap().iter();
        through
            .map(|grant| grant["through"].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(grants("olivia"), ["owner"]);
    assert_eq!(grants("otto"), ["reader"]);
    let grant = &entry(&seen, "otto").unwrap()["access"]["grants"][0];
    assert_eq!(grant["policy"], "shared-with-user");
    assert!(
        grant["reason"]
            .as_str()
            .unwrap()
            .contains("shared with this user"),
        "{grant}"
    );
    let of_mo = entry(&seen, "mo").unwrap()["access"]["grants"].to_string();
    assert!(!of_mo.contains("shared-with-role"), "{of_mo}");
    // That mo reads it by a role too is told, but not by which: the role is mo's own affair.
    assert!(grants("mo").contains(&json!("policy")), "{seen}");
    assert!(!seen.to_string().contains("hydrology"), "{seen}");
    assert_eq!(entry(&seen, "otto").unwrap()["until"], until);
    assert_eq!(entry(&seen, "mo").unwrap().get("until"), None);
    assert_eq!(entry(&seen, "olivia").unwrap().get("until"), None);

    let ada = AdminClient::sign_in(&server, "ada").await;
    let all = ada.get(&principals(RESTRICTED)).await.json();
    assert!(entry(&all, "ada").is_some());
    let by_role = entry(&all, "mo").unwrap()["access"]["grants"].to_string();
    assert!(by_role.contains("hydrology"), "{by_role}");
}

#[tokio::test]
async fn a_list_of_who_may_read_says_what_anyone_may_who_signs_in() {
    let server = Server::start().await;
    let olivia = AdminClient::sign_in(&server, "olivia").await;
    let anyone = |list: &Value| {
        let is_given = |member: &str| list.get(member).is_some();
        (is_given("anonymous"), is_given("signed_in"))
    };
    for (dataset, expected) in [
        (PUBLIC, (true, true)),
        (crate::support::server::INTERNAL, (false, true)),
        (RESTRICTED, (false, false)),
    ] {
        let list = olivia.get(&principals(dataset)).await.json();
        assert_eq!(anyone(&list), expected, "{list}");
    }
    let first = olivia.get(&(principals(PUBLIC) + "&limit=1")).await.json();
    let next = format!(
        "{}&limit=1&after={}",
        principals(PUBLIC),
        first["items"][0]["user"]["id"].as_str().unwrap()
    );
    assert_eq!(anyone(&olivia.get(&next).await.json()), (false, false));
}

#[tokio::test]
async fn an_api_key_without_the_action_share_shares_nothing() {
    let server = Server::start().await;
    let olivia = AdminClient::sign_in(&server, "olivia").await;
    for (action, status) in [("read", 403), ("administer", 403), ("share", 200)] {
        let key = json!({"name": action, "actions": [action]});
        let key = olivia.post("/auth/api-keys", key).await.json();
        let request = server.get(&shares(RESTRICTED));
        let request = request.header("x-api-key", key["key"].as_str().unwrap());
        assert_eq!(TestResponse::send(request).await.status, status, "{action}");
    }
}

#[tokio::test]
async fn a_list_of_datasets_says_which_the_caller_may_share() {
    let server = Server::start().await;
    let shareable = async |username: &str, dataset: &str| {
        let client = AdminClient::sign_in(&server, username).await;
        let found = client.get(&format!("/datasets/{dataset}")).await.json();
        found["can_share"].as_bool().unwrap()
    };
    assert!(shareable("olivia", PUBLIC).await);
    assert!(shareable("ada", PUBLIC).await);
    assert!(!shareable("mo", PUBLIC).await);
    let anonymous = TestResponse::send(server.get(&format!("/datasets/{PUBLIC}"))).await;
    assert_eq!(anonymous.json()["can_share"], false);
}

/// A role is a reader by a share that ends, and by a policy that does not.
#[tokio::test]
async fn what_a_policy_permits_beside_a_share_does_not_end_with_it() {
    let server = Server::start_with(ServerOptions {
        policies: Some(
            r#"
            @id("admin") @reason("x") permit (principal in Role::"admin", action, resource);
            @id("readers") @reason("x")
            permit (principal is User, action == Action::"read", resource)
            when { principal in resource.reader_roles };
            @id("hydrology") @reason("x")
            permit (principal in Role::"hydrology", action == Action::"read", resource)
            when { resource.visibility == Visibility::"restricted" };
            "#,
        ),
        catalog: Some(CATALOG.replace(
            "reader_roles = [\"hydrology\"]",
            "reader_roles = [{ name = \"hydrology\", until = 2030-01-01T00:00:00Z }]",
        )),
        ..ServerOptions::default()
    })
    .await;
    let ada = AdminClient::sign_in(&server, "ada").await;
    let list = ada.get(&principals(RESTRICTED)).await.json();
    assert_eq!(entry(&list, "mo").unwrap().get("until"), None, "{list}");
}
