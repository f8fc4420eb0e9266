//! Files outside the file store: objects of the stores that the settings name, and files at URLs.

mod addresses;
mod calls;
mod cloud;
mod error;
mod facts;
mod resolver;
mod url_fetcher;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt};
use ipnet::IpNet;
use moka::future::Cache;
use url::Url;

use super::download::ByteStream;
use super::error::FilesError;
use crate::domain::remote_file::{RemoteFile, StoreName};
use crate::domain::remote_store::RemoteStore;

use addresses::AllowedAddresses;
use cloud::CloudStore;
use error::RemoteError;
pub(super) use facts::RemoteFacts;
use url_fetcher::UrlFetcher;

/// How long what a store says of a file is used. A file that is replaced meanwhile is noticed by the next read.
const FACTS_TTL: Duration = Duration::from_secs(10);
/// Of how many files it is remembered; each takes about 500 bytes.
const MAX_FACTS: u64 = 50_000;

/// Reads files outside the file store; clones share everything.
#[derive(Clone, Debug)]
pub(super) struct RemoteFiles {
    stores: Arc<BTreeMap<StoreName, Arc<CloudStore>>>,
    urls: Arc<UrlFetcher>,
    facts: Cache<RemoteFile, Arc<RemoteFacts>>,
}

impl Default for RemoteFiles {
    fn default() -> Self {
        Self::with_stores(BTreeMap::new(), AllowedAddresses::default())
    }
}

impl RemoteFiles {
    /// Files of these stores, and at URLs in these networks and in the public internet.
    pub(super) fn new(stores: &[RemoteStore], networks: &[IpNet]) -> Result<Self, FilesError> {
        let mut clients = BTreeMap::new();
        for settings in stores {
            let client = CloudStore::new(settings);
            let client = client.map_err(|error| FilesError::RemoteStoreUnusable {
                store: settings.name.clone(),
                problem: crate::domain::error_chain::error_chain(&error),
            })?;
            clients.insert(settings.name.clone(), Arc::new(client));
        }
        Ok(Self::with_stores(clients, AllowedAddresses::new(networks)))
    }

    fn with_stores(
        stores: BTreeMap<StoreName, Arc<CloudStore>>,
        allowed: AllowedAddresses,
    ) -> Self {
        Self {
            stores: Arc::new(stores),
            urls: Arc::new(UrlFetcher::new(allowed)),
            facts: Cache::builder()
                .max_capacity(MAX_FACTS)
                .time_to_live(FACTS_TTL)
                .build(),
        }
    }

    /// Checks what the place of a file says itself.
    pub(super) fn check_place(&self, file: &RemoteFile) -> Result<(), FilesError> {
        match file {
            RemoteFile::Object { store, .. } => self.store(store).map(drop),
            RemoteFile::Url { url } => {
                let checked = self.urls.check(url);
                checked.map(drop).map_err(|error| named(file, error))
            }
        }
    }

    /// Whether whoever downloads a file is sent to its store.
    pub(super) fn is_redirected(&self, file: &RemoteFile) -> bool {
        match file {
            RemoteFile::Object { store, .. } => {
                self.store(store).is_ok_and(|store| store.is_redirecting())
            }
            RemoteFile::Url { .. } => false,
        }
    }

    /// What is known of a file, or its store says now; none if it is not there.
    pub(super) async fn facts(
        &self,
        file: &RemoteFile,
    ) -> Result<Option<Arc<RemoteFacts>>, FilesError> {
        // Those who ask for the same file at the same time wait for one answer.
        let asked = self.facts.try_get_with_by_ref(file, async {
            let facts = match file {
                RemoteFile::Object { store, key } => match self.store(store) {
                    Ok(client) => client.facts(key).await,
                    Err(_) => Err(RemoteError::Failed(no_such_store(store))),
                },
                RemoteFile::Url { url } => self.urls.facts(url).await,
            };
            facts.map(Arc::new).inspect_err(|error| count(file, error))
        });
        match asked.await {
            Ok(facts) => Ok(Some(facts)),
            Err(error) => match &*error {
                RemoteError::Missing => Ok(None),
                RemoteError::Refused(problem) => Err(FilesError::RemoteRefused {
                    file: file.clone(),
                    problem: problem.clone(),
                }),
                RemoteError::Replaced | RemoteError::Failed(_) => {
                    Err(named(file, RemoteError::Failed(error.to_string())))
                }
            },
        }
    }

