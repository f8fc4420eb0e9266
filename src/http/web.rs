//! The pages for people: the data page, at `/` for browsers, and the workbench of policy authors, at `/workbench`.
//!
//! They are built from `web/` into `src/http/web/`, from where they are compiled in; whatever else is in that folder
//! is served under `/web/`. A page loads from and talks to this server only, and runs no script that is not a
//! file of it.

use std::path::Path;
use std::sync::Arc;

use include_dir::{Dir, File, include_dir};
use poem::http::{HeaderValue, Method, header};
use poem::{Endpoint, IntoResponse, Request, Response, Route};

use super::page_file::PageFile;

static FILES: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/src/http/web");

const DATA_PAGE: &str = "index.html";
const WORKBENCH_PAGE: &str = "workbench.html";
const WORKBENCH_PATH: &str = "/workbench";

/// Nothing is loaded from elsewhere or sent there, nothing inline is run, and no text becomes markup.
const SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                      img-src 'self' data:; font-src 'self'; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

/// The paths of the pages, but for `/`, and of their files, which take GET and ignore a query.
#[must_use]
pub fn page_paths() -> Vec<String> {
    let files = files().map(|(path, _)| path);
    files.chain([WORKBENCH_PATH.to_owned()]).collect()
}

/// Adds the workbench and the files of the pages to the routes.
#[must_use]
pub fn add_routes(route: Route) -> Route {
    let mut route = route.at(WORKBENCH_PATH, page(WORKBENCH_PAGE).into_route());
    for (path, file) in files() {
        route = route.at(path, file.into_route());
    }
    route
}

/// The data page, which browsers get at `/`.
#[derive(Clone, Debug)]
pub struct DataPage(Arc<PageFile>);

impl Default for DataPage {
    fn default() -> Self {
        Self(Arc::new(page(DATA_PAGE)))
    }
}

impl DataPage {
    /// Answers a browser at `/`; other requests go on.
    ///
    /// Not a route: the router gives `/` to the nested API before any other route.
    pub async fn answer_browser<E: Endpoint>(
        self,
        next: Arc<E>,
        request: Request,
    ) -> poem::Result<Response> {
        if !is_browser_at_root(&request) {
            return next.call(request).await.map(IntoResponse::into_response);
        }
        let mut response = self.0.reply(&request);
        let vary = HeaderValue::from_static("Accept");
        response.headers_mut().insert(header::VARY, vary);
        Ok(response)
    }
}

fn is_browser_at_root(request: &Request) -> bool {
    let mut accepted = request.headers().get_all(header::ACCEPT).iter();
    request.uri().path() == "/"
        && matches!(*request.method(), Method::GET | Method::HEAD)
        && accepted.any(|value| value.to_str().is_ok_and(|text| text.contains("text/html")))
}

/// A page by the name of its file.
fn page(name: &str) -> PageFile {
    let html = FILES.get_file(name).and_then(File::contents_utf8);
    PageFile::page(html.unwrap_or_default(), SECURITY_POLICY)
}

/// The files that pages load, with their paths.
fn files() -> impl Iterator<Item = (String, PageFile)> {
    FILES.files().filter_map(|file| {
        let name = file.path().to_str()?;
        let content_type = content_type(file.path())?;
        let content = PageFile::new(content_type, || file.contents(), SECURITY_POLICY);
        Some((format!("/web/{name}"), content))
    })
}

/// The media type of a file that pages load; none for a page.
fn content_type(name: &Path) -> Option<&'static str> {
    match name.extension()?.to_str()? {
        "js" => Some("text/javascript; charset=utf-8"),
        "css" => Some("text/css; charset=utf-8"),
        "svg" => Some("image/svg+xml"),
        "png" => Some("image/png"),
        "woff2" => Some("font/woff2"),
        "txt" => Some("text/plain; charset=utf-8"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_in_the_folder_is_served() {
        assert_eq!(FILES.dirs().count(), 0);
        for file in FILES.files() {
            let name = file.path().to_str().unwrap();
            let is_page = [DATA_PAGE, WORKBENCH_PAGE].contains(&name);
            assert_ne!(is_page, content_type(file.path()).is_some(), "{name}");
        }
        assert!(page_paths().contains(&"/web/workbench.js".to_owned()));
    }
}
