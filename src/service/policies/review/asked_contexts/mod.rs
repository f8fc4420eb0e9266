//! The contexts that a review asks in: on both sides of everything that the policies compare the context with.
//!
//! A decision can change only where a request crosses a literal of either bundle, so one context on each side of each is
//! enough: inside and outside of each network, before, at and after each time and time of day, and as each kind of caller
//! that policies can tell apart. There are at most [`MAX_CONTEXTS`], those about the first literals. [`names`] has the
//! names of sets of them.

mod address_regions;
mod caller_kind;
pub(super) mod names;
mod time_regions;

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;
use serde::Serialize;

use crate::domain::action::Action;
use crate::domain::caller::DecisionContext;
use crate::domain::client_address::AssumedAddress;
use crate::domain::dataset::Dataset;
use crate::domain::id::DatasetId;
use crate::domain::principal::Principal;
use crate::domain::rfc3339::format_seconds;
use crate::policy::context_literals::ContextLiterals;

use address_regions::{AddressRegion, address_regions};
use caller_kind::AskedCallers;
use time_regions::{TimeRegion, instant_regions, time_of_day_regions};

pub use caller_kind::AskedAuthentication;
pub(super) use caller_kind::CallerKind;

/// The most contexts that a review asks in: the bits of a [`ContextSet`].
pub(in crate::service::policies::review) const MAX_CONTEXTS: usize = 128;

/// The address of this machine, which is as good as any other if policies read none.
const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// A time like any other, 2026-01-01T12:00:00Z, in seconds since 1970 UTC.
const ORDINARY_TIME: i64 = 1_767_268_800;

/// The address, the time in seconds since 1970 UTC and the caller of a context.
pub(in crate::service::policies::review) type AskedPlace = (AssumedAddress, i64, CallerKind);

/// Some of the contexts, a bit for each.
pub(in crate::service::policies::review) type ContextSet = u128;

/// The address and time that a review is confined to; what is not given is asked on all sides.
#[derive(Clone, Debug)]
pub struct ContextScope {
    /// The only client address.
    pub address: Option<AssumedAddress>,
    /// The only time, in seconds since 1970 UTC.
    pub time: Option<i64>,
    /// The only way in which callers authenticate; if not given, each that policies can tell apart.
    pub authentication: Option<AskedAuthentication>,
    /// The time now, in seconds since 1970 UTC, which is asked for if no other time is needed.
    pub now: i64,
    /// What else the context is compared with, besides by the policies: by the invariants of a folder.
    pub literals: ContextLiterals,
}

/// The contexts, as the product of addresses, times and callers.
pub(in crate::service::policies::review) struct AskedContexts {
    pub(in crate::service::policies::review) addresses: Vec<AddressRegion>,
    pub(in crate::service::policies::review) networks: Vec<IpNet>,
    pub(in crate::service::policies::review) instants: Vec<TimeRegion>,
    pub(in crate::service::policies::review) times_of_day: Vec<TimeRegion>,
    pub(in crate::service::policies::review) callers: Vec<CallerKind>,
    /// The datasets that API keys have beside the one that is asked about.
    key_datasets: BTreeSet<DatasetId>,
    /// Whether something was left out because it was too much.
    pub(in crate::service::policies::review) is_cut: bool,
    now: i64,
    /// The time now of examples, which are the same whenever they are made.
    example_now: i64,
}

/// A context that was asked in, as it is reported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AskedContext {
    /// The client address.
    pub address: AssumedAddress,
    /// The time, of RFC 3339.
    pub time: String,
    /// How users call.
    pub caller: String,
}

impl AskedContexts {
    /// The contexts on all sides of some literals, the most important ones first, within a scope.
    pub(in crate::service::policies::review) fn new(
        literals: &ContextLiterals,
        scope: &ContextScope,
    ) -> Self {
        let (mut networks, mut instants) = (literals.networks.clone(), literals.instants.clone());
        let mut times_of_day = literals.times_of_day.clone();
        let mut is_cut = literals.is_cut;
        loop {
            let asked = Self::of_all(literals, scope, (&networks, &instants, &times_of_day));
            if asked.len() <= MAX_CONTEXTS {
                return Self {
                    is_cut: is_cut || asked.is_cut,
                    ..asked
                };
            }
            // The last literal of the longest list is the least important.
            is_cut = true;
            let lengths = [
                asked.addresses.len(),
                asked.instants.len(),
                asked.times_of_day.len(),
            ];
            match lengths.iter().max() {
                Some(max) if *max == asked.addresses.len() => drop(networks.pop()),
                Some(max) if *max == asked.instants.len() => drop(instants.pop()),
                _ => drop(times_of_day.pop()),
            }
        }
    }

