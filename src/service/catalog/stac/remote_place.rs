//! Files that a document refers to and that stay where they are: objects of the stores of the settings, and URLs.

use url::Url;

use crate::domain::remote_file::{FileUrl, ObjectKey, RemoteFile};
use crate::domain::remote_store::{RemoteStore, StoreService};

use super::source::without_query;

/// The place of a file at a URL, or why there can be none.
///
/// An object is in the store with the longest prefix of its key, so that a document cannot name a bucket that the
/// operator did not list.
pub(super) fn remote_file(url: &Url, stores: &[RemoteStore]) -> Result<RemoteFile, String> {
    if matches!(url.scheme(), "https" | "http") {
        let url: FileUrl = url.as_str().parse().map_err(describe)?;
        return Ok(RemoteFile::Url { url });
    }
    let bucket = url.host_str().unwrap_or_default();
    let path = percent_encoding::percent_decode_str(url.path());
    let path = path.decode_utf8_lossy();
    let path = path.strip_prefix('/').unwrap_or_default();
    let found = stores.iter().filter_map(|store| {
        let is_same = scheme_of(&store.service) == url.scheme() && store.bucket == bucket;
        let key = is_same.then(|| key_below(&store.prefix, path))??;
        Some((store, key))
    });
    let Some((store, key)) = found.max_by_key(|(store, _)| store.prefix.len()) else {
        return Err(format!(
            "no store of the settings has {}",
            without_query(url.as_str())
        ));
    };
    let key: ObjectKey = key.parse().map_err(describe)?;
    let store = store.name.clone();
    Ok(RemoteFile::Object { store, key })
}

fn describe(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// What the URLs of the objects of a service begin with.
fn scheme_of(service: &StoreService) -> &'static str {
    match service {
        StoreService::S3 { .. } => "s3",
        StoreService::Gcs { .. } => "gs",
        StoreService::Azure { .. } => "az",
    }
}

/// The key of an object below a prefix, if it is below it.
fn key_below<'a>(prefix: &str, path: &'a str) -> Option<&'a str> {
    if prefix.is_empty() {
        return Some(path);
    }
    path.strip_prefix(prefix)?.strip_prefix('/')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::remote_store::{DeliveryMode, S3Credentials};

    fn store(name: &str, bucket: &str, prefix: &str) -> RemoteStore {
        RemoteStore {
            name: name.parse().unwrap(),
            mode: DeliveryMode::Stream,
            service: StoreService::S3 {
                region: "eu".to_owned(),
                credentials: S3Credentials::Machine,
            },
            bucket: bucket.to_owned(),
            prefix: prefix.to_owned(),
            endpoint: None,
            redirect_endpoint: None,
        }
    }

    #[test]
    fn an_object_is_in_the_store_that_the_operator_listed_for_it() {
        let stores = [
            store("all", "maps", ""),
            store("cogs", "maps", "cogs/2025"),
            store("other", "other", "x"),
        ];
        let place = |text: &str| {
            let found = remote_file(&Url::parse(text).unwrap(), &stores);
            found.map(|found| found.to_string())
        };
        for (text, expected) in [
            ("s3://maps/cogs/2025/a/b.tif", "a/b.tif in the store cogs"),
            (
                "s3://maps/cogs/2025x/b.tif",
                "cogs/2025x/b.tif in the store all",
            ),
            ("s3://maps/a b.tif", "a b.tif in the store all"),
            ("s3://other/x/b.tif", "b.tif in the store other"),
            (
                "https://maps.example/b.tif?v=1",
                "https://maps.example/b.tif?v=1",
            ),
        ] {
            assert_eq!(place(text).as_deref(), Ok(expected));
        }
        for text in [
            "s3://other/b.tif",
            "s3://other/x/../b.tif",
            "s3://other/xb.tif",
            "s3://unlisted/b.tif?sig=secret",
            "gs://maps/b.tif",
            "ftp://maps.example/b.tif",
        ] {
            let refused = place(text).unwrap_err();
            assert!(
                refused.starts_with("no store of the settings has"),
                "{refused}"
            );
            assert!(!refused.contains("secret"), "{refused}");
        }
        for text in [
            "s3://maps/",
            "s3://maps/a//b.tif",
            "https://u:p@x.example/b.tif",
        ] {
            assert!(place(text).is_err(), "{text}");
        }
    }
}
