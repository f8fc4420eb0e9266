//! Files at URLs: which addresses they may be fetched from, and which habits of servers are borne.

use cedargate::app::Stores;
use cedargate::service::catalog::{self, ApplyOptions, CatalogFile};
use serde_json::json;

use crate::support::file_server::{FileServer, ServedFile};
use crate::support::server::{Server, ServerOptions, TestResponse};

const JACKSBORO: &[u8] = include_bytes!("../../demo/jacksboro-fault-dem.cog.tif");
const NETWORKS: &str = "CEDARGATE_REMOTE_NETWORKS";

fn id(number: usize) -> String {
    format!("00000000-0000-4000-8000-{number:012}")
}

/// Public datasets at these URLs.
fn catalog_of(urls: &[String]) -> String {
    let datasets = urls.iter().enumerate().map(|(number, url)| {
        format!(
            "[[datasets]]\nid = \"{}\"\ntitle = \"Map\"\nvisibility = \"public\"\n\
             record_status = \"published\"\nurl = \"{url}\"\n",
            id(number)
        )
    });
    datasets.collect()
}

async fn start(networks: &str, urls: &[String]) -> Server {
    Server::start_with(ServerOptions {
        environment: vec![(NETWORKS, networks.to_owned())],
        catalog: Some(catalog_of(urls)),
        ..ServerOptions::default()
    })
    .await
}

#[tokio::test]
async fn a_file_at_a_url_is_streamed_whatever_the_habits_of_its_server() {
    let files = FileServer::start("127.0.0.1:0").await;
    let kinds = [
        ServedFile::new(JACKSBORO),
        ServedFile {
            is_range_ignored: true,
            ..ServedFile::new(JACKSBORO)
        },
        ServedFile {
            is_head_refused: true,
            ..ServedFile::new(JACKSBORO)
        },
        ServedFile {
            is_head_refused: true,
            is_range_ignored: true,
            etag: None,
            ..ServedFile::new(JACKSBORO)
        },
        ServedFile {
            etag: Some("W/\"weak\""),
            ..ServedFile::new(JACKSBORO)
        },
        ServedFile {
            redirect: Some("/0.tif".to_owned()),
            ..ServedFile::new(b"")
        },
    ];
    let mut urls = Vec::new();
    for (number, file) in kinds.into_iter().enumerate() {
        let path = format!("/{number}.tif");
        files.put(&path, file);
        urls.push(files.url(&path));
    }
    let server = start("127.0.0.1", &urls).await;
    for number in 0..urls.len() {
        let id = id(number);
        let token = server.mint(&id, None).await.token();
        let whole = server.download(&id, &token).await;
        assert_eq!(
            (whole.status, whole.body == JACKSBORO),
            (200, true),
            "{number}"
        );
        let name = format!("{number}.tif");
        assert!(whole.header("content-disposition").contains(&name));
        let request = server.download_request(&id, &token);
        let part = TestResponse::send(request.header("range", "bytes=1000-70999")).await;
        assert_eq!(part.status, 206, "{number}");
        assert_eq!(part.body, &JACKSBORO[1000..71000], "{number}");
        assert_eq!(part.header("etag"), whole.header("etag"), "{number}");
    }
}

#[tokio::test]
async fn what_cannot_be_served_right_is_refused() {
    let files = FileServer::start("127.0.0.1:0").await;
    // A range of what is compressed is no range of the file.
    files.put(
        "/coded.tif",
        ServedFile {
            coding: Some("gzip"),
            ..ServedFile::new(JACKSBORO)
        },
    );
    let far = vec![7; 5 * 1024 * 1024];
    files.put(
        "/far.tif",
        ServedFile {
            is_range_ignored: true,
            ..ServedFile::new(&far)
        },
    );
    let urls = ["/coded.tif", "/far.tif", "/missing.tif"].map(|path| files.url(path));
    let server = start("127.0.0.0/8", &urls).await;
    server.mint(&id(0), None).await.problem(503);
    server.mint(&id(2), None).await.problem(404);
    // The last byte would cost the whole file.
    let token = server.mint(&id(1), None).await.token();
    let request = server.download_request(&id(1), &token);
    TestResponse::send(request.header("range", "bytes=-1"))
        .await
        .problem(503);
}

#[tokio::test]
async fn a_file_that_is_replaced_is_read_anew() {
    let files = FileServer::start("127.0.0.1:0").await;
    files.put("/a.tif", ServedFile::new(JACKSBORO));
    let server = start("127.0.0.1", &[files.url("/a.tif")]).await;
    let token = server.mint(&id(0), None).await.token();
    let part = async |if_range: &str| {
        let request = server.download_request(&id(0), &token);
        let request = request
            .header("range", "bytes=4-7")
            .header("if-range", if_range);
        TestResponse::send(request).await
    };
    assert_eq!(part("\"one\"").await.status, 206);
    files.put(
        "/a.tif",
        ServedFile {
            etag: Some("\"two\""),
            ..ServedFile::new(b"II*\0 another file")
        },
    );
    let whole = part("\"one\"").await;
    assert_eq!(
        (whole.status, whole.text().as_str()),
        (200, "II*\0 another file")
    );
    assert_eq!(whole.header("etag"), "\"two\"");
    assert_eq!(part("\"two\"").await.text(), " ano");
}

