//! Credentials in the headers: one at most, and one that does not resolve is a 401 everywhere.

use serde_json::json;

use crate::admin_views::request_as;
use crate::support::server::{INTERNAL, PUBLIC, Server, ServerOptions, TestResponse};

async fn create_key(server: &Server, username: &str) -> String {
    let session = server.session(username).await;
    let request = server.post("/auth/api-keys").bearer_auth(session);
    let created = TestResponse::send(request.json(&json!({"name": "k"}))).await;
    created.json()["key"].as_str().unwrap().to_owned()
}

/// The operations that take credentials, asked with these headers.
async fn statuses(server: &Server, headers: &[(&str, &str)]) -> Vec<(String, u16, String)> {
    let document = TestResponse::send(server.get("/openapi.json")).await.json();
    let mut answered = Vec::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            // Forward-auth has few statuses, and only a proxy gets further than its path.
            if operation["security"].is_null() || path == "/auth/verify" {
                continue;
            }
            let request = request_as(server, &document, path, method, operation);
            let request = headers.iter().fold(request, |request, (name, value)| {
                request.header(*name, *value)
            });
            let response = TestResponse::send(request).await;
            let challenge = response.header("www-authenticate").to_owned();
            answered.push((format!("{method} {path}"), response.status, challenge));
        }
    }
    assert!(answered.len() >= 40, "{}", answered.len());
    answered
}

#[tokio::test]
async fn a_credential_that_does_not_resolve_is_a_401_at_every_operation() {
    let server = Server::start().await;
    for header in [
        ("x-api-key", "not-a-key"),
        ("x-api-key", ""),
        ("x-api-key", "cg_unknown"),
        ("x-api-key", "a b"),
        ("authorization", ""),
        ("authorization", "Bearer"),
        ("authorization", "Bearer a b"),
        ("authorization", "Negotiate x"),
        ("authorization", "Basic"),
        ("authorization", "Basic !"),
        ("authorization", "Basic YWRhOmNvcnJlY3QgaG9yc2U="), // ada:correct horse
    ] {
        for (operation, status, challenge) in statuses(&server, &[header]).await {
            assert_eq!(status, 401, "{operation} {header:?}");
            assert!(
                challenge.contains("invalid_token"),
                "{operation} {header:?}: {challenge}"
            );
        }
    }
}

#[tokio::test]
async fn more_than_one_credential_is_a_400_at_every_operation() {
    let server = Server::start().await;
    let bearer = format!("Bearer {}", server.session("ada").await);
    let key = create_key(&server, "ada").await;
    let pairs: [[(&str, &str); 2]; 4] = [
        [("authorization", &bearer), ("x-api-key", &key)],
        [("authorization", &bearer), ("authorization", &bearer)],
        [("x-api-key", &key), ("x-api-key", &key)],
        [("authorization", "Basic x"), ("x-api-key", "")],
    ];
    for pair in pairs {
        for (operation, status, _) in statuses(&server, &pair).await {
            assert_eq!(status, 400, "{operation} {pair:?}");
        }
    }
}

#[tokio::test]
async fn an_api_key_works_as_the_password_of_basic_wherever_it_works_in_its_own_header() {
    let (own, basic) = (Server::start().await, Server::start().await);
    let own_key = create_key(&own, "ada").await;
    let basic_key = create_key(&basic, "ada").await;
    let credential = reqwest::Client::new()
        .get("http://x")
        .basic_auth("anybody", Some(&basic_key))
        .build()
        .unwrap();
    let credential = credential.headers()["authorization"].to_str().unwrap();
    let in_own_header = statuses(&own, &[("x-api-key", &own_key)]).await;
    let in_basic = statuses(&basic, &[("authorization", credential)]).await;
    assert_eq!(in_basic, in_own_header);
    let granted = in_basic.iter().filter(|(_, status, _)| *status < 300);
    assert!(granted.count() >= 10, "{in_basic:?}");
}

#[tokio::test]
async fn basic_is_on_record_as_the_api_key_and_never_logged_as_a_password() {
    let server = Server::start().await;
    let key = create_key(&server, "otto").await;
    let mint = |password: &str| {
        server
            .mint_request(INTERNAL)
            .basic_auth("ada", Some(password))
    };
    assert_eq!(TestResponse::send(mint(&key)).await.status, 200);
    let detail = TestResponse::send(mint("correct horse")).await.problem(401);
    assert!(
        detail.contains("API key") && detail.contains(".netrc"),
        "{detail}"
    );
    let admin = server.session("ada").await;
    let log = server.get("/admin/audit?event=mint").bearer_auth(admin);
    let log = TestResponse::send(log).await.json();
    let granted = log["items"].as_array().unwrap().iter();
    let mut granted = granted.filter(|record| record["outcome"] == "granted");
    let of_otto = granted.next().unwrap();
    assert_eq!(of_otto["authentication"], "api_key", "{log}");
    assert!(of_otto["key_id"].is_string() && of_otto["user_id"].is_string());
    assert!(!log.to_string().contains("horse"));
}

