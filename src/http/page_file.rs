//! Page files: pages for browsers and the files that they load, answered from memory with an `ETag` and a 304.
//!
//! A file is prepared when it is first asked for, which most of them are on few servers.
//!
//! A page names its files relative to where it was fetched, so that the server may stand under any path; with a
//! final slash, which the path of a page may have, they are one level up.

use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use poem::endpoint::make_sync;
use poem::http::{HeaderValue, header};
use poem::{IntoEndpoint, Request, Response, get};

use super::conditional::etag_response::content_etag;
use super::conditional::public_document::PreparedDocument;
use super::server::final_slash::FinalSlash;

/// A browser asks again each time, and is answered with 304 while its copy is current.
const CACHE_CONTROL: &str = "no-cache";
/// The attributes of a page that name other files and pages.
const REFERRING_ATTRIBUTES: [&str; 2] = [" href=\"", " src=\""];

/// A document that is prepared when it is first asked for.
type LazyDocument = LazyLock<PreparedDocument, Box<dyn FnOnce() -> PreparedDocument + Send>>;

/// A page, or a file that pages load.
#[derive(Debug)]
pub(super) struct PageFile {
    usual: LazyDocument,
    /// What is answered where the path has a final slash, if that is something else.
    with_final_slash: Option<LazyDocument>,
    security_policy: HeaderValue,
}

impl PageFile {
    /// A file of this media type; `content` is called when the file is first asked for.
    pub(super) fn new<C: Into<Bytes>>(
        content_type: &'static str,
        content: impl FnOnce() -> C + Send + 'static,
        security_policy: &'static str,
    ) -> Self {
        Self {
            usual: prepare(content_type, content),
            with_final_slash: None,
            security_policy: HeaderValue::from_static(security_policy),
        }
    }

    /// A page.
    pub(super) fn page(html: &'static str, security_policy: &'static str) -> Self {
        let content_type = "text/html; charset=utf-8";
        Self {
            with_final_slash: Some(prepare(content_type, move || one_level_up(html))),
            ..Self::new(content_type, move || html, security_policy)
        }
    }

    /// Answers a GET or HEAD.
    pub(super) fn reply(&self, request: &Request) -> Response {
        let has_final_slash = request.extensions().get::<FinalSlash>().is_some();
        let with_final_slash = self.with_final_slash.as_ref().filter(|_| has_final_slash);
        let document = with_final_slash.unwrap_or(&self.usual);
        let mut response = document.reply(request);
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_SECURITY_POLICY,
            self.security_policy.clone(),
        );
        response
    }

    /// The file as the endpoint of a route.
    pub(super) fn into_route(self) -> impl IntoEndpoint {
        let file = Arc::new(self);
        get(make_sync(move |request: Request| file.reply(&request)))
    }
}

fn prepare<C: Into<Bytes>>(
    content_type: &'static str,
    content: impl FnOnce() -> C + Send + 'static,
) -> LazyDocument {
    LazyLock::new(Box::new(move || {
        let content = content().into();
        let etag = content_etag(&content);
        PreparedDocument::new(content, &etag, CACHE_CONTROL).with_content_type(content_type)
    }))
}

/// A page whose relative references are relative to the path with a final slash.
fn one_level_up(html: &str) -> String {
    let mut page = html.to_owned();
    for attribute in REFERRING_ATTRIBUTES {
        let mut parts = page.split(attribute);
        let mut moved = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            moved.push_str(attribute);
            if is_relative(part.split('"').next().unwrap_or_default()) {
                moved.push_str("../");
            }
            moved.push_str(part);
        }
        page = moved;
    }
    page
}

fn is_relative(reference: &str) -> bool {
    !reference.starts_with(['/', '#', '?']) && !reference.contains(':')
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn a_file_is_made_once_and_only_if_it_is_asked_for() {
        static MADE: AtomicUsize = AtomicUsize::new(0);
        let make = || {
            MADE.fetch_add(1, Ordering::Relaxed);
            "text"
        };
        let file = PageFile::new("text/plain", make, "default-src 'none'");
        assert_eq!(MADE.load(Ordering::Relaxed), 0);
        for _ in 0..2 {
            assert_eq!(file.reply(&Request::default()).status(), 200);
        }
        assert_eq!(MADE.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn only_relative_references_of_a_page_are_moved_one_level_up() {
        let page = r##"<a href="#main"><a href="./"><a href="docs"><script src="web/a.js"><img src="data:,"><a href="/x">"##;
        let moved = r##"<a href="#main"><a href=".././"><a href="../docs"><script src="../web/a.js"><img src="data:,"><a href="/x">"##;
        assert_eq!(one_level_up(page), moved);
    }
}
