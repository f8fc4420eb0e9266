//! Entities: users and datasets as Cedar entities, built once and cached.
//!
//! A user or a dataset is converted, and checked against the schema, at its first decision; later ones
//! find the entity by the address of the shared value. The cache holds the value, so that its address is
//! not reused. Roles, owners and readers need no entities of their own: policies may read attributes
//! only one level deep, and a role has none.

use std::collections::BTreeSet;
use std::sync::Arc;

use cedar_policy::entities_errors::EntitiesError;
use cedar_policy::{
    Entities, Entity, EntityAttrEvaluationError, EntityUid, RestrictedExpression, Schema,
};
use moka::sync::Cache;
use uuid::Uuid;

use crate::domain::dataset::Dataset;
use crate::domain::id::UserId;
use crate::domain::principal::{Principal, Tags, User};
use crate::domain::resource::Resource;

use super::index::PolicyMatches;
use super::schema_names::SchemaNames;

/// The most cached users.
const MAX_USERS: u64 = 10_000;
/// The most cached datasets.
const MAX_DATASETS: u64 = 10_000;
/// The most cached pairs of a principal and a dataset.
const MAX_PAIRS: u64 = 10_000;

/// A user or a dataset could not be converted to an entity.
#[derive(Debug, thiserror::Error)]
pub(super) enum EntityError {
    /// An attribute has no Cedar value.
    #[error("cannot build the entity {entity}")]
    Attribute {
        /// Its Cedar name.
        entity: String,
        /// The error of Cedar.
        source: Box<EntityAttrEvaluationError>,
    },
    /// The entity does not fit the schema.
    #[error("{entity} does not fit the schema")]
    SchemaMismatch {
        /// Its Cedar name.
        entity: String,
        /// The error of Cedar.
        source: Box<EntitiesError>,
    },
}

/// The entities of one decision.
#[derive(Debug)]
pub(super) struct Facts {
    pub(super) principal: EntityUid,
    pub(super) resource: EntityUid,
    pub(super) entities: Entities,
    pub(super) policy_matches: PolicyMatches,
}

/// The facts about a principal and a dataset.
struct CachedPair {
    principal: Principal,
    dataset: Arc<Dataset>,
    facts: Arc<Facts>,
}

impl CachedPair {
    /// Whether this pair has the same shared values, not merely equal ones.
    fn is_same(&self, principal: &Principal, dataset: &Arc<Dataset>) -> bool {
        let is_same_principal = match (&self.principal, principal) {
            (Principal::Anonymous, Principal::Anonymous) => true,
            (Principal::User(cached), Principal::User(user)) => Arc::ptr_eq(cached, user),
            _ => false,
        };
        is_same_principal && Arc::ptr_eq(&self.dataset, dataset)
    }
}

struct CachedUser {
    user: Arc<User>,
    uid: EntityUid,
    // With the actions of the schema: policies may use action groups.
    entities: Entities,
}

struct CachedDataset {
    dataset: Arc<Dataset>,
    uid: EntityUid,
    entity: Entity,
}

/// The entities for one schema, bounded in number.
pub(super) struct EntityCache {
    schema: Schema,
    schema_names: Arc<SchemaNames>,
    actions: Entities,
    anonymous: Entities,
    users: Cache<usize, Arc<CachedUser>>,
    datasets: Cache<usize, Arc<CachedDataset>>,
    pairs: Cache<(usize, usize), Arc<CachedPair>>,
}

impl EntityCache {
    /// An empty cache; entities are checked against `schema`.
    pub(super) fn new(schema: Schema, names: Arc<SchemaNames>) -> Result<Self, EntityError> {
        let anonymous_uid = names.anonymous();
        let mismatch = |source| schema_mismatch(anonymous_uid, source);
        let actions = schema.action_entities().map_err(mismatch)?;
        let anonymous = actions
            .clone()
            .add_entities([Entity::with_uid(anonymous_uid.clone())], Some(&schema))
            .map_err(mismatch)?;
        Ok(Self {
            schema,
            schema_names: names,
            actions,
            anonymous,
            users: Cache::new(MAX_USERS),
            datasets: Cache::new(MAX_DATASETS),
            pairs: Cache::new(MAX_PAIRS),
        })
    }

    /// The facts for a decision about a principal and a resource.
    pub(super) fn facts(
        &self,
        principal: &Principal,
        resource: &Resource,
    ) -> Result<Arc<Facts>, EntityError> {
        match resource {
            Resource::Dataset(dataset) => self.dataset_facts(principal, dataset),
            Resource::User(user) | Resource::ChangedUser(user) => {
                self.user_facts(principal, user).map(Arc::new)
            }
            // Roles and the server have neither attributes nor parents.
            Resource::Role(role) => self.named_facts(principal, self.schema_names.role(role)),
            Resource::Server => self.named_facts(principal, self.schema_names.server().clone()),
        }
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
        let entity = user_entity(&self.schema_names, &resource, user)?;
        Ok(Facts {
            principal: principal_uid,
            entities: entities
                .add_entities([entity], Some(&self.schema))
                .map_err(|source| schema_mismatch(&resource, source))?,
            resource,
            policy_matches: PolicyMatches::default(),
        })
    }

