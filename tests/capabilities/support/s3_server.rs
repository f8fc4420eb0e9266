//! An S3 server on loopback: `s3s` with its file system backend, which checks signatures and the life of presigned
//! URLs as S3 does. An object is a file in its folder.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub(crate) const ACCESS_KEY_ID: &str = "AKIAIOSFODNN7EXAMPLE";
pub(crate) const SECRET_ACCESS_KEY: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
pub(crate) const BUCKET: &str = "maps";

pub(crate) struct S3Server {
    pub address: SocketAddr,
    folder: Arc<TempDir>,
    requests: Arc<AtomicUsize>,
    serving: JoinHandle<()>,
}

impl S3Server {
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join(BUCKET)).unwrap();
        Self::serve(Arc::new(folder), "127.0.0.1:0".parse().unwrap()).await
    }

    /// Starts a stopped server again, at the same address.
    pub(crate) async fn started_again(&self) -> Self {
        Self::serve(Arc::clone(&self.folder), self.address).await
    }

    async fn serve(folder: Arc<TempDir>, address: SocketAddr) -> Self {
        let service = {
            let files = s3s_fs::FileSystem::new(folder.path()).unwrap();
            let mut builder = S3ServiceBuilder::new(files);
            builder.set_auth(SimpleAuth::from_single(ACCESS_KEY_ID, SECRET_ACCESS_KEY));
            builder.build()
        };
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(AtomicUsize::new(0));
        let serving = tokio::spawn(accept(listener, service, Arc::clone(&requests)));
        Self {
            address,
            folder,
            requests,
            serving,
        }
    }

    /// Stops the server: nobody listens any more, and all connections are closed.
    pub(crate) async fn stop(&mut self) {
        self.serving.abort();
        (&mut self.serving).await.ok();
    }

    pub(crate) fn put(&self, key: &str, content: &[u8]) {
        let path = self.path(key);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    pub(crate) fn path(&self, key: &str) -> PathBuf {
        self.folder.path().join(BUCKET).join(key)
    }

    /// How many requests it has had.
    pub(crate) fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }

    /// The table of a store of this server's bucket.
    pub(crate) fn store(&self, name: &str, mode: &str) -> Value {
        json!({
            "name": name,
            "url": format!("s3://{BUCKET}/cogs"),
            "mode": mode,
            "endpoint": format!("http://{}", self.address),
            "access_key_id": ACCESS_KEY_ID,
            "secret_access_key": SECRET_ACCESS_KEY,
        })
    }
}

async fn accept(listener: TcpListener, service: S3Service, requests: Arc<AtomicUsize>) {
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let (service, requests) = (service.clone(), Arc::clone(&requests));
        let counted = service_fn(move |request: Request<Incoming>| {
            requests.fetch_add(1, Ordering::SeqCst);
            hyper::service::Service::call(&service, request)
        });
        let serving = http1::Builder::new().serve_connection(TokioIo::new(stream), counted);
        connections.spawn(async move { serving.await.ok() });
    }
}
