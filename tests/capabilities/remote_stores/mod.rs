//! Files in other stores: streamed through the server, or read from the store by a presigned URL.

mod redirects;

use reqwest::Method;
use serde_json::json;

use crate::support::admin_client::AdminClient;
use crate::support::eventually;
use crate::support::s3_server::S3Server;
use crate::support::server::{Server, ServerOptions, TestResponse};

const JACKSBORO: &[u8] = include_bytes!("../../../demo/jacksboro-fault-dem.cog.tif");

/// Public, and its object is there.
const MAP: &str = "2489e9ad-2ee2-8e00-8ec9-32d5f69181c0";
/// Of the same store, for its owner alone.
const SECRET: &str = "91e4c6d8-7a20-4f5b-8d3e-1b60f9a2c574";
/// Public, and its object is missing.
const MISSING: &str = "5d0c2a91-6f38-4be4-a7d1-90e2b84c6f17";
/// Public, in the file store.
const LOCAL: &str = "c05d7e1b-34f6-4b09-a2c8-7e91d46f0b32";

const USERS: &str = r#"
[[users]]
username = "ada"
password = "correct horse"
roles = ["admin"]

[[users]]
username = "olivia"
password = "correct horse"
"#;

fn catalog() -> String {
    let dataset = |id: &str, visibility: &str, file: &str| {
        format!(
            "[[datasets]]\nid = \"{id}\"\ntitle = \"Map\"\nvisibility = \"{visibility}\"\n\
             record_status = \"published\"\nowner = \"olivia\"\n{file}\n"
        )
    };
    [
        USERS.to_owned(),
        dataset(
            MAP,
            "public",
            r#"store = "archive"
key = "2025/jacksboro map.tif""#,
        ),
        dataset(
            SECRET,
            "private",
            r#"store = "archive"
key = "secret.tif""#,
        ),
        dataset(
            MISSING,
            "public",
            r#"store = "archive"
key = "missing.tif""#,
        ),
        dataset(LOCAL, "public", r#"file = "salish-sea-topobathy.cog.tif""#),
    ]
    .concat()
}

async fn start(s3: &S3Server, mode: &str) -> Server {
    let stores = json!([s3.store("archive", mode)]);
    Server::start_with(ServerOptions {
        environment: vec![("CEDARGATE_STORES", stores.to_string())],
        catalog: Some(catalog()),
        ..ServerOptions::default()
    })
    .await
}

async fn s3_with_objects() -> S3Server {
    let s3 = S3Server::start().await;
    s3.put("cogs/2025/jacksboro map.tif", JACKSBORO);
    s3.put("cogs/secret.tif", b"II*\0 secret");
    // Beside the prefix of the store.
    s3.put("outside.tif", b"II*\0 outside");
    s3
}

#[tokio::test]
async fn an_object_is_streamed_with_its_ranges_and_conditions() {
    let s3 = s3_with_objects().await;
    let server = start(&s3, "stream").await;
    let token = server.mint(MAP, None).await.token();
    let whole = server.download(MAP, &token).await;
    assert_eq!((whole.status, whole.body.as_slice()), (200, JACKSBORO));
    assert_eq!(whole.header("content-type"), "image/tiff");
    assert_eq!(whole.header("content-length"), JACKSBORO.len().to_string());
    assert!(
        whole
            .header("content-disposition")
            .contains("jacksboro map.tif")
    );
    let etag = whole.header("etag").to_owned();
    assert!(etag.starts_with('"') && etag.len() > 10, "{etag}");

    let with = async |name: &'static str, value: &str, range: &str| {
        let request = server.download_request(MAP, &token).header("range", range);
        TestResponse::send(request.header(name, value)).await
    };
    let size = JACKSBORO.len();
    for (range, span) in [
        ("bytes=0-0", 0..1),
        ("bytes=100-65635", 100..65636),
        ("bytes=-1000", size - 1000..size),
    ] {
        let part = with("accept", "*/*", range).await;
        assert_eq!(
            (part.status, part.body.as_slice()),
            (206, &JACKSBORO[span]),
            "{range}"
        );
        assert_eq!(part.header("etag"), etag);
    }
    with("accept", "*/*", "bytes=999999999-").await.problem(416);
    assert_eq!(with("if-none-match", &etag, "bytes=0-9").await.status, 304);
    assert_eq!(with("if-range", &etag, "bytes=0-9").await.status, 206);
    assert_eq!(with("if-range", "\"other\"", "bytes=0-9").await.status, 200);
    with("if-match", "\"other\"", "bytes=0-9")
        .await
        .problem(412);

    let before = s3.requests();
    let url = format!("{}/datasets/{MAP}/download/cog?token={token}", server.url);
    let head = TestResponse::send(server.http.request(Method::HEAD, url)).await;
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(head.header("content-length"), size.to_string());
    // What is known of the object seconds ago is not asked for again.
    assert_eq!(s3.requests(), before);
}

#[tokio::test]
async fn whoever_is_refused_costs_the_store_nothing() {
    let s3 = s3_with_objects().await;
    for mode in ["stream", "redirect"] {
        let server = start(&s3, mode).await;
        let before = s3.requests();
        server.mint(SECRET, None).await.problem(404);
        let token = server.mint(LOCAL, None).await.token();
        for refused in [
            server.download(SECRET, &token).await,
            server.download(MAP, &token).await,
            server.download(MAP, "no.token.atall").await,
            TestResponse::send(server.get(&format!("/datasets/{MAP}/download/cog"))).await,
        ] {
            refused.problem(401);
        }
        assert_eq!(s3.requests(), before, "{mode}");
    }
}

