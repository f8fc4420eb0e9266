//! The credentials extractors: the caller's credential and client info from a request.
//!
//! They never fail: a malformed credential is passed on as such, so that the service rejects it at
//! its place in the order and it never becomes anonymous. They do not read the body, so a handler
//! may take them before or after it. Whether a credential is valid, the service decides.

use poem::http::{HeaderMap, header};
use poem::{Request, RequestBody};
use poem_openapi::registry::{MetaOAuthFlow, MetaOAuthFlows, MetaSecurityScheme, Registry};
use poem_openapi::{ApiExtractor, ApiExtractorType, ExtractParamOptions};

use crate::domain::secret::Secret;
use crate::http::server::request_info::RequestInfo;
use crate::service::identity::request_context::{Credential, RequestContext};

/// The header that takes an API key.
const API_KEY_HEADER: &str = "x-api-key";
/// The query parameter that takes a download token.
const TOKEN_PARAMETER: &str = "token";

const MULTIPLE_CREDENTIALS: &str = "the request has more than one credential; send exactly one";

/// The request context with the credential in the headers; a `?token=` is ignored.
pub struct HeaderCredentials(pub RequestContext);

/// The request context with the credential in the headers or in `?token=`.
pub struct HeaderOrQueryCredentials(pub RequestContext);

/// The request context of a caller who is about to log in; its headers are ignored.
pub struct NoCredentials(pub RequestContext);

/// The request context with the credential in the headers, for the request middleware.
#[must_use]
pub fn header_context(request: &Request) -> RequestContext {
    request_context(request, credential_from_headers(request.headers()))
}

fn request_context(request: &Request, credential: Credential) -> RequestContext {
    let info = RequestInfo::from_request(request);
    RequestContext {
        credential,
        address: info.address,
        is_foreign_page: info.is_foreign_page,
        request_id: info.request_id,
        client_request_id: info.client_request_id,
    }
}

/// The credential in the headers.
fn credential_from_headers(headers: &HeaderMap) -> Credential {
    let mut found = headers
        .get_all(header::AUTHORIZATION)
        .iter()
        .map(|value| {
            value
                .to_str()
                .map_or(MALFORMED_AUTHORIZATION, parse_authorization)
        })
        .chain(
            headers
                .get_all(API_KEY_HEADER)
                .iter()
                .map(|value| value.to_str().map_or(MALFORMED_API_KEY, parse_api_key)),
        );
    match (found.next(), found.next()) {
        (None, _) => Credential::None,
        (Some(credential), None) => credential,
        (Some(_), Some(_)) => Credential::Malformed {
            detail: MULTIPLE_CREDENTIALS,
        },
    }
}

const MALFORMED_AUTHORIZATION: Credential = Credential::Malformed {
    detail: "the Authorization header is malformed: send Authorization: Bearer <session token>",
};
const MALFORMED_API_KEY: Credential = Credential::Malformed {
    detail: "the X-Api-Key header is malformed",
};

/// `Bearer` and a b64token (RFC 6750 section 2.1); the scheme in any case (RFC 9110 section 11.1).
fn parse_authorization(value: &str) -> Credential {
    let (scheme, token) = value.split_once(' ').unwrap_or((value, ""));
    let token = token.trim_matches(' ');
    if scheme.is_empty() {
        return MALFORMED_AUTHORIZATION;
    }
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Credential::Unsupported;
    }
    if is_b64token(token) {
        Credential::Bearer(Secret::new(token.to_owned()))
    } else {
        MALFORMED_AUTHORIZATION
    }
}

fn parse_api_key(value: &str) -> Credential {
    if is_b64token(value) {
        Credential::ApiKey(Secret::new(value.to_owned()))
    } else {
        MALFORMED_API_KEY
    }
}

fn is_b64token(text: &str) -> bool {
    let body = text.trim_end_matches('=');
    !body.is_empty()
        && body
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte))
}

