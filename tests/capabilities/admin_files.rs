//! Files of datasets: upload, import and deletion.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::stream;
use reqwest::Method;
use serde_json::json;

use crate::admin_datasets::dataset_path;
use crate::support::admin_client::AdminClient;
use crate::support::eventually;
use crate::support::server::{PUBLIC, Server, ServerOptions, TestResponse, WITHOUT_FILE};
use crate::support::tiff::test_tiff as tiff;

fn demo_file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("demo")
        .join(name)
}

pub(crate) fn cog() -> Vec<u8> {
    std::fs::read(demo_file("jacksboro-fault-dem.cog.tif")).unwrap()
}

/// `CEDARGATE_LARGEST_UPLOAD` of one test, in bytes.
const MAX_UPLOAD_SIZE: usize = 1024 * 1024;

/// All files in the file store.
pub(crate) fn stored_files(server: &Server) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![server.folder.path().join("files")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if !path.ends_with(".lock") {
                found.push(path);
            }
        }
    }
    found.sort_unstable();
    found
}

/// The parts of incomplete uploads, of all processes.
pub(crate) fn partial_uploads(server: &Server) -> usize {
    let incoming = server.folder.path().join("files/incoming");
    let folders = std::fs::read_dir(incoming).into_iter().flatten();
    let parts = folders.flat_map(|folder| std::fs::read_dir(folder.unwrap().path()).unwrap());
    let parts = parts.filter(|part| part.as_ref().unwrap().file_name() != ".lock");
    parts.count()
}

pub(crate) fn upload_request(
    client: &AdminClient<'_>,
    id: &str,
    more: &str,
) -> reqwest::RequestBuilder {
    client
        .request(Method::PUT, &format!("{}/file{more}", dataset_path(id)))
        .header("content-type", "image/tiff")
}

#[tokio::test]
async fn an_uploaded_file_can_be_downloaded() {
    let server = Server::start().await;
    let ada = AdminClient::sign_in(&server, "ada").await;
    server.mint(WITHOUT_FILE, None).await.problem(404);
    let upload = upload_request(&ada, WITHOUT_FILE, "?name=../the%20DEM.tif").body(cog());
    let response = TestResponse::send(upload).await;
    assert_eq!(response.status, 200, "{}", response.text());
    let file = response.json()["file"].clone();
    assert_eq!(file["name"], "the DEM.tif");
    assert_eq!(file["size"], cog().len());
    let token = server.mint(WITHOUT_FILE, None).await.token();
    let download = server.download(WITHOUT_FILE, &token).await;
    assert!(download.body == cog());
    assert_eq!(
        download.header("etag"),
        format!("\"{}\"", file["sha256"].as_str().unwrap())
    );
    assert_eq!(partial_uploads(&server), 0);

    // Uploading the same bytes again keeps name and time.
    server.clock.advance(5000);
    let again = ada
        .request(Method::PUT, &format!("{}/file", dataset_path(WITHOUT_FILE)))
        .header("content-type", "application/octet-stream")
        .body(cog());
    assert_eq!(TestResponse::send(again).await.json()["file"], file);
}

#[tokio::test]
async fn a_file_that_replaces_another_is_downloaded_from_then_on() {
    let server = Server::start().await;
    let ada = AdminClient::sign_in(&server, "ada").await;
    let token = server.mint(PUBLIC, None).await.token();
    assert!(server.download(PUBLIC, &token).await.body == cog());
    let content = tiff(9 * 1024 * 1024 + 5);
    let before = stored_files(&server);
    let chunks = content
        .chunks(70_000)
        .map(<[u8]>::to_vec)
        .collect::<Vec<_>>();
    let chunks = chunks.into_iter().map(Ok::<_, std::io::Error>);
    let body = reqwest::Body::wrap_stream(stream::iter(chunks));
    let response = TestResponse::send(upload_request(&ada, PUBLIC, "").body(body)).await;
    assert_eq!(response.status, 200, "{}", response.text());
    assert_eq!(
        response.json()["file"]["name"],
        "jacksboro-fault-dem.cog.tif"
    );
    assert!(server.download(PUBLIC, &token).await.body == content);
    // The previous file stays in the store for a while.
    assert_eq!(stored_files(&server).len(), before.len() + 1);

    let bare = ada.delete(&format!("{}/file", dataset_path(PUBLIC))).await;
    assert!(bare.json().get("file").is_none());
    server.download(PUBLIC, &token).await.problem(404);
    assert_eq!(stored_files(&server).len(), before.len() + 1);
}

