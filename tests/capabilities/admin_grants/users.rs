//! Users: their credentials, their names, and what auditors see of the policies.

use serde_json::json;

use crate::support::admin_client::{AdminClient, USERS};
use crate::support::cli::copy_of_shipped_policies;
use crate::support::server::{PASSWORD, Server, ServerOptions};

use super::{catalog_with, helpdesk_and_auditors, password, server_with, user_body};

#[tokio::test]
async fn nobody_sets_the_password_of_somebody_who_may_do_more() {
    let server = helpdesk_and_auditors().await;
    let helpdesk = AdminClient::sign_in(&server, "of-helpdesk").await;
    let ada = AdminClient::sign_in(&server, "ada").await;
    let reset = async |name: &str| {
        let path = format!("{}/password", helpdesk.user_path(name).await);
        helpdesk.put(&path, json!({})).await.status
    };
    assert_eq!(reset("of-auditors").await, 403);
    // What a user may do is not forgotten while it is disabled.
    let auditor = ada.user_path("of-auditors").await;
    let disabled = json!({"username": "of-auditors", "roles": ["auditors"], "is_disabled": true});
    assert_eq!(ada.put(&auditor, disabled).await.status, 200);
    assert_eq!(reset("of-auditors").await, 403);
    for name in ["otto", "mo", "of-partners", "of-helpdesk"] {
        assert_eq!(reset(name).await, 200, "{name}");
    }
}

#[tokio::test]
async fn a_user_whom_policies_name_is_not_taken_over() {
    let server = server_with(
        r#"
@id("admin") @reason("x")
permit (principal in Role::"admin", action, resource);
@id("helpdesk") @reason("x")
permit (principal in Role::"helpdesk", action == Action::"administer_users", resource)
unless { resource in Role::"admin" };
@id("helpdesk-looks") @reason("x")
permit (principal in Role::"helpdesk", action == Action::"view_users", resource);
@id("by-name") @reason("x")
permit (principal, action == Action::"view_audit", resource)
when { principal.username == "olivia" || principal.username == "auditor" };
@id("by-claim") @reason("x")
permit (principal, action == Action::"view_keys", resource)
when { principal.hasTag("team") && principal.getTag("team").contains("keys") };
@id("over-admins") @reason("x")
permit (principal, action == Action::"administer_users", resource)
when { principal.username == "otto" && resource.username == "ada" };
"#,
        &[&["helpdesk"]],
    )
    .await;
    let helpdesk = AdminClient::sign_in(&server, "of-helpdesk").await;
    let me = helpdesk.user_path("of-helpdesk").await;
    for name in ["olivia", "otto"] {
        let path = format!("{}/password", helpdesk.user_path(name).await);
        helpdesk.put(&path, password()).await.problem(403);
    }
    // Nor does the helpdesk become such a user, or create one.
    helpdesk
        .put(&me, user_body("auditor", &["helpdesk"]))
        .await
        .problem(403);
    let with_claim = json!({"username": "of-helpdesk", "roles": ["helpdesk"], "is_disabled": false,
        "claims": {"team": ["keys"]}});
    helpdesk.put(&me, with_claim).await.problem(403);
    for created in [
        json!({"username": "auditor", "password": PASSWORD}),
        json!({"username": "eve", "password": PASSWORD, "claims": {"team": ["keys"]}}),
    ] {
        helpdesk.post(USERS, created).await.problem(403);
    }
    let harmless = json!({"username": "of-desk", "roles": ["helpdesk"], "is_disabled": false,
        "claims": {"team": ["water"]}});
    let changed = helpdesk.put(&me, harmless).await;
    assert_eq!(changed.status, 200, "{}", changed.text());
    // Who has the attribute already is changed in other ways.
    let olivia = helpdesk.user_path("olivia").await;
    let renamed = helpdesk.put(&olivia, user_body("olive", &[])).await;
    assert_eq!(renamed.status, 200, "{}", renamed.text());
}

#[tokio::test]
async fn names_that_mean_other_principals_are_not_given_to_users() {
    let server = Server::start().await;
    let ada = AdminClient::sign_in(&server, "ada").await;
    let otto = ada.user_path("otto").await;
    for name in [
        "anonymous",
        "2489e9ad-2ee2-8e00-8ec9-32d5f69181c0",
        "2489e9ad2ee28e008ec932d5f69181c0",
    ] {
        let created = ada.post(USERS, json!({ "username": name })).await;
        assert_eq!(created.problem_field(422), "username");
        let renamed = ada.put(&otto, user_body(name, &[])).await;
        assert_eq!(renamed.problem_field(422), "username");
    }
}

