//! The attackers, each from addresses of its own.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use uuid::Uuid;

use super::world::{PUBLIC_DATASET, World, client_from};

/// How long a client that was refused waits before it asks again: none is polite.
const RETRY_PAUSE: Duration = Duration::from_millis(5);

/// How long a client waits before it connects again.
const RECONNECT_PAUSE: Duration = Duration::from_millis(50);

/// Runs so many clients that ask without a pause.
async fn repeat(
    address: Ipv4Addr,
    clients: usize,
    request: impl Fn(&Client) -> RequestBuilder + Copy,
) {
    let client = client_from(address);
    let ask = || async {
        loop {
            match request(&client).send().await {
                Ok(answer) if answer.status().is_success() => drop(answer.bytes().await),
                _ => tokio::time::sleep(RETRY_PAUSE).await,
            }
        }
    };
    let never: Vec<()> = join_all((0..clients).map(|_| ask())).await;
    drop(never);
}

fn with_json(request: RequestBuilder, body: &Value) -> RequestBuilder {
    request
        .header("content-type", "application/json")
        .body(body.to_string())
}

/// A user without any grant creates datasets that are shared with thousands.
pub(crate) async fn denied_datasets(world: Arc<World>) {
    let names = |prefix: &str| {
        (0..10_000)
            .map(|n| format!("{prefix}{n:05}"))
            .collect::<Vec<_>>()
    };
    let body = json!({"title": "x", "visibility": "private", "record_status": "draft",
        "reader_users": names("u"), "reader_roles": names("r")});
    let body = body.to_string();
    repeat(Ipv4Addr::new(127, 0, 3, 1), 20, |client| {
        let request = client.post(format!("{}/admin/datasets", world.url));
        let request = request.bearer_auth(&world.outsider_session);
        request
            .header("content-type", "application/json")
            .body(body.clone())
    })
    .await;
}

/// Anonymous clients list a catalog of which they see almost nothing.
pub(crate) async fn hidden_lists(world: Arc<World>) {
    repeat(Ipv4Addr::new(127, 0, 3, 2), 50, |client| {
        client.get(format!("{}/datasets?limit=100", world.url))
    })
    .await;
}

/// An auditor searches for what there is not.
pub(crate) async fn audit_searches(world: Arc<World>) {
    repeat(Ipv4Addr::new(127, 0, 3, 3), 12, |client| {
        let user = Uuid::from_u128(7);
        let request = client.get(format!(
            "{}/admin/audit?user_id={user}&event=login",
            world.url
        ));
        request.bearer_auth(&world.other_admin_session)
    })
    .await;
}

/// A user presents a refresh token that is spent.
pub(crate) async fn spent_refresh_tokens(world: Arc<World>) {
    repeat(Ipv4Addr::new(127, 0, 3, 4), 20, |client| {
        let body = json!({"refresh_token": world.outsider_refresh_token});
        with_json(client.post(format!("{}/auth/refresh", world.url)), &body)
    })
    .await;
}

/// Unknown API keys, and tokens whose signature does not verify.
pub(crate) async fn bad_credentials(world: Arc<World>) {
    let mut forged = world.other_admin_session.clone();
    let signature = forged.len() - 40;
    forged.replace_range(signature..signature + 4, "AAAA");
    repeat(Ipv4Addr::new(127, 0, 3, 5), 50, |client| {
        let request = client.post(format!(
            "{}/auth/download-token/{PUBLIC_DATASET}",
            world.url
        ));
        if world.next_number().is_multiple_of(2) {
            request.bearer_auth(&forged)
        } else {
            let key = format!(
                "cgk_{:010x}_{:042x}",
                world.next_number(),
                world.next_number()
            );
            request.header("x-api-key", key)
        }
    })
    .await;
}

/// Mints of datasets that do not exist, from many addresses.
pub(crate) async fn unknown_datasets(world: Arc<World>) {
    let clients = (1..=40).map(|last| {
        let world = Arc::clone(&world);
        async move {
            repeat(Ipv4Addr::new(127, 0, 4, last), 1, |client| {
                client.post(format!(
                    "{}/auth/download-token/{}",
                    world.url,
                    Uuid::new_v4()
                ))
            })
            .await;
        }
    });
    join_all(clients).await;
}

