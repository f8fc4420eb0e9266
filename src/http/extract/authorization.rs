//! Credentials in the headers: `Authorization` (RFC 9110 section 11.6.2) and `X-Api-Key`.
//!
//! The rule: no such header is no credential, and exactly one header line is one credential. Two lines are
//! more than one credential, whatever they say. A line that cannot be read is a credential that does not
//! resolve: it is rejected like an expired one and never ignored, an empty line included.
//!
//! `Basic` (RFC 7617) takes an API key as its password, because GDAL, QGIS, curl and whatever reads
//! `.netrc` know nothing else. The user name is not looked at. The password of a person is never
//! taken: such a client repeats it with every request, to every address that it was told.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use poem::http::{HeaderMap, HeaderValue, header};

use crate::domain::api_key::KEY_MARKER;
use crate::domain::secret::Secret;
use crate::service::identity::request_context::Credential;

/// The header that takes an API key.
const API_KEY_HEADER: &str = "x-api-key";

const MALFORMED_AUTHORIZATION: Credential = Credential::Malformed {
    detail: "the Authorization header is malformed: send Authorization: Bearer <session token>",
};
const API_KEY_AS_TOKEN: Credential = Credential::Malformed {
    detail: "this is an API key and no session token: send it as X-Api-Key, or as the password of \
             Authorization: Basic",
};
const MALFORMED_BASIC: Credential = Credential::Malformed {
    detail: "the Authorization header is malformed: Basic takes the base64 of a user name, a colon and an \
             API key as the password; a client may have taken it from .netrc",
};
const BASIC_WITHOUT_KEY: Credential = Credential::Malformed {
    detail: "Authorization: Basic takes an API key as its password, and no other password; if you did not \
             set it, your client took it from .netrc or from the URL",
};
const BASIC_WITH_KEY_AS_NAME: Credential = Credential::Malformed {
    detail: "Authorization: Basic takes the API key as its password, not as its user name: send name:KEY; if you \
             did not set it, your client took it from .netrc or from the URL",
};
const MALFORMED_API_KEY: Credential = Credential::Malformed {
    detail: "the X-Api-Key header is malformed: send an API key, which starts with cg_",
};

/// How the base64url of `{"` begins, and so every JWT.
const JWT_BEGINNING: &str = "eyJ";

/// Standard base64; some clients leave the padding out.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The credential in the headers.
pub(super) fn credential_from_headers(headers: &HeaderMap) -> Credential {
    let authorization = headers.get_all(header::AUTHORIZATION).iter();
    let api_key = headers.get_all(API_KEY_HEADER).iter();
    let mut found = authorization
        .map(parse_authorization)
        .chain(api_key.map(parse_api_key));
    match (found.next(), found.next()) {
        (None, _) => Credential::None,
        (Some(credential), None) => credential,
        (Some(_), Some(_)) => Credential::Multiple,
    }
}

/// The scheme in any case (RFC 9110 section 11.1), blanks, and what the scheme takes. A credential alone is no
/// scheme.
fn parse_authorization(value: &HeaderValue) -> Credential {
    let Ok(value) = value.to_str() else {
        return MALFORMED_AUTHORIZATION;
    };
    let (scheme, parameter) = value.split_once(' ').unwrap_or((value, ""));
    let parameter = parameter.trim_matches(' ');
    if scheme.starts_with(KEY_MARKER) {
        API_KEY_AS_TOKEN
    } else if scheme.is_empty() || scheme.starts_with(JWT_BEGINNING) {
        MALFORMED_AUTHORIZATION
    } else if scheme.eq_ignore_ascii_case("bearer") {
        parse_bearer(parameter)
    } else if scheme.eq_ignore_ascii_case("basic") {
        parse_basic(parameter)
    } else {
        Credential::Unsupported
    }
}

/// A b64token (RFC 6750 section 2.1).
fn parse_bearer(token: &str) -> Credential {
    if token.starts_with(KEY_MARKER) {
        API_KEY_AS_TOKEN
    } else if is_b64token(token) {
        Credential::Bearer(Secret::new(token.to_owned()))
    } else {
        MALFORMED_AUTHORIZATION
    }
}

/// A user name, which has no colon, and a password, which may have some (RFC 7617 section 2). A password that was
/// read from a file may have the end of its line; no key has one.
fn parse_basic(encoded: &str) -> Credential {
    let Ok(decoded) = BASE64.decode(encoded).map(Secret::new) else {
        return MALFORMED_BASIC;
    };
    let mut parts = decoded.reveal().splitn(2, |byte| *byte == b':');
    let (Some(name), Some(password)) = (parts.next(), parts.next()) else {
        return MALFORMED_BASIC;
    };
    let password = password.trim_ascii_end();
    let is_key = |text: &[u8]| text.starts_with(KEY_MARKER.as_bytes());
    match std::str::from_utf8(password) {
        Ok(key) if is_key(password) => Credential::ApiKey(Secret::new(key.to_owned())),
        Ok(_) if is_key(name) => BASIC_WITH_KEY_AS_NAME,
        Ok(_) | Err(_) => BASIC_WITHOUT_KEY,
    }
}

fn parse_api_key(value: &HeaderValue) -> Credential {
    match value.to_str() {
        Ok(key) if is_b64token(key) => Credential::ApiKey(Secret::new(key.to_owned())),
        Ok(_) | Err(_) => MALFORMED_API_KEY,
    }
}

