//! The record of refused external tokens: one log line each, and a counter by reason.
//!
//! Whoever can reach the server can have tokens refused, with texts of their choice. So the lines are bounded:
//! for each issuer and check at most [`MAX_LINES`] in [`LINES_INTERVAL`]; the first line after that says how
//! many were left out. All issuers that are not configured share one bound. The counter counts every refusal.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;

use crate::domain::clock::Clock;
use crate::domain::text_enum::TextEnum as _;
use crate::domain::token_refusal::{TokenCheck, TokenRefusal};

/// The most log lines of one issuer and check in one [`LINES_INTERVAL`].
const MAX_LINES: u32 = 20;
/// The interval that [`MAX_LINES`] is about.
const LINES_INTERVAL: Duration = Duration::from_mins(1);

/// The lines of one issuer and check.
#[derive(Default)]
struct Lines {
    since: Duration,
    logged: u32,
    suppressed: u64,
}

/// Records refused external tokens.
pub struct TokenRefusals {
    clock: Clock,
    lines: Mutex<HashMap<(Option<String>, TokenCheck), Lines>>,
}

impl TokenRefusals {
    pub(super) fn new(clock: Clock) -> Self {
        Self {
            clock,
            lines: Mutex::default(),
        }
    }

    /// Records that a token was refused; `issuer` is a configured one, or nothing.
    pub fn record(&self, issuer: Option<&str>, refusal: &TokenRefusal) {
        metrics::counter!(
            "cedargate_external_tokens_refused_total",
            "reason" => refusal.check.as_str(),
        )
        .increment(1);
        let Some(suppressed) = self.take_line(issuer, refusal.check) else {
            return;
        };
        let TokenRefusal {
            check,
            expected,
            got,
            hint,
        } = refusal;
        tracing::info!(
            issuer = issuer.unwrap_or("not configured"),
            check = check.as_str(),
            expected,
            got,
            hint,
            suppressed = (suppressed > 0).then_some(suppressed),
            "token of an identity provider refused"
        );
    }

    /// Whether a line may be logged now, and how many were not since the last one.
    fn take_line(&self, issuer: Option<&str>, check: TokenCheck) -> Option<u64> {
        let now = self.clock.monotonic();
        let mut all = self.lines.lock();
        let lines = all.entry((issuer.map(str::to_owned), check)).or_default();
        if now.saturating_sub(lines.since) >= LINES_INTERVAL {
            lines.since = now;
            lines.logged = 0;
        }
        if lines.logged >= MAX_LINES {
            lines.suppressed += 1;
            return None;
        }
        lines.logged += 1;
        Some(std::mem::take(&mut lines.suppressed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_bounded_by_issuer_and_check_and_the_next_one_says_how_many_are_missing() {
        let clock = Clock::fixed_at(1_800_000_000_000);
        let refusals = TokenRefusals::new(clock.clone());
        for _ in 0..MAX_LINES {
            assert_eq!(refusals.take_line(None, TokenCheck::Iss), Some(0));
        }
        for _ in 0..3 {
            assert_eq!(refusals.take_line(None, TokenCheck::Iss), None);
        }
        // Others have lines of their own.
        assert_eq!(refusals.take_line(None, TokenCheck::Form), Some(0));
        assert_eq!(
            refusals.take_line(Some("https://id.example"), TokenCheck::Iss),
            Some(0)
        );
        clock.advance(59_999);
        assert_eq!(refusals.take_line(None, TokenCheck::Iss), None);
        clock.advance(1);
        assert_eq!(refusals.take_line(None, TokenCheck::Iss), Some(4));
        assert_eq!(refusals.take_line(None, TokenCheck::Iss), Some(0));
    }
}
