//! What stands between: programs that compress answers and change their entity tags.

use reqwest::Method;
use serde_json::json;

use crate::admin_datasets::dataset_path;
use crate::support::admin_client::AdminClient;
use crate::support::server::{PUBLIC, Server, TestResponse};
use crate::support::tiff::test_tiff as tiff;

#[tokio::test]
async fn every_change_says_of_a_weak_or_suffixed_tag_that_it_was_compressed() {
    let server = Server::start().await;
    let ada = AdminClient::sign_in(&server, "ada").await;
    let user = ada.user_path("mo").await;
    let dataset = dataset_path(PUBLIC);
    let file = format!("{dataset}/file");
    let share = format!("{dataset}/shares/users/mo");
    let role_share = format!("{dataset}/shares/roles/hydrology");
    let read = async |path: &str| ada.get(path).await;
    let user_body = json!({"username": "mo", "roles": [], "is_disabled": false});
    let body = read(&dataset).await.json();
    let import = json!({"path": "a.tif"});
    let shares = format!("{dataset}/shares");
    let role = "/admin/roles/hydrology";
    let changes = [
        (Method::PUT, user.as_str(), user.as_str(), Some(user_body)),
        (Method::DELETE, &user, &user, None),
        (Method::DELETE, role, role, None),
        (Method::PUT, &dataset, &dataset, Some(body)),
        (Method::DELETE, &dataset, &dataset, None),
        (Method::PUT, &file, &dataset, None),
        (
            Method::POST,
            &format!("{file}/import"),
            &dataset,
            Some(import),
        ),
        (Method::DELETE, &file, &dataset, None),
        (Method::PUT, &share, &shares, None),
        (Method::DELETE, &share, &shares, None),
        (Method::PUT, &role_share, &shares, None),
        (Method::DELETE, &role_share, &shares, None),
    ];
    for (method, path, seen, body) in changes {
        let etag = read(seen).await.header("etag").to_owned();
        let suffixed = etag.trim_matches('"').to_owned();
        for tag in [
            format!("W/{etag}"),
            format!("\"other\", W/{etag}"),
            "W/\"older\"".to_owned(),
            format!("\"{suffixed}-gzip\""),
            format!("\"{suffixed}--gzip\""),
            format!("\"{suffixed};gzip\""),
        ] {
            let request = ada.request(method.clone(), path).header("if-match", &tag);
            let request = match &body {
                Some(body) => request.json(body),
                None if path == file && method == Method::PUT => {
                    request.header("content-type", "image/tiff").body(tiff(200))
                }
                None => request,
            };
            let detail = TestResponse::send(request).await.problem(412);
            assert!(
                detail.contains("compressed"),
                "{method} {path} {tag}: {detail}"
            );
        }
        assert_eq!(read(seen).await.header("etag"), etag, "{method} {path}");
    }
}

#[tokio::test]
async fn a_tag_without_its_quotes_is_not_taken_for_one_of_another_version() {
    let server = Server::start().await;
    let ada = AdminClient::sign_in(&server, "ada").await;
    let dataset = dataset_path(PUBLIC);
    let read = ada.get(&dataset).await;
    let (etag, body) = (read.header("etag").to_owned(), read.json());
    let opaque = etag.trim_matches('"');
    let token = server.mint(PUBLIC, None).await.token();
    for tag in [
        opaque.to_owned(),
        format!("W/{opaque}"),
        format!("w/{etag}"),
        format!("'{opaque}'"),
        format!("\\\"{opaque}\\\""),
        format!("\"{etag}\""),
        format!("\"{opaque}"),
        String::new(),
    ] {
        let change = ada.request(Method::PUT, &dataset).json(&body);
        let change = change.header("if-match", &tag);
        let download = server.download_request(PUBLIC, &token);
        for request in [change, download.header("if-match", &tag)] {
            let detail = TestResponse::send(request).await.problem(412);
            assert!(detail.contains("not an entity tag"), "{tag}: {detail}");
        }
    }
}

#[tokio::test]
async fn a_download_compares_weak_tags_as_each_header_does() {
    let server = Server::start().await;
    let token = server.mint(PUBLIC, None).await.token();
    let etag = server
        .download(PUBLIC, &token)
        .await
        .header("etag")
        .to_owned();
    let weak = format!("W/{etag}");
    let send = async |name: &str, value: &str| {
        let request = server.download_request(PUBLIC, &token);
        let request = request.header("range", "bytes=0-9").header(name, value);
        TestResponse::send(request).await
    };
    let detail = send("if-match", &weak).await.problem(412);
    assert!(detail.contains("compressed"), "{detail}");
    let detail = send("if-match", "\"other\"").await.problem(412);
    assert!(!detail.contains("compressed"), "{detail}");
    assert_eq!(
        send("if-match", &format!("{weak}, {etag}")).await.status,
        206
    );
    assert_eq!(send("if-none-match", &weak).await.status, 304);
    assert_eq!(
        send("if-none-match", &format!("\"x\", {weak}"))
            .await
            .status,
        304
    );
    // A weak tag never lets a range count (RFC 9110 section 13.1.5): the whole file is sent.
    assert_eq!(send("if-range", &weak).await.status, 200);
    assert_eq!(send("if-range", &etag).await.status, 206);
}
