//! Downloads: ranges, conditional requests, and which token is valid for which dataset.

use reqwest::Method;

use crate::support::eventually;
use crate::support::server::decode_part;
use crate::support::server::{
    INTERNAL, PRIVATE, PUBLIC, RESTRICTED, Server, TestResponse, UNKNOWN,
};

const JACKSBORO: &[u8] = include_bytes!("../../demo/jacksboro-fault-dem.cog.tif");
const SALISH: &[u8] = include_bytes!("../../demo/salish-sea-topobathy.cog.tif");

#[tokio::test]
async fn a_token_downloads_the_whole_file() {
    let server = Server::start().await;
    let token = server.mint(PUBLIC, None).await.token();
    let response = server.download(PUBLIC, &token).await;
    assert_eq!(response.status, 200);
    assert_eq!(response.body, JACKSBORO);
    assert_eq!(response.header("content-type"), "image/tiff");
    assert_eq!(
        response.header("content-length"),
        JACKSBORO.len().to_string()
    );
    assert_eq!(response.header("accept-ranges"), "bytes");
    assert!(response.header("etag").starts_with('"'));
    assert!(response.header("last-modified").ends_with("GMT"));
    assert_eq!(response.header("content-encoding"), "");
    assert!(
        response
            .header("content-disposition")
            .contains("jacksboro-fault-dem.cog.tif")
    );
}

#[tokio::test]
async fn ranges_of_every_form_are_served() {
    let server = Server::start().await;
    let token = server.mint(PUBLIC, None).await.token();
    let size = JACKSBORO.len();
    let rows = [
        ("bytes=0-16383", 0..16384),
        ("bytes=100-", 100..size),
        ("bytes=-100", size - 100..size),
        ("bytes=190000-999999999", 190_000..size),
    ];
    for (range, span) in rows {
        let response = TestResponse::send(
            server
                .download_request(PUBLIC, &token)
                .header("range", range),
        )
        .await;
        assert_eq!(response.status, 206, "{range}");
        assert_eq!(response.body, &JACKSBORO[span.clone()], "{range}");
        let expected = format!("bytes {}-{}/{size}", span.start, span.end - 1);
        assert_eq!(response.header("content-range"), expected);
        assert_eq!(response.header("content-length"), span.len().to_string());
    }
    let beyond = server
        .download_request(PUBLIC, &token)
        .header("range", "bytes=999999999-");
    let response = TestResponse::send(beyond).await;
    response.problem(416);
    assert_eq!(response.header("content-range"), format!("bytes */{size}"));
}

#[tokio::test]
async fn head_returns_the_headers_of_get_and_ignores_range() {
    let server = Server::start().await;
    let token = server.mint(PUBLIC, None).await.token();
    let url = format!(
        "{}/datasets/{PUBLIC}/download/cog?token={token}",
        server.url
    );
    let head = server
        .http
        .request(Method::HEAD, url)
        .header("range", "bytes=0-9");
    let response = TestResponse::send(head).await;
    assert_eq!(response.status, 200);
    assert_eq!(
        response.header("content-length"),
        JACKSBORO.len().to_string()
    );
    assert_eq!(response.header("accept-ranges"), "bytes");
    assert!(response.body.is_empty());
}

#[tokio::test]
async fn conditional_requests_are_evaluated() {
    let server = Server::start().await;
    let token = server.mint(PUBLIC, None).await.token();
    let first = server.download(PUBLIC, &token).await;
    let (etag, modified) = (first.header("etag"), first.header("last-modified"));
    let rows: [(&[(&str, &str)], u16); 7] = [
        (&[("if-none-match", etag)], 304),
        (&[("if-none-match", "\"other\"")], 200),
        (&[("if-modified-since", modified)], 304),
        (&[("if-match", "\"other\"")], 412),
        (&[("if-match", etag), ("range", "bytes=0-9")], 206),
        (&[("if-range", etag), ("range", "bytes=0-9")], 206),
        (&[("if-range", "\"other\""), ("range", "bytes=0-9")], 200),
    ];
    for (headers, status) in rows {
        let request = headers.iter().fold(
            server.download_request(PUBLIC, &token),
            |request, (name, value)| request.header(*name, *value),
        );
        let response = TestResponse::send(request).await;
        assert_eq!(response.status, status, "{headers:?}");
        if status == 304 {
            assert_eq!(response.header("etag"), etag);
            assert!(response.body.is_empty());
        }
    }
}

#[tokio::test]
async fn a_session_in_the_header_downloads_too() {
    let server = Server::start().await;
    let session = server.session("mo").await;
    let path = format!("/datasets/{RESTRICTED}/download/cog");
    let response = TestResponse::send(server.get(&path).bearer_auth(&session)).await;
    assert_eq!(response.status, 200);
    assert_eq!(response.body, SALISH);
    let outsider = server.session("otto").await;
    TestResponse::send(server.get(&path).bearer_auth(&outsider))
        .await
        .problem(403);
}

#[tokio::test]
async fn without_a_credential_the_problem_names_the_mint() {
    let server = Server::start().await;
    let response =
        TestResponse::send(server.get(&format!("/datasets/{PUBLIC}/download/cog"))).await;
    assert!(response.problem(401).contains("/auth/download-token/"));
    assert!(!response.header("www-authenticate").is_empty());
}

