//! Federated users: how they are created, and how their tokens change them.

use serde_json::{Value, json};

use crate::support::eventually;
use crate::support::server::{INTERNAL, PASSWORD, PRIVATE, RESTRICTED, Server, TestResponse};

use super::provider::{IdentityProvider, ProviderKey};
use super::{me, mint_status, provider_and_server, server_trusting};

async fn catalog_version(server: &Server) -> i64 {
    server.database().await.catalog_version().await.unwrap()
}

/// A provider, its key, and a server that reads roles and claims from its tokens.
async fn provider_with_roles(more: Value) -> (IdentityProvider, ProviderKey, Server) {
    let key = ProviderKey::generate("first");
    let provider = IdentityProvider::start(&[&key]).await;
    let mut settings = json!({"roles_claim": "realm_access.roles", "claims": {"group": "groups"}});
    let Value::Object(more) = more else {
        panic!("no object")
    };
    settings.as_object_mut().unwrap().extend(more);
    let server = server_trusting(&provider, settings).await;
    (provider, key, server)
}

fn sign_token_with_roles(
    provider: &IdentityProvider,
    key: &ProviderKey,
    server: &Server,
    roles: &[&str],
) -> String {
    let mut claims = provider.claims(&server.clock, "ines");
    claims["realm_access"] = json!({ "roles": roles });
    key.sign(&claims)
}

#[tokio::test]
async fn a_user_is_created_once_at_its_first_token() {
    let (provider, key, server) = provider_and_server().await;
    let before = catalog_version(&server).await;
    let tokens: Vec<String> = (0..8)
        .map(|n| {
            let mut claims = provider.claims(&server.clock, "ines");
            claims["jti"] = json!(n);
            key.sign(&claims)
        })
        .collect();
    let all = tokens.iter().map(|token| me(&server, token));
    let responses = futures_util::future::join_all(all).await;
    for response in &responses {
        assert_eq!(response.status, 200);
        assert_eq!(response.json()["user_id"], responses[0].json()["user_id"]);
    }
    assert_eq!(catalog_version(&server).await, before + 1);
    // The same subject with another name is the same user.
    let mut claims = provider.claims(&server.clock, "ines");
    claims["preferred_username"] = json!("renamed");
    let response = me(&server, &key.sign(&claims)).await;
    assert_eq!(response.json()["user_id"], responses[0].json()["user_id"]);
    assert_eq!(response.json()["username"], "ines");
}

#[tokio::test]
async fn with_known_principals_only_users_of_the_catalog_are_accepted() {
    let (provider, key, server) = provider_and_server().await;
    let claims = provider.claims(&server.clock, "ines");
    assert_eq!(mint_status(&server, &key.sign(&claims)).await, 200);
    let mut settings = server.settings.clone();
    settings.issuers[0].principals = cedargate::domain::issuer::UserProvisioning::Known;
    let server = server.restarted_with(settings).await;
    assert_eq!(mint_status(&server, &key.sign(&claims)).await, 200);
    let other = key.sign(&provider.claims(&server.clock, "stranger"));
    let detail = server.mint(INTERNAL, Some(&other)).await.problem(401);
    assert!(detail.contains("not a user of this server"), "{detail}");
}

/// Creates a user of an identity provider as an admin.
async fn prepare_user(server: &Server, body: Value) -> TestResponse {
    let admin = server.session("ada").await;
    let request = server.post("/admin/users").bearer_auth(admin).json(&body);
    TestResponse::send(request).await
}

