//! Connections: nobody holds up the others, and health always answers.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::support::server::{PUBLIC, Server, ServerOptions};

async fn start(environment: Vec<(&'static str, String)>) -> Server {
    Server::start_with(ServerOptions {
        environment,
        ..ServerOptions::default()
    })
    .await
}

/// A connection from one of this machine's addresses.
async fn connect(server: &Server, from: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket
        .bind(format!("{from}:0").parse::<SocketAddr>().unwrap())
        .unwrap();
    socket.connect(server.address).await.unwrap()
}

/// The status line of a request on a new connection.
async fn status_of(server: &Server, from: &str, request_line: &str) -> String {
    let mut stream = connect(server, from).await;
    let request = format!("{request_line} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut response = Vec::new();
    stream.read_to_end(&mut response).await.unwrap();
    let response = String::from_utf8_lossy(&response).into_owned();
    if !response.starts_with("HTTP/1.1 200") {
        assert!(response.contains("\r\nretry-after: "), "{response}");
        assert!(response.contains("application/problem+json"), "{response}");
    }
    response.lines().next().unwrap_or_default().to_owned()
}

/// A connection with a request in flight, whose body never comes.
async fn busy_connection(server: &Server, from: &str, headers: &str) -> TcpStream {
    let mut stream = connect(server, from).await;
    let request = format!(
        "POST /auth/login HTTP/1.1\r\nhost: x\r\ncontent-length: 50\r\n{headers}\
         content-type: application/x-www-form-urlencoded\r\nexpect: 100-continue\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 100");
    stream
}

#[tokio::test]
async fn silent_connections_of_four_addresses_keep_nobody_out() {
    let server = start(vec![("CEDARGATE_MAX_CONNECTIONS", "16".to_owned())]).await;
    let mint = format!("POST /auth/download-token/{PUBLIC}");
    let mut silent = Vec::new();
    for address in ["127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.5"] {
        for _ in 0..8 {
            let mut stream = connect(&server, address).await;
            stream
                .write_all(b"GET / HTTP/1.1\r\nhost: x\r\nx: ")
                .await
                .unwrap();
            silent.push(stream);
        }
    }
    for from in ["127.0.0.9", "127.0.0.2"] {
        assert_eq!(
            status_of(&server, from, "GET /health/live").await,
            "HTTP/1.1 200 OK"
        );
        assert_eq!(status_of(&server, from, &mint).await, "HTTP/1.1 200 OK");
    }
}

/// A fleet of verifiers behind one address restarts: each has its connection before the first has sent anything.
#[tokio::test]
async fn a_crowd_behind_one_address_is_answered_in_turn() {
    let server = start(vec![("CEDARGATE_MAX_CONNECTIONS", "8".to_owned())]).await;
    let mut crowd = Vec::new();
    for _ in 0..8 {
        crowd.push(connect(&server, "127.0.0.2").await);
    }
    for stream in &mut crowd {
        let request =
            b"GET /.well-known/jwks.json HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
        stream.write_all(request).await.unwrap();
    }
    for mut stream in crowd {
        let mut response = Vec::new();
        stream.read_to_end(&mut response).await.unwrap();
        assert!(response.starts_with(b"HTTP/1.1 200 OK"), "{response:?}");
    }
}

#[tokio::test]
async fn a_network_whose_connections_are_all_busy_is_told_so_and_health_answers() {
    let server = start(vec![("CEDARGATE_MAX_CONNECTIONS", "8".to_owned())]).await;
    let mut busy = Vec::new();
    for _ in 0..2 {
        busy.push(busy_connection(&server, "127.0.0.1", "").await);
    }
    let own = async |request_line| status_of(&server, "127.0.0.1", request_line).await;
    assert_eq!(own("GET /datasets").await, "HTTP/1.1 429 Too Many Requests");
    assert_eq!(own("GET /health/live").await, "HTTP/1.1 200 OK");
    assert_eq!(own("GET /health/ready").await, "HTTP/1.1 200 OK");
    let other = status_of(&server, "127.0.0.2", "GET /datasets").await;
    assert_eq!(other, "HTTP/1.1 200 OK");
}

#[tokio::test]
async fn when_all_places_are_busy_and_shared_out_evenly_health_and_key_set_answer() {
    let server = start(vec![("CEDARGATE_MAX_CONNECTIONS", "3".to_owned())]).await;
    let mut busy = Vec::new();
    for address in ["127.0.0.2", "127.0.0.3", "127.0.0.4"] {
        busy.push(busy_connection(&server, address, "").await);
    }
    let list = status_of(&server, "127.0.0.5", "GET /datasets").await;
    assert_eq!(list, "HTTP/1.1 503 Service Unavailable");
    for path in [
        "/health/live",
        "/.well-known/jwks.json",
        "/.well-known/oauth-authorization-server",
        "/.well-known/openid-configuration",
    ] {
        let answered = status_of(&server, "127.0.0.5", &format!("GET {path}")).await;
        assert_eq!(answered, "HTTP/1.1 200 OK", "{path}");
    }
}

#[tokio::test]
async fn requests_through_a_proxy_are_shared_out_by_the_networks_of_the_clients() {
    let server = start(vec![
        ("CEDARGATE_MAX_CONNECTIONS", "8".to_owned()),
        ("CEDARGATE_TRUSTED_PROXIES", "127.0.0.1".to_owned()),
    ])
    .await;
    let mut busy = Vec::new();
    for client in ["192.0.2.1", "192.0.2.2", "192.0.2.3"] {
        let forwarded = format!("x-forwarded-for: {client}\r\n");
        for _ in 0..2 {
            busy.push(busy_connection(&server, "127.0.0.1", &forwarded).await);
        }
    }
    let proxied = async |client| {
        let request = format!("GET /datasets HTTP/1.1\r\nx-forwarded-for: {client}\r\nx-line:");
        status_of(&server, "127.0.0.1", &request).await
    };
    assert_eq!(proxied("192.0.2.1").await, "HTTP/1.1 429 Too Many Requests");
    assert_eq!(proxied("192.0.2.9").await, "HTTP/1.1 200 OK");
    let forwarded = "x-forwarded-for: 192.0.2.4\r\n";
    for _ in 0..2 {
        busy.push(busy_connection(&server, "127.0.0.1", forwarded).await);
    }
    // All places are busy, and each of four clients has two: the oldest one gives way.
    let newcomer = status_of(&server, "127.0.0.7", "GET /datasets").await;
    assert_eq!(newcomer, "HTTP/1.1 200 OK");
    let mut rest = Vec::new();
    let _ = busy[0].read_to_end(&mut rest).await;
    assert_eq!(String::from_utf8_lossy(&rest), " Continue\r\n\r\n");
}