/// The credential in the headers or the query; both are more than one.
fn credential_from_headers_or_query(request: &Request) -> Credential {
    let parameters: Vec<(String, String)> = match request.params() {
        Ok(parameters) => parameters,
        Err(_) => {
            return Credential::Malformed {
                detail: "the query string is malformed",
            };
        }
    };
    let mut tokens = parameters
        .into_iter()
        .filter_map(|(name, value)| (name == TOKEN_PARAMETER).then_some(value));
    match (
        credential_from_headers(request.headers()),
        tokens.next(),
        tokens.next(),
    ) {
        (credential, None, _) => credential,
        (Credential::None, Some(token), None) if is_b64token(&token) => {
            Credential::DownloadToken(Secret::new(token))
        }
        (Credential::None, Some(_), None) => Credential::Malformed {
            detail: "the token parameter is malformed",
        },
        (_, Some(_), _) => Credential::Malformed {
            detail: MULTIPLE_CREDENTIALS,
        },
    }
}

const SESSION_SCHEME: &str = "OAuth2PasswordBearer";
const API_KEY_SCHEME: &str = "ApiKeyHeader";

fn register_schemes(registry: &mut Registry) {
    registry.create_security_scheme(
        SESSION_SCHEME,
        MetaSecurityScheme {
            ty: "oauth2",
            description: Some(
                "Log in with user name and password for a session token. A token of an external \
                 identity provider (OpenID Connect) that the operator has configured is accepted \
                 in its place, as Authorization: Bearer.",
            ),
            name: None,
            key_in: None,
            scheme: None,
            bearer_format: None,
            flows: Some(MetaOAuthFlows {
                implicit: None,
                password: Some(MetaOAuthFlow {
                    authorization_url: None,
                    token_url: Some("/auth/login"),
                    refresh_url: None,
                    scopes: vec![],
                }),
                client_credentials: None,
                authorization_code: None,
            }),
            openid_connect_url: None,
        },
    );
    registry.create_security_scheme(
        API_KEY_SCHEME,
        MetaSecurityScheme {
            ty: "apiKey",
            description: Some("An API key."),
            name: Some("X-Api-Key"),
            key_in: Some("header"),
            scheme: None,
            bearer_format: None,
            flows: None,
            openid_connect_url: None,
        },
    );
}

/// Implements an extractor whose operations may be called with or without credentials.
macro_rules! impl_optional_credentials {
    ($extractor:ident, $credential:expr) => {
        impl<'a> ApiExtractor<'a> for $extractor {
            const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::SecurityScheme];

            type ParamType = ();
            type ParamRawType = ();

            fn register(registry: &mut Registry) {
                register_schemes(registry);
            }

            fn security_schemes() -> Vec<&'static str> {
                vec![SESSION_SCHEME, API_KEY_SCHEME]
            }

            fn has_security_fallback() -> bool {
                true
            }

            async fn from_request(
                request: &'a Request,
                _: &mut RequestBody,
                _: ExtractParamOptions<Self::ParamType>,
            ) -> poem::Result<Self> {
                Ok(Self(request_context(request, $credential(request))))
            }
        }
    };
}
impl_optional_credentials!(HeaderCredentials, |request: &Request| {
    credential_from_headers(request.headers())
});
impl_optional_credentials!(HeaderOrQueryCredentials, credential_from_headers_or_query);

impl<'a> poem::FromRequest<'a> for NoCredentials {
    async fn from_request(request: &'a Request, _: &mut RequestBody) -> poem::Result<Self> {
        Ok(Self(request_context(request, Credential::None)))
    }
}

#[cfg(test)]
mod tests {
    use poem::http::{HeaderValue, Method};
    use poem::{Endpoint, IntoEndpoint};
    use poem_openapi::payload::PlainText;
    use poem_openapi::{OpenApi, OpenApiService};

    use super::*;

