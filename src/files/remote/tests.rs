use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use reqwest::dns::Resolve;

use super::resolver::CheckedResolver;
use super::*;
use crate::domain::remote_file::ObjectKey;
use crate::domain::remote_store::{DeliveryMode, S3Credentials, StoreService};
use crate::domain::secret::Secret;

fn store(service: StoreService) -> RemoteStore {
    RemoteStore {
        name: "archive".parse().unwrap(),
        mode: DeliveryMode::Redirect,
        service,
        bucket: "maps".to_owned(),
        prefix: "cogs".to_owned(),
        endpoint: None,
        redirect_endpoint: None,
    }
}

fn s3() -> StoreService {
    StoreService::S3 {
        region: "eu-central-1".to_owned(),
        credentials: S3Credentials::AccessKey {
            id: "AKIA".to_owned(),
            secret: Secret::new("secret".to_owned()),
        },
    }
}

async fn presigned(store: RemoteStore) -> Url {
    let files = RemoteFiles::new(&[store], &[]).unwrap();
    let key: ObjectKey = "a b.tif".parse().unwrap();
    let file = RemoteFile::Object {
        store: "archive".parse().unwrap(),
        key,
    };
    let signed = files.presign(&file, Duration::from_secs(17)).await;
    signed.unwrap().unwrap()
}

#[tokio::test]
async fn urls_are_presigned_for_every_provider() {
    let url = presigned(store(s3())).await;
    let text = url.as_str();
    assert!(
        text.starts_with("https://s3.eu-central-1.amazonaws.com/maps/cogs/a%20b.tif?"),
        "{url}"
    );
    assert!(text.contains("X-Amz-Expires=17&"), "{url}");

    let elsewhere = RemoteStore {
        endpoint: Some("http://minio:9000".parse().unwrap()),
        redirect_endpoint: Some("https://s3.example.org".parse().unwrap()),
        ..store(s3())
    };
    let url = presigned(elsewhere).await;
    assert_eq!(url.origin().ascii_serialization(), "https://s3.example.org");

    let azure = StoreService::Azure {
        account: "gate".to_owned(),
        account_key: Some(Secret::new("c2VjcmV0".to_owned())),
    };
    let url = presigned(store(azure)).await;
    assert!(
        url.as_str()
            .starts_with("https://gate.blob.core.windows.net/maps/cogs/a%20b.tif?"),
        "{url}"
    );
    let query: std::collections::BTreeMap<_, _> = url.query_pairs().into_owned().collect();
    assert_eq!(
        (query["sp"].as_str(), query.contains_key("sig")),
        ("r", true)
    );
    let time = |name: &str| chrono::DateTime::parse_from_rfc3339(&query[name]).unwrap();
    assert_eq!((time("se") - time("st")).num_seconds(), 17);

    let key = include_str!("tests/service_account.json").to_owned();
    let gcs = StoreService::Gcs {
        service_account_key: Some(Secret::new(key)),
    };
    let url = presigned(store(gcs)).await;
    assert!(
        url.as_str()
            .starts_with("https://storage.googleapis.com/maps/cogs/a%20b.tif?"),
        "{url}"
    );
    assert!(url.as_str().contains("X-Goog-Expires=17&"), "{url}");
}

#[tokio::test]
async fn a_streamed_store_signs_no_url() {
    let streamed = RemoteStore {
        mode: DeliveryMode::Stream,
        ..store(s3())
    };
    let files = RemoteFiles::new(&[streamed], &[]).unwrap();
    let file = serde_json::from_str(r#"{"store": "archive", "key": "a.tif"}"#).unwrap();
    let signed = files.presign(&file, Duration::from_secs(17)).await;
    assert_eq!(signed.unwrap(), None);
    assert!(!files.is_redirected(&file));
}

async fn resolved(networks: &[&str], found: &'static [&'static str]) -> Option<Vec<String>> {
    let networks: Vec<IpNet> = networks.iter().map(|text| text.parse().unwrap()).collect();
    let allowed = Arc::new(AllowedAddresses::new(&networks));
    let resolver = CheckedResolver::new(allowed, false).with_lookup(Arc::new(|_| {
        let found: Vec<IpAddr> = found.iter().map(|text| text.parse().unwrap()).collect();
        Box::pin(std::future::ready(Ok(found)))
    }));
    let name = "data.example.org".parse().unwrap();
    let addresses = resolver.resolve(name).await.ok()?;
    Some(
        addresses
            .map(|address: SocketAddr| address.ip().to_string())
            .collect(),
    )
}

#[tokio::test]
async fn a_connection_gets_only_addresses_that_may_be_connected_to() {
    // A name with a public and a private address, as for DNS rebinding.
    let mixed = resolved(&[], &["10.0.0.1", "8.8.8.8", "::1", "169.254.169.254"]).await;
    assert_eq!(mixed.unwrap(), ["8.8.8.8"]);
    for private in [
        &["127.0.0.1"][..],
        &["::ffff:127.0.0.1", "fd00::1"],
        &["0.0.0.0"],
        &[],
    ] {
        assert_eq!(resolved(&[], private).await, None, "{private:?}");
    }
    let listed = resolved(&["10.0.0.0/8"], &["10.0.0.1", "127.0.0.1"]).await;
    assert_eq!(listed.unwrap(), ["10.0.0.1"]);
}

#[tokio::test]
async fn a_stream_that_is_not_as_long_as_was_said_fails() {
    let file: RemoteFile = serde_json::from_str(r#"{"store": "archive", "key": "a.tif"}"#).unwrap();
    for (chunks, is_right) in [
        (vec!["ab", "", "cde"], true),
        (vec!["ab"], false),
        (vec![], false),
        (vec!["abc", "def"], false),
    ] {
        let chunks: Vec<io::Result<Bytes>> = chunks
            .into_iter()
            .map(|chunk: &'static str| Ok(Bytes::from_static(chunk.as_bytes())))
            .collect();
        let stream = counted(stream::iter(chunks).boxed(), file.clone(), 5);
        let read: Vec<_> = stream.collect().await;
        assert_eq!(read.iter().all(Result::is_ok), is_right, "{read:?}");
    }
}
