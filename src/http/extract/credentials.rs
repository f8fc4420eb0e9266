//! The credentials extractors: the caller's credential and client info from a request.
//!
//! They never fail: a malformed credential is passed on as such, so that the service rejects it at
//! its place in the order and it never becomes anonymous. They do not read the body, so a handler
//! may take them before or after it. Whether a credential is valid, the service decides.

use poem::http::HeaderMap;
use poem::{Request, RequestBody};
use poem_openapi::registry::{MetaOAuthFlow, MetaOAuthFlows, MetaSecurityScheme, Registry};
use poem_openapi::{ApiExtractor, ApiExtractorType, ExtractParamOptions};

use crate::domain::secret::Secret;
use crate::http::server::request_info::RequestInfo;
use crate::service::identity::request_context::{Credential, RequestContext};

use super::authorization::{credential_from_headers, is_b64token};
use super::original_request::OriginalRequest;
use super::query_pairs::query_pairs;

/// The query parameter that takes a download token.
pub(crate) const TOKEN_PARAMETER: &str = "token";

/// The request context with the credential in the headers; a `?token=` is none.
pub struct HeaderCredentials(pub RequestContext);

/// The request context with the credential in `?token=`, or else in the headers.
pub struct HeaderOrQueryCredentials(pub RequestContext);

/// The request context with the credential of the request that a proxy asks about: in its `?token=`, or else in the
/// headers; none if the proxy names no request.
pub struct ForwardedCredentials(pub RequestContext);

/// The request context of a caller who is about to log in; its headers are ignored.
pub struct NoCredentials(pub RequestContext);

/// The request context with the credential in the headers, for the request middleware.
#[must_use]
pub fn header_context(request: &Request) -> RequestContext {
    request_context(request, credential_from_headers(request.headers()))
}

/// The request context with the credential in `?token=`, or else in the headers.
#[must_use]
pub fn header_or_query_context(request: &Request) -> RequestContext {
    request_context(request, credential_from_headers_or_query(request))
}

/// The request context with the credential of the request that a proxy asks about, as [`ForwardedCredentials`] has it.
#[must_use]
pub fn forwarded_context(request: &Request) -> RequestContext {
    request_context(request, credential_of_original_request(request))
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

/// The credential in `?token=`, or else in the headers.
fn credential_from_headers_or_query(request: &Request) -> Credential {
    let query = request.uri().query().unwrap_or_default();
    credential_of_query(query, request.headers())
}

/// The credential in the `?token=` of the original URI, or else in the headers.
fn credential_of_original_request(request: &Request) -> Credential {
    let headers = request.headers();
    match OriginalRequest::from_headers(headers) {
        Ok(original) => credential_of_query(original.query, headers),
        Err(_) => Credential::None,
    }
}

/// The credential in the `token` of a query, or else in the headers.
///
/// A `?token=` alone counts, and the headers are not looked at: viewers and `.netrc` add one to everything.
fn credential_of_query(query: &str, headers: &HeaderMap) -> Credential {
    let mut tokens =
        query_pairs(query).filter_map(|(name, value)| (name == TOKEN_PARAMETER).then_some(value));
    match (tokens.next(), tokens.next()) {
        (None, _) => credential_from_headers(headers),
        (Some(token), None) if is_b64token(&token) => {
            Credential::DownloadToken(Secret::new(token.into_owned()))
        }
        (Some(_), None) => Credential::Malformed {
            detail: "the token parameter is empty or malformed: put a download token on ?token=",
        },
        (Some(_), Some(_)) => Credential::Multiple,
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
            description: Some(
                "An API key. Clients that know only a user name and a password (GDAL, QGIS, curl, .netrc) \
                 send it as the password of Authorization: Basic, with any user name; the password of a \
                 person is not accepted there.",
            ),
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
impl_optional_credentials!(ForwardedCredentials, credential_of_original_request);

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

    fn parse(authorization: &[&str], query: &str) -> &'static str {
        let mut request = Request::builder().uri_str(format!("/x{query}")).finish();
        for value in authorization {
            let value = HeaderValue::from_str(value).unwrap();
            request.headers_mut().append("authorization", value);
        }
        match credential_from_headers_or_query(&request) {
            Credential::None => "none",
            Credential::Bearer(_) => "bearer",
            Credential::ApiKey(_) => "api key",
            Credential::DownloadToken(_) => "download token",
            Credential::Unsupported => "unsupported",
            Credential::Multiple => "multiple",
            Credential::Malformed { .. } => "malformed",
        }
    }

    #[test]
    fn a_token_in_the_query_alone_counts_whatever_the_headers_say() {
        for headers in [
            &[][..],
            &["Bearer abc"],
            &["Bearer abc", "Bearer abc"],
            &["Basic eDp5"],
            &["Negotiate x"],
            &[""],
        ] {
            for query in ["?token=abc&x=y", "?x=y&token=a%2Eb%3D", "?to%6ben=abc"] {
                assert_eq!(
                    parse(headers, query),
                    "download token",
                    "{headers:?} {query}"
                );
            }
            for query in [
                "?token=",
                "?token",
                "?token=a%20b",
                "?token=a+b",
                "?token=%FF",
            ] {
                assert_eq!(parse(headers, query), "malformed", "{headers:?} {query}");
            }
            assert_eq!(parse(headers, "?token=abc&token=abc"), "multiple");
        }
    }

    #[test]
    fn without_a_token_in_the_query_the_headers_count() {
        for query in ["", "?", "?TOKEN=abc", "?tokens=abc", "?x=token%3Dabc"] {
            assert_eq!(parse(&[], query), "none", "{query}");
            assert_eq!(parse(&["Bearer abc"], query), "bearer", "{query}");
        }
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
