//! Decision classes: pairs of a principal and a dataset that no policy tells apart.
//!
//! Among millions of pairs hardly one is asked about twice, and the entities of a pair cost more than everything else
//! a mint does. But most policies look at a few traits alone: visibility, record status, and whether the principal is
//! the owner, a reader, or in a role with which the dataset is shared. Where all policies that match are of that kind,
//! and the schema has no attributes beside Cedargate's own and no list of users, roles or datasets, what was decided about one pair is decided about every
//! pair with the same matching policies and the same traits. Any other policy that matches, and be it one that reads
//! a title, ends that for its pairs: they are decided with their entities.
//!
//! The classes belong to one bundle, like everything that is cached of it; a property test holds them equal to full
//! evaluation.

use std::sync::Arc;

use cedar_policy::{PolicySet, Schema};

use crate::domain::action::Action;
use crate::domain::attributes::AttributeOwner;
use crate::domain::dataset::{Dataset, RecordStatus, Visibility};
use crate::domain::decision::Decision;
use crate::domain::principal::Principal;
use crate::domain::recent_table::RecentTable;

use super::attributes::DeclaredAttributes;
use super::cache_size::CacheSize;
use super::entities::{DatasetAt, is_same_principal, principal_address};
use super::pair_traits::lists_no_members;

/// How many classes are kept; each takes at most about 2 KiB.
const MAX_CLASSES: usize = 4096;
/// The most policy sets that match a pair of a class.
const MAX_SETS: usize = 32;
/// How many pairs are kept whose decision was taken from their class.
const MAX_PAIRS: usize = 8192;
/// The most bytes of a user, and of a dataset, that a pair keeps in memory; larger ones are looked up by their class.
const MAX_KEPT_SIZE: usize = 2048;

/// What the policies of a class can tell of a pair.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is a trait that policies look at by itself"
)]
pub(super) struct DecisionClass {
    action: Action,
    /// The addresses of the matching sets, which the index keeps.
    sets: Box<[usize]>,
    is_anonymous: bool,
    visibility: Visibility,
    record_status: RecordStatus,
    has_owner: bool,
    is_owner: bool,
    is_reader: bool,
    shares_role: bool,
}

/// A pair whose decision is kept.
struct KeptPair {
    principal: Principal,
    dataset: Arc<Dataset>,
    ended_shares: usize,
    decision: Decision,
}

/// The addresses of a principal and of a dataset, and what is asked.
type PairKey = (usize, usize, Action);

/// The decisions about classes, and about pairs of classes that were asked about.
pub(super) struct DecisionClasses {
    /// Whether users and datasets conform to the schema whatever they are like; else pairs of one class differ in that.
    has_any: bool,
    decisions: RecentTable<DecisionClass, Decision>,
    pairs: RecentTable<PairKey, Arc<KeptPair>>,
}

impl DecisionClasses {
    /// The classes of a bundle with this schema and the attributes that it declares; none have been decided about.
    pub(super) fn new(schema: &Schema, declared: &DeclaredAttributes, size: CacheSize) -> Self {
        let mut names = AttributeOwner::ALL
            .into_iter()
            .flat_map(|owner| declared.names(owner));
        Self {
            has_any: names.next().is_none() && lists_no_members(schema),
            decisions: RecentTable::new(size.entries(MAX_CLASSES)),
            pairs: RecentTable::new(size.entries(MAX_PAIRS)),
        }
    }
}

impl std::fmt::Debug for DecisionClasses {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DecisionClasses").finish_non_exhaustive()
    }
}

impl DecisionClasses {
    /// Whether there are classes with this schema.
    pub(super) fn has_any(&self) -> bool {
        self.has_any
    }

    /// The decision about these very values, if it was taken from their class before.
    pub(super) fn pair(
        &self,
        principal: &Principal,
        action: Action,
        at: DatasetAt<'_>,
    ) -> Option<Decision> {
        let kept = self.pairs.get(&pair_key(principal, action, at))?;
        let is_same = is_same_principal(principal, &kept.principal)
            && Arc::ptr_eq(&kept.dataset, at.dataset)
            && kept.ended_shares == at.ended_shares;
        is_same.then(|| kept.decision.clone())
    }

    /// The decision about a class; it is kept for the pair too.
    pub(super) fn decision(
        &self,
        class: &DecisionClass,
        principal: &Principal,
        at: DatasetAt<'_>,
    ) -> Option<Decision> {
        let decision = self.decisions.get(class)?;
        let user_size = match principal {
            Principal::Anonymous => 0,
            Principal::User(user) => user.approximate_size(),
        };
        if user_size.max(at.dataset.approximate_size()) <= MAX_KEPT_SIZE {
            let pair = KeptPair {
                principal: principal.clone(),
                dataset: Arc::clone(at.dataset),
                ended_shares: at.ended_shares,
                decision: decision.clone(),
            };
            let key = pair_key(principal, class.action, at);
            self.pairs.insert(key, Arc::new(pair));
        }
        Some(decision)
    }

    /// Keeps what was decided about a pair of a class.
    pub(super) fn keep(&self, class: DecisionClass, decision: &Decision) {
        self.decisions.insert(class, decision.clone());
    }
}

fn pair_key(principal: &Principal, action: Action, at: DatasetAt<'_>) -> PairKey {
    (principal_address(principal), at.address(), action)
}

impl DecisionClass {
    /// The class of a pair that these sets match, unless they are too many.
    pub(super) fn of(
        action: Action,
        sets: &[Arc<PolicySet>],
        principal: &Principal,
        at: DatasetAt<'_>,
    ) -> Option<Self> {
        if sets.len() > MAX_SETS {
            return None;
        }
        let addresses = sets.iter().map(|set| Arc::as_ptr(set) as usize);
        let (dataset, time) = (at.dataset, at.unix_seconds);
        let user = match principal {
            Principal::Anonymous => None,
            Principal::User(user) => Some(user),
        };
        let is_user = |id| user.is_some_and(|user| user.id == id);
        Some(Self {
            action,
            sets: addresses.collect(),
            is_anonymous: user.is_none(),
            visibility: dataset.visibility,
            record_status: dataset.record_status,
            has_owner: dataset.owner.is_some(),
            is_owner: dataset.owner.is_some_and(is_user),
            is_reader: user.is_some() && dataset.reader_users_at(time).any(is_user),
            shares_role: user.is_some_and(|user| {
                let mut roles = dataset.reader_roles_at(time);
                roles.any(|role| user.roles.contains(role))
            }),
        })
    }
}
