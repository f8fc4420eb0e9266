//! Federated users who administer: their tokens and the catalog may differ.

use serde_json::json;

use crate::support::server::{CATALOG, Server, ServerOptions, TestResponse};

use super::provider::{IdentityProvider, ProviderKey};
use super::{identity_providers_setting, me};

/// Policies for a helpdesk that may not change itself, and a server with its provider.
async fn helpdesk_of_provider() -> (IdentityProvider, ProviderKey, Server) {
    let policies = r#"
@id("admin") @reason("x")
permit (principal in Role::"admin", action, resource);
@id("helpdesk") @reason("x")
permit (principal in Role::"helpdesk", action in [Action::"administer_users", Action::"view_users"], resource);
@id("not-itself") @reason("x")
forbid (principal, action == Action::"administer_users", resource)
when { principal == resource };
@id("role-admin") @reason("x")
permit (principal in Role::"role-admins", action == Action::"administer_roles", resource);
"#;
    let key = ProviderKey::generate("first");
    let provider = IdentityProvider::start(&[&key]).await;
    let settings = json!({"roles_claim": "roles", "claims": {"dept": "dept"}});
    let roles = ["helpdesk", "role-admins"];
    let roles = roles.map(|role| format!("[[roles]]\nname = \"{role}\"\n"));
    let server = Server::start_with(ServerOptions {
        environment: vec![(
            "CEDARGATE_ISSUERS",
            identity_providers_setting(&provider, settings),
        )],
        policies: Some(policies),
        catalog: Some([roles.concat(), CATALOG.to_owned()].concat()),
    })
    .await;
    (provider, key, server)
}

#[tokio::test]
async fn an_older_token_does_not_evade_a_policy_about_oneself() {
    let (provider, key, server) = helpdesk_of_provider().await;
    let sign = |roles: &[&str], dept: &str| {
        let mut claims = provider.claims(&server.clock, "ines");
        claims["roles"] = json!(roles);
        claims["dept"] = json!(dept);
        key.sign(&claims)
    };
    let older = sign(&["helpdesk"], "a");
    server.clock.advance(1_000);
    let newer = sign(&["helpdesk"], "b");
    let id = me(&server, &newer).await.json()["user_id"].clone();
    let path = format!("/admin/users/{}", id.as_str().unwrap());
    let change = async |token: &str| {
        let body = json!({"username": "ines", "roles": ["helpdesk"], "is_disabled": false,
            "claims": {"dept": ["chosen"]}});
        let request = server.http.put(format!("{}{path}", server.url));
        TestResponse::send(request.bearer_auth(token).json(&body))
            .await
            .status
    };
    assert_eq!(change(&newer).await, 403);
    assert_eq!(change(&older).await, 403);
    // Seeing oneself is permitted in every state.
    let seen = server.get(&path).bearer_auth(&older);
    assert_eq!(TestResponse::send(seen).await.status, 200);
}

#[tokio::test]
async fn a_role_that_a_provider_can_give_is_not_created_without_assign_role() {
    let (provider, key, server) = helpdesk_of_provider().await;
    let mut claims = provider.claims(&server.clock, "rosa");
    claims["roles"] = json!(["role-admins", "auditors"]);
    let rosa = key.sign(&claims);
    let body = json!({"name": "auditors"});
    let request = server.post("/admin/roles").bearer_auth(&rosa).json(&body);
    TestResponse::send(request).await.problem(403);
    let admin = server.session("ada").await;
    let request = server.post("/admin/roles").bearer_auth(admin).json(&body);
    assert_eq!(TestResponse::send(request).await.status, 201);
}