#[tokio::test]
async fn private_addresses_are_refused_directly_by_name_and_by_redirect() {
    let trap = FileServer::start("127.0.0.2:0").await;
    let trap6 = FileServer::start("[::1]:0").await;
    let files = FileServer::start("127.0.0.1:0").await;
    let mut urls = vec![
        trap.url("/a.tif"),
        trap6.url("/a.tif"),
        "http://169.254.169.254/latest/meta-data/".to_owned(),
        format!("https://localhost:{}/a.tif", trap6.address.port()),
        format!(
            "http://localhost.localdomain:{}/a.tif",
            trap6.address.port()
        ),
    ];
    for target in [
        trap.url("/a.tif"),
        trap6.url("/a.tif"),
        "http://169.254.169.254/latest/meta-data/".to_owned(),
        format!("http://[::ffff:127.0.0.2]:{}/a.tif", trap.address.port()),
        format!("http://2130706434:{}/a.tif", trap.address.port()),
        format!("http://0:{}/a.tif", trap.address.port()),
        "ftp://127.0.0.1/a.tif".to_owned(),
        "file:///etc/passwd".to_owned(),
    ] {
        let path = format!("/{}.tif", urls.len());
        files.put(
            &path,
            ServedFile {
                redirect: Some(target),
                ..ServedFile::new(b"")
            },
        );
        urls.push(files.url(&path));
    }
    // All were once permitted, so that the catalog has them; one of them is still.
    let server = start("127.0.0.0/8,::1,169.254.0.0/16", &urls).await;
    let mut settings = server.settings.clone();
    settings.remote_networks = vec!["127.0.0.1/32".parse().unwrap()];
    let server = server.restarted_with(settings).await;
    for (number, url) in urls.iter().enumerate() {
        let detail = server.mint(&id(number), None).await.problem(503);
        // Whoever asks does not learn where the file is.
        assert!(detail.contains("store of the file"), "{url}: {detail}");
        assert!(!detail.contains("127."), "{url}: {detail}");
    }
    assert_eq!((trap.connections(), trap6.connections()), (0, 0));
    assert!(files.connections() > 0);
}

#[tokio::test]
async fn a_redirect_to_a_listed_address_is_followed_and_a_circle_is_not() {
    let (one, two) = (
        FileServer::start("127.0.0.1:0").await,
        FileServer::start("127.0.0.2:0").await,
    );
    two.put("/a.tif", ServedFile::new(JACKSBORO));
    let to = |url: String| ServedFile {
        redirect: Some(url),
        ..ServedFile::new(b"")
    };
    one.put("/a.tif", to(two.url("/a.tif")));
    one.put("/circle.tif", to(one.url("/circle.tif")));
    let urls = [one.url("/a.tif"), one.url("/circle.tif")];
    let server = start("127.0.0.1,127.0.0.2", &urls).await;
    let token = server.mint(&id(0), None).await.token();
    assert_eq!(server.download(&id(0), &token).await.body, JACKSBORO);
    server.mint(&id(1), None).await.problem(503);
}

#[tokio::test]
async fn a_catalog_file_with_a_place_that_is_not_permitted_is_refused_at_its_line() {
    let server = Server::start().await;
    let places = [
        r#"url = "https://127.0.0.1/a.tif""#,
        r#"url = "https://[::1]/a.tif""#,
        r#"url = "https://169.254.169.254/a.tif""#,
        r#"url = "https://[::ffff:10.0.0.1]/a.tif""#,
        r#"url = "https://0x7f000001/a.tif""#,
        r#"url = "http://data.example.org/a.tif""#,
        r#"url = "https://ada:secret@data.example.org/a.tif""#,
        r#"url = "file:///etc/passwd""#,
        r#"store = "archive"
key = "a.tif""#,
        r#"store = "archive""#,
        r#"store = "archive"
key = "../a.tif""#,
        r#"url = "https://data.example.org/a.tif"
file = "jacksboro-fault-dem.cog.tif""#,
    ];
    let mut messages = Vec::new();
    for place in places {
        let text = catalog_of(&["URL".to_owned()]).replace("url = \"URL\"", place);
        let file = CatalogFile::parse("catalog.toml", &text, std::path::Path::new("demo"));
        let stores = Stores::open(&server.settings).await.unwrap();
        let options = ApplyOptions::new(server.clock.clone());
        let (database, files, passwords) = (&stores.database, &stores.files, &stores.passwords);
        let applied = catalog::apply(database, files, passwords, &file, &options).await;
        let catalog::ApplyError::Invalid(diagnostics) = applied.unwrap_err() else {
            panic!("{place}");
        };
        messages.push(json!({"place": place, "error": diagnostics.render(false)}));
    }
    let text: Vec<String> = messages
        .iter()
        .map(|row| row["error"].as_str().unwrap().to_owned())
        .collect();
    assert!(!text.concat().contains("secret"));
    insta::assert_snapshot!(text.join("\n"));
}
