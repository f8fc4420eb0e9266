//! Users and datasets as Cedar entities.

use std::collections::BTreeSet;

use cedar_policy::entities_errors::EntitiesError;
use cedar_policy::{Entity, EntityAttrEvaluationError, EntityUid, RestrictedExpression};

use crate::domain::attributes::AttributeOwner;
use crate::domain::dataset::Dataset;
use crate::domain::principal::{Tags, User};

use super::attributes::{AttributeError, DeclaredAttributes};
use super::schema_names::SchemaNames;

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
    /// The catalog has no value for an attribute that the schema requires, or one of another type.
    #[error("{entity} does not fit the schema, so everything about it is denied")]
    AttributeMisfit {
        /// Its Cedar name.
        entity: String,
        /// Which attribute, and why.
        source: Box<AttributeError>,
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

pub(super) fn schema_mismatch(entity: &EntityUid, source: EntitiesError) -> EntityError {
    EntityError::SchemaMismatch {
        entity: entity.to_string(),
        source: Box::new(source),
    }
}

fn attribute_misfit(entity: &EntityUid, source: AttributeError) -> EntityError {
    EntityError::AttributeMisfit {
        entity: entity.to_string(),
        source: Box::new(source),
    }
}

/// The entity of a user: its roles are the parents, its claims are the tags.
pub(super) fn user_entity(
    names: &SchemaNames,
    declared: &DeclaredAttributes,
    uid: &EntityUid,
    user: &User,
) -> Result<Entity, EntityError> {
    let own = declared.expressions(AttributeOwner::User, &user.attributes);
    let mut attributes = own.map_err(|source| attribute_misfit(uid, source))?;
    attributes.push(("username".to_owned(), string_value(user.username.as_str())));
    if let Some(issuer) = &user.issuer {
        attributes.push(("issuer".to_owned(), string_value(issuer)));
    }
    let roles = user.roles.iter().map(|role| names.role(role));
    build_entity(uid, attributes, roles.collect(), &user.claims)
}

/// The entity of a dataset at a time, in seconds since 1970 UTC: a share that has ended is none.
pub(super) fn dataset_entity(
    names: &SchemaNames,
    declared: &DeclaredAttributes,
    dataset: &Dataset,
    unix_seconds: i64,
) -> Result<Entity, EntityError> {
    let uid = names.dataset(dataset.id);
    let own = declared.expressions(AttributeOwner::Dataset, &dataset.attributes);
    let mut attributes = own.map_err(|source| attribute_misfit(&uid, source))?;
    let reference = RestrictedExpression::new_entity_uid;
    let reader_users = dataset.reader_users_at(unix_seconds);
    let reader_users = reader_users.map(|user| reference(names.user(user)));
    let reader_roles = dataset.reader_roles_at(unix_seconds);
    let reader_roles = reader_roles.map(|role| reference(names.role(role)));
    attributes.extend([
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
    ]);
    if let Some(owner) = dataset.owner {
        attributes.push(("owner".to_owned(), reference(names.user(owner))));
    }
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
