//! Freshness: what is known of an issuer's keys at one moment, and whether it is time to fetch them.
//!
//! This module refuses to know how they are fetched.

use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;

use crate::token::OutsideKeys;

use super::identity::Identity;
use super::issuer::Refusal;

/// How long keys are fresh if their server does not say.
pub(super) const USUAL_FRESHNESS: Duration = Duration::from_mins(5);
/// How long keys are fresh at least, whatever their server says.
pub const SHORTEST_FRESHNESS: Duration = Duration::from_mins(1);
/// How long keys are fresh at most: a key that its issuer withdrew is not trusted longer,
/// [`STALE_GRACE`] and an outage aside.
pub const LONGEST_FRESHNESS: Duration = Duration::from_hours(1);
/// How long stale keys are used while they are fetched beside the requests.
const STALE_GRACE: Duration = Duration::from_mins(5);
/// How long the last good keys are used through an outage of their server.
pub const HARD_LIMIT: Duration = Duration::from_hours(24);
/// How often an unknown key id may lead to a fetch.
pub const UNKNOWN_KEY_INTERVAL: Duration = Duration::from_secs(30);
/// How long after a failed fetch the next one may be, if there are keys to go on with.
const RETRY_INTERVAL: Duration = Duration::from_secs(30);
/// How long after a failed fetch the next one may be, if there are no keys.
const FIRST_RETRY_INTERVAL: Duration = Duration::from_secs(5);

/// The keys of one moment; replaced whole, together with what was verified with them.
pub(super) struct Ring {
    pub(super) digest: [u8; 32],
    pub(super) keys: OutsideKeys,
    pub(super) verified: Cache<[u8; 32], Arc<Identity>>,
}

/// What is known of the keys now.
#[derive(Default)]
pub(super) struct State {
    pub(super) ring: Option<Arc<Ring>>,
    /// When the ring was fetched: by the clock that never goes back, and in seconds since 1970 UTC.
    pub(super) fetched: Option<(Duration, i64)>,
    pub(super) fresh_for: Duration,
    /// When the last fetch ended.
    pub(super) tried: Option<Duration>,
    /// Why the last fetch failed, if it did.
    pub(super) error: Option<String>,
    /// When an unknown key id last led to a fetch.
    pub(super) sought: Option<Duration>,
}

/// Whether to fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// There is no need, or it is too soon.
    Not,
    /// Yes, but nobody has to wait for it.
    Beside,
    /// Yes, and nothing goes on before.
    First,
}

impl State {
    /// The keys, unless they are too old to be trusted.
    pub(super) fn ring(&self, now: Duration) -> Option<&Arc<Ring>> {
        let (at, _) = self.fetched?;
        self.ring
            .as_ref()
            .filter(|_| now.saturating_sub(at) < HARD_LIMIT)
    }

    pub(super) fn due(&self, now: Duration) -> Due {
        let is_within = |since: Option<Duration>, interval| {
            since.is_some_and(|since| now.saturating_sub(since) < interval)
        };
        let Some((at, _)) = self.fetched.filter(|_| self.ring(now).is_some()) else {
            let is_too_soon = self.error.is_some() && is_within(self.tried, FIRST_RETRY_INTERVAL);
            return if is_too_soon { Due::Not } else { Due::First };
        };
        let age = now.saturating_sub(at);
        if age < self.fresh_for {
            Due::Not
        } else if self.error.is_some() {
            if is_within(self.tried, RETRY_INTERVAL) {
                Due::Not
            } else {
                Due::Beside
            }
        } else if age < self.fresh_for + STALE_GRACE {
            Due::Beside
        } else {
            Due::First
        }
    }

    /// That there are no keys to tell with, and why.
    pub(super) fn away(&self) -> Refusal {
        Refusal::Away(
            self.error
                .clone()
                .unwrap_or_else(|| "its keys have not been fetched yet".to_owned()),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Duration = Duration::from_hours(1000);

    fn fetched(is_failing: bool) -> State {
        let keys = some_keys();
        State {
            ring: Some(Arc::new(Ring {
                digest: [0; 32],
                keys,
                verified: Cache::new(1),
            })),
            fetched: Some((START, 0)),
            fresh_for: USUAL_FRESHNESS,
            tried: Some(START),
            error: is_failing.then(String::new),
            sought: None,
        }
    }

    /// The key of RFC 7515 appendix A.3.
    fn some_keys() -> OutsideKeys {
        let json = br#"{"keys":[{"kty":"EC","crv":"P-256","kid":"1",
            "x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
            "y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}"#;
        OutsideKeys::read(json, &[crate::domain::issuer::Algorithm::Es256]).unwrap()
    }

    fn before(time: Duration) -> Duration {
        time.saturating_sub(Duration::from_millis(1))
    }

    #[test]
    fn without_keys_every_request_waits_for_them_but_not_for_a_failure_after_another() {
        let mut state = State::default();
        assert_eq!(state.due(START), Due::First);
        state.error = Some(String::new());
        state.tried = Some(START);
        assert_eq!(state.due(before(START + FIRST_RETRY_INTERVAL)), Due::Not);
        assert_eq!(state.due(START + FIRST_RETRY_INTERVAL), Due::First);
    }

    #[test]
    fn fresh_keys_are_left_alone_and_stale_ones_are_fetched_beside_at_first() {
        let state = fetched(false);
        assert_eq!(state.due(START), Due::Not);
        assert_eq!(state.due(before(START + USUAL_FRESHNESS)), Due::Not);
        assert_eq!(state.due(START + USUAL_FRESHNESS), Due::Beside);
        assert_eq!(state.due(START + USUAL_FRESHNESS + STALE_GRACE), Due::First);
    }

    #[test]
    fn through_an_outage_the_last_good_keys_serve_up_to_the_hard_limit() {
        let mut state = fetched(true);
        let late = before(START + HARD_LIMIT);
        assert_eq!(state.due(late), Due::Beside);
        assert!(state.ring(late).is_some());
        state.tried = Some(late);
        assert_eq!(state.due(late), Due::Not);
        assert!(state.ring(START + HARD_LIMIT).is_none());
        let much_later = late + FIRST_RETRY_INTERVAL;
        assert_eq!(state.due(much_later), Due::First);
    }
}