#[tokio::test]
async fn bad_keys_in_basic_are_counted_before_they_are_looked_up_and_a_good_one_goes_on() {
    let server = Server::start_with(ServerOptions {
        environment: vec![("CEDARGATE_MINT_LIMIT_PER_MINUTE", "4".to_owned())],
        ..ServerOptions::default()
    })
    .await;
    let key = create_key(&server, "otto").await;
    let mint = async |password: &str| {
        let request = server.mint_request(INTERNAL).basic_auth("", Some(password));
        TestResponse::send(request).await.status
    };
    assert_eq!(mint(&key).await, 200);
    let unknown = format!("cg_0123456789_{}", "A".repeat(43));
    for (password, status) in [
        ("x", 401),
        ("cg_x", 401),
        (&unknown, 401),
        (&unknown, 429),
        ("x", 429),
    ] {
        assert_eq!(mint(password).await, status, "{password}");
    }
    assert_eq!(mint(&key).await, 200);
}

#[tokio::test]
async fn a_token_in_the_query_is_not_disturbed_by_any_header() {
    let server = Server::start().await;
    let token = server.mint(PUBLIC, None).await.token();
    let session = format!("Bearer {}", server.session("otto").await);
    let rows: [&[(&str, &str)]; 7] = [
        &[("authorization", &session)],
        &[("authorization", "Basic eDp5")],
        &[("authorization", "")],
        &[("authorization", "Bearer expired")],
        &[("x-api-key", "not-a-key")],
        &[("authorization", &session), ("x-api-key", "x")],
        &[("authorization", &session), ("authorization", &session)],
    ];
    for headers in rows {
        let add = |request: reqwest::RequestBuilder| {
            headers.iter().fold(request, |request, (name, value)| {
                request.header(*name, *value)
            })
        };
        let download = TestResponse::send(add(server.download_request(PUBLIC, &token))).await;
        assert_eq!(download.status, 200, "{headers:?}");
        // Nor does a header make good what the token does not open.
        for (dataset, token) in [(INTERNAL, token.as_str()), (PUBLIC, ""), (PUBLIC, "x")] {
            let refused = add(server.download_request(dataset, token));
            TestResponse::send(refused).await.problem(401);
        }
    }
    let twice = format!("/datasets/{PUBLIC}/download/cog?token={token}&token={token}");
    TestResponse::send(server.get(&twice)).await.problem(400);
}

#[tokio::test]
async fn a_token_in_the_query_of_another_operation_is_no_credential() {
    let server = Server::start().await;
    for token in ["x", "", "a&token=b"] {
        let path = format!("/auth/download-token/{PUBLIC}?token={token}");
        assert_eq!(
            TestResponse::send(server.post(&path)).await.status,
            200,
            "{token}"
        );
        let path = format!("/datasets?token={token}");
        let detail = TestResponse::send(server.get(&path)).await.problem(422);
        assert!(detail.contains("credentials in a header only"), "{detail}");
    }
}

#[tokio::test]
async fn a_program_is_offered_basic_and_a_browser_is_not() {
    let server = Server::start().await;
    let path = format!("/datasets/{PUBLIC}/download/cog");
    let challenges = async |request: reqwest::RequestBuilder| {
        let response = TestResponse::send(request).await;
        assert_eq!(response.status, 401);
        let all = response.headers.get_all("www-authenticate").iter();
        all.map(|value| value.to_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let offered = challenges(server.get(&path)).await;
    assert_eq!(offered.len(), 2, "{offered:?}");
    assert!(offered[0].starts_with("Bearer ") && offered[1].starts_with("Basic "));
    // GDAL and `wget --spider` ask with HEAD first.
    let head = server.http.head(format!("{}{path}", server.url));
    assert_eq!(challenges(head).await, offered);
    for (name, value) in [
        ("sec-fetch-mode", "navigate"),
        ("sec-fetch-site", "same-origin"),
        ("origin", "https://map.example"),
        // All that a browser sends of itself to plain http on another machine.
        (
            "user-agent",
            "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
        ),
    ] {
        let offered = challenges(server.get(&path).header(name, value)).await;
        assert_eq!(offered, [r#"Bearer realm="cedargate""#], "{name}");
    }
    // There a user name and a password are sent in the body.
    let login = server
        .post("/auth/login")
        .form(&[("username", "x"), ("password", "y")]);
    assert_eq!(challenges(login).await.len(), 1);
}
