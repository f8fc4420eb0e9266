//! Cached entities: users, datasets and pairs of them as Cedar entities, and how much memory they take.

use std::sync::{Arc, OnceLock};

use cedar_policy::{Entities, Entity, EntityUid};

use crate::domain::dataset::Dataset;
use crate::domain::principal::{Principal, User};

use super::index::PolicyMatches;

/// About how many bytes a set of entities takes, which always has the actions of the schema.
const ENTITIES_SIZE: usize = 10 * 1024;
/// How many times as much memory an entity takes as the value that it was made of: Cedar keeps names, sets
/// and their members in a general form.
const ENTITY_GROWTH: usize = 8;

/// The entities of one decision.
#[derive(Debug)]
pub(super) struct Facts {
    pub(super) principal: EntityUid,
    pub(super) resource: EntityUid,
    pub(super) entities: Entities,
    pub(super) policy_matches: PolicyMatches,
}

/// A dataset as it is shared at a time.
#[derive(Clone, Copy)]
pub(super) struct DatasetAt<'a> {
    pub(super) dataset: &'a Arc<Dataset>,
    /// Seconds since 1970 UTC.
    pub(super) unix_seconds: i64,
    /// How many of its shares have ended by then: the same number means the same shares.
    pub(super) ended_shares: usize,
}

impl<'a> DatasetAt<'a> {
    pub(super) fn new(dataset: &'a Arc<Dataset>, unix_seconds: i64) -> Self {
        Self {
            dataset,
            unix_seconds,
            ended_shares: dataset.share_ends.count_ended(unix_seconds),
        }
    }

    pub(super) fn address(&self) -> usize {
        Arc::as_ptr(self.dataset) as usize
    }
}

/// The address of a user, or 0.
pub(super) fn principal_address(principal: &Principal) -> usize {
    match principal {
        Principal::Anonymous => 0,
        Principal::User(user) => Arc::as_ptr(user) as usize,
    }
}

/// Whether these are the same shared value, not merely equal ones.
pub(super) fn is_same_principal(one: &Principal, other: &Principal) -> bool {
    match (one, other) {
        (Principal::Anonymous, Principal::Anonymous) => true,
        (Principal::User(one), Principal::User(other)) => Arc::ptr_eq(one, other),
        _ => false,
    }
}

/// The facts about a principal and a dataset.
pub(super) struct CachedPair {
    pub(super) principal: Principal,
    pub(super) dataset: Arc<Dataset>,
    pub(super) ended_shares: usize,
    pub(super) facts: Arc<Facts>,
}

impl CachedPair {
    /// Whether this pair has the same shared values, not merely equal ones.
    pub(super) fn is_same(&self, principal: &Principal, at: DatasetAt<'_>) -> bool {
        is_same_principal(&self.principal, principal)
            && Arc::ptr_eq(&self.dataset, at.dataset)
            && self.ended_shares == at.ended_shares
    }
}

pub(super) struct CachedUser {
    pub(super) user: Arc<User>,
    pub(super) uid: EntityUid,
    // With the actions of the schema: policies may use action groups.
    pub(super) entities: Entities,
    /// What it may do on the server is asked with each request of a service, and its facts are always the same.
    pub(super) server_facts: OnceLock<Arc<Facts>>,
}

pub(super) struct CachedDataset {
    pub(super) dataset: Arc<Dataset>,
    pub(super) uid: EntityUid,
    pub(super) entity: Entity,
}

impl CachedUser {
    pub(super) fn size(&self) -> u32 {
        // Its own entities, and those of the question about the server.
        saturating(2 * (ENTITIES_SIZE + ENTITY_GROWTH * self.user.approximate_size()))
    }
}

impl CachedDataset {
    pub(super) fn size(&self) -> u32 {
        saturating(ENTITY_GROWTH * self.dataset.approximate_size())
    }
}

impl CachedPair {
    /// The whole dataset counts, because a pair keeps it when the cache of datasets has dropped it.
    pub(super) fn size(&self) -> u32 {
        saturating(ENTITIES_SIZE + ENTITY_GROWTH * self.dataset.approximate_size())
    }
}

fn saturating(size: usize) -> u32 {
    u32::try_from(size).unwrap_or(u32::MAX)
}
