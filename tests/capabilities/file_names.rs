//! File names beyond ASCII: uploaded, recorded, and sent with each download.

use percent_encoding::percent_decode_str;
use reqwest::Url;

use crate::admin_files::{cog, upload_request};
use crate::support::admin_client::AdminClient;
use crate::support::server::{Server, ServerOptions, TestResponse, WITHOUT_FILE};

/// Names as people have them, in several scripts and in both normal forms.
const NAMES: [&str; 9] = [
    "Höhenmodell Süd.tif",
    "Ho\u{308}henmodell.tif",
    "地形図.tif",
    "карта.cog.tif",
    "خريطة.tif",
    "מפה (2).tif",
    "แผนที่.tif",
    "🗺\u{fe0f}.tiff",
    "50% \u{20ac}; it's 'a', b=c.tif",
];

/// The names of a download: `filename`, and `filename*` decoded.
fn names(download: &TestResponse) -> (String, Option<String>) {
    let value = download.header("content-disposition");
    assert!(value.is_ascii(), "{value}");
    let value = value.strip_prefix("attachment; filename=\"").unwrap();
    let (plain, rest) = value.split_once('"').unwrap();
    let extended = rest.strip_prefix("; filename*=UTF-8''").map(|extended| {
        let decoded = percent_decode_str(extended).decode_utf8().unwrap();
        decoded.into_owned()
    });
    assert_eq!(rest.is_empty(), extended.is_none(), "{rest}");
    (plain.to_owned(), extended)
}

#[tokio::test]
async fn a_name_beyond_ascii_survives_upload_record_and_download() {
    let server = Server::start().await;
    let ada = AdminClient::sign_in(&server, "ada").await;
    for name in NAMES {
        let query = Url::parse_with_params("http://x/", [("name", name)]).unwrap();
        let query = format!("?{}", query.query().unwrap());
        let upload = upload_request(&ada, WITHOUT_FILE, &query).body(cog());
        let response = TestResponse::send(upload).await;
        assert_eq!(response.status, 200, "{}", response.text());
        assert_eq!(response.json()["file"]["name"], name);
        let token = server.mint(WITHOUT_FILE, None).await.token();
        let download = server.download(WITHOUT_FILE, &token).await;
        let (plain, extended) = names(&download);
        assert_eq!(extended.as_deref(), Some(name));
        assert_eq!(plain.chars().count(), name.chars().count());
        let head = server.http.head(
            server
                .download_request(WITHOUT_FILE, &token)
                .build()
                .unwrap()
                .url()
                .clone(),
        );
        let head = TestResponse::send(head).await;
        assert_eq!(names(&head), (plain, extended));
    }
}

#[tokio::test]
async fn a_name_that_is_not_utf_8_is_refused_rather_than_garbled() {
    let server = Server::start().await;
    let ada = AdminClient::sign_in(&server, "ada").await;
    for name in ["H%F6he.tif", "%ff.tif", "%ED%A0%80.tif", "a%c3%28.tif"] {
        let upload = upload_request(&ada, WITHOUT_FILE, &format!("?name={name}")).body(cog());
        let detail = TestResponse::send(upload).await.problem(422);
        assert!(detail.contains("name: it is not UTF-8"), "{detail}");
    }
}

#[tokio::test]
async fn a_name_beyond_ascii_survives_a_catalog_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("höhe \"地形\".tif");
    std::fs::write(&file, cog()).unwrap();
    let catalog = format!(
        "[[datasets]]\nid = '{WITHOUT_FILE}'\ntitle = 'D'\nvisibility = 'public'\n\
         record_status = 'published'\nfile = '{}'\n",
        file.display()
    );
    let server = Server::start_with(ServerOptions {
        catalog: Some(catalog),
        ..ServerOptions::default()
    })
    .await;
    let token = server.mint(WITHOUT_FILE, None).await.token();
    let download = server.download(WITHOUT_FILE, &token).await;
    let (plain, extended) = names(&download);
    assert_eq!(plain, "h_he ____.tif");
    assert_eq!(extended.as_deref(), Some("höhe _地形_.tif"));
}
