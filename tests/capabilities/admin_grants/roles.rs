//! Roles: who may give which, and take it away.

use serde_json::json;

use crate::support::admin_client::{AdminClient, USERS};
use crate::support::cli::copy_of_shipped_policies;
use crate::support::records::records;
use crate::support::server::{PASSWORD, Server, ServerOptions, TestResponse};

use super::{ROLES, catalog_with, helpdesk_and_auditors, password, server_with, user_body};

#[tokio::test]
async fn a_helpdesk_gives_only_the_roles_that_the_policies_name() {
    let server = helpdesk_and_auditors().await;
    let helpdesk = AdminClient::sign_in(&server, "of-helpdesk").await;
    let me = helpdesk.user_path("of-helpdesk").await;
    let mo = helpdesk.user_path("mo").await;
    let auditor = helpdesk.user_path("of-auditors").await;
    for (path, name, roles) in [
        (&me, "of-helpdesk", vec!["auditors", "helpdesk"]),
        (&me, "of-helpdesk", vec![]),
        (&mo, "mo", vec!["auditors", "hydrology"]),
        (&mo, "mo", vec!["helpdesk"]),
        (&auditor, "of-auditors", vec![]),
    ] {
        helpdesk
            .put(path, user_body(name, &roles))
            .await
            .problem(403);
    }
    let created = json!({"username": "eve", "roles": ["auditors"], "password": PASSWORD});
    helpdesk.post(USERS, created).await.problem(403);
    helpdesk.get("/admin/audit").await.problem(403);
    let granted = helpdesk.put(&mo, user_body("mo", &["partners"])).await;
    assert_eq!(granted.status, 200, "{}", granted.text());
    let created = json!({"username": "eve", "roles": ["hydrology"], "password": PASSWORD});
    assert_eq!(helpdesk.post(USERS, created).await.status, 201);
    // Users with other roles can still be changed otherwise.
    let disabled = json!({"username": "of-auditors", "roles": ["auditors"], "is_disabled": true});
    assert_eq!(helpdesk.put(&auditor, disabled).await.status, 200);

    let records = records(&server).await;
    let denied: Vec<_> = records
        .iter()
        .filter(|record| record["outcome"] == "denied")
        .map(|record| format!("{} {}", record["action"], record["reason"]))
        .collect();
    let role = "\"assign_role\" \"giving or taking the role";
    assert_eq!(denied[0], format!("{role} auditors was denied\""));
    assert_eq!(denied[1], format!("{role} helpdesk was denied\""));
    let granted = records
        .iter()
        .filter(|record| record["outcome"] == "granted")
        .filter(|record| {
            record["reason"]
                .as_str()
                .is_some_and(|r| r.starts_with("changed"))
        });
    assert!(granted.clone().count() > 0);
    for record in granted {
        assert_eq!(record["action"], "administer_users");
        assert_eq!(record["determining_policies"], json!(["helpdesk"]));
    }
}

#[tokio::test]
async fn deleting_a_role_requires_that_it_may_be_taken_away() {
    let server = server_with(
        r#"
@id("admin") @reason("x")
permit (principal in Role::"admin", action, resource);
@id("role-admin") @reason("x")
permit (principal in Role::"role-admins", action == Action::"administer_roles", resource);
@id("role-admin-takes") @reason("x")
permit (principal in Role::"role-admins", action == Action::"assign_role", resource)
when { resource == Role::"hydrology" };
@id("suspended") @reason("x")
forbid (principal in Role::"suspended", action == Action::"administer_roles", resource)
when { resource == Role::"geology" };
"#,
        &[&["role-admins", "suspended"]],
    )
    .await;
    let role_admin = AdminClient::sign_in(&server, "of-role-admins").await;
    let path = |role: &str| format!("{ROLES}/{role}");
    role_admin.delete(&path("suspended")).await.problem(403);
    assert_eq!(role_admin.delete(&path("hydrology")).await.status, 204);
    // Nobody is a member of a new role, as long as no identity provider gives it.
    let created = role_admin.post(ROLES, json!({"name": "biology"})).await;
    assert_eq!(created.status, 201, "{}", created.text());
}

#[tokio::test]
async fn a_schema_without_assign_role_decides_as_before_with_warnings() {
    let folder = copy_of_shipped_policies();
    let schema = folder.path().join("schema.cedarschema");
    let text = std::fs::read_to_string(&schema).unwrap();
    let text = text.replace(
        "\"administer_roles\", \"assign_role\"",
        "\"administer_roles\"",
    );
    std::fs::write(&schema, text).unwrap();
    let cases = folder.path().join("admin.cases.json");
    let text = std::fs::read_to_string(&cases).unwrap();
    let text = text.replace("assign_role", "administer_roles");
    std::fs::write(&cases, text).unwrap();
    let helpdesk = "@id(\"helpdesk\") @reason(\"x\")\n\
        permit (principal in Role::\"helpdesk\", action == Action::\"administer_users\", resource)\n\
        unless { resource in Role::\"admin\" };";
    std::fs::write(folder.path().join("helpdesk.cedar"), helpdesk).unwrap();
    std::fs::remove_dir_all(folder.path().join("invariants")).unwrap();
    let server = Server::start_with(ServerOptions {
        environment: vec![("CEDARGATE_POLICY_DIR", folder.path().display().to_string())],
        catalog: Some(catalog_with(&[&["helpdesk"]])),
        ..ServerOptions::default()
    })
    .await;
    let ready = TestResponse::send(server.get("/health/ready")).await.json();
    assert_eq!(ready["status"], "degraded");
    assert!(
        ready["problems"].to_string().contains("assign_role"),
        "{ready}"
    );
    let ada = AdminClient::sign_in(&server, "ada").await;
    let policies = ada.get("/admin/policies").await.json();
    let warnings = policies["in_force"]["warnings"].to_string();
    assert!(warnings.contains("assign_role"), "{warnings}");
    let helpdesk = AdminClient::sign_in(&server, "of-helpdesk").await;
    let mo = ada.user_path("mo").await;
    let changed = helpdesk.put(&mo, user_body("mo", &["helpdesk"])).await;
    assert_eq!(changed.status, 200, "{}", changed.text());
    // The password of a user with more power is protected all the same.
    let reset = format!("{}/password", ada.user_path("ada").await);
    helpdesk.put(&reset, password()).await.problem(403);
}
