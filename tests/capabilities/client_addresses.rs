//! The client's address behind trusted proxies: read in every spelling, and unknown otherwise.

use std::io::Read;
use std::net::TcpStream;

use serde_json::Value;

use crate::support::records::records;
use crate::support::server::{INTERNAL, PASSWORD, PUBLIC, Server, ServerOptions, TestResponse};

/// Grants by the network of the proxy itself, of an office and of everybody else than a partner.
const BY_ADDRESS: &str = r#"
@id("by-address")
permit (principal, action in [Action::"read", Action::"discover"], resource)
when { context.address.isLoopback() || context.address.isInRange(ip("203.0.113.0/24")) };
@id("not-the-partner")
permit (principal, action in [Action::"read", Action::"discover"], resource)
when { resource.visibility == Visibility::"restricted" }
unless { context.address.isInRange(ip("192.0.2.0/24")) };
@id("public")
permit (principal, action in [Action::"read", Action::"discover"], resource)
when { resource.visibility == Visibility::"public" };
@id("administration")
permit (principal in Role::"admin", action, resource);
"#;

/// Forbids everybody but an office.
const ONLY_OFFICE: &str = r#"
@id("public")
permit (principal, action in [Action::"read", Action::"discover"], resource);
@id("only-office")
forbid (principal, action, resource)
unless { context.address.isInRange(ip("203.0.113.0/24")) };
"#;

/// Headers with which a proxy does not tell the client's address.
const UNTOLD: [&[u8]; 14] = [
    b"unknown",
    b"_hidden",
    b"",
    b"203.0.113.8, unknown",
    b"203.0.113.8, ",
    b"203.0.113.8:65536",
    b"203.0.113.8:http",
    b"[203.0.113.8]:80",
    b"[2001:db8::1",
    b"0.0.0.0",
    b"::",
    b"caf\xe9",
    b"203.0.113.8\xa0",
    b"gate.example.org",
];

async fn start(policies: &'static str, environment: &[(&'static str, &str)]) -> Server {
    let trusted = [("CEDARGATE_TRUSTED_PROXIES", "127.0.0.1,10.0.0.0/8")];
    Server::start_with(ServerOptions {
        environment: trusted
            .iter()
            .chain(environment)
            .map(|(name, value)| (*name, (*value).to_owned()))
            .collect(),
        policies: Some(policies),
        ..ServerOptions::default()
    })
    .await
}

async fn mint_from(server: &Server, dataset: &str, header: &str, value: &[u8]) -> TestResponse {
    // Records of one millisecond have no order.
    server.clock.advance(1);
    TestResponse::send(server.mint_request(dataset).header(header, value)).await
}

#[tokio::test]
async fn a_port_or_brackets_do_not_make_a_client_its_proxy() {
    let server = start(BY_ADDRESS, &[]).await;
    for (hop, status, address) in [
        ("203.0.113.8", 200, "203.0.113.8"),
        ("203.0.113.8:4711", 200, "203.0.113.8"),
        ("\"203.0.113.8:4711\"", 200, "203.0.113.8"),
        ("[::ffff:203.0.113.8]:4711", 200, "203.0.113.8"),
        ("198.51.100.8:4711", 404, "198.51.100.8"),
        ("[2001:db8::8]:4711", 404, "2001:db8::8"),
        ("fe80::8%eth0", 404, "fe80::8"),
        (
            "203.0.113.8, 198.51.100.8:1, 10.0.0.3:80",
            404,
            "198.51.100.8",
        ),
        ("unknown, 203.0.113.8 , 10.0.0.3", 200, "203.0.113.8"),
    ] {
        let mint = mint_from(&server, INTERNAL, "x-forwarded-for", hop.as_bytes()).await;
        assert_eq!(mint.status, status, "{hop}");
        let record = records(&server).await.pop().unwrap();
        assert_eq!(record["address"], address, "{hop}");
    }
}

#[tokio::test]
async fn no_policy_permits_by_an_address_that_the_proxy_does_not_tell() {
    let server = start(BY_ADDRESS, &[]).await;
    for value in UNTOLD {
        let hop = String::from_utf8_lossy(value);
        for dataset in [INTERNAL, crate::support::server::RESTRICTED] {
            mint_from(&server, dataset, "x-forwarded-for", value)
                .await
                .problem(404);
            let record = records(&server).await.pop().unwrap();
            assert_eq!(record["address"], Value::Null, "{hop}");
            assert_eq!(record["outcome"], "denied", "{hop}");
            assert_eq!(record["errors"], Value::Array(Vec::new()), "{hop}");
        }
        let public = mint_from(&server, PUBLIC, "x-forwarded-for", value).await;
        let token = public.token();
        let download = server.download_request(PUBLIC, &token);
        let download = TestResponse::send(download.header("x-forwarded-for", value)).await;
        assert_eq!(download.status, 200, "{hop}");
    }
    // Nor without the header.
    server.mint(INTERNAL, None).await.problem(404);
    server.mint(PUBLIC, None).await.token();
}

