//! One store of a cloud provider: S3 and what is compatible, Google Cloud Storage or Azure Blob Storage.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use chrono::DateTime;
use futures_util::stream::{BoxStream, StreamExt};
use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::path::Path as ObjectPath;
use object_store::signer::Signer;
use object_store::{
    BackoffConfig, ClientOptions, GetOptions, ObjectMeta, ObjectStore, ObjectStoreExt, RetryConfig,
};
use parking_lot::Mutex;
use reqwest::Method;
use url::Url;

use super::calls::RemoteCalls;
use super::error::RemoteError;
use super::facts::RemoteFacts;
use crate::domain::error_chain::error_chain;
use crate::domain::remote_file::ObjectKey;
use crate::domain::remote_store::{DeliveryMode, RemoteStore, S3Credentials, StoreService};

/// How long connecting, with TLS, may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(4);
/// How long a store may be silent while it sends an object.
const READ_TIMEOUT: Duration = Duration::from_secs(20);
/// How long a request may be tried again, and how often: whoever asks is told at once and tries again itself.
const RETRY_TIMEOUT: Duration = Duration::from_secs(3);
const MAX_RETRIES: usize = 1;
/// How often a store is asked whether it is there, if nothing else is asked of it.
const PROBE_INTERVAL: Duration = Duration::from_secs(10);
/// The key that is asked for; nothing need have it.
const PROBE_KEY: &str = ".cedargate-probe";
/// The longest text of an error of a store that is logged, in characters.
const MAX_ERROR_LENGTH: usize = 500;

/// What a provider's client can do.
trait SigningStore: ObjectStore + Signer {}
impl<T: ObjectStore + Signer> SigningStore for T {}

/// One store.
#[derive(Debug)]
pub(super) struct CloudStore {
    mode: DeliveryMode,
    prefix: String,
    store: Arc<dyn SigningStore>,
    /// Signs URLs of the endpoint that clients reach.
    signer: Arc<dyn SigningStore>,
    calls: RemoteCalls,
    is_failing: AtomicBool,
    last_asked: Mutex<Option<Instant>>,
}

impl CloudStore {
    /// A client of the store; nothing is sent yet.
    pub(super) fn new(settings: &RemoteStore) -> Result<Self, object_store::Error> {
        let store = connect(settings, settings.endpoint.as_ref())?;
        let signer = match &settings.redirect_endpoint {
            Some(endpoint) => connect(settings, Some(endpoint))?,
            None => Arc::clone(&store),
        };
        Ok(Self {
            mode: settings.mode,
            prefix: settings.prefix.clone(),
            store,
            signer,
            calls: RemoteCalls::default(),
            is_failing: AtomicBool::new(false),
            last_asked: Mutex::default(),
        })
    }

    /// What the store says of an object.
    pub(super) async fn facts(&self, key: &ObjectKey) -> Result<RemoteFacts, RemoteError> {
        let path = self.path(key.as_str())?;
        let asking = async { self.store.head(&path).await.map_err(remote_error) };
        let found = self.calls.run(asking).await;
        self.note(&found);
        Ok(facts_of(&found?))
    }

    /// The bytes of a span of a version.
    pub(super) async fn read(
        &self,
        key: &ObjectKey,
        facts: &RemoteFacts,
        span: Range<u64>,
    ) -> Result<BoxStream<'static, Result<bytes::Bytes, std::io::Error>>, RemoteError> {
        let path = self.path(key.as_str())?;
        let mut options = GetOptions::new().with_range(Some(span.clone()));
        match facts.strong_tag() {
            Some(tag) => options.if_match = Some(tag.to_owned()),
            None => options.if_unmodified_since = DateTime::from_timestamp(facts.modified, 0),
        }
        let opening = async {
            let opened = self.store.get_opts(&path, options).await;
            let opened = opened.map_err(remote_error)?;
            if facts_of(&opened.meta) != *facts {
                return Err(RemoteError::Replaced);
            }
            if opened.range != span {
                return Err(RemoteError::Failed(
                    "another range than requested".to_owned(),
                ));
            }
            Ok(opened)
        };
        let opened = self.calls.run(opening).await;
        self.note(&opened);
        let chunks = opened?.into_stream();
        Ok(chunks
            .map(|chunk| chunk.map_err(|error| std::io::Error::other(described(&error))))
            .boxed())
    }

    /// A URL at which whoever has it may GET the object for `lifetime`; none if objects are streamed.
    pub(super) async fn presign(
        &self,
        key: &ObjectKey,
        lifetime: Duration,
    ) -> Result<Option<Url>, RemoteError> {
        if !self.is_redirecting() {
            return Ok(None);
        }
        let path = self.path(key.as_str())?;
        // Signing may need credentials of the machine, or a key for the purpose, which a service hands out.
        let signing = async {
            let signed = self.signer.signed_url(Method::GET, &path, lifetime).await;
            signed.map_err(remote_error)
        };
        self.calls.run(signing).await.map(Some)
    }

    /// Whether whoever downloads an object is sent here.
    pub(super) fn is_redirecting(&self) -> bool {
        self.mode == DeliveryMode::Redirect
    }

    /// Whether the last request failed.
    pub(super) fn is_failing(&self) -> bool {
        self.is_failing.load(Ordering::Relaxed)
    }

    /// Asks the store in the background whether it is there, unless it was asked something lately.
    pub(super) fn probe_in_background(self: &Arc<Self>) {
        let mut last_asked = self.last_asked.lock();
        if last_asked.is_some_and(|asked| asked.elapsed() < PROBE_INTERVAL) {
            return;
        }
        *last_asked = Some(Instant::now());
        let store = Arc::clone(self);
        tokio::spawn(async move {
            let Ok(path) = store.path(PROBE_KEY) else {
                return;
            };
            let asking = async {
                match store.store.head(&path).await {
                    Ok(_) | Err(object_store::Error::NotFound { .. }) => Ok(()),
                    Err(error) => Err(error),
                }
            };
            let asked = store.calls.run(async {
                match asking.await {
                    // Who may not list a bucket is not told that it has no such object.
                    Err(object_store::Error::PermissionDenied { .. }) => Ok(None),
                    Err(error) => Err(remote_error(error)),
                    Ok(()) => Ok(Some(())),
                }
            });
            match asked.await {
                Ok(None) => {}
                Ok(Some(())) => store.note::<()>(&Ok(())),
                Err(error) => store.note::<()>(&Err(error)),
            }
        });
    }

    fn note<T>(&self, result: &Result<T, RemoteError>) {
        *self.last_asked.lock() = Some(Instant::now());
        let is_failing = matches!(
            result,
            Err(RemoteError::Failed(_) | RemoteError::Refused(_))
        );
        self.is_failing.store(is_failing, Ordering::Relaxed);
    }

    fn path(&self, key: &str) -> Result<ObjectPath, RemoteError> {
        let path = if self.prefix.is_empty() {
            ObjectPath::parse(key)
        } else {
            ObjectPath::parse(format!("{}/{key}", self.prefix))
        };
        path.map_err(|error| RemoteError::Failed(error.to_string()))
    }
}

