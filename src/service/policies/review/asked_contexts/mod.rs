//! The contexts that a review asks in: on both sides of everything that the policies compare the context with.
//!
//! A decision can change only where a request crosses a literal of either bundle, so one context on each side of each is
//! enough: inside and outside of each network, before, at and after each time and time of day, and as each kind of caller
//! that policies can tell apart. There are at most [`MAX_CONTEXTS`], those about the first literals. [`names`] has the
//! names of sets of them.

mod address_regions;
pub(super) mod names;
mod time_regions;

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use ipnet::IpNet;
use serde::Serialize;

use crate::domain::action::Action;
use crate::domain::api_key::{ApiKey, KeyScope};
use crate::domain::caller::{Authentication, DecisionContext};
use crate::domain::client_address::AssumedAddress;
use crate::domain::dataset::Dataset;
use crate::domain::id::{ApiKeyId, UserId};
use crate::domain::principal::Principal;
use crate::domain::rfc3339::format_seconds;
use crate::policy::context_literals::ContextLiterals;
use crate::service::policies::review::context::AssumedCaller;

use address_regions::{AddressRegion, address_regions};
use time_regions::{TimeRegion, instant_regions, time_of_day_regions};

/// The most contexts that a review asks in: the bits of a [`ContextSet`].
pub(in crate::service::policies::review) const MAX_CONTEXTS: usize = 128;

/// The address of this machine, which is as good as any other if policies read none.
const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// A time like any other, 2026-01-01T12:00:00Z, in seconds since 1970 UTC.
const ORDINARY_TIME: i64 = 1_767_268_800;

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

/// How users authenticate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AskedAuthentication {
    /// As each of them signs in, without an API key.
    SignedIn,
    /// With an API key, of each kind that policies can tell apart.
    ApiKey,
    /// All of them so, without an API key.
    As(Authentication),
}

/// How a user calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::service::policies::review) enum CallerKind {
    /// Signed in with a password, or with a token of an identity provider.
    SignedIn,
    /// With an API key that is restricted to nothing.
    UnlimitedKey,
    /// With an API key that is restricted to these actions, in the order of `Action::DATASET_ACTIONS`.
    KeyForActions([bool; 3]),
    /// With an API key that is restricted to the dataset that is asked about.
    KeyForDataset,
    /// Signed in so, whoever it is.
    As(Authentication),
}

