//! Files that are replaced, removed or cut between two spans of one token, or during a download.

use std::path::PathBuf;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::admin_files::{cog, stored_files, upload_request};
use crate::support::admin_client::AdminClient;
use crate::support::server::{PUBLIC, Server, TestResponse};
use crate::support::tiff::test_tiff as tiff;

/// The answer to a request for `range`, with more headers.
async fn span(server: &Server, token: &str, range: &str, more: &[(&str, &str)]) -> TestResponse {
    let mut request = server
        .download_request(PUBLIC, token)
        .header("range", range);
    for (name, value) in more {
        request = request.header(*name, *value);
    }
    TestResponse::send(request).await
}

/// Uploads the file of the dataset, and returns where the store has it.
async fn upload(server: &Server, content: &[u8]) -> PathBuf {
    let ada = AdminClient::sign_in(server, "ada").await;
    let before = stored_files(server);
    let upload = upload_request(&ada, PUBLIC, "").body(content.to_vec());
    assert_eq!(TestResponse::send(upload).await.status, 200);
    let after = stored_files(server);
    after
        .into_iter()
        .find(|path| !before.contains(path))
        .unwrap()
}

#[tokio::test]
async fn the_next_span_after_a_replacement_is_of_the_new_file() {
    let server = Server::start().await;
    let token = server.mint(PUBLIC, None).await.token();
    let first = span(&server, &token, "bytes=0-99", &[]).await;
    assert_eq!((first.status, &first.body[..]), (206, &cog()[..100]));
    let old = first.header("etag").to_owned();

    let content = tiff(300_000);
    upload(&server, &content).await;
    let next = span(&server, &token, "bytes=100000-199999", &[]).await;
    assert_eq!(
        (next.status, &next.body[..]),
        (206, &content[100_000..200_000])
    );
    assert_ne!(next.header("etag"), old);
    assert_eq!(next.header("content-range"), "bytes 100000-199999/300000");

    let whole = span(&server, &token, "bytes=0-99", &[("if-range", &old)]).await;
    assert_eq!((whole.status, whole.body == content), (200, true));
    let refused = span(&server, &token, "bytes=0-99", &[("if-match", &old)]).await;
    refused.problem(412);
    let same = next.header("etag");
    let unchanged = span(&server, &token, "bytes=0-99", &[("if-none-match", same)]).await;
    assert_eq!(unchanged.status, 304);
}

#[tokio::test]
async fn a_file_that_vanishes_between_two_spans_is_missing_until_it_is_back() {
    let server = Server::start().await;
    let content = tiff(300_000);
    let stored = upload(&server, &content).await;
    let token = server.mint(PUBLIC, None).await.token();
    for _ in 0..2 {
        assert_eq!(span(&server, &token, "bytes=0-99", &[]).await.status, 206);
    }
    let aside = stored.with_extension("aside");
    std::fs::rename(&stored, &aside).unwrap();
    // An open file of that name is no reason to send it.
    std::fs::write(&stored, tiff(299_999)).unwrap();
    span(&server, &token, "bytes=0-99", &[]).await.problem(503);
    std::fs::remove_file(&stored).unwrap();
    for range in ["bytes=0-99", "bytes=0-"] {
        span(&server, &token, range, &[]).await.problem(404);
    }
    std::fs::rename(&aside, &stored).unwrap();
    let again = span(&server, &token, "bytes=0-", &[]).await;
    assert_eq!((again.status, again.body == content), (206, true));
}

#[tokio::test]
async fn a_download_of_a_file_that_is_cut_ends_early_and_never_hangs() {
    let server = Server::start().await;
    let content = tiff(12 * 1024 * 1024);
    let stored = upload(&server, &content).await;
    let token = server.mint(PUBLIC, None).await.token();
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let request =
        format!("GET /datasets/{PUBLIC}/download/cog?token={token} HTTP/1.1\r\nhost: x\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut beginning = vec![0; 100_000];
    stream.read_exact(&mut beginning).await.unwrap();
    assert!(beginning.starts_with(b"HTTP/1.1 200 OK"));
    let writer = std::fs::File::options().write(true).open(&stored).unwrap();
    writer.set_len(1_000_000).unwrap();
    let mut rest = Vec::new();
    // The connection is closed, or reset, before all of the promised bytes came.
    stream.read_to_end(&mut rest).await.ok();
    assert!(beginning.len() + rest.len() < content.len());
    span(&server, &token, "bytes=0-99", &[]).await.problem(503);
}