fn connect(
    settings: &RemoteStore,
    endpoint: Option<&Url>,
) -> Result<Arc<dyn SigningStore>, object_store::Error> {
    let options = ClientOptions::new()
        .with_connect_timeout(CONNECT_TIMEOUT)
        // A download takes as long as its client does.
        .with_timeout_disabled()
        .with_read_timeout(READ_TIMEOUT)
        .with_allow_http(endpoint.is_some_and(|endpoint| endpoint.scheme() == "http"));
    let retry = RetryConfig {
        backoff: BackoffConfig {
            init_backoff: Duration::from_millis(50),
            max_backoff: Duration::from_millis(500),
            base: 2.0,
        },
        max_retries: MAX_RETRIES,
        retry_timeout: RETRY_TIMEOUT,
    };
    let endpoint = endpoint.map(|endpoint| endpoint.as_str().trim_end_matches('/'));
    let bucket = settings.bucket.as_str();
    match &settings.service {
        StoreService::S3 {
            region,
            credentials,
        } => {
            let builder = match credentials {
                S3Credentials::AccessKey { id, secret } => AmazonS3Builder::new()
                    .with_access_key_id(id)
                    .with_secret_access_key(secret.reveal()),
                S3Credentials::Anonymous => AmazonS3Builder::new().with_skip_signature(true),
                S3Credentials::Machine => AmazonS3Builder::from_env(),
            };
            let builder = builder
                .with_bucket_name(bucket)
                .with_region(region)
                .with_client_options(options)
                .with_retry(retry);
            let builder = match endpoint {
                Some(endpoint) => builder.with_endpoint(endpoint),
                None => builder,
            };
            Ok(Arc::new(builder.build()?))
        }
        StoreService::Gcs {
            service_account_key,
        } => {
            let builder = match service_account_key {
                Some(key) => {
                    GoogleCloudStorageBuilder::new().with_service_account_key(key.reveal())
                }
                None => GoogleCloudStorageBuilder::from_env(),
            };
            let builder = builder
                .with_bucket_name(bucket)
                .with_client_options(options)
                .with_retry(retry);
            let builder = match endpoint {
                Some(endpoint) => builder.with_base_url(endpoint),
                None => builder,
            };
            Ok(Arc::new(builder.build()?))
        }
        StoreService::Azure {
            account,
            account_key,
        } => {
            let builder = match account_key {
                Some(key) => MicrosoftAzureBuilder::new().with_access_key(key.reveal()),
                None => MicrosoftAzureBuilder::from_env(),
            };
            let builder = builder
                .with_account(account)
                .with_container_name(bucket)
                .with_client_options(options)
                .with_retry(retry);
            let builder = match endpoint {
                Some(endpoint) => builder.with_endpoint(endpoint.to_owned()),
                None => builder,
            };
            Ok(Arc::new(builder.build()?))
        }
    }
}

fn facts_of(object: &ObjectMeta) -> RemoteFacts {
    let modified = object.last_modified.timestamp();
    RemoteFacts::new(object.size, Some(modified), object.e_tag.clone())
}

fn remote_error(error: object_store::Error) -> RemoteError {
    match error {
        object_store::Error::NotFound { .. } => RemoteError::Missing,
        object_store::Error::Precondition { .. } => RemoteError::Replaced,
        other => RemoteError::Failed(described(&other)),
    }
}

fn described(error: &object_store::Error) -> String {
    let text = error_chain(error);
    let line: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    line.chars().take(MAX_ERROR_LENGTH).collect()
}