#[tokio::test]
async fn a_token_downloads_its_own_dataset_only() {
    let server = Server::start().await;
    let ada = server.session("ada").await;
    let token = server.mint(PUBLIC, Some(&ada)).await.token();
    for other in [PRIVATE, INTERNAL, UNKNOWN] {
        server.download(other, &token).await.problem(401);
    }
}

#[tokio::test]
async fn only_a_download_token_is_accepted_in_the_query() {
    let server = Server::start().await;
    let ada = server.session("ada").await;
    server.download(PUBLIC, &ada).await.problem(401);
    let token = server.mint(PUBLIC, None).await.token();
    let path = format!("/datasets/{PUBLIC}/download/cog");
    TestResponse::send(server.get(&path).bearer_auth(&token))
        .await
        .problem(401);
    server.download(PUBLIC, "").await.problem(401);
    TestResponse::send(server.get(&format!("{path}?token={token}&token={token}")))
        .await
        .problem(400);
}

#[tokio::test]
async fn an_expired_token_is_refused() {
    let server = Server::start().await;
    let token = server.mint(PUBLIC, None).await.token();
    server.clock.advance(119_000);
    assert_eq!(server.download(PUBLIC, &token).await.status, 200);
    server.clock.advance(1_000);
    server.download(PUBLIC, &token).await.problem(401);
}

#[tokio::test]
async fn a_token_whose_bits_were_changed_is_refused() {
    let server = Server::start().await;
    let token = server.mint(PUBLIC, None).await.token();
    for at in [5, token.find('.').unwrap() + 5, token.len() - 5] {
        let mut changed = token.clone().into_bytes();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(changed).unwrap();
        server.download(PUBLIC, &changed).await.problem(401);
    }
}

#[tokio::test]
async fn a_share_removed_after_minting_denies_the_download() {
    let server = Server::start().await;
    let session = server.session("mo").await;
    let token = server.mint(RESTRICTED, Some(&session)).await.token();
    assert_eq!(server.download(RESTRICTED, &token).await.status, 200);
    server
        .apply("[[roles]]\nname = \"hydrology\"\n[[users]]\nusername = \"mo\"\nroles = []\n")
        .await;
    eventually(async || server.download(RESTRICTED, &token).await.status == 403).await;
}

#[tokio::test]
async fn a_disabled_users_token_stops_working() {
    let server = Server::start().await;
    let session = server.session("mo").await;
    let token = server.mint(RESTRICTED, Some(&session)).await.token();
    server
        .apply("[[users]]\nusername = \"mo\"\nroles = [\"hydrology\"]\ndisabled = true\n")
        .await;
    eventually(async || server.download(RESTRICTED, &token).await.status == 401).await;
}

#[tokio::test]
async fn mint_and_download_are_decided_alike() {
    let policies = r#"
        @id("passwords") @reason("Test.")
        permit (principal is User, action, resource)
        when { context.authentication == Authentication::"password" };
    "#;
    let body = crate::support::server::ServerOptions {
        policies: Some(policies),
        ..Default::default()
    };
    let server = Server::start_with(body).await;
    let session = server.session("otto").await;
    let token = server.mint(PRIVATE, Some(&session)).await.token();
    assert_eq!(server.download(PRIVATE, &token).await.status, 200);
    // Another replica, or this one after a restart, reads it from the audit record of the mint.
    let server = server.restarted().await;
    assert_eq!(server.download(PRIVATE, &token).await.status, 200);
}

#[tokio::test]
async fn a_token_whose_mint_was_not_audited_is_refused() {
    let server = Server::start().await;
    let token = server.mint(PUBLIC, None).await.token();
    let jti = decode_part(&token, 1)["jti"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    crate::support::sqlite::delete_record(&server.folder.path().join("cedargate.db"), jti).await;
    let server = server.restarted().await;
    server.download(PUBLIC, &token).await.problem(401);
}

#[tokio::test]
async fn a_missing_file_is_a_404_at_mint_and_download() {
    let server = Server::start().await;
    let token = server.mint(PUBLIC, None).await.token();
    let store = &server.settings.files_dir;
    std::fs::remove_dir_all(store.join("sha256")).unwrap();
    assert!(
        server
            .download(PUBLIC, &token)
            .await
            .problem(404)
            .contains("no file")
    );
    assert!(
        server
            .mint(PUBLIC, None)
            .await
            .problem(404)
            .contains("no file")
    );
    assert_eq!(
        TestResponse::send(server.get("/health/live")).await.status,
        200
    );
}

#[tokio::test]
async fn an_unavailable_file_store_is_a_503_and_not_a_missing_file() {
    let server = Server::start().await;
    let token = server.mint(PUBLIC, None).await.token();
    std::fs::remove_dir_all(&server.settings.files_dir).unwrap();
    for response in [
        server.download(PUBLIC, &token).await,
        server.mint(PUBLIC, None).await,
    ] {
        response.problem(503);
        assert!(!response.header("retry-after").is_empty());
    }
}