pub(super) fn is_b64token(text: &str) -> bool {
    let body = text.trim_end_matches('=');
    let is_allowed = |byte: u8| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'+' | b'/')
    };
    // All of them are looked at, because that is done many bytes at a time.
    let are_allowed = body.bytes().fold(true, |all, byte| all & is_allowed(byte));
    !body.is_empty() && are_allowed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn described(credential: &Credential) -> String {
        match credential {
            Credential::None => "none".to_owned(),
            Credential::Bearer(token) => format!("bearer {}", token.reveal()),
            Credential::ApiKey(key) => format!("key {}", key.reveal()),
            Credential::DownloadToken(_) => "download token".to_owned(),
            Credential::Unsupported => "unsupported".to_owned(),
            Credential::Multiple => "multiple".to_owned(),
            Credential::Malformed { detail } => format!("malformed: {detail}"),
        }
    }

    fn parse(lines: &[(&'static str, &[u8])]) -> String {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_bytes(value).unwrap());
        }
        described(&credential_from_headers(&headers))
    }

    fn authorization(value: impl AsRef<[u8]>) -> String {
        parse(&[("authorization", value.as_ref())])
    }

    fn basic(decoded: impl AsRef<[u8]>) -> String {
        authorization(format!("Basic {}", BASE64.encode(decoded)))
    }

    #[test]
    fn one_well_formed_line_is_one_credential() {
        assert_eq!(parse(&[]), "none");
        assert_eq!(
            authorization("Bearer abc.def-_~+/=="),
            "bearer abc.def-_~+/=="
        );
        assert_eq!(authorization("bEARER  abc "), "bearer abc");
        assert_eq!(parse(&[("x-api-key", b"cg_abc")]), "key cg_abc");
        assert_eq!(parse(&[("x-api-key", b"not-a-key")]), "key not-a-key");
    }

    #[test]
    fn a_line_that_cannot_be_read_is_malformed_and_never_none() {
        for value in [
            &b"Bearer"[..],
            b"Bearer ",
            b"Bearer a b",
            b"Bearer a,b",
            b"Bearer =",
            b"",
            b"\xff",
            b"Bearer \xc3\xa9",
            b"eyJhbGciOiJFUzI1NiJ9.e30.x",
        ] {
            assert!(authorization(value).starts_with("malformed"), "{value:?}");
        }
        for value in ["Bearer cg_abc", "cg_abc"] {
            let parsed = authorization(value);
            assert!(parsed.contains("send it as X-Api-Key"), "{value}: {parsed}");
        }
        for value in ["Digest", "Negotiate x", "bearerabc", "basic\tx", "ApiKey x"] {
            assert_eq!(authorization(value), "unsupported", "{value:?}");
        }
        for value in [&b""[..], b"a b", b"a, b", b"\xff", b"="] {
            let parsed = parse(&[("x-api-key", value)]);
            assert!(parsed.starts_with("malformed"), "{value:?}");
        }
    }

    #[test]
    fn two_lines_are_more_than_one_whatever_they_say() {
        let bearer = ("authorization", &b"Bearer abc"[..]);
        let basic = ("authorization", &b"Basic eDpjZ19h"[..]);
        let key = ("x-api-key", &b"cg_abc"[..]);
        let empty = ("authorization", &b""[..]);
        for pair in [
            [bearer, bearer],
            [bearer, key],
            [key, key],
            [basic, key],
            [basic, bearer],
            [empty, key],
        ] {
            assert_eq!(parse(&pair), "multiple", "{pair:?}");
        }
    }

    #[test]
    fn basic_takes_an_api_key_as_password_whatever_the_user_name() {
        for name in ["", "key", "ada@example.org", "cg_x", "Ä", "a b"] {
            assert_eq!(basic(format!("{name}:cg_abc")), "key cg_abc", "{name}");
        }
        assert_eq!(basic(b"\xff\xfe:cg_abc"), "key cg_abc");
        for end in ["\n", "\r\n", " "] {
            assert_eq!(basic(format!("x:cg_abc{end}")), "key cg_abc", "{end:?}");
        }
        // What follows the first colon is the password; whether it is a key, the service says.
        assert_eq!(basic("x:cg_a:b"), "key cg_a:b");
        for value in [
            "Basic eDpjZ19hYg==",
            "basic eDpjZ19hYg",
            "BASIC   eDpjZ19hYg== ",
        ] {
            assert_eq!(authorization(value), "key cg_ab", "{value}");
        }
    }

    #[test]
    fn basic_never_takes_another_password_and_says_what_it_takes() {
        for decoded in [
            &b":"[..],
            b"ada:",
            b"ada:correct horse",
            b"ada:CG_abc",
            b"ada: cg_abc",
            b"ada:cg_\xff",
            b"cg_abc:x",
            b"ada:eyJhbGciOiJFUzI1NiJ9.e30.x",
        ] {
            let parsed = basic(decoded);
            assert!(parsed.contains("API key as its password"), "{decoded:?}");
            assert!(parsed.contains(".netrc"), "{decoded:?}");
            assert!(!parsed.contains("horse"), "{decoded:?}");
        }
        for decoded in ["cg_abc:", "cg_abc:x", "cg_abc:x-oauth-basic"] {
            assert!(basic(decoded).contains("not as its user name"), "{decoded}");
        }
    }

    #[test]
    fn basic_that_cannot_be_decoded_is_malformed() {
        for value in [
            "Basic",
            "Basic ",
            "Basic ada:cg_abc",
            "Basic eDpjZ19hYg= =",
            "Basic eDpjZ19hYg===",
            "Basic eDpjZ19h_-8=",
            "Basic eA==",
        ] {
            let parsed = authorization(value);
            assert!(parsed.starts_with("malformed"), "{value}: {parsed}");
            assert!(parsed.contains(".netrc"), "{value}: {parsed}");
        }
    }
}