    fn dataset_facts(
        &self,
        principal: &Principal,
        dataset: &Arc<Dataset>,
    ) -> Result<Arc<Facts>, EntityError> {
        let principal_address = match principal {
            Principal::Anonymous => 0,
            Principal::User(user) => Arc::as_ptr(user) as usize,
        };
        let key = (principal_address, Arc::as_ptr(dataset) as usize);
        if let Some(pair) = self.pairs.get(&key)
            && pair.is_same(principal, dataset)
        {
            return Ok(Arc::clone(&pair.facts));
        }
        let facts = Arc::new(self.build_facts(principal, dataset)?);
        let pair = CachedPair {
            principal: principal.clone(),
            dataset: Arc::clone(dataset),
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
        dataset: &Arc<Dataset>,
    ) -> Result<Facts, EntityError> {
        let (principal_uid, entities) = self.principal_entities(principal)?;
        let cached = self.cached_dataset(dataset)?;
        Ok(Facts {
            principal: principal_uid,
            resource: cached.uid.clone(),
            // Both were checked against the schema when they were built.
            entities: entities
                .add_entities([cached.entity.clone()], None)
                .map_err(|source| schema_mismatch(&cached.uid, source))?,
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
        let entity = user_entity(&self.schema_names, &uid, user)?;
        let cached = Arc::new(CachedUser {
            user: Arc::clone(user),
            entities: self
                .actions
                .clone()
                .add_entities([entity], Some(&self.schema))
                .map_err(|source| schema_mismatch(&uid, source))?,
            uid,
        });
        self.users.insert(address, Arc::clone(&cached));
        Ok(cached)
    }

    fn cached_dataset(&self, dataset: &Arc<Dataset>) -> Result<Arc<CachedDataset>, EntityError> {
        let address = Arc::as_ptr(dataset) as usize;
        if let Some(cached) = self.datasets.get(&address)
            && Arc::ptr_eq(&cached.dataset, dataset)
        {
            return Ok(cached);
        }
        let uid = self.schema_names.dataset(dataset.id);
        let entity = dataset_entity(&self.schema_names, dataset)?;
        Entities::empty()
            .add_entities([entity.clone()], Some(&self.schema))
            .map_err(|source| schema_mismatch(&uid, source))?;
        let cached = Arc::new(CachedDataset {
            dataset: Arc::clone(dataset),
            uid,
            entity,
        });
        self.datasets.insert(address, Arc::clone(&cached));
        Ok(cached)
    }
}

impl std::fmt::Debug for EntityCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EntityCache").finish_non_exhaustive()
    }
}

fn schema_mismatch(entity: &EntityUid, source: EntitiesError) -> EntityError {
    EntityError::SchemaMismatch {
        entity: entity.to_string(),
        source: Box::new(source),
    }
}

/// The entity of a user: its roles are the parents, its claims are the tags.
fn user_entity(names: &SchemaNames, uid: &EntityUid, user: &User) -> Result<Entity, EntityError> {
    let mut attributes = vec![("username".to_owned(), string_value(user.username.as_str()))];
    if let Some(issuer) = &user.issuer {
        attributes.push(("issuer".to_owned(), string_value(issuer)));
    }
    let roles = user.roles.iter().map(|role| names.role(role));
    build_entity(uid, attributes, roles.collect(), &user.claims)
}

/// The entity of a dataset.
fn dataset_entity(names: &SchemaNames, dataset: &Dataset) -> Result<Entity, EntityError> {
    let reference = RestrictedExpression::new_entity_uid;
    let reader_users = dataset.reader_users.iter();
    let reader_users = reader_users.map(|user| reference(names.user(*user)));
    let reader_roles = dataset.reader_roles.iter();
    let reader_roles = reader_roles.map(|role| reference(names.role(role)));
    let mut attributes = vec![
        ("title".to_owned(), string_value(&dataset.title)),
        (
            "visibility".to_owned(),
            reference(names.visibility(dataset.visibility)),
        ),
        (
            "record_status".to_owned(),
            reference(names.record_status(dataset.record_status)),
        ),
        (
            "reader_users".to_owned(),
            RestrictedExpression::new_set(reader_users),
        ),
        (
            "reader_roles".to_owned(),
            RestrictedExpression::new_set(reader_roles),
        ),
    ];
    if let Some(owner) = dataset.owner {
        attributes.push(("owner".to_owned(), reference(names.user(owner))));
    }
    let uid = names.dataset(dataset.id);
    build_entity(&uid, attributes, Vec::new(), &dataset.tags)
}

fn build_entity(
    uid: &EntityUid,
    attributes: Vec<(String, RestrictedExpression)>,
    parents: Vec<EntityUid>,
    tags: &Tags,
) -> Result<Entity, EntityError> {
    let tags = tags
        .iter()
        .map(|(key, values)| (key.clone(), set_value(values)));
    Entity::new_with_tags(uid.clone(), attributes, parents, tags).map_err(|source| {
        EntityError::Attribute {
            entity: uid.to_string(),
            source: Box::new(source),
        }
    })
}

fn string_value(text: &str) -> RestrictedExpression {
    RestrictedExpression::new_string(text.to_owned())
}

fn set_value(texts: &BTreeSet<String>) -> RestrictedExpression {
    RestrictedExpression::new_set(texts.iter().map(|text| string_value(text)))
}