/// The contexts, as the product of addresses, times and callers.
pub(in crate::service::policies::review) struct AskedContexts {
    pub(in crate::service::policies::review) addresses: Vec<AddressRegion>,
    pub(in crate::service::policies::review) networks: Vec<IpNet>,
    pub(in crate::service::policies::review) instants: Vec<TimeRegion>,
    pub(in crate::service::policies::review) times_of_day: Vec<TimeRegion>,
    pub(in crate::service::policies::review) callers: Vec<CallerKind>,
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
    pub caller: &'static str,
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
                return Self { is_cut, ..asked };
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
            // With times of day, a second by itself is at one of them only.
            let is_at_asked = times_of_day.is_empty();
            (
                instant_regions(instants, is_at_asked),
                time_of_day_regions(times_of_day),
            )
        };
        Self {
            addresses,
            networks: networks.to_vec(),
            instants,
            times_of_day,
            callers: callers(literals, scope.authentication),
            is_cut: false,
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

    /// Whether a kind of caller is the one that stands for all if nobody signed in: such callers have no keys.
    pub(in crate::service::policies::review) fn stands_for_anonymous(
        &self,
        caller: CallerKind,
    ) -> bool {
        self.callers.first() == Some(&caller)
    }

    /// All contexts.
    pub(in crate::service::policies::review) fn all(&self) -> ContextSet {
        let unused = MAX_CONTEXTS.saturating_sub(self.len());
        ContextSet::MAX
            .checked_shr(u32::try_from(unused).unwrap_or_default())
            .unwrap_or_default()
    }

    /// The address, time and caller of each context, in the order of the bits.
    pub(in crate::service::policies::review) fn iter(
        &self,
    ) -> impl Iterator<Item = (AssumedAddress, i64, CallerKind)> {
        self.at(self.now)
    }

    /// The same with times that do not depend on the time now.
    pub(in crate::service::policies::review) fn examples(
        &self,
    ) -> impl Iterator<Item = (AssumedAddress, i64, CallerKind)> {
        self.at(self.example_now)
    }

    fn at(&self, now: i64) -> impl Iterator<Item = (AssumedAddress, i64, CallerKind)> {
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

/// The kinds of callers that policies tell apart, as far as they read how callers authenticate.
fn callers(
    literals: &ContextLiterals,
    authentication: Option<AskedAuthentication>,
) -> Vec<CallerKind> {
    let mut callers = vec![CallerKind::SignedIn];
    if literals.reads_authentication || literals.reads_key {
        callers.push(CallerKind::UnlimitedKey);
    }
    if literals.reads_key {
        let named = Action::DATASET_ACTIONS.map(|action| {
            literals
                .key_texts
                .iter()
                .any(|text| *text == action.to_string())
        });
        let reads_only = [true, false, false];
        callers.push(CallerKind::KeyForActions(reads_only));
        callers.push(CallerKind::KeyForActions(match named {
            [_, false, false] => [true, true, false],
            others => others,
        }));
        callers.push(CallerKind::KeyForDataset);
    }
    match authentication {
        None => callers,
        Some(AskedAuthentication::SignedIn) => vec![CallerKind::SignedIn],
        Some(AskedAuthentication::As(authentication)) => vec![CallerKind::As(authentication)],
        Some(AskedAuthentication::ApiKey) => {
            callers.retain(|caller| *caller != CallerKind::SignedIn);
            if callers.is_empty() {
                callers.push(CallerKind::UnlimitedKey);
            }
            callers
        }
    }
}

impl CallerKind {
    /// The kind in words that follow "calling" or "as".
    pub(in crate::service::policies::review) fn words(self) -> &'static str {
        match self {
            Self::SignedIn => "without an API key",
            Self::UnlimitedKey => "with an unrestricted API key",
            Self::KeyForActions([true, false, false]) => "with an API key for read",
            Self::KeyForActions(_) => "with an API key for other actions",
            Self::KeyForDataset => "with an API key for the dataset",
            Self::As(Authentication::Password) => "signed in with a password",
            Self::As(Authentication::Issuer) => "signed in with an identity provider",
            Self::As(_) => "not signed in",
        }
    }

    /// Whether the scope of the caller's key, if it has one, contains an action on the dataset that is asked about.
    pub(in crate::service::policies::review) fn may_ask(self, action: Action) -> bool {
        match self {
            Self::SignedIn | Self::UnlimitedKey | Self::KeyForDataset | Self::As(_) => true,
            Self::KeyForActions(chosen) => KeyScope::new(Some(chosen_actions(chosen)), None)
                .is_ok_and(|scope| scope.violation(action, None).is_none()),
        }
    }

    /// The context of a principal that calls so.
    pub(in crate::service::policies::review) fn context(
        self,
        principal: &Principal,
        dataset: &Dataset,
        (address, second): (AssumedAddress, i64),
    ) -> DecisionContext {
        let key = principal.user_id().and_then(|user| self.key(user, dataset));
        let is_external = matches!(principal, Principal::User(user) if user.issuer.is_some());
        let authentication = match (principal.is_anonymous(), &key, self) {
            (true, _, _) => Authentication::None,
            (false, Some(_), _) => Authentication::ApiKey,
            (false, None, Self::As(authentication)) => authentication,
            (false, None, _) if is_external => Authentication::Issuer,
            (false, None, _) => Authentication::Password,
        };
        DecisionContext {
            address: address.0,
            unix_millis: second.saturating_mul(1_000),
            authentication,
            key,
        }
    }

    /// The key that is called with. Contexts are cached by the id of the key, so keys of different scopes have
    /// different ids.
    fn key(self, user_id: UserId, dataset: &Dataset) -> Option<Arc<ApiKey>> {
        let (number, actions, datasets) = match self {
            Self::SignedIn | Self::As(_) => return None,
            Self::UnlimitedKey => (1, None, None),
            Self::KeyForActions(chosen) => {
                let bits = chosen
                    .iter()
                    .fold(1, |bits, bit| bits * 2 + u128::from(*bit));
                (bits * 2, Some(chosen_actions(chosen)), None)
            }
            Self::KeyForDataset => (dataset.id.0.as_u128(), None, Some([dataset.id].into())),
        };
        let scope = KeyScope::new(actions, datasets).ok()?;
        let id = ApiKeyId(uuid::Uuid::from_u128(number));
        AssumedCaller::assumed_key(id, user_id, scope)
    }
}

/// The chosen ones of the actions on datasets.
fn chosen_actions(chosen: [bool; 3]) -> BTreeSet<Action> {
    let all = Action::DATASET_ACTIONS.into_iter().zip(chosen);
    all.filter(|(_, is_chosen)| *is_chosen)
        .map(|(action, _)| action)
        .collect()
}
