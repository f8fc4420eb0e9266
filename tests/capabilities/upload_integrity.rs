//! Uploads are whole: no part, no coded form and no truncated file takes the place of a file.

use std::net::Shutdown;

use reqwest::Method;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::admin_datasets::dataset_path;
use crate::admin_files::{cog, partial_uploads, stored_files, upload_request};
use crate::support::admin_client::AdminClient;
use crate::support::server::{PUBLIC, Server, ServerOptions, TestResponse, WITHOUT_FILE};
use crate::support::tiff::test_tiff;

/// What the dataset has and the store holds.
async fn state(server: &Server, ada: &AdminClient<'_>) -> impl PartialEq + std::fmt::Debug {
    assert_eq!(partial_uploads(server), 0);
    let dataset = ada.get(&dataset_path(PUBLIC)).await.body;
    (stored_files(server), dataset)
}

/// Sends bytes as they are, ends the sending side if `is_cut`, and returns status and detail of the answer.
async fn send_raw(server: &Server, request: &[u8], is_cut: bool) -> (u16, String) {
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    // The server may refuse before it has read everything.
    let _ = stream.write_all(request).await;
    if is_cut {
        let stream = stream.into_std().unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        return read_answer(TcpStream::from_std(stream).unwrap()).await;
    }
    read_answer(stream).await
}

async fn read_answer(mut stream: TcpStream) -> (u16, String) {
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.ok();
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer.get(9..12).and_then(|status| status.parse().ok());
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    let problem: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
    let detail = problem["detail"].as_str().unwrap_or_default().to_owned();
    (status.unwrap_or_default(), detail)
}

/// The head of an upload with these header lines.
fn upload_head(ada: &AdminClient<'_>, version: &str, lines: &str) -> Vec<u8> {
    let (path, session) = (dataset_path(PUBLIC), &ada.session);
    format!(
        "PUT {path}/file HTTP/{version}\r\nHost: x\r\nAuthorization: Bearer {session}\r\n\
         Content-Type: image/tiff\r\nConnection: close\r\n{lines}\r\n"
    )
    .into_bytes()
}

fn chunked(content: &[u8]) -> Vec<u8> {
    let chunks = content.chunks(7000).map(|chunk| {
        let head = format!("{:x}\r\n", chunk.len()).into_bytes();
        [&head, chunk, b"\r\n"].concat()
    });
    chunks.collect::<Vec<_>>().concat()
}

#[tokio::test]
async fn a_part_of_a_file_is_refused_and_the_file_stays() {
    let server = Server::start().await;
    let ada = AdminClient::sign_in(&server, "ada").await;
    let before = state(&server, &ada).await;
    let file = test_tiff(2000);
    for (name, value, body) in [
        ("Content-Range", "bytes 0-999/194751", &cog()[..1000]),
        ("Content-Range", "bytes 0-1999/2000", &file),
        ("content-range", "bytes */2000", &file),
        ("X-Update-Range", "append", &file),
        ("Upload-Complete", "?0", &file),
        ("Upload-Offset", "1000", &file),
        ("OC-Chunked", "1", &file),
    ] {
        let upload = upload_request(&ada, PUBLIC, "").header(name, value);
        let detail = TestResponse::send(upload.body(body.to_vec()))
            .await
            .problem(400);
        assert!(detail.contains(&name.to_lowercase()), "{detail}");
        assert_eq!(state(&server, &ada).await, before, "{name}: {value}");
    }
    // The rest of a large file is not even asked for.
    let lines =
        "Content-Length: 1000000\r\nExpect: 100-continue\r\nContent-Range: bytes 0-9/10\r\n";
    let (status, _) = send_raw(&server, &upload_head(&ada, "1.1", lines), false).await;
    assert_eq!(status, 400);
    let whole = upload_request(&ada, PUBLIC, "").header("Upload-Complete", "?1");
    assert_eq!(TestResponse::send(whole.body(file)).await.status, 200);
}

#[tokio::test]
async fn no_other_operation_takes_a_part_either_and_the_mint_does_not_look() {
    let server = Server::start().await;
    let ada = AdminClient::sign_in(&server, "ada").await;
    for (method, path, body) in [
        (
            Method::POST,
            "/admin/roles".to_owned(),
            json!({"name": "limnology"}),
        ),
        (
            Method::POST,
            "/auth/api-keys".to_owned(),
            json!({"name": "k"}),
        ),
        (
            Method::PUT,
            dataset_path(PUBLIC),
            json!({"title": "x", "visibility": "private", "record_status": "draft"}),
        ),
    ] {
        for (name, value, status) in [
            ("Content-Range", "bytes 0-9/100", 400),
            ("Content-Encoding", "gzip", 415),
            (
                "Content-Digest",
                "sha-256=:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:",
                400,
            ),
        ] {
            let request = ada.request(method.clone(), &path).json(&body);
            let response = TestResponse::send(request.header(name, value)).await;
            response.problem(status);
        }
    }
    let roles = ada.get("/admin/roles").await.text();
    assert!(!roles.contains("limnology"), "{roles}");
    // Before anybody is known, whatever is wrong with the body is a 401.
    let part = server
        .post("/admin/roles")
        .json(&json!({}))
        .header("Content-Range", "bytes 0-1/2");
    TestResponse::send(part).await.problem(401);
    let mint = server
        .mint_request(PUBLIC)
        .header("Content-Range", "bytes 0-1/2");
    let mint = mint
        .header("Content-Encoding", "gzip")
        .header("Content-MD5", "x");
    TestResponse::send(mint).await.token();
}