    /// Streams a span (in bytes, end excluded) of a version.
    pub(super) async fn read(
        &self,
        file: &RemoteFile,
        facts: &RemoteFacts,
        span: Range<u64>,
    ) -> Result<ByteStream, FilesError> {
        if span.start > span.end || span.end > facts.size {
            return Err(FilesError::SpanOutOfRange {
                name: file.to_string(),
                span,
                size: facts.size,
            });
        }
        let length = span.end - span.start;
        if length == 0 {
            return Ok(stream::empty().boxed());
        }
        let opened = match file {
            RemoteFile::Object { store, key } => self.store(store)?.read(key, facts, span).await,
            RemoteFile::Url { url } => self.urls.read(url, facts, span).await,
        };
        match opened {
            Ok(chunks) => Ok(counted(chunks, file.clone(), length)),
            Err(error) => {
                count(file, &error);
                // What was known is no longer so, or may not be.
                self.facts.invalidate(file).await;
                Err(named(file, error))
            }
        }
    }

    /// A URL at which whoever has it may GET the file for `lifetime`; none if it is streamed.
    pub(super) async fn presign(
        &self,
        file: &RemoteFile,
        lifetime: Duration,
    ) -> Result<Option<Url>, FilesError> {
        match file {
            RemoteFile::Object { store, key } => {
                let signed = self.store(store)?.presign(key, lifetime).await;
                signed.map_err(|error| named(file, error))
            }
            RemoteFile::Url { .. } => Ok(None),
        }
    }

    /// The stores whose last request failed. Those that were not asked for a while are asked in the background.
    pub(super) fn failing_stores(&self) -> Vec<StoreName> {
        let stores = self.stores.iter();
        let failing = stores.filter_map(|(name, store)| {
            store.probe_in_background();
            store.is_failing().then(|| name.clone())
        });
        failing.collect()
    }

    fn store(&self, name: &StoreName) -> Result<&Arc<CloudStore>, FilesError> {
        let store = self.stores.get(name);
        store.ok_or_else(|| FilesError::RemoteStoreUnknown {
            store: name.clone(),
        })
    }
}

/// Counts a failure of a store, or of the servers of all URLs together.
fn count(file: &RemoteFile, error: &RemoteError) {
    if let RemoteError::Failed(_) | RemoteError::Refused(_) = error {
        let store = match file {
            RemoteFile::Object { store, .. } => store.to_string(),
            RemoteFile::Url { .. } => "url".to_owned(),
        };
        metrics::counter!("cedargate_store_failures_total", "store" => store).increment(1);
    }
}

fn no_such_store(store: &StoreName) -> String {
    format!("the settings name no store {store}")
}

fn named(file: &RemoteFile, error: RemoteError) -> FilesError {
    let file = file.clone();
    match error {
        RemoteError::Missing => FilesError::RemoteMissing { file },
        RemoteError::Replaced => FilesError::RemoteReplaced { file },
        RemoteError::Refused(problem) => FilesError::RemoteRefused { file, problem },
        RemoteError::Failed(problem) => FilesError::RemoteUnavailable { file, problem },
    }
}

/// Passes a stream on, and fails if it is not exactly `expected` bytes.
fn counted(
    chunks: BoxStream<'static, io::Result<Bytes>>,
    file: RemoteFile,
    expected: u64,
) -> ByteStream {
    stream::try_unfold((chunks, expected), move |(mut chunks, left)| {
        let file = file.clone();
        async move {
            let failed = |problem| FilesError::RemoteUnavailable { file, problem };
            let next = chunks.next().await.transpose();
            match next.map_err(|error| error.to_string()) {
                Ok(None) if left == 0 => Ok(None),
                Ok(None) => Err(failed("it ended early".to_owned())),
                Ok(Some(chunk)) => match left.checked_sub(chunk.len() as u64) {
                    Some(left) => Ok(Some((chunk, (chunks, left)))),
                    None => Err(failed("it is longer than was said".to_owned())),
                },
                Err(problem) => Err(failed(problem)),
            }
        }
    })
    .boxed()
}
