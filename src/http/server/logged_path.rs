//! Paths in the log: a path is logged without what may be a credential.
//!
//! Credentials end up in paths by mistake, and logs are read by more people than may use them. What
//! a client may send there by right (ids, names of users and roles) stays readable.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;
use uuid::Uuid;

/// The longest segment of a path that is logged. No path that is served has a longer one, so it may
/// be a misplaced token.
const MAX_SEGMENT_LENGTH: usize = 64;
const MAX_SEGMENTS: usize = 64;
/// The shortest part of a credential that is recognised: a refresh token has 43 characters, the secret
/// of an API key as many, and each part of a token more.
const MIN_CREDENTIAL_LENGTH: usize = 24;
/// How often a segment may be percent-encoded.
const MAX_ENCODINGS: usize = 3;
const API_KEY_PREFIX: &str = "cg_";
/// How the header of every token begins: `{"` in base64url.
const TOKEN_PREFIX: &str = "eyJ";

/// The path as it is logged: segments that may be credentials have become `...`.
pub(super) fn logged_path(path: &str) -> Cow<'_, str> {
    if is_plain(path) {
        return Cow::Borrowed(path);
    }
    let mut segments = path.split('/');
    if segments.by_ref().take(MAX_SEGMENTS).all(is_loggable) && segments.next().is_none() {
        return Cow::Borrowed(path);
    }
    let segments = path.split('/').take(MAX_SEGMENTS);
    let segments = segments.map(|segment| if is_loggable(segment) { segment } else { "..." });
    Cow::Owned(segments.collect::<Vec<_>>().join("/"))
}

/// Whether a path is too short and too plain to hold anything that [`is_loggable`] takes for a credential, which most
/// are: without an upper-case letter, an encoding and the prefix of an API key.
fn is_plain(path: &str) -> bool {
    let is_plain_byte =
        |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"/-.:".contains(byte);
    path.len() < MAX_SEGMENT_LENGTH && path.as_bytes().iter().all(is_plain_byte)
}

fn is_loggable(segment: &str) -> bool {
    segment.len() <= MAX_SEGMENT_LENGTH
        && decode(segment).is_some_and(|text| !may_be_credential(&text))
}

/// The segment without its percent-encoding; none if it has too many layers.
fn decode(segment: &str) -> Option<Cow<'_, str>> {
    let mut text = Cow::Borrowed(segment);
    for _ in 0..MAX_ENCODINGS {
        if !text.contains('%') {
            return Some(text);
        }
        let decoded = percent_decode_str(&text).decode_utf8_lossy().into_owned();
        text = Cow::Owned(decoded);
    }
    (!text.contains('%')).then_some(text)
}

/// Names have no capital letters, and random text of this length has some.
fn may_be_credential(text: &str) -> bool {
    let mut words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_');
    words.any(|word| {
        let is_random = word.len() >= MIN_CREDENTIAL_LENGTH
            && word.bytes().any(|byte| byte.is_ascii_uppercase())
            && Uuid::try_parse(word).is_err();
        is_random || word.starts_with(API_KEY_PREFIX) || word.starts_with(TOKEN_PREFIX)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const API_KEY: &str = "cg_4fzzzxjylrxk_gT5vX0pQm2Yc9LwR7aBnE3sUdKfH1iJoZ6qVxW8yMtA";
    const REFRESH_TOKEN: &str = "gT5vX0pQm2Yc9LwR7aBnE3sUdKfH1iJoZ6qVxW8yMtA";

    #[test]
    fn what_is_served_is_logged_as_it_was_sent() {
        for path in [
            "/datasets/urn:uuid:2489e9ad-2ee2-8e00-8ec9-32d5f69181c0/download/cog",
            "/datasets/2489E9AD-2EE2-8E00-8EC9-32D5F69181C0",
            "/datasets/2489e9ad2ee28e008ec932d5f69181c0",
            "/datasets/URN%3AUUID%3A2489E9AD2EE28E008EC932D5F69181C0",
            "/admin/roles/a-very-long-name-of-a-role-with-many-words-in-it",
            "/admin/users/ada@example.org",
            "/.well-known/jwks.json",
        ] {
            assert_eq!(logged_path(path), path);
        }
    }

    #[test]
    fn a_path_segment_that_could_be_a_credential_is_not_logged() {
        let token = format!("eyJhbGciOiJFUzI1NiJ9.{}", "a".repeat(200));
        let encoded = REFRESH_TOKEN.bytes().map(|byte| format!("%{byte:02x}"));
        let encoded = encoded.collect::<Vec<_>>().concat();
        for segment in [
            API_KEY,
            REFRESH_TOKEN,
            &token,
            "eyJhbGciOiJFUzI1NiJ9",
            &encoded,
            &API_KEY.replace('_', "%5F"),
            &API_KEY.replace('_', "%255f"),
            &format!("token={REFRESH_TOKEN}"),
            &format!("{API_KEY};x"),
            "Bearer%20cg_short",
            "%25252525",
        ] {
            assert_eq!(
                logged_path(&format!("/x/{segment}/y")),
                "/x/.../y",
                "{segment}"
            );
        }
    }
}