#[tokio::test]
async fn a_file_that_ends_early_is_refused_with_what_is_missing() {
    let server = Server::start().await;
    let ada = AdminClient::sign_in(&server, "ada").await;
    let before = state(&server, &ada).await;
    for length in [8, 9, 100, 1000, 1500, 20_000, 194_747, 194_750] {
        let upload = upload_request(&ada, PUBLIC, "").body(cog()[..length].to_vec());
        let response = TestResponse::send(upload).await;
        assert_eq!(response.problem_field(422), "file", "{length}");
        let detail = response.problem(422);
        assert!(detail.contains("is an incomplete TIFF"), "{detail}");
        assert_eq!(state(&server, &ada).await, before, "{length}");
    }
    let cut = upload_request(&ada, PUBLIC, "").body(cog()[..194_000].to_vec());
    let detail = TestResponse::send(cut).await.problem(422);
    assert!(detail.contains("at least 751 are missing"), "{detail}");
    // Room was made for the file, and its end was never written.
    let mut preallocated = cog();
    preallocated[190_000..].fill(0);
    let preallocated = upload_request(&ada, PUBLIC, "").body(preallocated);
    let detail = TestResponse::send(preallocated).await.problem(422);
    assert!(detail.contains("was not written to the end"), "{detail}");
    assert_eq!(state(&server, &ada).await, before);
}

#[tokio::test]
async fn an_upload_whose_connection_ends_early_is_refused_whatever_told_its_length() {
    let server = Server::start().await;
    let ada = AdminClient::sign_in(&server, "ada").await;
    let before = state(&server, &ada).await;
    let content = cog();
    let (known, untold) = (
        "Content-Length: 194751\r\n",
        "Transfer-Encoding: chunked\r\n",
    );
    let end = b"0\r\n\r\n".to_vec();
    for (name, lines, body, is_cut, status) in [
        ("cut", known, content[..90_000].to_vec(), true, 400),
        (
            "cut by one byte",
            known,
            content[..194_750].to_vec(),
            true,
            400,
        ),
        ("no last chunk", untold, chunked(&content), true, 400),
        (
            "cut in a chunk",
            untold,
            chunked(&content)[..90_000].to_vec(),
            true,
            400,
        ),
        (
            "cut in the last chunk",
            untold,
            [chunked(&content), b"0\r\n".to_vec()].concat(),
            true,
            400,
        ),
        (
            "ended too early",
            untold,
            [chunked(&content[..90_000]), end.clone()].concat(),
            false,
            422,
        ),
        (
            "a length that is too small",
            "Content-Length: 90000\r\n",
            content.clone(),
            false,
            422,
        ),
        ("no length", "", content.clone(), false, 422),
        (
            "a coding in between",
            "Transfer-Encoding: gzip, chunked\r\n",
            end,
            false,
            501,
        ),
    ] {
        let request = [upload_head(&ada, "1.1", lines), body].concat();
        let answer = send_raw(&server, &request, is_cut).await;
        assert_eq!(answer.0, status, "{name}: {answer:?}");
        assert_eq!(state(&server, &ada).await, before, "{name}");
    }
    // A body of HTTP/1.0 without a length ends with its connection, so nobody knows whether it is whole.
    let old = [upload_head(&ada, "1.0", ""), content].concat();
    assert_eq!(send_raw(&server, &old, false).await.0, 422);
    let json =
        b"POST /admin/roles HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 90\r\n\
        Content-Type: application/json\r\nAuthorization: Bearer ";
    let json = [
        json,
        ada.session.as_bytes(),
        b"\r\n\r\n{\"name\": \"limnology\"}",
    ]
    .concat();
    let (status, detail) = send_raw(&server, &json, true).await;
    assert_eq!(status, 400);
    assert!(detail.contains("did not arrive completely"), "{detail}");
    assert_eq!(state(&server, &ada).await, before);
}

