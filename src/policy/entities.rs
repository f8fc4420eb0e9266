//! Entities: users and datasets as Cedar entities, built once and cached.
//!
//! A user or a dataset is converted, and checked against the schema, at its first decision; later ones
//! find the entity by the address of the shared value. The cache holds the value, so that its address is
//! not reused. A dataset has another entity whenever a share of it ends: the number of shares that
//! have ended by the time of the decision is part of what is looked up, so that no clock has to run and nothing has to be
//! dropped at that time. Each cache is bounded in bytes, and holds nothing that came with a request. Roles, owners and
//! readers need no entities of their own: policies may read attributes only one level deep, and a role has none.

use std::sync::{Arc, OnceLock};

use cedar_policy::{Entities, Entity, EntityUid, Schema};
use moka::sync::Cache;
use uuid::Uuid;

use crate::domain::id::UserId;
use crate::domain::principal::{Principal, User};
use crate::domain::resource::Resource;

use super::attributes::DeclaredAttributes;
use super::cache_size::CacheSize;
use super::cached_entities::{CachedDataset, CachedPair, CachedUser};
pub(super) use super::cached_entities::{DatasetAt, Facts, is_same_principal, principal_address};
use super::entity_conversion::{EntityError, dataset_entity, schema_mismatch, user_entity};
use super::index::PolicyMatches;
use super::schema_names::SchemaNames;

/// The most bytes of cached users.
const MAX_USERS_SIZE: u64 = 24 * 1024 * 1024;
/// The most bytes of cached datasets.
const MAX_DATASETS_SIZE: u64 = 32 * 1024 * 1024;
/// The most bytes of cached pairs of a principal and a dataset.
const MAX_PAIRS_SIZE: u64 = 64 * 1024 * 1024;

/// The entities for one schema, bounded in bytes.
pub(super) struct EntityCache {
    schema: Schema,
    schema_names: Arc<SchemaNames>,
    declared: DeclaredAttributes,
    actions: Entities,
    anonymous: Entities,
    users: Cache<usize, Arc<CachedUser>>,
    datasets: Cache<(usize, usize), Arc<CachedDataset>>,
    pairs: Cache<(usize, usize), Arc<CachedPair>>,
}

impl EntityCache {
    /// An empty cache of a size; entities are checked against `schema`.
    pub(super) fn new(
        schema: Schema,
        names: Arc<SchemaNames>,
        size: CacheSize,
    ) -> Result<Self, EntityError> {
        let anonymous_uid = names.anonymous();
        let mismatch = |source| schema_mismatch(anonymous_uid, source);
        let actions = schema.action_entities().map_err(mismatch)?;
        let anonymous = actions
            .clone()
            .add_entities([Entity::with_uid(anonymous_uid.clone())], Some(&schema))
            .map_err(mismatch)?;
        Ok(Self {
            declared: DeclaredAttributes::new(&schema),
            schema_names: names,
            schema,
            actions,
            anonymous,
            users: Cache::builder()
                .max_capacity(size.bytes(MAX_USERS_SIZE))
                .weigher(|_, user: &Arc<CachedUser>| user.size())
                .build(),
            datasets: Cache::builder()
                .max_capacity(size.bytes(MAX_DATASETS_SIZE))
                .weigher(|_, dataset: &Arc<CachedDataset>| dataset.size())
                .build(),
            pairs: Cache::builder()
                .max_capacity(size.bytes(MAX_PAIRS_SIZE))
                .weigher(|_, pair: &Arc<CachedPair>| pair.size())
                .build(),
        })
    }

    /// The attributes that the schema declares beside Cedargate's own.
    pub(super) fn declared(&self) -> &DeclaredAttributes {
        &self.declared
    }

    /// The facts for a decision about a principal and a resource at a time, in seconds since 1970 UTC.
    pub(super) fn facts(
        &self,
        principal: &Principal,
        resource: &Resource,
        unix_seconds: i64,
    ) -> Result<Arc<Facts>, EntityError> {
        match resource {
            Resource::Dataset(dataset) => {
                self.dataset_facts(principal, DatasetAt::new(dataset, unix_seconds))
            }
            Resource::DatasetCandidate(dataset) => {
                let prepared = self.prepare_dataset(DatasetAt::new(dataset, unix_seconds))?;
                self.build_facts(principal, &prepared).map(Arc::new)
            }
            Resource::User(user) | Resource::ChangedUser(user) => {
                self.user_facts(principal, user).map(Arc::new)
            }
            // Roles and the server have neither attributes nor parents.
            Resource::Role(role) => self.named_facts(principal, self.schema_names.role(role)),
            Resource::Server => self.server_facts(principal),
        }
    }

    fn server_facts(&self, principal: &Principal) -> Result<Arc<Facts>, EntityError> {
        let build = || self.named_facts(principal, self.schema_names.server().clone());
        let Principal::User(user) = principal else {
            return build();
        };
        let cached = self.cached_user(user)?;
        if let Some(facts) = cached.server_facts.get() {
            return Ok(Arc::clone(facts));
        }
        let facts = build()?;
        Ok(Arc::clone(cached.server_facts.get_or_init(|| facts)))
    }

    fn named_facts(
        &self,
        principal: &Principal,
        resource: EntityUid,
    ) -> Result<Arc<Facts>, EntityError> {
        let (principal, entities) = self.principal_entities(principal)?;
        Ok(Arc::new(Facts {
            principal,
            resource,
            entities,
            policy_matches: PolicyMatches::default(),
        }))
    }