#[tokio::test]
async fn a_file_that_is_not_a_tiff_is_refused_and_leaves_nothing() {
    let server = Server::start().await;
    let ada = AdminClient::sign_in(&server, "ada").await;
    let before = (
        stored_files(&server),
        ada.get(&dataset_path(PUBLIC)).await.body,
    );
    let zeros = vec![0; 50_000];
    let contents: [&[u8]; 5] = [
        b"",
        b"II*\0",
        b"II*",
        b"\x89PNG\r\n\x1a\n0000000000000",
        &zeros,
    ];
    for content in contents {
        let upload = upload_request(&ada, PUBLIC, "").body(content.to_vec());
        assert_eq!(TestResponse::send(upload).await.problem_field(422), "file");
    }
    let text = ada.request(Method::PUT, &format!("{}/file", dataset_path(PUBLIC)));
    let text = text.header("content-type", "text/plain").body(cog());
    TestResponse::send(text).await.problem(415);
    assert_eq!(
        (
            stored_files(&server),
            ada.get(&dataset_path(PUBLIC)).await.body
        ),
        before
    );
}

#[tokio::test]
async fn a_file_that_is_too_large_is_refused_and_leaves_nothing() {
    let server = Server::start_with(ServerOptions {
        environment: vec![("CEDARGATE_LARGEST_UPLOAD", "1".to_owned())],
        ..ServerOptions::default()
    })
    .await;
    let ada = AdminClient::sign_in(&server, "ada").await;
    let before = stored_files(&server);
    let too_large = upload_request(&ada, PUBLIC, "").body(tiff(MAX_UPLOAD_SIZE + 1));
    TestResponse::send(too_large).await.problem(413);
    let chunks = vec![Ok::<_, std::io::Error>(tiff(MAX_UPLOAD_SIZE)), Ok(vec![0])];
    let untold = reqwest::Body::wrap_stream(stream::iter(chunks));
    let untold = TestResponse::send(upload_request(&ada, PUBLIC, "").body(untold)).await;
    untold.problem(413);
    assert_eq!(stored_files(&server), before);
    let fits = upload_request(&ada, PUBLIC, "").body(tiff(MAX_UPLOAD_SIZE));
    assert_eq!(TestResponse::send(fits).await.status, 200);
    // The higher size limit is for files only.
    let large = json!({"title": "x".repeat(3 * MAX_UPLOAD_SIZE)});
    TestResponse::send(ada.request(Method::PUT, &dataset_path(PUBLIC)).json(&large))
        .await
        .problem(413);
}

/// A connection that has sent the headers of an upload of a megabyte.
pub(crate) fn begin_upload(server: &Server, session: &str, expect: &str) -> TcpStream {
    let mut connection = TcpStream::connect(server.address).unwrap();
    let path = format!("{}/file", dataset_path(PUBLIC));
    let head = format!(
        "PUT {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {session}\r\n\
         Content-Type: image/tiff\r\nContent-Length: 1000000\r\n{expect}\r\n"
    );
    connection.write_all(head.as_bytes()).unwrap();
    connection
}

#[tokio::test]
async fn an_upload_that_breaks_off_leaves_nothing() {
    let server = Server::start().await;
    let ada = AdminClient::sign_in(&server, "ada").await;
    let before = (
        stored_files(&server),
        ada.get(&dataset_path(PUBLIC)).await.body,
    );
    let mut connection = begin_upload(&server, &ada.session, "");
    connection.write_all(&tiff(300_000)).unwrap();
    let has_incoming = async |count: usize| partial_uploads(&server) == count;
    eventually(async || has_incoming(1).await).await;
    drop(connection);
    eventually(async || has_incoming(0).await).await;
    assert_eq!(
        (
            stored_files(&server),
            ada.get(&dataset_path(PUBLIC)).await.body
        ),
        before
    );
}

