//! The mint: every row of its table of statuses, over HTTP.

use serde_json::json;

use crate::support::server::{
    DRAFT, INTERNAL, PRIVATE, PUBLIC, RESTRICTED, Server, ServerOptions, TestResponse, UNKNOWN,
    WITHOUT_FILE, decode_part,
};

#[tokio::test]
async fn anyone_mints_for_public_data_and_the_token_has_exactly_the_promised_claims() {
    let server = Server::start().await;
    let response = server.mint(PUBLIC, None).await;
    assert_eq!(response.header("cache-control"), "no-store");
    assert_eq!(response.header("content-type"), "application/json");
    assert_eq!(response.json()["expires_in"], 120);
    let token = response.token();

    let jwks = TestResponse::send(server.get("/.well-known/jwks.json"))
        .await
        .json();
    let header = decode_part(&token, 0);
    let kid = &header["kid"];
    let published = jwks["keys"].as_array().unwrap();
    assert!(published.iter().any(|key| key["kid"] == *kid), "{jwks}");
    assert_eq!(
        header,
        json!({"alg": "ES256", "kid": kid, "typ": "download+jwt"})
    );
    let claims = decode_part(&token, 1);
    let now = server.clock.unix_seconds();
    let jti: uuid::Uuid = claims["jti"].as_str().unwrap().parse().unwrap();
    assert_eq!(jti.get_version_num(), 7);
    assert_eq!(
        claims,
        json!({
            "iss": "http://cedargate.test",
            "aud": server.settings.audience,
            "iat": now,
            "exp": now + 120,
            "jti": claims["jti"],
            "typ": "download",
            "scope": format!("dataset:{PUBLIC}"),
        })
    );
}

#[tokio::test]
async fn a_signed_in_callers_token_names_the_user_by_id_only() {
    let server = Server::start().await;
    let session = server.session("mo").await;
    let claims = decode_part(&server.mint(RESTRICTED, Some(&session)).await.token(), 1);
    assert_eq!(claims["sub"], decode_part(&session, 1)["sub"]);
    assert!(!claims.to_string().contains("mo\""));
    assert!(!claims.to_string().contains("hydrology"));
}

#[tokio::test]
async fn the_shipped_policies_decide_who_mints_for_what() {
    let server = Server::start().await;
    let mut sessions = vec![("anonymous", None)];
    for username in ["otto", "mo", "olivia", "ada"] {
        sessions.push((username, Some(server.session(username).await)));
    }
    let rows = [
        (PUBLIC, [200, 200, 200, 200, 200]),
        (INTERNAL, [404, 200, 200, 200, 200]),
        (RESTRICTED, [404, 403, 200, 200, 200]),
        (PRIVATE, [404, 404, 404, 200, 200]),
        (DRAFT, [404, 404, 404, 200, 200]),
        (UNKNOWN, [404, 404, 404, 404, 404]),
    ];
    for (dataset_id, expected) in rows {
        for ((username, session), status) in sessions.iter().zip(expected) {
            let response = server.mint(dataset_id, session.as_deref()).await;
            assert_eq!(response.status, status, "{username} {dataset_id}");
        }
    }
}

#[tokio::test]
async fn an_id_that_is_not_a_uuid_is_unprocessable() {
    let server = Server::start().await;
    for id in [
        "dem",
        "123",
        "{2489e9ad-2ee2-8e00-8ec9-32d5f69181c0}",
        "a%2Fb",
        "%00",
    ] {
        let detail = server.mint(id, None).await.problem(422);
        assert!(
            detail.starts_with("the dataset id is not a UUID"),
            "{detail}"
        );
    }
}

#[tokio::test]
async fn every_spelling_of_an_id_mints_for_the_same_dataset() {
    let server = Server::start().await;
    for id in [
        PUBLIC.to_uppercase(),
        PUBLIC.replace('-', ""),
        format!("urn:uuid:{PUBLIC}"),
    ] {
        let token = server.mint(&id, None).await.token();
        assert_eq!(decode_part(&token, 1)["scope"], format!("dataset:{PUBLIC}"));
        assert_eq!(server.download(&id, &token).await.status, 200);
    }
}

#[tokio::test]
async fn a_credential_that_does_not_resolve_is_refused_and_never_anonymous() {
    let server = Server::start().await;
    let download_token = server.mint(PUBLIC, None).await.token();
    let session = server.session("ada").await;
    let mut forged = session.clone().into_bytes();
    let last = forged.len() - 3;
    forged[last] = if forged[last] == b'A' { b'B' } else { b'A' };
    let forged = String::from_utf8(forged).unwrap();
    for value in [
        "Bearer abc".to_owned(),
        format!("Bearer {download_token}"),
        format!("Bearer {forged}"),
        "Basic Og==".to_owned(),
    ] {
        let response =
            TestResponse::send(server.mint_request(PUBLIC).header("authorization", &value)).await;
        response.problem(401);
        assert!(
            response.header("www-authenticate").starts_with("Bearer "),
            "{value}"
        );
    }
    let unknown = format!("cg_0123456789_{}", "A".repeat(43));
    TestResponse::send(server.mint_request(PUBLIC).header("x-api-key", unknown))
        .await
        .problem(401);
}

#[tokio::test]
async fn an_expired_session_is_refused() {
    let server = Server::start().await;
    let session = server.session("ada").await;
    let lifetime = i64::try_from(server.settings.session_lifetime.as_millis()).unwrap();
    server.clock.advance(lifetime - 1000);
    assert_eq!(server.mint(PRIVATE, Some(&session)).await.status, 200);
    server.clock.advance(1000);
    server.mint(PRIVATE, Some(&session)).await.problem(401);
}