#[tokio::test]
async fn a_coded_body_is_refused_before_it_is_read() {
    let server = Server::start().await;
    let ada = AdminClient::sign_in(&server, "ada").await;
    let before = state(&server, &ada).await;
    for coding in ["gzip", "br", "zstd", "deflate", "identity, gzip"] {
        let upload = upload_request(&ada, PUBLIC, "").header("Content-Encoding", coding);
        let response = TestResponse::send(upload.body(test_tiff(1000))).await;
        response.problem(415);
        assert_eq!(response.header("accept-encoding"), "identity");
        assert_eq!(state(&server, &ada).await, before, "{coding}");
    }
    let plain = upload_request(&ada, PUBLIC, "").header("Content-Encoding", "identity");
    assert_eq!(
        TestResponse::send(plain.body(test_tiff(1000))).await.status,
        200
    );
}

#[tokio::test]
async fn a_body_that_is_not_what_its_digest_says_is_refused() {
    let server = Server::start().await;
    let ada = AdminClient::sign_in(&server, "ada").await;
    let before = state(&server, &ada).await;
    let content = test_tiff(30_000);
    let sha256 = "hATZVc1AEwY7t29cwoDz6C1e46QZDmmK0KS5+Qdtehw=";
    let other = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    for (name, value) in [
        ("Content-Digest", format!("sha-256=:{other}:")),
        ("Repr-Digest", format!("sha-512=:{other}:")),
        ("Digest", format!("SHA-256={other}")),
        ("Content-MD5", "AAAAAAAAAAAAAAAAAAAAAA==".to_owned()),
        ("Content-Digest", "crc32c=:AAAAAA==:".to_owned()),
        ("Content-Digest", "sha-256".to_owned()),
    ] {
        let upload = upload_request(&ada, PUBLIC, "").header(name, &value);
        let refused = TestResponse::send(upload.body(content.clone())).await;
        let detail = refused.problem(400);
        assert!(detail.contains(&name.to_lowercase()), "{detail}");
        assert_eq!(state(&server, &ada).await, before, "{name}: {value}");
    }
    let trailer = |digest: &str| {
        let lines = "Transfer-Encoding: chunked\r\nTrailer: Content-Digest\r\n";
        let end = format!("0\r\nContent-Digest: sha-256=:{digest}:\r\n\r\n").into_bytes();
        [upload_head(&ada, "1.1", lines), chunked(&content), end].concat()
    };
    let (status, detail) = send_raw(&server, &trailer(other), false).await;
    assert_eq!(status, 400, "{detail}");
    assert_eq!(state(&server, &ada).await, before);
    assert!(detail.contains(sha256), "{detail}");
    assert_eq!(send_raw(&server, &trailer(sha256), false).await.0, 200);
    let upload = upload_request(&ada, PUBLIC, "");
    let right = upload.header("Content-Digest", format!("sha-256=:{sha256}:"));
    assert_eq!(TestResponse::send(right.body(content)).await.status, 200);
}

#[tokio::test]
async fn a_file_has_a_media_type_of_its_own_and_is_the_whole_body() {
    let server = Server::start().await;
    let ada = AdminClient::sign_in(&server, "ada").await;
    let before = state(&server, &ada).await;
    let upload = async |kind: &str| {
        let request = ada.request(Method::PUT, &format!("{}/file", dataset_path(PUBLIC)));
        let request = request.header("content-type", kind).body(test_tiff(500));
        TestResponse::send(request).await
    };
    for kind in [
        "multipart/form-data; boundary=x",
        "multipart/byteranges; boundary=x",
        "application/x-www-form-urlencoded",
        "application/json",
        "image/tiff-fx",
    ] {
        upload(kind).await.problem(415);
    }
    assert_eq!(state(&server, &ada).await, before);
    for kind in [
        "image/tiff; application=geotiff; profile=cloud-optimized",
        "Image/TIFF",
        "application/octet-stream;charset=binary",
    ] {
        assert_eq!(upload(kind).await.status, 200, "{kind}");
    }
}

#[tokio::test]
async fn a_file_that_is_still_being_copied_is_not_imported() {
    let imports = tempfile::tempdir().unwrap();
    let server = Server::start_with(ServerOptions {
        environment: vec![("CEDARGATE_IMPORT_DIR", imports.path().display().to_string())],
        ..ServerOptions::default()
    })
    .await;
    let ada = AdminClient::sign_in(&server, "ada").await;
    let path = format!("{}/file/import", dataset_path(WITHOUT_FILE));
    let import = async || ada.post(&path, json!({"path": "dem.tif"})).await;
    let before = stored_files(&server);
    for length in [500, 100_000, 194_750] {
        std::fs::write(imports.path().join("dem.tif"), &cog()[..length]).unwrap();
        let refused = import().await;
        assert_eq!(refused.problem_field(422), "path");
        let detail = refused.problem(422);
        assert!(detail.contains("dem.tif is an incomplete TIFF"), "{detail}");
    }
    assert_eq!(stored_files(&server), before);
    std::fs::write(imports.path().join("dem.tif"), cog()).unwrap();
    assert_eq!(import().await.status, 200);
}
