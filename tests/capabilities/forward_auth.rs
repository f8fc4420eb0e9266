//! Forward-auth: proxies ask whether they may answer a request for a dataset's file that they serve themselves.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::support::records::records;
use crate::support::server::{
    INTERNAL, PRIVATE, PUBLIC, RESTRICTED, Server, ServerOptions, TestResponse, UNKNOWN,
    WITHOUT_FILE,
};

const PATTERNS: &str = "/cogs/{dataset_id}.tif,/tiles/{dataset_id}/*";

async fn start(environment: &[(&'static str, &str)]) -> Server {
    let usual = [
        ("CEDARGATE_TRUSTED_PROXIES", "127.0.0.1"),
        ("CEDARGATE_FORWARD_AUTH_PATHS", PATTERNS),
    ];
    Server::start_with(ServerOptions {
        environment: usual
            .iter()
            .chain(environment)
            .map(|(name, value)| (*name, (*value).to_owned()))
            .collect(),
        ..ServerOptions::default()
    })
    .await
}

/// The question of a proxy about a request for this URI.
fn asked(server: &Server, uri: &str) -> reqwest::RequestBuilder {
    server
        .get("/auth/verify")
        .header("x-original-uri", uri)
        .header("x-forwarded-for", "203.0.113.8")
}

async fn verify(server: &Server, uri: &str) -> TestResponse {
    TestResponse::send(asked(server, uri)).await
}

fn file_of(dataset: &str, token: &str) -> String {
    format!("/cogs/{dataset}.tif?token={token}")
}

/// The statuses of a refusal: the one that leaves, and the one that it stands for.
fn refusal(response: &TestResponse) -> (u16, String) {
    response.problem(response.status);
    assert_eq!(response.header("cache-control"), "no-store");
    // Proxies pass a refusal on with what they say themselves of the origins of pages.
    assert_eq!(response.header("access-control-allow-origin"), "");
    (
        response.status,
        response.header("x-error-status").to_owned(),
    )
}

#[tokio::test]
async fn a_download_token_opens_the_file_of_its_dataset_and_names_caller_and_dataset() {
    let server = start(&[]).await;
    let token = server.mint(PUBLIC, None).await.token();
    let response = verify(&server, &file_of(PUBLIC, &token)).await;
    assert_eq!((response.status, response.body.len()), (204, 0));
    assert_eq!(response.header("x-auth-request-user"), "anonymous");
    assert_eq!(response.header("x-auth-request-dataset"), PUBLIC);
    let session = server.session("mo").await;
    let me = TestResponse::send(server.get("/auth/me").bearer_auth(&session)).await;
    let token = server.mint(RESTRICTED, Some(&session)).await.token();
    let below = format!(
        "/tiles/{}/1/2/3.png?x=y&token={token}",
        RESTRICTED.to_uppercase()
    );
    let response = verify(&server, &below).await;
    assert_eq!(response.status, 204);
    assert_eq!(response.header("x-auth-request-dataset"), RESTRICTED);
    assert_eq!(me.json()["user_id"], response.header("x-auth-request-user"));
}

#[tokio::test]
async fn the_headers_of_caddy_and_traefik_are_understood_and_head_is_answered_as_get() {
    let server = start(&[]).await;
    let token = server.mint(PUBLIC, None).await.token();
    let uri = file_of(PUBLIC, &token);
    for method in [None, Some("GET"), Some("HEAD")] {
        for asking in [reqwest::Method::GET, reqwest::Method::HEAD] {
            let url = format!("{}/auth/verify?token=ignored&x", server.url);
            let request = server
                .http
                .request(asking, url)
                .header("x-forwarded-uri", &uri)
                .header("x-forwarded-host", "data.example.org")
                .header("x-forwarded-proto", "https")
                .header("x-forwarded-for", "203.0.113.8");
            let request = match method {
                Some(method) => request.header("x-forwarded-method", method),
                None => request,
            };
            let response = TestResponse::send(request).await;
            assert_eq!(response.status, 204, "{method:?}");
            assert_eq!(response.header("x-auth-request-dataset"), PUBLIC);
        }
    }
    let request = asked(&server, &uri).header("x-forwarded-method", "OPTIONS");
    let response = TestResponse::send(request).await;
    assert_eq!(refusal(&response), (403, "405".to_owned()));
}

#[tokio::test]
async fn sessions_and_keys_in_headers_open_what_the_policies_permit() {
    let server = start(&[("CEDARGATE_FORWARD_AUTH_CHECK", "signature")]).await;
    let session = server.session("mo").await;
    let create = server.post("/auth/api-keys").bearer_auth(&session);
    let created = TestResponse::send(create.json(&serde_json::json!({"name": "files"}))).await;
    let key = created.json()["key"].as_str().unwrap().to_owned();
    for (dataset, status) in [
        (RESTRICTED, 204),
        (INTERNAL, 204),
        (PUBLIC, 204),
        (PRIVATE, 403),
    ] {
        let path = format!("/cogs/{dataset}.tif");
        for request in [
            asked(&server, &path).bearer_auth(&session),
            asked(&server, &path).header("x-api-key", &key),
            asked(&server, &path).basic_auth("anybody", Some(&key)),
        ] {
            assert_eq!(
                TestResponse::send(request).await.status,
                status,
                "{dataset}"
            );
        }
    }
    // A token on the URI counts alone, as for a download.
    let request = asked(&server, &file_of(PUBLIC, "x")).bearer_auth(&session);
    assert_eq!(TestResponse::send(request).await.status, 401);
}

#[tokio::test]
async fn no_credential_and_a_bad_one_are_401_and_a_token_of_another_dataset_is_403() {
    let server = start(&[]).await;
    let token = server.mint(PUBLIC, None).await.token();
    let session = server.session("mo").await;
    for uri in [
        format!("/cogs/{PUBLIC}.tif"),
        format!("/cogs/{PUBLIC}.tif?"),
        format!("/cogs/{PUBLIC}.tif?token="),
        format!("/cogs/{UNKNOWN}.tif"),
        file_of(PUBLIC, "nonsense"),
        file_of(PUBLIC, &session),
    ] {
        let response = verify(&server, &uri).await;
        assert_eq!(refusal(&response), (401, String::new()), "{uri}");
        assert!(response.header("www-authenticate").starts_with("Bearer "));
    }
    for dataset in [RESTRICTED, PRIVATE, UNKNOWN] {
        let response = verify(&server, &file_of(dataset, &token)).await;
        assert_eq!(refusal(&response), (403, String::new()), "{dataset}");
        assert_eq!(response.header("www-authenticate"), "");
    }
    server.clock.advance(121_000);
    let response = verify(&server, &file_of(PUBLIC, &token)).await;
    assert_eq!(refusal(&response), (401, String::new()));
}

#[tokio::test]
async fn a_hidden_dataset_is_refused_as_an_unknown_one() {
    let server = start(&[]).await;
    let session = server.session("mo").await;
    let mut answers = Vec::new();
    for dataset in [PRIVATE, UNKNOWN] {
        let path = format!("/cogs/{dataset}.tif");
        let response = TestResponse::send(asked(&server, &path).bearer_auth(&session)).await;
        assert_eq!(refusal(&response), (403, "404".to_owned()));
        answers.push(response.text());
    }
    assert_eq!(answers[0], answers[1]);
    let denied = server.session("otto").await;
    let path = format!("/cogs/{RESTRICTED}.tif");
    let response = TestResponse::send(asked(&server, &path).bearer_auth(&denied)).await;
    assert_eq!(refusal(&response), (403, String::new()));
}

#[tokio::test]
async fn only_exactly_what_the_client_sent_and_a_pattern_fits_is_permitted() {
    let server = start(&[]).await;
    let token = server.mint(PUBLIC, None).await.token();
    for path in [
        "/",
        "*",
        "/cogs/",
        "//cogs/ID.tif",
        "/cogs/./ID.tif",
        "/cogs/../cogs/ID.tif",
        "/cogs/ID.tif;",
        "/cogs/ID.tif/",
        "/cogs%2fID.tif",
        "/cogs/%49D.tif",
        "/cogs/ID.tif%00",
        "/cogs/ID.tif#",
        "http://x/cogs/ID.tif",
        "/other/ID.tif",
        "/tiles/ID",
        "/tiles/ID/../OTHER/1",
        "/cogs/OTHER/../ID.tif",
    ] {
        let path = path.replace("ID", PUBLIC).replace("OTHER", PRIVATE);
        let response = verify(&server, &format!("{path}?token={token}")).await;
        assert_eq!(refusal(&response).0, 403, "{path}");
    }
    let uri = file_of(PUBLIC, &token);
    for (name, value) in [
        ("x-original-uri", uri.as_str()),
        ("x-forwarded-uri", "/cogs/other.tif"),
        ("x-forwarded-uri", ""),
        ("x-original-method", "POST"),
        ("x-forwarded-method", "get"),
    ] {
        let request = asked(&server, &uri).header(name, value);
        let response = TestResponse::send(request).await;
        assert_eq!(refusal(&response).0, 403, "{name}: {value}");
    }
    let twice = format!("{uri}&token={token}");
    assert_eq!(
        refusal(&verify(&server, &twice).await),
        (403, "400".to_owned())
    );
}

#[tokio::test]
async fn forwarding_headers_of_others_than_trusted_proxies_do_not_count() {
    let server = start(&[("CEDARGATE_TRUSTED_PROXIES", "192.0.2.1")]).await;
    let token = server.mint(PUBLIC, None).await.token();
    let response = verify(&server, &file_of(PUBLIC, &token)).await;
    assert_eq!(refusal(&response), (403, String::new()));
    let session = server.session("ada").await;
    let request = asked(&server, &file_of(PUBLIC, &token)).bearer_auth(&session);
    assert_eq!(TestResponse::send(request).await.status, 403);
    assert!(
        records(&server)
            .await
            .iter()
            .all(|record| record["event"] != "verify")
    );
}

#[tokio::test]
async fn without_patterns_everything_is_refused() {
    let server = start(&[("CEDARGATE_FORWARD_AUTH_PATHS", "")]).await;
    let token = server.mint(PUBLIC, None).await.token();
    for uri in [file_of(PUBLIC, &token), "/".to_owned()] {
        assert_eq!(refusal(&verify(&server, &uri).await), (403, String::new()));
    }
    server.mint(WITHOUT_FILE, None).await.problem(404);
}

#[tokio::test]
async fn a_file_that_only_the_file_server_has_can_be_opened() {
    let server = start(&[]).await;
    let token = server.mint(WITHOUT_FILE, None).await.token();
    assert_eq!(
        verify(&server, &file_of(WITHOUT_FILE, &token)).await.status,
        204
    );
    server.download(WITHOUT_FILE, &token).await.problem(404);
}

#[tokio::test]
async fn access_that_ends_after_minting_ends_at_once_unless_only_the_signature_counts() {
    for (check, status, max_age) in [("policy", 403, 1), ("signature", 204, 120)] {
        let server = start(&[("CEDARGATE_FORWARD_AUTH_CHECK", check)]).await;
        let session = server.session("mo").await;
        let token = server.mint(RESTRICTED, Some(&session)).await.token();
        let uri = file_of(RESTRICTED, &token);
        let first = verify(&server, &uri).await;
        assert_eq!(first.status, 204);
        assert_eq!(
            first.header("cache-control"),
            format!("private, max-age={max_age}")
        );
        assert!(first.header("vary").contains("X-Original-URI"));
        let admin = server.session("ada").await;
        let share = server.http.delete(format!(
            "{}/admin/datasets/{RESTRICTED}/shares/roles/hydrology",
            server.url
        ));
        let removed = TestResponse::send(share.bearer_auth(admin)).await;
        assert_eq!(removed.status, 200, "{}", removed.text());
        assert_eq!(verify(&server, &uri).await.status, status, "{check}");
    }
}

#[tokio::test]
async fn an_answer_is_not_remembered_longer_than_its_token_lives() {
    let server = start(&[("CEDARGATE_FORWARD_AUTH_CHECK", "signature")]).await;
    let token = server.mint(PUBLIC, None).await.token();
    for (advance, max_age) in [(0, 120), (119_000, 1), (1_000, -1)] {
        server.clock.advance(advance);
        let response = verify(&server, &file_of(PUBLIC, &token)).await;
        if max_age < 0 {
            assert_eq!(refusal(&response).0, 401);
        } else {
            assert_eq!(
                response.header("cache-control"),
                format!("private, max-age={max_age}")
            );
        }
    }
}

#[tokio::test]
async fn the_checks_of_one_token_from_one_network_are_one_record() {
    for check in ["policy", "signature"] {
        let mut server = start(&[("CEDARGATE_FORWARD_AUTH_CHECK", check)]).await;
        let token = server.mint(PUBLIC, None).await.token();
        let uri = file_of(PUBLIC, &token);
        for _ in 0..5 {
            assert_eq!(verify(&server, &uri).await.status, 204);
        }
        let other = asked(&server, &uri).header("x-forwarded-for", "198.51.100.7");
        assert_eq!(TestResponse::send(other).await.status, 204);
        assert!(server.stop().await);
        let records = records(&server).await;
        let mut checks: Vec<_> = records
            .iter()
            .filter(|record| record["event"] == "verify")
            .map(|record| {
                assert_eq!(record["dataset_id"], PUBLIC);
                assert!(record["jti"].is_string() && record["bytes"].is_null());
                let address = record["address"].as_str().unwrap();
                (address, record["requests"].as_u64().unwrap())
            })
            .collect();
        checks.sort_unstable();
        assert_eq!(checks, [("198.51.100.7", 1), ("203.0.113.8", 5)], "{check}");
    }
}

#[tokio::test]
async fn a_limit_is_403_with_the_status_and_the_time_of_the_limit() {
    let server = start(&[("CEDARGATE_DOWNLOAD_LIMIT_PER_MINUTE", "2")]).await;
    let token = server.mint(PUBLIC, None).await.token();
    let uri = file_of(PUBLIC, &token);
    for _ in 0..2 {
        assert_eq!(verify(&server, &uri).await.status, 204);
    }
    let limited = verify(&server, &uri).await;
    assert_eq!(refusal(&limited), (403, "429".to_owned()));
    assert_eq!(limited.header("retry-after"), "30");
}

/// Sends bytes as they are, and returns the status and the headers of the response.
fn raw(server: &Server, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(server.address).unwrap();
    stream.write_all(request).unwrap();
    let mut response = Vec::new();
    // A server that closes with bytes unread resets the connection after its response.
    let _ = stream.read_to_end(&mut response);
    String::from_utf8_lossy(&response).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_arrives_is_answered_with_a_status_that_proxies_know() {
    let server = start(&[]).await;
    let token = server.mint(PUBLIC, None).await.token();
    let uri = file_of(PUBLIC, &token);
    let long = "x".repeat(40_000);
    let huge = "x".repeat(200_000);
    let many: Vec<String> = (0..120).map(|index| format!("x-{index}: y\r\n")).collect();
    let many = many.concat();
    let head = "GET /auth/verify HTTP/1.1\r\nhost: gate\r\nconnection: close\r\n";
    let requests = [
        format!("{head}x-original-uri: {uri}\r\ncontent-length: 9999999\r\n\r\n"),
        format!("{head}x-original-uri: {uri}\r\ncontent-length: -1\r\n\r\n"),
        format!("{head}x-original-uri: {uri}\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab"),
        format!("{head}x-original-uri: {uri}\r\ntransfer-encoding: gzip\r\n\r\n"),
        format!("{head}x-original-uri: {uri}\r\nhost: other\r\n\r\n"),
        format!("{head}x-original-uri: {uri}&x={long}\r\n\r\n"),
        format!("{head}x-original-uri: {uri}&x={huge}\r\n\r\n"),
        format!("{head}x-original-uri: {uri}\r\n{many}\r\n"),
        format!("{head}x-original-uri: \0\r\n\r\n"),
        format!("{head}x-original-uri: /\x01\r\n\r\n"),
        format!("{head}x-original-uri: {uri}\r\n folded\r\n\r\n"),
        format!("{head}x-original-uri : {uri}\r\n\r\n"),
        format!("{head}authorization: \x07\r\n\r\n"),
        format!("{head}no colon\r\n\r\n"),
        format!("GET /auth/verify HTTP/1.1\r\nconnection: close\r\nx-original-uri: {uri}\r\n\r\n"),
        format!("GET /auth/verify?{huge} HTTP/1.1\r\nhost: gate\r\n\r\n"),
        "HEAD /auth/verify HTTP/1.1\r\nhost: gate\r\nx\0: y\r\n\r\n".to_owned(),
        "GET /auth/verify/ HTTP/1.1\r\nhost: gate\r\nconnection: close\r\n\r\n".to_owned(),
        "GET /auth/verify HTTP/9.9\r\nhost: gate\r\nconnection: close\r\n\r\n".to_owned(),
    ];
    for request in requests {
        let shown = &request[..request.len().min(200)];
        let response = raw(&server, request.as_bytes());
        let status = response.get(9..12).unwrap_or_default();
        assert!(["401", "403"].contains(&status), "{shown:?}: {response:?}");
    }
    let good = raw(
        &server,
        format!("{head}x-original-uri: {uri}\r\n\r\n").as_bytes(),
    );
    assert!(good.starts_with("HTTP/1.1 204 "), "{good}");
    // Elsewhere the status says what is wrong.
    let other = raw(
        &server,
        b"GET /health/live HTTP/1.1\r\nhost: gate\r\nx\0: y\r\n\r\n",
    );
    assert!(other.starts_with("HTTP/1.1 400 "), "{other}");
}