#[tokio::test]
async fn a_dataset_that_may_not_be_discovered_looks_like_an_unknown_one() {
    let server = Server::start().await;
    let outsider = server.session("otto").await;
    let unknown = server.mint(UNKNOWN, Some(&outsider)).await;
    let hidden = server.mint(PRIVATE, Some(&outsider)).await;
    unknown.problem(404);
    assert_eq!(unknown.body, hidden.body);
    let names = |response: &TestResponse| response.headers.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&unknown), names(&hidden));
}

#[tokio::test]
async fn an_anonymous_caller_who_may_discover_is_asked_to_sign_in() {
    let policies = r#"
        @id("everyone-discovers") @reason("Test.")
        permit (principal, action == Action::"discover", resource);
        @id("users-read") @reason("Test.")
        permit (principal is User, action == Action::"read", resource);
    "#;
    let body = ServerOptions {
        policies: Some(policies),
        ..ServerOptions::default()
    };
    let server = Server::start_with(body).await;
    let response = server.mint(PRIVATE, None).await;
    assert!(response.problem(401).contains("sign in"));
    assert_eq!(
        response.header("www-authenticate"),
        r#"Bearer realm="cedargate""#
    );
    let outsider = server.session("otto").await;
    assert_eq!(server.mint(PRIVATE, Some(&outsider)).await.status, 200);
}

#[tokio::test]
async fn a_policy_that_cannot_be_evaluated_denies_even_where_another_permits() {
    let policies = r#"
        @id("everyone") @reason("Test.")
        permit (principal, action, resource);
        @id("overflows") @reason("Test.")
        forbid (principal, action == Action::"read", resource)
        when { 9223372036854775807 + context.time.toTime().toMilliseconds() > 0 };
    "#;
    let body = ServerOptions {
        policies: Some(policies),
        ..ServerOptions::default()
    };
    let server = Server::start_with(body).await;
    // Not at midnight, when the addition would not overflow.
    server
        .clock
        .advance(86_400_000 - server.clock.unix_millis().rem_euclid(86_400_000) + 3_600_000);
    server.mint(PUBLIC, None).await.problem(401);
    let records = crate::support::records::records(&server).await;
    let mint = records
        .iter()
        .find(|record| record["event"] == "mint")
        .unwrap();
    assert_eq!(mint["outcome"], "denied");
    assert!(
        mint["errors"][0].as_str().unwrap().contains("overflows"),
        "{mint}"
    );
}

#[tokio::test]
async fn a_policy_shortens_a_tokens_lifetime() {
    let policies = r#"
        @id("long") @reason("Test.") @max_ttl("90")
        permit (principal, action, resource);
        @id("short") @reason("Test.") @max_ttl("60")
        permit (principal, action, resource is Dataset) when { resource.title == "Public" };
    "#;
    let body = ServerOptions {
        policies: Some(policies),
        ..ServerOptions::default()
    };
    let server = Server::start_with(body).await;
    for (dataset_id, life) in [(PUBLIC, 60), (INTERNAL, 90)] {
        let response = server.mint(dataset_id, None).await;
        assert_eq!(response.json()["expires_in"], life);
        let claims = decode_part(&response.token(), 1);
        assert_eq!(
            claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(),
            life
        );
    }
}

#[tokio::test]
async fn a_dataset_without_a_file_says_so_to_those_who_may_read_it() {
    let server = Server::start().await;
    let detail = server.mint(WITHOUT_FILE, None).await.problem(404);
    assert!(detail.contains("no file"), "{detail}");
}

#[tokio::test]
async fn parameters_outside_the_contract_never_change_the_response() {
    let server = Server::start().await;
    let with_query = format!("/auth/download-token/{PUBLIC}?token=x&dataset_id={PRIVATE}");
    assert_eq!(
        TestResponse::send(server.post(&with_query)).await.status,
        200
    );
    let with_body = server.mint_request(PUBLIC).body(vec![b'x'; 1024 * 1024]);
    assert_eq!(TestResponse::send(with_body).await.status, 200);
    let with_json = server
        .mint_request(PUBLIC)
        .json(&json!({"expires_in": 100_000}));
    assert_eq!(
        TestResponse::send(with_json).await.json()["expires_in"],
        120
    );
    let with_header = server
        .mint_request(PUBLIC)
        .header("x-user", "ada")
        .header("range", "bytes=0-1");
    assert_eq!(TestResponse::send(with_header).await.status, 200);
}

#[tokio::test]
async fn a_percent_encoded_id_is_answered_by_the_router_as_a_plain_one_is_without_it() {
    let server = Server::start().await;
    let sessions = [
        None,
        Some(server.session("otto").await),
        Some("abc".to_owned()),
    ];
    let answer = async |id: &str, session: Option<&str>| {
        let response = server.mint(id, session).await;
        let mut headers = response.headers.clone();
        for name in ["x-request-id", "date", "content-length"] {
            headers.remove(name);
        }
        let names: Vec<_> = response
            .json()
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect();
        let detail = response.json()["detail"].clone();
        (response.status, headers, names, detail)
    };
    for session in &sessions {
        for id in [PUBLIC, RESTRICTED, PRIVATE, UNKNOWN, WITHOUT_FILE] {
            let encoded = format!("%{:02x}{}", id.as_bytes()[0], &id[1..]);
            let session = session.as_deref();
            let plain = answer(id, session).await;
            assert_eq!(plain, answer(&encoded, session).await, "{id}");
        }
    }
}