    /// Cedar has one entity for each name. If the resource is the principal in another state, it has the
    /// nil UUID; for a question about the user as it is, `decide` also asks with one state for both.
    fn user_facts(&self, principal: &Principal, user: &Arc<User>) -> Result<Facts, EntityError> {
        let (principal_uid, entities) = self.principal_entities(principal)?;
        let caller = match principal {
            Principal::User(caller) => Some(caller),
            Principal::Anonymous => None,
        };
        let resource = match caller {
            Some(caller) if caller == user => {
                return Ok(Facts {
                    resource: principal_uid.clone(),
                    principal: principal_uid,
                    entities,
                    policy_matches: PolicyMatches::default(),
                });
            }
            Some(caller) if caller.id == user.id => self.schema_names.user(UserId(Uuid::nil())),
            Some(_) | None => self.schema_names.user(user.id),
        };
        let entity = user_entity(&self.schema_names, &self.declared, &resource, user)?;
        Ok(Facts {
            principal: principal_uid,
            entities: entities
                .add_entities([entity], Some(&self.schema))
                .map_err(|source| schema_mismatch(&resource, source))?,
            resource,
            policy_matches: PolicyMatches::default(),
        })
    }

    /// The facts of a decision about the same values before.
    pub(super) fn cached_facts(
        &self,
        principal: &Principal,
        at: DatasetAt<'_>,
    ) -> Option<Arc<Facts>> {
        let key = (principal_address(principal), at.address());
        let pair = self.pairs.get(&key)?;
        pair.is_same(principal, at).then(|| Arc::clone(&pair.facts))
    }

    fn dataset_facts(
        &self,
        principal: &Principal,
        at: DatasetAt<'_>,
    ) -> Result<Arc<Facts>, EntityError> {
        if let Some(facts) = self.cached_facts(principal, at) {
            return Ok(facts);
        }
        let key = (principal_address(principal), at.address());
        let prepared = self.cached_dataset(at)?;
        let facts = Arc::new(self.build_facts(principal, &prepared)?);
        let pair = CachedPair {
            principal: principal.clone(),
            dataset: Arc::clone(at.dataset),
            ended_shares: at.ended_shares,
            facts: Arc::clone(&facts),
        };
        self.pairs.insert(key, Arc::new(pair));
        Ok(facts)
    }

    fn principal_entities(
        &self,
        principal: &Principal,
    ) -> Result<(EntityUid, Entities), EntityError> {
        match principal {
            Principal::Anonymous => Ok((
                self.schema_names.anonymous().clone(),
                self.anonymous.clone(),
            )),
            Principal::User(user) => {
                let cached = self.cached_user(user)?;
                Ok((cached.uid.clone(), cached.entities.clone()))
            }
        }
    }

    fn build_facts(
        &self,
        principal: &Principal,
        dataset: &CachedDataset,
    ) -> Result<Facts, EntityError> {
        let (principal_uid, entities) = self.principal_entities(principal)?;
        Ok(Facts {
            principal: principal_uid,
            resource: dataset.uid.clone(),
            // Both were checked against the schema when they were built.
            entities: entities
                .add_entities([dataset.entity.clone()], None)
                .map_err(|source| schema_mismatch(&dataset.uid, source))?,
            policy_matches: PolicyMatches::default(),
        })
    }

    fn cached_user(&self, user: &Arc<User>) -> Result<Arc<CachedUser>, EntityError> {
        let address = Arc::as_ptr(user) as usize;
        if let Some(cached) = self.users.get(&address)
            && Arc::ptr_eq(&cached.user, user)
        {
            return Ok(cached);
        }
        let uid = self.schema_names.user(user.id);
        let entity = user_entity(&self.schema_names, &self.declared, &uid, user)?;
        let cached = Arc::new(CachedUser {
            user: Arc::clone(user),
            entities: self
                .actions
                .clone()
                .add_entities([entity], Some(&self.schema))
                .map_err(|source| schema_mismatch(&uid, source))?,
            uid,
            server_facts: OnceLock::new(),
        });
        self.users.insert(address, Arc::clone(&cached));
        Ok(cached)
    }

    fn cached_dataset(&self, at: DatasetAt<'_>) -> Result<Arc<CachedDataset>, EntityError> {
        let key = (at.address(), at.ended_shares);
        if let Some(cached) = self.datasets.get(&key)
            && Arc::ptr_eq(&cached.dataset, at.dataset)
        {
            return Ok(cached);
        }
        let prepared = Arc::new(self.prepare_dataset(at)?);
        self.datasets.insert(key, Arc::clone(&prepared));
        Ok(prepared)
    }

    /// Converts a dataset and checks it against the schema.
    fn prepare_dataset(&self, at: DatasetAt<'_>) -> Result<CachedDataset, EntityError> {
        let uid = self.schema_names.dataset(at.dataset.id);
        let entity = dataset_entity(
            &self.schema_names,
            &self.declared,
            at.dataset,
            at.unix_seconds,
        )?;
        Entities::empty()
            .add_entities([entity.clone()], Some(&self.schema))
            .map_err(|source| schema_mismatch(&uid, source))?;
        Ok(CachedDataset {
            dataset: Arc::clone(at.dataset),
            uid,
            entity,
        })
    }
}

#[cfg(test)]
impl EntityCache {
    /// How many bytes of users, datasets and pairs are cached.
    pub(super) fn sizes(&self) -> [u64; 3] {
        self.users.run_pending_tasks();
        self.datasets.run_pending_tasks();
        self.pairs.run_pending_tasks();
        [
            self.users.weighted_size(),
            self.datasets.weighted_size(),
            self.pairs.weighted_size(),
        ]
    }
}

impl std::fmt::Debug for EntityCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EntityCache").finish_non_exhaustive()
    }
}