    fn kind_of(credential: &Credential) -> &'static str {
        match credential {
            Credential::None => "none",
            Credential::Bearer(_) => "bearer",
            Credential::ApiKey(_) => "api key",
            Credential::DownloadToken(_) => "download token",
            Credential::Unsupported => "unsupported",
            Credential::Malformed { .. } => "malformed",
        }
    }

    fn parse(headers: &[(&'static str, &[u8])], query: &str) -> &'static str {
        let mut request = Request::builder().uri_str(format!("/x{query}")).finish();
        for (name, value) in headers {
            request
                .headers_mut()
                .append(*name, HeaderValue::from_bytes(value).unwrap());
        }
        kind_of(&credential_from_headers_or_query(&request))
    }

    #[test]
    fn one_well_formed_credential_is_parsed() {
        assert_eq!(parse(&[], ""), "none");
        assert_eq!(
            parse(&[("authorization", b"Bearer abc.def-_~+/==")], ""),
            "bearer"
        );
        assert_eq!(parse(&[("authorization", b"bEARER  abc ")], ""), "bearer");
        assert_eq!(parse(&[("x-api-key", b"cg_abc")], ""), "api key");
        assert_eq!(parse(&[], "?token=abc&x=y"), "download token");
    }

    #[test]
    fn a_malformed_header_never_parses_as_none() {
        for value in [
            &b"Bearer"[..],
            b"Bearer ",
            b"Bearer a b",
            b"Bearer =",
            b"",
            b"\xff",
            b"Bearer \xc3\xa9",
        ] {
            assert_eq!(
                parse(&[("authorization", value)], ""),
                "malformed",
                "{value:?}"
            );
        }
        for value in [&b"Basic Og=="[..], b"Digest", b"bearerabc"] {
            assert_eq!(
                parse(&[("authorization", value)], ""),
                "unsupported",
                "{value:?}"
            );
        }
        assert_eq!(parse(&[("x-api-key", b"")], ""), "malformed");
        assert_eq!(parse(&[], "?token="), "malformed");
        assert_eq!(parse(&[], "?token=a%20b"), "malformed");
    }

    #[test]
    fn two_credentials_are_malformed_wherever_they_are() {
        let bearer = ("authorization", &b"Bearer abc"[..]);
        let key = ("x-api-key", &b"cg_abc"[..]);
        assert_eq!(parse(&[bearer, bearer], ""), "malformed");
        assert_eq!(parse(&[bearer, key], ""), "malformed");
        assert_eq!(parse(&[key, key], ""), "malformed");
        assert_eq!(parse(&[bearer], "?token=abc"), "malformed");
        assert_eq!(parse(&[], "?token=abc&token=abc"), "malformed");
        assert_eq!(
            parse(&[("authorization", b"Basic x")], "?token=abc"),
            "malformed"
        );
    }

    struct TestApi;

    #[OpenApi]
    #[allow(
        clippy::unused_async,
        reason = "every operation is async to poem-openapi"
    )]
    impl TestApi {
        #[oai(path = "/credentials-first", method = "post")]
        async fn credentials_first(
            &self,
            _context: HeaderCredentials,
            body: PlainText<String>,
        ) -> PlainText<String> {
            body
        }

        #[oai(path = "/body-first", method = "post")]
        async fn body_first(
            &self,
            body: PlainText<String>,
            _context: HeaderCredentials,
        ) -> PlainText<String> {
            body
        }
    }

    #[tokio::test]
    async fn a_handler_may_take_credentials_before_or_after_the_body() {
        let endpoint = OpenApiService::new(TestApi, "test", "1").into_endpoint();
        for path in ["/credentials-first", "/body-first"] {
            let request = Request::builder()
                .method(Method::POST)
                .uri_str(path)
                .content_type("text/plain")
                .header("authorization", "Bearer abc")
                .body("the body");
            let response = endpoint.call(request).await.unwrap();
            let body = response.into_body().into_string().await.unwrap();
            assert_eq!(body, "the body", "{path}");
        }
    }
}
