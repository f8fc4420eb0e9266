//! The rate at which tokens of identity providers may change the catalog.

use std::time::Duration;

/// How many catalog changes tokens may cause in one second in the long run: each makes every replica drop its
/// cache.
const MAX_CHANGES_PER_SECOND: u32 = 20;
/// How many they may cause at once, such as on the first morning of a new provider.
const MAX_CHANGE_BURST: u32 = 300;

/// How many changes may be made now: some at once, and so many each second.
pub(super) struct ChangeRate {
    available: u32,
    refilled_at: Duration,
}

impl ChangeRate {
    pub(super) fn new(now: Duration) -> Self {
        Self {
            available: MAX_CHANGE_BURST,
            refilled_at: now,
        }
    }

    /// Whether a change may be made now.
    pub(super) fn allows_change(&mut self, now: Duration) -> bool {
        self.refill(now);
        self.available > 0
    }

    /// Counts a change that was made.
    pub(super) fn count_change(&mut self) {
        self.available = self.available.saturating_sub(1);
    }

    fn refill(&mut self, now: Duration) {
        let millis = now.saturating_sub(self.refilled_at).as_millis();
        let gained = millis.saturating_mul(u128::from(MAX_CHANGES_PER_SECOND)) / 1000;
        if gained > 0 {
            let gained = u32::try_from(gained).unwrap_or(u32::MAX);
            self.available = self.available.saturating_add(gained).min(MAX_CHANGE_BURST);
            self.refilled_at = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_come_at_once_up_to_a_bound_and_then_so_many_a_second() {
        let start = Duration::from_hours(1);
        let mut rate = ChangeRate {
            available: 0,
            refilled_at: start,
        };
        rate.refill(start + Duration::from_millis(49));
        assert_eq!(rate.available, 0);
        rate.refill(start + Duration::from_millis(50));
        assert_eq!(rate.available, 1);
        rate.refill(start + Duration::from_millis(1050));
        assert_eq!(rate.available, 1 + MAX_CHANGES_PER_SECOND);
        rate.refill(start + Duration::from_hours(1));
        assert_eq!(rate.available, MAX_CHANGE_BURST);
    }
}
