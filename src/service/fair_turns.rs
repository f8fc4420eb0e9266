//! Fair turns: a bounded number of turns, of which one user and one network hold only a part. An IPv6
//! address counts for its /64, its /56 and its /48.
//!
//! Whoever has its part waits for itself, so that the others wait only for each other.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::domain::caller::Caller;
use crate::domain::id::UserId;

use super::error::ServiceError;
use super::rate_limits::client_networks;

/// How many may wait for one part; further ones are refused at once.
const MAX_WAITING_PER_SHARE: usize = 64;

/// How many turns there are, and how many of them one user and one network may hold.
#[derive(Clone, Copy, Debug)]
pub(super) struct TurnLimits {
    pub(super) total: usize,
    pub(super) per_user: usize,
    pub(super) per_network: usize,
    /// How long a caller waits for its turn before it is answered 503.
    pub(super) wait: Duration,
    /// What is unavailable then, for the caller.
    pub(super) what: &'static str,
}

/// Turns that callers take.
pub(super) struct FairTurns {
    limits: TurnLimits,
    total: Arc<Semaphore>,
    shares: Shares,
}

/// A turn; dropping it lets the next one begin.
pub(super) struct Turn {
    _turn: OwnedSemaphorePermit,
    _shares: Vec<HeldShare>,
}

type Shares = Arc<Mutex<HashMap<ShareKey, Share>>>;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum ShareKey {
    User(UserId),
    Network(IpAddr, u8),
}

/// The turns of one user or network. It is dropped with the last of those who hold or await one.
struct Share {
    turns: Arc<Semaphore>,
    callers: usize,
}

/// A caller's place in a share, and its permit once it has one.
struct HeldShare {
    permit: Option<OwnedSemaphorePermit>,
    shares: Shares,
    key: ShareKey,
}

impl FairTurns {
    pub(super) fn new(limits: TurnLimits) -> Self {
        Self {
            total: Arc::new(Semaphore::new(limits.total)),
            shares: Shares::default(),
            limits,
        }
    }

    /// Takes a turn for a caller; for the command line, which competes with nobody, if there is none.
    pub(super) async fn take(&self, caller: Option<&Caller>) -> Result<Turn, ServiceError> {
        let taken = tokio::time::timeout(self.limits.wait, self.take_when_free(caller)).await;
        taken.unwrap_or_else(|_| {
            let source = "too many others are waiting for it";
            Err(ServiceError::unavailable(self.limits.what, source))
        })
    }

    async fn take_when_free(&self, caller: Option<&Caller>) -> Result<Turn, ServiceError> {
        let mut shares = Vec::new();
        if let Some(caller) = caller {
            let user = caller.principal.user_id().map(ShareKey::User);
            let networks = client_networks(caller.address.for_limits()).into_iter();
            let networks = networks.map(|(network, prefix, _)| {
                (ShareKey::Network(network, prefix), self.limits.per_network)
            });
            let keys = user.map(|key| (key, self.limits.per_user));
            // Always in this order, so that two callers cannot wait for each other.
            for (key, limit) in keys.into_iter().chain(networks) {
                let (mut share, turns) = self.join(key, limit)?;
                share.permit = turns.acquire_owned().await.ok();
                shares.push(share);
            }
        }
        let turn = Arc::clone(&self.total).acquire_owned().await;
        Ok(Turn {
            _turn: turn.map_err(|closed| ServiceError::internal("taking a turn", closed))?,
            _shares: shares,
        })
    }

    fn join(
        &self,
        key: ShareKey,
        limit: usize,
    ) -> Result<(HeldShare, Arc<Semaphore>), ServiceError> {
        let mut shares = self.shares.lock();
        let share = shares.entry(key).or_insert_with(|| Share {
            turns: Arc::new(Semaphore::new(limit)),
            callers: 0,
        });
        if share.callers >= limit.saturating_add(MAX_WAITING_PER_SHARE) {
            return Err(ServiceError::limit_exceeded(self.limits.wait));
        }
        share.callers += 1;
        let held = HeldShare {
            permit: None,
            shares: Arc::clone(&self.shares),
            key,
        };
        Ok((held, Arc::clone(&share.turns)))
    }
}

impl Drop for HeldShare {
    fn drop(&mut self) {
        drop(self.permit.take());
        let mut shares = self.shares.lock();
        if let Some(share) = shares.get_mut(&self.key) {
            share.callers = share.callers.saturating_sub(1);
            if share.callers == 0 {
                shares.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use futures_util::FutureExt;

    use crate::domain::attributes::Attributes;
    use crate::domain::caller::Authentication;
    use crate::domain::principal::{Principal, Tags, User};

    use super::*;
    use crate::domain::client_address::ClientAddress;

    fn caller(address: &str) -> Caller {
        Caller {
            principal: Principal::User(Arc::new(User {
                id: UserId::random(),
                username: "ada".parse().unwrap(),
                issuer: None,
                roles: BTreeSet::new(),
                claims: Tags::new(),
                attributes: Attributes::new(),
                display_name: None,
                is_disabled: false,
            })),
            authentication: Authentication::Password,
            key: None,
            address: ClientAddress::Known(address.parse().unwrap()),
            is_foreign_page: false,
        }
    }

    fn turns() -> FairTurns {
        FairTurns::new(TurnLimits {
            total: 8,
            per_user: 2,
            per_network: 4,
            wait: Duration::from_mins(1),
            what: "a test",
        })
    }

    /// Takes a turn if there is one now.
    fn take(turns: &FairTurns, caller: &Caller) -> Option<Turn> {
        turns.take(Some(caller)).now_or_never()?.ok()
    }

    #[tokio::test]
    async fn one_user_and_one_network_hold_only_their_part() {
        let turns = turns();
        let one = caller("192.0.2.1");
        let mut held: Vec<Turn> = Vec::new();
        held.extend([take(&turns, &one).unwrap(), take(&turns, &one).unwrap()]);
        assert!(take(&turns, &one).is_none());
        let neighbour = caller("192.0.2.1");
        held.extend((0..2).filter_map(|_| take(&turns, &neighbour)));
        assert_eq!(held.len(), 4);
        assert!(take(&turns, &caller("192.0.2.1")).is_none());
        let other = caller("192.0.2.2");
        assert!(take(&turns, &other).is_some());
        drop(held);
        assert!(take(&turns, &one).is_some());
        assert!(turns.shares.lock().is_empty());
    }

    #[tokio::test]
    async fn who_gives_up_waiting_leaves_nothing() {
        let turns = turns();
        let one = caller("192.0.2.1");
        let held = [take(&turns, &one).unwrap(), take(&turns, &one).unwrap()];
        for _ in 0..200 {
            assert!(take(&turns, &one).is_none());
        }
        drop(held);
        assert!(turns.shares.lock().is_empty());
        assert_eq!(turns.total.available_permits(), 8);
    }

    #[tokio::test]
    async fn only_so_many_wait_for_one_part() {
        let turns = turns();
        let one = caller("192.0.2.1");
        let _held = [take(&turns, &one).unwrap(), take(&turns, &one).unwrap()];
        let mut waiting: Vec<_> = (0..MAX_WAITING_PER_SHARE)
            .map(|_| Box::pin(turns.take(Some(&one))))
            .collect();
        for wait in &mut waiting {
            assert!(wait.now_or_never().is_none());
        }
        let refused = turns.take(Some(&one)).now_or_never().unwrap();
        assert!(matches!(refused, Err(ServiceError::LimitExceeded { .. })));
    }
}
