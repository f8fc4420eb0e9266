use futures_util::{StreamExt, TryStreamExt};

use super::*;

const BODY: &str = r#"{"hello": "world"}"#;
/// The digests of RFC 9530 appendix D, but for a body without its final line feed.
fn digest(algorithm: DigestAlgorithm) -> String {
    let mut hash = algorithm.start();
    hash.update(BODY.as_bytes());
    STANDARD.encode(hash.finish())
}

fn headers(name: &'static str, value: &str) -> HeaderMap {
    HeaderMap::from_iter([(HeaderName::from_static(name), value.parse().unwrap())])
}

async fn received(name: &'static str, value: &str) -> Result<String, String> {
    let digests = BodyDigests::from_headers(&headers(name, value));
    let digests = digests.map_err(|error| error.to_string())?;
    let chunks = stream::iter(BODY.as_bytes().chunks(5)).map(|it| Ok::<_, io::Error>(it.to_vec()));
    let checked = BodyDigests::check(digests, Body::from_bytes_stream(chunks));
    let chunks: Vec<Bytes> = checked
        .try_collect()
        .await
        .map_err(|error| error.to_string())?;
    Ok(String::from_utf8(chunks.concat()).unwrap())
}

#[tokio::test]
async fn digests_of_every_form_are_checked() {
    let sha256 = digest(DigestAlgorithm::Sha256);
    let sha512 = digest(DigestAlgorithm::Sha512);
    let md5 = digest(DigestAlgorithm::Md5);
    let wrong = STANDARD.encode([0; 32]);
    for (name, right, wrong) in [
        (
            "content-digest",
            format!("sha-256=:{sha256}:"),
            format!("sha-256=:{wrong}:"),
        ),
        (
            "content-digest",
            format!("sha=:AA==:, sha-512=:{sha512}:"),
            format!("sha-512=:{wrong}:"),
        ),
        (
            "repr-digest",
            format!("sha-512=:{sha512}:"),
            format!("sha-512=:{sha512}:, sha-256=:{wrong}:"),
        ),
        (
            "digest",
            format!("SHA-256={sha256},unixsum=30637"),
            format!("md5={md5}, SHA-256={wrong}"),
        ),
        ("content-md5", md5.clone(), STANDARD.encode([0; 16])),
    ] {
        assert_eq!(
            received(name, &right).await.as_deref(),
            Ok(BODY),
            "{name}: {right}"
        );
        let refused = received(name, &wrong).await.unwrap_err();
        assert!(
            refused.starts_with("the body does not match its "),
            "{refused}"
        );
    }
}

#[tokio::test]
async fn a_digest_that_cannot_be_checked_is_refused() {
    for (name, value, reason) in [
        ("content-digest", "sha-256=abc", "has no digest"),
        ("content-digest", "sha-256=:####:", "is malformed"),
        ("content-digest", "", "has no digest"),
        ("content-digest", "crc32c=:AAAAAA==:", "has no digest"),
        (
            "repr-digest",
            "md5=:AAAAAAAAAAAAAAAAAAAAAA==:",
            "has no digest",
        ),
        ("digest", "unixsum=30637", "has no digest"),
        ("digest", "sha-256", "is malformed"),
        ("content-md5", "no base64", "is malformed"),
    ] {
        let refused = received(name, value).await.unwrap_err();
        let is_refused = refused.contains(reason) || refused.contains("is malformed");
        assert!(is_refused, "{name}: {value}: {refused}");
    }
}

#[tokio::test]
async fn a_body_without_digests_passes_as_it_is() {
    assert_eq!(received("x", "y").await.as_deref(), Ok(BODY));
    assert_eq!(
        received("trailer", "content-digest").await.as_deref(),
        Ok(BODY)
    );
}
