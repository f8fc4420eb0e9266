//! A web server of files on loopback, with the habits and faults that web servers have.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{
    CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, ETAG, IF_MATCH, LAST_MODIFIED, LOCATION, RANGE,
};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// How the server answers for one path.
#[derive(Clone)]
pub(crate) struct ServedFile {
    pub content: Vec<u8>,
    pub etag: Option<&'static str>,
    pub is_range_ignored: bool,
    pub is_head_refused: bool,
    /// The `Content-Encoding`, whatever was accepted.
    pub coding: Option<&'static str>,
    /// Where it is instead.
    pub redirect: Option<String>,
}

impl ServedFile {
    pub(crate) fn new(content: &[u8]) -> Self {
        Self {
            content: content.to_vec(),
            etag: Some("\"one\""),
            is_range_ignored: false,
            is_head_refused: false,
            coding: None,
            redirect: None,
        }
    }
}

type Files = Arc<Mutex<BTreeMap<String, ServedFile>>>;

pub(crate) struct FileServer {
    pub address: SocketAddr,
    files: Files,
    connections: Arc<AtomicUsize>,
    serving: JoinHandle<()>,
}

impl FileServer {
    pub(crate) async fn start(address: &str) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let (files, connections) = (Files::default(), Arc::new(AtomicUsize::new(0)));
        Self {
            address: listener.local_addr().unwrap(),
            serving: tokio::spawn(accept(
                listener,
                Arc::clone(&files),
                Arc::clone(&connections),
            )),
            files,
            connections,
        }
    }

    pub(crate) fn put(&self, path: &str, file: ServedFile) {
        self.files.lock().insert(path.to_owned(), file);
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// How many connections it has had.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

impl Drop for FileServer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn accept(listener: TcpListener, files: Files, connections: Arc<AtomicUsize>) {
    let mut serving = tokio::task::JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        connections.fetch_add(1, Ordering::SeqCst);
        let files = Arc::clone(&files);
        let answering = service_fn(move |request: Request<Incoming>| {
            let file = files.lock().get(request.uri().path()).cloned();
            async move { Ok::<_, Infallible>(answer(&request, file)) }
        });
        let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), answering);
        serving.spawn(async move { connection.await.ok() });
    }
}

fn answer(request: &Request<Incoming>, file: Option<ServedFile>) -> Response<Full<Bytes>> {
    let empty = |status| {
        let response = Response::builder().status(status);
        response.body(Full::default()).unwrap()
    };
    let Some(file) = file else {
        return empty(StatusCode::NOT_FOUND);
    };
    if let Some(location) = file.redirect {
        let response = Response::builder().status(StatusCode::FOUND);
        return response
            .header(LOCATION, location)
            .body(Full::default())
            .unwrap();
    }
    let is_head = request.method() == Method::HEAD;
    if is_head && file.is_head_refused {
        return empty(StatusCode::METHOD_NOT_ALLOWED);
    }
    let asked = |name| {
        request
            .headers()
            .get(name)
            .and_then(|value| value.to_str().ok())
    };
    if let (Some(expected), Some(etag)) = (asked(IF_MATCH), file.etag)
        && expected != etag
    {
        return empty(StatusCode::PRECONDITION_FAILED);
    }
    let mut response = Response::builder().header(LAST_MODIFIED, "Tue, 14 Nov 2023 22:13:20 GMT");
    if let Some(etag) = file.etag {
        response = response.header(ETAG, etag);
    }
    if let Some(coding) = file.coding {
        response = response.header(CONTENT_ENCODING, coding);
    }
    let size = file.content.len();
    let range = asked(RANGE).filter(|_| !is_head && !file.is_range_ignored);
    let content = match range.and_then(|range| range.strip_prefix("bytes=")?.split_once('-')) {
        Some((first, last)) => {
            let (first, last): (usize, usize) = (first.parse().unwrap(), last.parse().unwrap());
            let last = last.min(size - 1);
            response = response
                .status(StatusCode::PARTIAL_CONTENT)
                .header(CONTENT_RANGE, format!("bytes {first}-{last}/{size}"));
            file.content[first..=last].to_vec()
        }
        None => file.content,
    };
    if is_head {
        let response = response.header(CONTENT_LENGTH, size);
        return response.body(Full::default()).unwrap();
    }
    response.body(Full::from(content)).unwrap()
}
