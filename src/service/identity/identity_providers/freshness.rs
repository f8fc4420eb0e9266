//! Freshness of an identity provider's keys: what was fetched when, and whether a fetch is due.

use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;

use crate::token::ExternalKeySet;

use super::error::ExternalTokenError;
use super::identity::ExternalIdentity;

/// How long keys are fresh if their server does not say.
pub(super) const DEFAULT_KEY_TTL: Duration = Duration::from_mins(5);
/// How long keys are fresh at least, whatever their server says.
pub(super) const MIN_KEY_TTL: Duration = Duration::from_mins(1);
/// How long keys are fresh at most: a key that its issuer withdrew is not trusted longer,
/// [`STALE_KEY_TTL`] and an outage aside.
pub(super) const MAX_KEY_TTL: Duration = Duration::from_hours(1);
/// How long stale keys are used while they are fetched in the background.
const STALE_KEY_TTL: Duration = Duration::from_mins(5);
/// How long the last good keys are used through an outage of their server.
pub(super) const OUTAGE_KEY_TTL: Duration = Duration::from_hours(24);
/// How often an unknown key id may cause a fetch.
pub(super) const UNKNOWN_KEY_INTERVAL: Duration = Duration::from_secs(30);
/// How long after a failed fetch the next one may be, if there are keys to continue with.
const RETRY_INTERVAL: Duration = Duration::from_secs(30);
/// How long after a failed fetch the next one may be, if there are no keys.
const NO_KEYS_RETRY_INTERVAL: Duration = Duration::from_secs(5);

/// The keys of one fetch; replaced together with what was verified with them.
pub(super) struct ProviderKeys {
    /// The SHA-256 of the fetched document.
    pub(super) digest: [u8; 32],
    pub(super) keys: ExternalKeySet,
    pub(super) verified: Cache<[u8; 32], Arc<ExternalIdentity>>,
}

/// The current keys, and the results of the last fetches.
#[derive(Default)]
pub(super) struct FetchState {
    pub(super) keys: Option<Arc<ProviderKeys>>,
    /// When the keys were fetched: by the monotonic clock, and in seconds since 1970 UTC.
    pub(super) fetched_at: Option<(Duration, i64)>,
    pub(super) ttl: Duration,
    /// When the last fetch ended.
    pub(super) last_attempt: Option<Duration>,
    /// Why the last fetch failed, if it did.
    pub(super) last_error: Option<String>,
    /// When an unknown key id last caused a fetch.
    pub(super) last_unknown_key_fetch: Option<Duration>,
}

/// Whether a fetch is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FetchDue {
    /// Not needed, or too soon after the last one.
    NotDue,
    /// Due, but nobody has to wait for it.
    InBackground,
    /// Due, and the keys are not used before it.
    BeforeUse,
}

impl FetchState {
    /// The keys, unless they are too old to be trusted.
    pub(super) fn usable_keys(&self, now: Duration) -> Option<&Arc<ProviderKeys>> {
        let (fetched_at, _) = self.fetched_at?;
        self.keys
            .as_ref()
            .filter(|_| now.saturating_sub(fetched_at) < OUTAGE_KEY_TTL)
    }

    pub(super) fn fetch_due(&self, now: Duration) -> FetchDue {
        let is_within = |since: Option<Duration>, interval| {
            since.is_some_and(|since| now.saturating_sub(since) < interval)
        };
        let has_failed = self.last_error.is_some();
        let usable = self.fetched_at.filter(|_| self.usable_keys(now).is_some());
        let Some((fetched_at, _)) = usable else {
            return if has_failed && is_within(self.last_attempt, NO_KEYS_RETRY_INTERVAL) {
                FetchDue::NotDue
            } else {
                FetchDue::BeforeUse
            };
        };
        let age = now.saturating_sub(fetched_at);
        if age < self.ttl || (has_failed && is_within(self.last_attempt, RETRY_INTERVAL)) {
            FetchDue::NotDue
        } else if has_failed || age < self.ttl + STALE_KEY_TTL {
            FetchDue::InBackground
        } else {
            FetchDue::BeforeUse
        }
    }

    /// The error that there are no keys to verify with, and why.
    pub(super) fn unavailable(&self) -> ExternalTokenError {
        ExternalTokenError::KeysUnavailable(
            self.last_error
                .clone()
                .unwrap_or_else(|| "its keys have not been fetched yet".to_owned()),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Duration = Duration::from_hours(1000);

    fn fetched(is_failing: bool) -> FetchState {
        let keys = some_keys();
        FetchState {
            keys: Some(Arc::new(ProviderKeys {
                digest: [0; 32],
                keys,
                verified: Cache::new(1),
            })),
            fetched_at: Some((START, 0)),
            ttl: DEFAULT_KEY_TTL,
            last_attempt: Some(START),
            last_error: is_failing.then(String::new),
            last_unknown_key_fetch: None,
        }
    }

    /// The key of RFC 7515 appendix A.3.
    fn some_keys() -> ExternalKeySet {
        let json = br#"{"keys":[{"kty":"EC","crv":"P-256","kid":"1",
            "x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
            "y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}"#;
        ExternalKeySet::parse(json, &[crate::domain::issuer::Algorithm::Es256]).unwrap()
    }

    fn before(time: Duration) -> Duration {
        time.saturating_sub(Duration::from_millis(1))
    }

    #[test]
    fn without_keys_requests_wait_for_a_fetch_but_not_right_after_a_failure() {
        let mut state = FetchState::default();
        assert_eq!(state.fetch_due(START), FetchDue::BeforeUse);
        state.last_error = Some(String::new());
        state.last_attempt = Some(START);
        assert_eq!(
            state.fetch_due(before(START + NO_KEYS_RETRY_INTERVAL)),
            FetchDue::NotDue
        );
        assert_eq!(
            state.fetch_due(START + NO_KEYS_RETRY_INTERVAL),
            FetchDue::BeforeUse
        );
    }

    #[test]
    fn fresh_keys_are_kept_and_stale_ones_are_fetched_in_the_background_first() {
        let state = fetched(false);
        assert_eq!(state.fetch_due(START), FetchDue::NotDue);
        assert_eq!(
            state.fetch_due(before(START + DEFAULT_KEY_TTL)),
            FetchDue::NotDue
        );
        assert_eq!(
            state.fetch_due(START + DEFAULT_KEY_TTL),
            FetchDue::InBackground
        );
        assert_eq!(
            state.fetch_due(START + DEFAULT_KEY_TTL + STALE_KEY_TTL),
            FetchDue::BeforeUse
        );
    }

    #[test]
    fn through_an_outage_the_last_good_keys_serve_up_to_the_hard_limit() {
        let mut state = fetched(true);
        let late = before(START + OUTAGE_KEY_TTL);
        assert_eq!(state.fetch_due(late), FetchDue::InBackground);
        assert!(state.usable_keys(late).is_some());
        state.last_attempt = Some(late);
        assert_eq!(state.fetch_due(late), FetchDue::NotDue);
        assert!(state.usable_keys(START + OUTAGE_KEY_TTL).is_none());
        let much_later = late + NO_KEYS_RETRY_INTERVAL;
        assert_eq!(state.fetch_due(much_later), FetchDue::BeforeUse);
    }
}
