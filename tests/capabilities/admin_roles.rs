//! Administration of roles: create, list, delete, list members.

use serde_json::json;

use crate::support::admin_client::{AdminClient, USERS};
use crate::support::records::records;
use crate::support::server::{RESTRICTED, Server, TestResponse};

const ROLES: &str = "/admin/roles";

#[tokio::test]
async fn a_role_is_created_assigned_and_deleted_with_its_memberships() {
    let server = Server::start().await;
    let ada = AdminClient::sign_in(&server, "ada").await;
    let created = ada.post(ROLES, json!({"name": "geology"})).await;
    assert_eq!(created.status, 201, "{}", created.text());
    assert_eq!(created.header("location"), "roles/geology");
    let role = json!({"name": "geology", "is_built_in": false});
    assert_eq!(created.json(), role);
    let path = format!("{ROLES}/geology");
    assert_eq!(ada.get(&path).await.json(), role);
    let again = ada.post(ROLES, json!({"name": "geology"})).await;
    assert_eq!(again.problem_field(409), "name");
    let otto = ada.user_path("otto").await;
    let body = json!({"username": "otto", "roles": ["geology", "hydrology"], "is_disabled": false});
    assert_eq!(ada.put(&otto, body).await.status, 200);
    let members = ada.get(&format!("{path}/members")).await.json();
    assert_eq!(members["items"][0]["username"], "otto");
    assert_eq!(
        members["items"][0]["roles"],
        json!(["geology", "hydrology"])
    );

    let request = ada.request(reqwest::Method::DELETE, &path);
    let other = request.header("if-match", "\"other\"");
    TestResponse::send(other).await.problem(412);
    assert_eq!(ada.delete(&path).await.status, 204);
    ada.delete(&path).await.problem(404);
    ada.get(&path).await.problem(404);
    ada.get(&format!("{path}/members")).await.problem(404);
    assert_eq!(ada.get(&otto).await.json()["roles"], json!(["hydrology"]));
    let audited: Vec<_> = records(&server)
        .await
        .iter()
        .filter(|record| record["action"] == "administer_roles")
        .map(|record| format!("{} {}", record["outcome"], record["reason"]))
        .collect();
    assert_eq!(
        audited,
        [
            r#""granted" "created the role geology""#,
            r#""refused" "the role geology already exists""#,
            r#""refused" "it has changed since you read it: read it again and retry""#,
            r#""granted" "deleted the role geology with its memberships and shares""#,
            r#""refused" "there is no role geology""#,
        ]
    );
}

#[tokio::test]
async fn deleting_a_role_removes_its_shares_immediately() {
    let server = Server::start().await;
    let ada = AdminClient::sign_in(&server, "ada").await;
    let mo = server.session("mo").await;
    let token = server.mint(RESTRICTED, Some(&mo)).await.token();
    let path = format!("{ROLES}/hydrology");
    assert_eq!(ada.delete(&path).await.status, 204);
    server.download(RESTRICTED, &token).await.problem(403);
}

#[tokio::test]
async fn the_role_admin_is_built_in() {
    let server = Server::start().await;
    let ada = AdminClient::sign_in(&server, "ada").await;
    let path = format!("{ROLES}/admin");
    assert_eq!(ada.delete(&path).await.problem_field(409), "name");
    let role = ada.get(&path).await.json();
    assert_eq!(role, json!({"name": "admin", "is_built_in": true}));
    let wrong = ada.post(ROLES, json!({"name": "No Name"})).await;
    assert_eq!(wrong.problem_field(422), "name");
    ada.get(&format!("{ROLES}/-no")).await.problem(422);
    assert_eq!(ada.get(&format!("{ROLES}/ADMIN")).await.json(), role);
}

#[tokio::test]
async fn roles_and_members_are_listed_once_each_while_others_are_created() {
    let server = Server::start().await;
    let ada = AdminClient::sign_in(&server, "ada").await;
    let make = async |prefix: &str| {
        for n in 10..22 {
            let created = ada
                .post(ROLES, json!({"name": format!("{prefix}{n}")}))
                .await;
            assert_eq!(created.status, 201, "{}", created.text());
            let body = json!({"username": format!("{prefix}{n}"), "roles": ["hydrology"]});
            assert_eq!(ada.post(USERS, body).await.status, 201);
        }
    };
    make("early").await;
    let members = format!("{ROLES}/hydrology/members");
    let (roles, members, ()) = tokio::join!(
        ada.list_all(ROLES, 5),
        ada.list_all(&members, 5),
        make("late")
    );
    for (listed, field) in [(roles, "name"), (members, "username")] {
        let mut names: Vec<_> = listed.iter().map(|one| one[field].to_string()).collect();
        let early = names.iter().filter(|name| name.contains("early"));
        assert_eq!(early.count(), 12);
        names.sort();
        let all = names.len();
        names.dedup();
        assert_eq!(names.len(), all, "once each");
    }
    let roles = ada.list_all(ROLES, 100).await;
    assert_eq!(roles.len(), 2 + 24);
    assert!(roles.is_sorted_by_key(|role| role["name"].to_string()));
}