    fn of_all(
        literals: &ContextLiterals,
        scope: &ContextScope,
        (networks, instants, times_of_day): (&[IpNet], &[i64], &[i64]),
    ) -> Self {
        let addresses = match scope.address {
            Some(address) => vec![AddressRegion::only(address)],
            None if literals.reads_address => address_regions(networks),
            None => vec![AddressRegion::only(AssumedAddress(Some(LOOPBACK)))],
        };
        let (instants, times_of_day) = if scope.time.is_some() {
            (vec![TimeRegion::ALWAYS], vec![TimeRegion::ALWAYS])
        } else {
            // With times of day, a second by itself is at one of them only: asked at each, it is the same question.
            let is_at_asked = times_of_day.is_empty() || literals.is_time_exact;
            (
                instant_regions(instants, is_at_asked),
                time_of_day_regions(times_of_day),
            )
        };
        let callers = AskedCallers::new(
            &literals.key,
            literals.reads_authentication,
            scope.authentication,
        );
        Self {
            addresses,
            networks: networks.to_vec(),
            instants,
            times_of_day,
            callers: callers.kinds,
            key_datasets: callers.named,
            is_cut: callers.is_cut,
            now: scope.time.unwrap_or(scope.now),
            example_now: scope.time.unwrap_or(ORDINARY_TIME),
        }
    }

    /// How many addresses, times, times of day and kinds of callers there are.
    pub(in crate::service::policies::review) fn sizes(&self) -> [usize; 4] {
        [
            self.addresses.len(),
            self.instants.len(),
            self.times_of_day.len(),
            self.callers.len(),
        ]
    }

    pub(in crate::service::policies::review) fn len(&self) -> usize {
        self.sizes().into_iter().fold(1, usize::saturating_mul)
    }

    /// Whether it is asked at several times.
    pub(in crate::service::policies::review) fn reads_time(&self) -> bool {
        self.instants.len() > 1 || self.times_of_day.len() > 1
    }

    /// The contexts in which an action can be asked for: a key denies what is beyond it, whatever policies say.
    pub(in crate::service::policies::review) fn askable(&self, action: Action) -> ContextSet {
        let may_ask = self.callers.iter().map(|caller| caller.may_ask(action));
        let may_ask: Vec<bool> = may_ask.collect();
        let places = (0..self.len()).zip(may_ask.iter().cycle());
        let places = places.filter(|(_, may_ask)| **may_ask);
        places.fold(0, |set, (place, _)| set | 1 << place)
    }

    /// Whether a principal can be in any of the contexts.
    pub(in crate::service::policies::review) fn is_possible(&self, principal: &Principal) -> bool {
        let mut callers = self.callers.iter();
        callers.any(|caller| caller.may_be(principal))
    }

    /// The contexts that a principal can be in, each with those in which it is decided alike.
    ///
    /// Nobody who did not sign in calls with a key: all callers are the same one.
    pub(in crate::service::policies::review) fn of_principal(
        &self,
        principal: &Principal,
    ) -> impl Iterator<Item = (ContextSet, AskedPlace)> {
        let is_anonymous = principal.is_anonymous();
        let callers = self.callers.len();
        let same = if is_anonymous { callers } else { 1 };
        let all = self.iter().enumerate();
        let chosen = all.filter(move |(place, _)| !is_anonymous || place % callers.max(1) == 0);
        let possible = chosen.filter(|(_, (_, _, caller))| caller.may_be(principal));
        possible.map(move |(place, asked)| {
            let set = (0..same).fold(0, |set, more| set | 1 << (place + more));
            (set, asked)
        })
    }

    /// The context of a principal that asks about a dataset so.
    pub(in crate::service::policies::review) fn context(
        &self,
        (address, second, caller): AskedPlace,
        principal: &Principal,
        dataset: &Dataset,
    ) -> DecisionContext {
        let user = principal.user_id();
        let key = user.and_then(|user| caller.key(user, dataset, &self.key_datasets));
        DecisionContext {
            address: address.0,
            unix_millis: second.saturating_mul(1_000),
            authentication: caller.authentication(principal, key.is_some()),
            key,
        }
    }

    /// All contexts.
    pub(in crate::service::policies::review) fn all(&self) -> ContextSet {
        let unused = MAX_CONTEXTS.saturating_sub(self.len());
        ContextSet::MAX
            .checked_shr(u32::try_from(unused).unwrap_or_default())
            .unwrap_or_default()
    }

    /// The address, time and caller of each context, in the order of the bits.
    pub(in crate::service::policies::review) fn iter(&self) -> impl Iterator<Item = AskedPlace> {
        self.at(self.now)
    }

    /// The same with times that do not depend on the time now.
    pub(in crate::service::policies::review) fn examples(
        &self,
    ) -> impl Iterator<Item = AskedPlace> {
        self.at(self.example_now)
    }

    fn at(&self, now: i64) -> impl Iterator<Item = AskedPlace> {
        self.addresses.iter().flat_map(move |address| {
            self.instants.iter().flat_map(move |instant| {
                self.times_of_day.iter().flat_map(move |of_day| {
                    let second = instant.sample_at(*of_day, now);
                    let callers = self.callers.iter();
                    callers.map(move |caller| (address.sample, second, *caller))
                })
            })
        })
    }

    /// The contexts as they are reported.
    pub(in crate::service::policies::review) fn report(&self) -> Vec<AskedContext> {
        let asked = self.iter().map(|(address, second, caller)| AskedContext {
            address,
            time: format_seconds(second),
            caller: caller.words(),
        });
        asked.collect()
    }
}