#[tokio::test]
async fn a_forbid_that_spares_some_addresses_does_not_spare_an_unknown_one() {
    let server = start(ONLY_OFFICE, &[]).await;
    mint_from(&server, PUBLIC, "x-forwarded-for", b"203.0.113.8:80")
        .await
        .token();
    for value in UNTOLD {
        let mint = mint_from(&server, PUBLIC, "x-forwarded-for", value).await;
        mint.problem(404);
        let record = records(&server).await.pop().unwrap();
        assert_eq!(record["determining_policies"][0], "only-office");
    }
}

#[tokio::test]
async fn forwarded_is_read_where_the_setting_says_so_and_nothing_else() {
    let server = start(BY_ADDRESS, &[("CEDARGATE_FORWARDED_HEADER", "forwarded")]).await;
    for (value, status) in [
        ("for=203.0.113.8", 200),
        ("For=\"203.0.113.8:4711\";proto=https", 200),
        ("for=198.51.100.1, for=203.0.113.8, for=10.0.0.2", 200),
        ("for=203.0.113.8, for=198.51.100.1", 404),
        ("for=\"[::1]:80\"", 200),
        ("for=unknown", 404),
        ("for=_hidden", 404),
        ("for=203.0.113.8;for=203.0.113.8", 404),
        ("proto=https", 404),
        ("203.0.113.8", 404),
        ("for=\"203.0.113.8", 404),
    ] {
        let mint = mint_from(&server, INTERNAL, "forwarded", value.as_bytes()).await;
        assert_eq!(mint.status, status, "{value}");
    }
    mint_from(&server, INTERNAL, "x-forwarded-for", b"203.0.113.8")
        .await
        .problem(404);
    let by_default = start(BY_ADDRESS, &[]).await;
    mint_from(&by_default, INTERNAL, "forwarded", b"for=203.0.113.8")
        .await
        .problem(404);
}

#[tokio::test]
async fn clients_without_an_address_share_the_limits_of_their_proxy() {
    let server = start(BY_ADDRESS, &[("CEDARGATE_MINT_LIMIT_PER_MINUTE", "3")]).await;
    for (value, status) in [
        (&b"unknown"[..], 200),
        (b"203.0.113.8:99999", 200),
        (b"caf\xe9", 200),
        (b"_other", 429),
        (b"203.0.113.8:80", 200),
    ] {
        let mint = mint_from(&server, PUBLIC, "x-forwarded-for", value).await;
        assert_eq!(mint.status, status, "{}", String::from_utf8_lossy(value));
    }
}

#[tokio::test]
async fn a_login_without_an_address_makes_the_proxys_network_nobodys_home() {
    let server = start(BY_ADDRESS, &[("CEDARGATE_MINT_LIMIT_PER_MINUTE", "0")]).await;
    let login = async |hop: &str, password: &str| {
        let form = [("username", "otto"), ("password", password)];
        let request = server.post("/auth/login").form(&form);
        TestResponse::send(request.header("x-forwarded-for", hop)).await
    };
    assert_eq!(login("unknown", PASSWORD).await.status, 200);
    for number in 0..20 {
        login(&format!("198.51.100.{number}"), "wrong").await;
    }
    // From a network that it is known from, the owner would not have to wait for strangers.
    login("unknown", PASSWORD).await.problem(429);
    login("127.0.0.1", PASSWORD).await.problem(429);
}

#[tokio::test]
async fn a_bad_hop_disturbs_neither_connections_nor_health() {
    let server = start(BY_ADDRESS, &[]).await;
    for path in ["/health/live", "/health/ready", "/metrics", "/datasets"] {
        for value in UNTOLD {
            let request = server.get(path).header("x-forwarded-for", value);
            assert_eq!(TestResponse::send(request).await.status, 200, "{path}");
        }
    }
    let mut connection = TcpStream::connect(server.address).unwrap();
    let hops = "10.0.0.1,".repeat(3000);
    let request = format!(
        "GET /datasets HTTP/1.1\r\nhost: x\r\nx-forwarded-for: {hops}10.0.0.1\r\nconnection: close\r\n\r\n"
    );
    std::io::Write::write_all(&mut connection, request.as_bytes()).unwrap();
    let answer = tokio::task::spawn_blocking(move || {
        let mut answer = String::new();
        connection.read_to_string(&mut answer).map(|_| answer)
    });
    let answer = answer.await.unwrap().unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(!answer.contains(INTERNAL), "{answer}");
}

#[tokio::test]
async fn an_administrator_may_ask_what_an_unknown_address_may() {
    let server = start(BY_ADDRESS, &[]).await;
    let session = server.session("ada").await;
    for (address, status, permitted) in [
        ("127.0.0.1", 200, true),
        ("unknown", 200, false),
        ("192.0.2.0/24", 422, false),
    ] {
        let question = serde_json::json!({"principal": "anonymous", "action": "read",
            "dataset_id": INTERNAL, "address": address});
        let request = server.post("/admin/policies/explain").json(&question);
        let answer = TestResponse::send(request.bearer_auth(&session)).await;
        assert_eq!(answer.status, status, "{}", answer.text());
        if status == 200 {
            assert_eq!(answer.json()["is_permitted"], permitted, "{address}");
            assert_eq!(answer.json()["address"], address);
        }
    }
}
