//! The path of the issuer behind a well-known one: RFC 8414 section 3.1 puts the metadata of
//! `https://example.org/gate` at `https://example.org/.well-known/oauth-authorization-server/gate`.
//!
//! Most libraries append the well-known path to the issuer instead, which the routes answer. Here the path of the
//! issuer is removed before anything looks at the path, so that both are answered alike.

use poem::Request;
use poem::http::Uri;
use poem::http::uri::PathAndQuery;
use url::Url;

/// Removes the path of the issuer where it follows a well-known one.
#[derive(Clone, Debug)]
pub struct IssuerPath {
    /// Without a final slash; empty if the issuer has none.
    issuer_path: String,
    well_known: &'static [&'static str],
}

impl IssuerPath {
    /// Removes the path of this issuer where it follows one of the well-known paths.
    #[must_use]
    pub fn new(issuer: &str, well_known: &'static [&'static str]) -> Self {
        let path = Url::parse(issuer).map(|url| url.path().trim_end_matches('/').to_owned());
        Self {
            issuer_path: path.unwrap_or_default(),
            well_known,
        }
    }

    /// Removes it from the path of a request.
    pub(super) fn remove(&self, request: &mut Request) {
        if let Some(uri) = self.without_issuer_path(request.uri()) {
            *request.uri_mut() = uri;
        }
    }

    fn without_issuer_path(&self, uri: &Uri) -> Option<Uri> {
        if self.issuer_path.is_empty() {
            return None;
        }
        let path = uri.path().strip_suffix(&self.issuer_path)?;
        if !self.well_known.contains(&path) {
            return None;
        }
        let path_and_query = match uri.query() {
            Some(query) => format!("{path}?{query}"),
            None => path.to_owned(),
        };
        let mut parts = uri.clone().into_parts();
        parts.path_and_query = Some(PathAndQuery::try_from(path_and_query).ok()?);
        Uri::from_parts(parts).ok()
    }
}