#[tokio::test]
async fn a_user_prepared_by_name_is_bound_to_the_first_subject_with_a_verified_name() {
    let key = ProviderKey::generate("first");
    let provider = IdentityProvider::start(&[&key]).await;
    let settings = json!({"principals": "known", "verified_claim": "name.verified"});
    let server = server_trusting(&provider, settings).await;
    let elsewhere = json!({"username": "ines", "issuer": "https://elsewhere.test"});
    prepare_user(&server, elsewhere).await.problem(422);
    let prepared = json!({"username": "ines", "issuer": provider.url});
    let response = prepare_user(&server, prepared).await.json();
    assert_eq!(response["has_password"], false);
    let ines_id = response["id"].clone();
    let sign = |subject: &str, verified: Value| {
        let mut claims = provider.claims(&server.clock, "ines");
        claims["sub"] = json!(subject);
        claims["name"] = json!({ "verified": verified });
        key.sign(&claims)
    };
    // Anybody may call itself so.
    for verified in [json!(null), json!(false), json!("no"), json!(1)] {
        let token = sign("thief", verified);
        let detail = server.mint(INTERNAL, Some(&token)).await.problem(401);
        assert!(detail.contains("verified"), "{detail}");
    }
    // Nor does a name that only folds to the one that was prepared bind: it may be another account there.
    let mut folded = provider.claims(&server.clock, "another");
    folded["preferred_username"] = json!("Ines");
    folded["name"] = json!({"verified": true});
    server
        .mint(INTERNAL, Some(&key.sign(&folded)))
        .await
        .problem(401);
    let ines = sign("ines", json!(true));
    assert_eq!(me(&server, &ines).await.json()["user_id"], ines_id);
    // The user stays bound to that subject: another one with the same name is refused, and the name of the
    // first need not be verified again.
    let other = sign("somebody else", json!(true));
    server.mint(INTERNAL, Some(&other)).await.problem(401);
    let ines = sign("ines", json!(false));
    assert_eq!(me(&server, &ines).await.json()["user_id"], ines_id);
    // It has no password here, so no password is accepted.
    server.login("ines", PASSWORD).await.problem(401);
}

#[tokio::test]
async fn without_a_verified_claim_a_prepared_user_is_bound_by_its_subject_alone() {
    let (provider, key, server) = provider_and_server().await;
    let prepared = json!({"username": "ines", "issuer": provider.url});
    assert_eq!(prepare_user(&server, prepared).await.status, 201);
    let mut claims = provider.claims(&server.clock, "ines");
    claims["email_verified"] = json!(true);
    server
        .mint(INTERNAL, Some(&key.sign(&claims)))
        .await
        .problem(401);

    let prepared = json!({"username": "mara", "issuer": provider.url, "subject": "subject-7"});
    let mara = prepare_user(&server, prepared.clone()).await.json()["id"].clone();
    let mut claims = provider.claims(&server.clock, "subject-7");
    claims["preferred_username"] = json!("any.name");
    assert_eq!(
        me(&server, &key.sign(&claims)).await.json()["user_id"],
        mara
    );
    // The name is not bound to another subject, and the subject not to another user.
    let by_name = key.sign(&provider.claims(&server.clock, "mara"));
    assert_ne!(me(&server, &by_name).await.json()["user_id"], mara);
    let mut again = prepared;
    again["username"] = json!("other");
    let refused = prepare_user(&server, again).await;
    assert_eq!(refused.problem_field(409), "subject");
    for wrong in [
        json!({"username": "other", "subject": "subject-8"}),
        json!({"username": "other", "issuer": provider.url, "subject": ""}),
        json!({"username": "other", "issuer": provider.url, "subject": "a\nb"}),
    ] {
        let refused = prepare_user(&server, wrong).await;
        assert_eq!(refused.problem_field(422), "subject");
    }
}

#[tokio::test]
async fn a_federated_user_cannot_sign_in_with_a_password() {
    let (provider, key, server) = provider_and_server().await;
    let ines = key.sign(&provider.claims(&server.clock, "ines"));
    assert_eq!(mint_status(&server, &ines).await, 200);
    for password in [PASSWORD, ""] {
        server.login("ines", password).await.problem(401);
    }
}

#[tokio::test]
async fn roles_and_claims_follow_the_newest_token() {
    let (provider, key, server) = provider_with_roles(json!({})).await;
    let first = sign_token_with_roles(&provider, &key, &server, &[]);
    assert_eq!(server.mint(RESTRICTED, Some(&first)).await.status, 403);
    let created = catalog_version(&server).await;

    server.clock.advance(1_000);
    let second = sign_token_with_roles(&provider, &key, &server, &["hydrology"]);
    let minted = server.mint(RESTRICTED, Some(&second)).await.token();
    assert_eq!(server.download(RESTRICTED, &minted).await.status, 200);
    assert_eq!(catalog_version(&server).await, created + 1);
    for _ in 0..3 {
        server.mint(RESTRICTED, Some(&second)).await.token();
    }
    assert_eq!(catalog_version(&server).await, created + 1);

    // An older token has its own roles, and changes nothing.
    assert_eq!(server.mint(RESTRICTED, Some(&first)).await.status, 403);
    assert_eq!(server.mint(RESTRICTED, Some(&second)).await.status, 200);
    assert_eq!(catalog_version(&server).await, created + 1);

    // When the issuer removes a role, tokens that were minted with it stop working.
    server.clock.advance(1_000);
    let third = sign_token_with_roles(&provider, &key, &server, &[]);
    assert_eq!(server.mint(RESTRICTED, Some(&third)).await.status, 403);
    assert_eq!(server.download(RESTRICTED, &minted).await.status, 403);
    assert_eq!(catalog_version(&server).await, created + 2);
}

