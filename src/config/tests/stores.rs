//! Stores of files as they are written in the settings.

use super::*;
use crate::domain::remote_store::{DeliveryMode, S3Credentials, StoreService};

const SECRET: &str = "wJalrXUtnFEMI/K7MDENG";

fn with_store(lines: &str) -> TestConfig {
    TestConfig::with_file(&[], &format!("[[stores]]\nname = \"archive\"\n{lines}\n"))
}

#[test]
fn a_store_needs_only_its_name_and_url() {
    let settings = with_store("url = \"s3://maps/cogs/2025/\"").settings();
    let [store] = settings.stores.as_slice() else {
        panic!("{:?}", settings.stores)
    };
    assert_eq!(store.name.as_str(), "archive");
    assert_eq!(store.mode, DeliveryMode::Stream);
    assert_eq!(
        (store.bucket.as_str(), store.prefix.as_str()),
        ("maps", "cogs/2025")
    );
    let region = "us-east-1".to_owned();
    let credentials = S3Credentials::Machine;
    assert_eq!(
        store.service,
        StoreService::S3 {
            region,
            credentials
        }
    );
    // A prefix is as it is written, not percent-decoded.
    let settings = with_store("url = \"gs://maps/a b/%20c\"").settings();
    assert_eq!(settings.stores[0].prefix, "a b/%20c");
}

#[test]
fn a_secret_of_a_store_may_be_in_a_file_and_is_shown_nowhere() {
    let keys = "url = \"s3://maps\"\naccess_key_id = \"AKIA\"\n";
    let inline = with_store(&format!("{keys}secret_access_key = \"{SECRET}\"")).settings();
    let place = with_store(&format!("{keys}secret_access_key_file = \"archive.key\""));
    place.write("archive.key", &format!("{SECRET}\n"));
    let in_file = place.settings();
    assert_eq!(inline.stores, in_file.stores);
    let StoreService::S3 { credentials, .. } = &inline.stores[0].service else {
        panic!("{:?}", inline.stores)
    };
    let S3Credentials::AccessKey { id, secret } = credentials else {
        panic!("{credentials:?}")
    };
    assert_eq!((id.as_str(), secret.reveal().as_str()), ("AKIA", SECRET));
    for settings in [&inline, &in_file] {
        assert!(!row(settings, "stores").value.contains(SECRET));
        assert!(!format!("{settings:?}").contains(SECRET));
    }
    let azure = "url = \"az://maps\"\naccount = \"a\"\naccount_key = \"c2VjcmV0a2V5\"";
    let azure = with_store(azure).settings();
    assert!(!format!("{azure:?}{}", row(&azure, "stores").value).contains("c2VjcmV0a2V5"));
}

#[test]
fn a_store_that_cannot_be_used_is_reported_with_its_table_and_without_its_secret() {
    let key = format!("access_key_id = \"AKIA\"\nsecret_access_key = \"{SECRET}\"\n");
    for (lines, expected) in [
        ("", "missing field `url`"),
        ("url = \"maps\"", "is not of the form s3://BUCKET/PREFIX"),
        ("url = \"s3://\"", "is not of the form"),
        ("url = \"s3://user@maps/a\"", "is not of the form"),
        ("url = \"s3://maps/a?b=c\"", "is not of the form"),
        ("url = \"s3://maps/a/../b\"", "is not of the form"),
        ("url = \"s3://maps//a\"", "is not of the form"),
        (
            "url = \"https://maps.example.org\"",
            "a file at an https URL needs no store",
        ),
        ("url = \"file:///etc\"", "is not of the form"),
        ("url = \"s3://maps\"\nmode = \"proxy\"", "mode: "),
        ("url = \"s3://maps\"\nregion = \"\"", "region"),
        (
            "url = \"gs://maps\"\nregion = \"eu\"",
            "region is for stores whose url begins with s3://",
        ),
        (
            "url = \"s3://maps\"\naccount = \"a\"",
            "account is for stores whose url begins with az://",
        ),
        ("url = \"az://maps\"", "account is missing"),
        (
            "url = \"s3://maps\"\nendpoint = \"minio:9000\"",
            "endpoint: expected an http or https URL",
        ),
        (
            "url = \"s3://maps\"\nendpoint = \"https://u:p@minio\"",
            "endpoint: expected",
        ),
        (
            "url = \"s3://maps\"\nredirect_endpoint = \"https://s3\"",
            "no effect without mode redirect",
        ),
        (
            "url = \"s3://maps\"\naccess_key_id = \"AKIA\"",
            "belong together",
        ),
        (
            "url = \"s3://maps\"\nanonymous = true\nmode = \"redirect\"",
            "this store is anonymous",
        ),
        (
            "url = \"s3://maps\"\nanonymous = true\nKEY",
            "an anonymous store has no access key",
        ),
        (
            "url = \"s3://maps\"\nKEYsecret_access_key_file = \"a\"",
            "exclude each other",
        ),
        ("url = \"s3://maps\"\nKEYpassword = \"a\"", "unknown field"),
        (
            "url = \"s3://maps\"\naccess_key_id = \"AKIA\"\nsecret_access_key_file = \"none\"",
            "there is no such file",
        ),
        (
            "url = \"gs://maps\"\nservice_account_key_file = \"none.json\"",
            "there is no such file",
        ),
    ] {
        let error = with_store(&lines.replace("KEY", &key))
            .failure()
            .to_string();
        assert!(error.contains("the setting stores"), "{error}");
        assert!(error.contains("table 1"), "{error}");
        assert!(error.contains(expected), "{lines}: {error}");
        assert!(!error.contains(SECRET), "{error}");
    }
}

#[test]
fn a_secret_is_not_shown_by_the_error_of_what_is_no_table() {
    for value in [
        format!("{{\"secret_access_key\": \"{SECRET}\""),
        format!("[\"{SECRET}\"]"),
        format!(
            "[{{\"name\": \"a\", \"url\": \"s3://b\", \"secret_access_key\": [\"{SECRET}\"]}}]"
        ),
    ] {
        let error = TestConfig::new(&[("CEDARGATE_STORES", &value)]).failure();
        assert!(!format!("{error} {error:?}").contains(SECRET), "{error}");
    }
}

#[test]
fn store_names_are_unique() {
    let table = "[[stores]]\nname = \"archive\"\nurl = \"s3://maps\"\n";
    let error = TestConfig::with_file(&[], &table.repeat(2)).failure();
    assert!(
        error.to_string().contains("the name of another table"),
        "{error}"
    );
}
