//! Rate limits: one bucket per principal, one per address, independent of the path.

use crate::support::server::{INTERNAL, PUBLIC, Server, ServerOptions, TestResponse, UNKNOWN};

async fn server_with_mint_limit(per_minute: u32) -> Server {
    let environment = vec![("CEDARGATE_MINT_LIMIT_PER_MINUTE", per_minute.to_string())];
    Server::start_with(ServerOptions {
        environment,
        ..ServerOptions::default()
    })
    .await
}

#[tokio::test]
async fn over_the_limit_retry_after_is_the_time_until_the_next_success() {
    let server = server_with_mint_limit(3).await;
    for _ in 0..3 {
        assert_eq!(server.mint(PUBLIC, None).await.status, 200);
    }
    let response = server.mint(PUBLIC, None).await;
    response.problem(429);
    let seconds: i64 = response.header("retry-after").parse().unwrap();
    assert_eq!(seconds, 20);
    server.clock.advance(seconds * 1000 - 1);
    server.mint(PUBLIC, None).await.problem(429);
    server.clock.advance(1);
    assert_eq!(server.mint(PUBLIC, None).await.status, 200);
}

#[tokio::test]
async fn another_dataset_or_another_spelling_shares_the_bucket() {
    let server = server_with_mint_limit(3).await;
    for id in [PUBLIC, &PUBLIC.to_uppercase(), UNKNOWN] {
        assert_ne!(server.mint(id, None).await.status, 429);
    }
    server
        .mint(&PUBLIC.replace('-', ""), None)
        .await
        .problem(429);
}

#[tokio::test]
async fn failed_authentication_counts_in_the_addresss_bucket() {
    let server = server_with_mint_limit(3).await;
    for value in ["Bearer x", "Bearer y", "Basic eA=="] {
        TestResponse::send(server.mint_request(PUBLIC).header("authorization", value))
            .await
            .problem(401);
    }
    TestResponse::send(
        server
            .mint_request(PUBLIC)
            .header("authorization", "Bearer z"),
    )
    .await
    .problem(429);
    server.mint(PUBLIC, None).await.problem(429);
}

#[tokio::test]
async fn failed_logins_and_invalid_download_tokens_are_limited_too() {
    let server = server_with_mint_limit(3).await;
    for password in ["a", "b", "c"] {
        server.login("ada", password).await.problem(401);
    }
    server.login("ada", "d").await.problem(429);
    server.download(PUBLIC, "x").await.problem(429);
}

#[tokio::test]
async fn a_principal_has_a_bucket_of_its_own() {
    let server = server_with_mint_limit(3).await;
    let (mo, otto) = (server.session("mo").await, server.session("otto").await);
    for _ in 0..3 {
        assert_eq!(server.mint(INTERNAL, Some(&mo)).await.status, 200);
    }
    server.mint(INTERNAL, Some(&mo)).await.problem(429);
    assert_eq!(server.mint(INTERNAL, Some(&otto)).await.status, 200);
}

#[tokio::test]
async fn other_requests_are_limited_separately_from_mints() {
    let server = Server::start_with(ServerOptions {
        environment: vec![
            ("CEDARGATE_MINT_LIMIT_PER_MINUTE", "4".to_owned()),
            ("CEDARGATE_REQUEST_LIMIT_PER_MINUTE", "2".to_owned()),
        ],
        ..ServerOptions::default()
    })
    .await;
    let ada = server.session("ada").await;
    for path in ["/datasets", "/admin/users"] {
        let looked = TestResponse::send(server.get(path).bearer_auth(&ada)).await;
        assert_eq!(looked.status, 200, "{path}");
    }
    for path in ["/datasets", "/admin/datasets", "/auth/api-keys"] {
        let refused = TestResponse::send(server.get(path).bearer_auth(&ada)).await;
        refused.problem(429);
        assert_eq!(refused.header("retry-after"), "30", "{path}");
    }
    for _ in 0..4 {
        assert_eq!(server.mint(PUBLIC, Some(&ada)).await.status, 200);
    }
    server.mint(PUBLIC, Some(&ada)).await.problem(429);
    // Anonymous callers count by address here too.
    for status in [200, 200, 429] {
        assert_eq!(
            TestResponse::send(server.get("/datasets")).await.status,
            status
        );
    }
}

#[tokio::test]
async fn a_forwarded_address_counts_from_trusted_proxies_only() {
    let environment = vec![
        ("CEDARGATE_MINT_LIMIT_PER_MINUTE", "1".to_owned()),
        ("CEDARGATE_TRUSTED_PROXIES", "127.0.0.1".to_owned()),
    ];
    let behind_proxy = Server::start_with(ServerOptions {
        environment,
        ..ServerOptions::default()
    })
    .await;
    for (address, status) in [("192.0.2.1", 200), ("192.0.2.1", 429), ("192.0.2.2", 200)] {
        let request = behind_proxy
            .mint_request(PUBLIC)
            .header("x-forwarded-for", address);
        assert_eq!(
            TestResponse::send(request).await.status,
            status,
            "{address}"
        );
    }
    let bare = server_with_mint_limit(1).await;
    for (address, status) in [("192.0.2.1", 200), ("192.0.2.2", 429)] {
        let request = bare.mint_request(PUBLIC).header("x-forwarded-for", address);
        assert_eq!(
            TestResponse::send(request).await.status,
            status,
            "{address}"
        );
    }
}