#[tokio::test]
async fn an_upload_that_is_not_permitted_is_refused_before_a_byte_is_sent() {
    let server = Server::start().await;
    let otto = server.session("otto").await;
    let response = tokio::task::spawn_blocking({
        let mut connection = begin_upload(
            &server,
            &otto,
            "Expect: 100-continue\r\nConnection: close\r\n",
        );
        move || {
            let mut response = String::new();
            connection
                .set_read_timeout(Some(Duration::from_secs(20)))
                .unwrap();
            connection.read_to_string(&mut response).unwrap();
            response
        }
    });
    let response = response.await.unwrap();
    assert!(response.starts_with("HTTP/1.1 403"), "{response}");
    assert_eq!(partial_uploads(&server), 0);
}

#[tokio::test]
async fn a_file_in_the_import_folder_is_imported_and_none_outside_it() {
    let imports = tempfile::tempdir().unwrap();
    let outside = tempfile::tempdir().unwrap();
    let name = "salish-sea-topobathy.cog.tif";
    for folder in [&imports, &outside] {
        std::fs::copy(demo_file(name), folder.path().join(name)).unwrap();
    }
    let inside = |path: &str| imports.path().join(path);
    std::fs::create_dir(inside("more")).unwrap();
    std::fs::copy(demo_file(name), inside("more/dem.tif")).unwrap();
    std::fs::write(inside("text.tif"), "not a TIFF, whatever its name").unwrap();
    std::os::unix::fs::symlink(outside.path().join(name), inside("out.tif")).unwrap();
    std::os::unix::fs::symlink(outside.path(), inside("out")).unwrap();
    std::os::unix::fs::symlink("more/dem.tif", inside("in.tif")).unwrap();
    let server = Server::start_with(ServerOptions {
        environment: vec![("CEDARGATE_IMPORT_DIR", imports.path().display().to_string())],
        ..ServerOptions::default()
    })
    .await;
    let ada = AdminClient::sign_in(&server, "ada").await;
    let path = format!("{}/file/import", dataset_path(WITHOUT_FILE));
    let import = async |source: &str| ada.post(&path, json!({"path": source})).await;
    let absolute = outside.path().join(name).display().to_string();
    let around = format!(
        "../{}/{name}",
        outside.path().file_name().unwrap().display()
    );
    for source in [
        "out.tif",
        &format!("out/{name}"),
        &absolute,
        &around,
        "more/../../x",
        "..",
        ".",
        "more",
        "no.tif",
        "text.tif",
        "x\u{0}.tif",
    ] {
        let response = import(source).await;
        assert_eq!(response.problem_field(422), "path", "{source}");
        let here = imports.path().display().to_string();
        assert!(!response.text().contains(&here), "{}", response.text());
    }
    assert!(
        ada.get(&dataset_path(WITHOUT_FILE))
            .await
            .json()
            .get("file")
            .is_none()
    );
    for source in ["more/dem.tif", "in.tif", name] {
        let response = import(source).await;
        assert_eq!(response.status, 200, "{source}: {}", response.text());
        let name = source.rsplit('/').next().unwrap();
        assert_eq!(response.json()["file"]["name"], name);
    }
    let token = server.mint(WITHOUT_FILE, None).await.token();
    let download = server.download(WITHOUT_FILE, &token).await;
    assert!(download.body == std::fs::read(demo_file(name)).unwrap());
}

#[tokio::test]
async fn nothing_is_imported_without_an_import_folder() {
    let server = Server::start().await;
    let ada = AdminClient::sign_in(&server, "ada").await;
    let path = format!("{}/file/import", dataset_path(WITHOUT_FILE));
    let response = ada.post(&path, json!({"path": "cedargate.db"})).await;
    assert_eq!(response.problem_field(422), "path");
}
