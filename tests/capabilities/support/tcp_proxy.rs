//! A TCP proxy whose connections can go silent, as behind a machine that lost its power.

use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::postgres::fresh_database;

/// A proxy in front of one address.
pub(crate) struct TcpProxy {
    /// Where it listens.
    pub address: SocketAddr,
    silenced: watch::Sender<u64>,
    task: JoinHandle<()>,
}

impl TcpProxy {
    pub(crate) async fn start(target: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let silenced = watch::Sender::new(0);
        let accepting = silenced.clone();
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (target, silenced) = (target.clone(), accepting.subscribe());
                tokio::spawn(forward(stream, target, silenced));
            }
        });
        Self {
            address,
            silenced,
            task,
        }
    }

    /// All connections stay open and transport nothing any more; new ones work.
    pub(crate) fn silence_connections(&self) {
        self.silenced.send_modify(|generation| *generation += 1);
    }

    /// Like that, and new ones are not accepted either.
    pub(crate) fn silence_all(&self) {
        self.task.abort();
        self.silence_connections();
    }
}

async fn forward(mut stream: TcpStream, target: String, mut silenced: watch::Receiver<u64>) {
    let begun = *silenced.borrow();
    let mut upstream = TcpStream::connect(target).await.unwrap();
    let is_silenced = tokio::select! {
        _ = tokio::io::copy_bidirectional(&mut stream, &mut upstream) => false,
        silenced = silenced.wait_for(|generation| *generation > begun) => silenced.is_ok(),
    };
    if is_silenced {
        std::future::pending::<()>().await;
    }
}

/// A database behind a proxy, and the URL through it.
pub(crate) async fn database_behind_proxy() -> (TcpProxy, String, String) {
    let url = fresh_database().await;
    let (_, rest) = url.split_once('@').unwrap();
    let (target, name) = rest.split_once('/').unwrap();
    let proxy = TcpProxy::start(target.to_owned()).await;
    let through = format!("postgres://postgres@{}/{name}", proxy.address);
    (proxy, through, url)
}