#[tokio::test]
async fn a_federated_administrator_requires_an_explicit_mapping() {
    let (provider, key, server) = provider_with_roles(json!({})).await;
    let admin = sign_token_with_roles(&provider, &key, &server, &["admin"]);
    assert_eq!(server.mint(PRIVATE, Some(&admin)).await.status, 404);
    let roles = json!({"roles": {"gis-admins": "admin", "water": "hydrology"}});
    let (provider, key, server) = provider_with_roles(roles).await;
    let admin = sign_token_with_roles(&provider, &key, &server, &["admin", "hydrology"]);
    assert_eq!(server.mint(RESTRICTED, Some(&admin)).await.status, 403);
    server.clock.advance(1_000);
    let admin = sign_token_with_roles(&provider, &key, &server, &["water", "gis-admins"]);
    assert_eq!(server.mint(PRIVATE, Some(&admin)).await.status, 200);
    assert_eq!(
        me(&server, &admin).await.json()["roles"],
        json!(["admin", "hydrology"])
    );
}

#[tokio::test]
async fn a_role_added_to_the_catalog_later_counts_from_then_on() {
    let (provider, key, server) = provider_with_roles(json!({})).await;
    let geology = sign_token_with_roles(&provider, &key, &server, &["geology"]);
    assert_eq!(me(&server, &geology).await.json()["roles"], json!([]));
    server.apply("[[roles]]\nname = \"geology\"\n").await;
    eventually(async || me(&server, &geology).await.json()["roles"] == json!(["geology"])).await;
}

#[tokio::test]
async fn a_disabled_user_stays_locked_out_whatever_its_issuer_says() {
    let (provider, key, server) = provider_and_server().await;
    let ines = key.sign(&provider.claims(&server.clock, "ines"));
    let minted = server.mint(INTERNAL, Some(&ines)).await.token();
    let database = server.database().await;
    let catalog = database.read_catalog().await.unwrap();
    let mut record = catalog
        .users
        .into_iter()
        .find(|record| record.user.username.as_str() == "ines")
        .unwrap();
    record.user.is_disabled = true;
    let change = cedargate::storage::CatalogChange {
        users_put: vec![record],
        ..Default::default()
    };
    database
        .write_catalog(&change, catalog.version)
        .await
        .unwrap();
    eventually(async || mint_status(&server, &ines).await == 401).await;
    server.download(INTERNAL, &minted).await.problem(401);
    server.clock.advance(1_000);
    let newer = key.sign(&provider.claims(&server.clock, "ines"));
    assert_eq!(mint_status(&server, &newer).await, 401);
}

#[tokio::test]
async fn claims_become_tags_that_policies_can_read() {
    let key = ProviderKey::generate("first");
    let provider = IdentityProvider::start(&[&key]).await;
    let policies = r#"@id("water") permit(principal is User, action, resource) when {
        principal.hasTag("group") && principal.getTag("group").contains("water")
    };"#;
    let settings = json!({"claims": {"group": "https://example.org/groups"}});
    let server = Server::start_with(crate::support::server::ServerOptions {
        environment: vec![(
            "CEDARGATE_ISSUERS",
            super::identity_providers_setting(&provider, settings),
        )],
        policies: Some(policies),
        ..Default::default()
    })
    .await;
    let mut claims = provider.claims(&server.clock, "ines");
    assert_eq!(
        server.mint(PRIVATE, Some(&key.sign(&claims))).await.status,
        404
    );
    server.clock.advance(1_000);
    claims["iat"] = json!(server.clock.unix_seconds());
    claims["https://example.org/groups"] = json!(["air", "water"]);
    let minted = server.mint(PRIVATE, Some(&key.sign(&claims))).await.token();
    assert_eq!(server.download(PRIVATE, &minted).await.status, 200);
    claims["https://example.org/groups"] = json!({"water": true});
    server
        .mint(PRIVATE, Some(&key.sign(&claims)))
        .await
        .problem(401);
}