#[tokio::test]
async fn a_store_that_goes_away_is_503_alone_and_recovers() {
    let mut s3 = s3_with_objects().await;
    let server = start(&s3, "stream").await;
    s3.stop().await;
    let refused = server.mint(MAP, None).await;
    assert!(refused.problem(503).contains("store of the file"));
    assert_ne!(refused.header("retry-after"), "");
    let ready = TestResponse::send(server.get("/health/ready")).await;
    assert_eq!(
        (ready.status, &ready.json()["status"]),
        (200, &json!("degraded"))
    );
    assert!(
        ready.text().contains("the store archive is not available"),
        "{}",
        ready.text()
    );
    // What is elsewhere is not held up.
    let token = server.mint(LOCAL, None).await.token();
    assert_eq!(server.download(LOCAL, &token).await.status, 200);

    let s3 = s3.started_again().await;
    eventually(async || server.mint(MAP, None).await.status == 200).await;
    let ready = TestResponse::send(server.get("/health/ready")).await;
    assert!(!ready.text().contains("archive"), "{}", ready.text());
    assert!(s3.requests() > 0);
}

#[tokio::test]
async fn a_missing_object_is_404_and_wrong_credentials_are_503() {
    let s3 = s3_with_objects().await;
    let server = start(&s3, "stream").await;
    server.mint(MISSING, None).await.problem(404);
    let mut store = s3.store("archive", "stream");
    store["secret_access_key"] = json!("another key");
    let server = Server::start_with(ServerOptions {
        environment: vec![("CEDARGATE_STORES", json!([store]).to_string())],
        catalog: Some(catalog()),
        ..ServerOptions::default()
    })
    .await;
    server.mint(MAP, None).await.problem(503);
    // A store that the settings name no more.
    let mut settings = server.settings.clone();
    settings.stores.clear();
    let server = server.restarted_with(settings).await;
    server.mint(MAP, None).await.problem(503);
}

#[tokio::test]
async fn an_object_that_is_replaced_between_two_ranges_is_never_mixed() {
    let s3 = s3_with_objects().await;
    let server = start(&s3, "stream").await;
    let token = server.mint(MAP, None).await.token();
    let part = async |range: &str, if_range: Option<&str>| {
        let request = server.download_request(MAP, &token).header("range", range);
        TestResponse::send(match if_range {
            Some(etag) => request.header("if-range", etag),
            None => request,
        })
        .await
    };
    let first = part("bytes=0-99", None).await;
    let old = first.header("etag").to_owned();
    let mut other = JACKSBORO[..100_000].to_vec();
    other.reverse();
    s3.put("cogs/2025/jacksboro map.tif", &other);
    let whole = part("bytes=100-199", Some(&old)).await;
    assert_eq!((whole.status, whole.body == other), (200, true));
    assert_ne!(whole.header("etag"), old);
    let second = part("bytes=100-199", None).await;
    assert_eq!(
        (second.status, second.body.as_slice()),
        (206, &other[100..200])
    );
    assert_eq!(second.header("content-range"), "bytes 100-199/100000");
    std::fs::remove_file(s3.path("cogs/2025/jacksboro map.tif")).unwrap();
    part("bytes=100-199", None).await.problem(404);
}

#[tokio::test]
async fn an_administrator_sees_where_a_file_is_and_cannot_point_it_elsewhere() {
    let s3 = s3_with_objects().await;
    let server = start(&s3, "stream").await;
    let admin = AdminClient::sign_in(&server, "ada").await;
    let path = format!("/admin/datasets/{MAP}");
    let dataset = admin.get(&path).await.json();
    let place = json!({"store": "archive", "key": "2025/jacksboro map.tif"});
    assert_eq!(dataset["remote_file"], place);
    assert_eq!(dataset.get("file"), None);

    let mut body = dataset.clone();
    body["title"] = json!("Jacksboro");
    let changed = admin.put(&path, body.clone()).await;
    assert_eq!(
        (changed.status, &changed.json()["remote_file"]),
        (200, &place)
    );
    for other in [
        json!({"store": "archive", "key": "secret.tif"}),
        json!({"store": "archive", "key": "../outside.tif"}),
        json!({"store": "other", "key": "2025/jacksboro map.tif"}),
        json!({"url": "https://data.example.org/a.tif"}),
        json!({"url": "http://169.254.169.254/"}),
        json!({"store": "archive"}),
    ] {
        body["remote_file"] = other;
        let refused = admin.put(&path, body.clone()).await;
        assert_eq!(
            refused.problem_field(422),
            "remote_file",
            "{}",
            body["remote_file"]
        );
    }
    body["remote_file"] = place.clone();
    body.as_object_mut().unwrap().remove("id");
    let refused = admin.post("/admin/datasets", body).await;
    assert_eq!(refused.problem_field(422), "remote_file");

    let upload = || {
        admin
            .request(Method::PUT, &format!("{path}/file"))
            .header("content-type", "image/tiff")
            .body(JACKSBORO)
    };
    let refused = TestResponse::send(upload()).await;
    assert_eq!(refused.problem_field(409), "file");
    assert_eq!(admin.get(&path).await.json()["remote_file"], place);
    let removed = admin.delete(&format!("{path}/file")).await;
    assert_eq!(
        (removed.status, removed.json().get("remote_file")),
        (200, None)
    );
    assert!(s3.path("cogs/2025/jacksboro map.tif").exists());
    let uploaded = TestResponse::send(upload()).await;
    assert_eq!(uploaded.status, 200, "{}", uploaded.text());

    let listed = TestResponse::send(server.get("/datasets")).await.json();
    let item = listed["items"]
        .as_array()
        .unwrap()
        .iter()
        .find(|item| item["id"] == MISSING);
    assert_eq!(item.unwrap()["file"], json!({"name": "missing.tif"}));
}