/// One anonymous token reads spans without a pause.
pub(crate) async fn spans(world: Arc<World>) {
    let address = Ipv4Addr::new(127, 0, 3, 6);
    let token = mint(&world, address).await;
    repeat(address, 32, |client| {
        client.head(format!(
            "{}/datasets/{PUBLIC_DATASET}/download/cog?token={token}",
            world.url
        ))
    })
    .await;
}

/// 256 connections from each of four addresses send a header a byte at a time.
pub(crate) async fn silent_connections(world: Arc<World>) {
    let head = b"GET / HTTP/1.1\r\nHost: x\r\nX: ";
    let hold = |n: u16| {
        let address = Ipv4Addr::new(127, 0, 5, (n % 4) as u8 + 1);
        trickle(&world, address, head, Duration::from_secs(4))
    };
    join_all((0..1024).map(hold)).await;
}

/// 200 connections read a file slowly, through a small window.
pub(crate) async fn slow_readers(world: Arc<World>) {
    let address = Ipv4Addr::new(127, 0, 3, 7);
    let request = format!(
        "GET /datasets/{PUBLIC_DATASET}/download/cog?token={} HTTP/1.1\r\nHost: x\r\n\r\n",
        mint(&world, address).await
    );
    let read = |_| async {
        loop {
            if let Ok(mut stream) = connect(&world, address, Some(4096)).await {
                let _ = stream.write_all(request.as_bytes()).await;
                let mut buffer = [0; 512];
                while matches!(stream.read(&mut buffer).await, Ok(1..)) {
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
            tokio::time::sleep(RECONNECT_PAUSE).await;
        }
    };
    let never: Vec<()> = join_all((0..200).map(read)).await;
    drop(never);
}

/// Somebody who may administer datasets trickles uploads.
pub(crate) async fn slow_uploads(world: Arc<World>) {
    let address = Ipv4Addr::new(127, 0, 3, 8);
    let head = format!(
        "PUT /admin/datasets/{PUBLIC_DATASET}/file HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\
         Content-Type: image/tiff\r\nContent-Length: 100000000\r\n\r\nII*\0",
        world.other_admin_session
    );
    let send = |_| trickle(&world, address, head.as_bytes(), Duration::from_secs(1));
    join_all((0..32).map(send)).await;
}

/// Sends the head of a request and then one byte at a time, again and again.
async fn trickle(world: &World, address: Ipv4Addr, head: &[u8], pace: Duration) {
    loop {
        if let Ok(mut stream) = connect(world, address, None).await {
            let _ = stream.write_all(head).await;
            while stream.write_all(b"x").await.is_ok() {
                tokio::time::sleep(pace).await;
            }
        }
        tokio::time::sleep(RECONNECT_PAUSE).await;
    }
}

/// Mints a token of the public dataset.
async fn mint(world: &World, address: Ipv4Addr) -> String {
    let url = format!("{}/auth/download-token/{PUBLIC_DATASET}", world.url);
    let minted = client_from(address).post(url).send().await.unwrap();
    let minted: Value = minted.json().await.unwrap();
    minted["token"].as_str().unwrap().to_owned()
}

/// Reloads whose callers do not wait.
pub(crate) async fn abandoned_reloads(world: Arc<World>) {
    let address = Ipv4Addr::new(127, 0, 3, 9);
    let request = format!(
        "POST /admin/policies/reload HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\
         Content-Length: 0\r\n\r\n",
        world.other_admin_session
    );
    for _ in 0..550 {
        if let Ok(mut stream) = connect(&world, address, None).await {
            let _ = stream.write_all(request.as_bytes()).await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    std::future::pending::<()>().await;
}

/// A catalog file of 30,000 datasets is applied beside the server.
pub(crate) async fn catalog_apply(world: Arc<World>) {
    let mut apply = world.apply_catalog(30_000);
    let _ = apply.wait().await;
    std::future::pending::<()>().await;
}

async fn connect(
    world: &World,
    address: Ipv4Addr,
    receive_buffer: Option<u32>,
) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    if let Some(size) = receive_buffer {
        socket.set_recv_buffer_size(size)?;
    }
    socket.bind(SocketAddr::new(IpAddr::V4(address), 0))?;
    socket
        .connect(SocketAddr::from((Ipv4Addr::LOCALHOST, world.port)))
        .await
}
