//! Verifies download tokens with Cedargate's own crate, and `reqwest` with the feature `blocking`.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, TryLockError};
use std::time::{Duration, Instant, SystemTime};

use cedargate::token::{DownloadClaims, DownloadVerifier, KeySet, TokenError};

/// The issuer.
pub const ISSUER: &str = "http://127.0.0.1:8080";
/// The audience.
pub const AUDIENCE: &str = "cedargate-downloads";
/// Seconds by which clocks may differ.
pub const LEEWAY: u32 = 10;
/// Seconds after which the key set is fetched again.
pub const MAX_AGE: u64 = 300;
/// Seconds between two attempts to fetch it.
pub const PAUSE: u64 = 5;

/// Why there are no claims.
#[derive(Debug)]
pub enum Refusal {
    /// The token is refused: respond with 401.
    Token(TokenError),
    /// No key set could be fetched since the start: respond with 503.
    NoKeySet,
}

/// Verifies tokens and keeps the key set fresh; threads share it.
pub struct Verifier {
    url: String,
    issuer: String,
    max_age: Duration,
    pause: Duration,
    client: reqwest::blocking::Client,
    current: RwLock<Arc<DownloadVerifier>>,
    times: Mutex<Times>,
}

/// When the key set was fetched, and when that was tried.
#[derive(Default)]
struct Times {
    fetched: Option<Instant>,
    tried: Option<Instant>,
}

impl Verifier {
    /// A verifier of the tokens of an issuer; it has no keys until the first token comes.
    pub fn new(issuer: &str, max_age: u64, pause: u64) -> Result<Self, Box<dyn std::error::Error>> {
        let timeout = Duration::from_secs(5);
        Ok(Self {
            url: format!("{issuer}/.well-known/jwks.json"),
            issuer: issuer.to_owned(),
            max_age: Duration::from_secs(max_age),
            pause: Duration::from_secs(pause),
            client: reqwest::blocking::Client::builder()
                .timeout(timeout)
                .build()?,
            current: RwLock::new(Arc::new(with_keys(issuer, KeySet::new(&[])?))),
            times: Mutex::default(),
        })
    }

    /// The claims of a token for this dataset.
    pub fn verify(&self, token: &str, dataset_id: &str) -> Result<DownloadClaims, Refusal> {
        let verify = || self.current().verify(token, dataset_id, SystemTime::now());
        let first = verify();
        let is_unknown = matches!(first, Err(TokenError::UnknownKey));
        // Whatever else is wrong with a token, a new key set does not mend it.
        if !is_unknown && first.is_err() {
            return first.map_err(Refusal::Token);
        }
        let has_keys = self.fetch_if_due(is_unknown);
        verify().map_err(|error| match error {
            TokenError::UnknownKey if !has_keys => Refusal::NoKeySet,
            error => Refusal::Token(error),
        })
    }

    fn current(&self) -> Arc<DownloadVerifier> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Fetches the key set if it is old or lacks a key; old keys stay until there are new ones. Returns whether
    /// there are any.
    fn fetch_if_due(&self, is_unknown: bool) -> bool {
        let Some(mut times) = self.lock(is_unknown) else {
            return true; // while one thread fetches, others use what there is
        };
        let is_within =
            |since: Option<Instant>, limit| since.is_some_and(|at| at.elapsed() < limit);
        let is_due = is_unknown || !is_within(times.fetched, self.max_age);
        if is_due && !is_within(times.tried, self.pause) {
            times.tried = Some(Instant::now());
            match self.fetch() {
                Ok(keys) => {
                    let verifier = Arc::new(with_keys(&self.issuer, keys));
                    *self.current.write().unwrap_or_else(PoisonError::into_inner) = verifier;
                    times.fetched = Some(Instant::now());
                }
                Err(error) => eprintln!("the key set cannot be fetched: {error}"),
            }
        }
        times.fetched.is_some()
    }

    fn lock(&self, is_waiting: bool) -> Option<MutexGuard<'_, Times>> {
        if is_waiting {
            return Some(self.times.lock().unwrap_or_else(PoisonError::into_inner));
        }
        match self.times.try_lock() {
            Ok(times) => Some(times),
            Err(TryLockError::Poisoned(error)) => Some(error.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    fn fetch(&self) -> Result<KeySet, Box<dyn std::error::Error>> {
        let response = self.client.get(&self.url).send()?.error_for_status()?;
        Ok(KeySet::parse(&response.bytes()?)?)
    }
}

fn with_keys(issuer: &str, keys: KeySet) -> DownloadVerifier {
    DownloadVerifier::new(issuer, AUDIENCE, keys).with_leeway(LEEWAY)
}