#[tokio::test]
async fn only_admins_who_can_sign_in_count_as_the_last() {
    let server = Server::start().await;
    let ada = AdminClient::sign_in(&server, "ada").await;
    let me = ada.user_path("ada").await;
    // It has neither a password nor a key.
    let body = json!({"username": "eve", "roles": ["admin"]});
    assert_eq!(ada.post(USERS, body).await.status, 201);
    let disabled = json!({"username": "ada", "roles": ["admin"], "is_disabled": true});
    let refused = ada.put(&me, disabled).await;
    assert_eq!(refused.problem_field(409), "is_disabled");
    let refused = ada.put(&me, user_body("ada", &[])).await;
    assert_eq!(refused.problem_field(409), "roles");
    assert_eq!(ada.delete(&me).await.problem_field(409), "id");
    let eve = format!("{}/password", ada.user_path("eve").await);
    assert_eq!(ada.put(&eve, json!({})).await.status, 200);
    assert_eq!(ada.put(&me, user_body("ada", &[])).await.status, 200);
}

#[tokio::test]
async fn reload_policies_and_view_audit_alone_show_no_policy_text() {
    let folder = copy_of_shipped_policies();
    let added = r#"
@id("reloaders") @reason("x")
permit (principal in Role::"reloaders", action, resource)
when { action == Action::"reload_policies" || action == Action::"view_audit" };
"#;
    std::fs::write(folder.path().join("reloaders.cedar"), added).unwrap();
    std::fs::remove_dir_all(folder.path().join("invariants")).unwrap();
    let server = Server::start_with(ServerOptions {
        environment: vec![("CEDARGATE_POLICY_DIR", folder.path().display().to_string())],
        catalog: Some(catalog_with(&[&["reloaders"]])),
        ..ServerOptions::default()
    })
    .await;
    let broken = "@id(\"secret-word\")\npermit (principal, action, resorce);\n";
    std::fs::write(folder.path().join("broken.cedar"), broken).unwrap();
    let reloader = AdminClient::sign_in(&server, "of-reloaders").await;
    let ada = AdminClient::sign_in(&server, "ada").await;
    let reload = "/admin/policies/reload";
    let detail = reloader.post(reload, json!({})).await.problem(409);
    assert!(detail.contains("it is not valid"), "{detail}");
    assert!(
        !detail.contains("broken") && !detail.contains("resorce"),
        "{detail}"
    );
    let detail = ada.post(reload, json!({})).await.problem(409);
    assert!(detail.contains("broken.cedar:2"), "{detail}");
    for path in ["/admin/audit", "/admin/audit/export"] {
        let seen = reloader.get(path).await.text();
        assert!(seen.contains("it is not valid"), "{seen}");
        assert!(
            !seen.contains("broken.cedar") && !seen.contains("resorce"),
            "{seen}"
        );
        let seen = ada.get(path).await.text();
        assert!(seen.contains("broken.cedar"), "{seen}");
    }
}

#[tokio::test]
async fn a_role_that_the_caller_may_take_away_hides_no_power() {
    let server = server_with(
        r#"
@id("admin") @reason("x")
permit (principal in Role::"admin", action, resource);
@id("helpdesk") @reason("x")
permit (principal in Role::"helpdesk", action == Action::"administer_users", resource)
unless { resource in Role::"admin" };
@id("helpdesk-looks") @reason("x")
permit (principal in Role::"helpdesk", action == Action::"view_users", resource);
@id("helpdesk-gives") @reason("x")
permit (principal in Role::"helpdesk", action == Action::"assign_role", resource == Role::"suspended");
@id("by-name") @reason("x")
permit (principal, action == Action::"view_audit", resource)
when { principal.username like "boss*" };
@id("suspended") @reason("x")
forbid (principal in Role::"suspended", action, resource);
"#,
        &[&["helpdesk"], &["suspended"]],
    )
    .await;
    let ada = AdminClient::sign_in(&server, "ada").await;
    let boss = json!({"username": "boss", "roles": ["suspended"], "password": PASSWORD});
    assert_eq!(ada.post(USERS, boss).await.status, 201);
    let helpdesk = AdminClient::sign_in(&server, "of-helpdesk").await;
    let path = format!("{}/password", helpdesk.user_path("boss").await);
    helpdesk.put(&path, password()).await.problem(403);
    let created = json!({"username": "boss2", "roles": ["suspended"], "password": PASSWORD});
    helpdesk.post(USERS, created).await.problem(403);
    let path = format!("{}/password", helpdesk.user_path("of-suspended").await);
    assert_eq!(helpdesk.put(&path, password()).await.status, 200);
}
