//! Entity files: users, datasets and roles for explanations and cases that are not in the catalog.
//!
//! They are in the JSON of the Cedar command line's entities, so that either tool reads them.

use std::path::Path;
use std::sync::Arc;

use cedar_policy::{Entities, Entity, EntityUid, EvalResult, Schema};
use serde_json::value::RawValue;

use crate::domain::diagnostic::SourceDiagnostic;
use crate::domain::error_chain::error_chain;

use super::bundle::Bundle;
use super::entities::Facts;
use super::error::BundleError;
use super::index::PolicyMatches;
use super::json_span::{error_span, message_without_position, value_start};
use super::schema_names::SchemaNames;
use super::sources::SourceFiles;

/// The entities of a file, valid for one bundle's schema.
#[derive(Debug)]
pub struct EntityFile {
    label: String,
    entities: Entities,
    schema_names: Arc<SchemaNames>,
}

/// The facts about a principal and a dataset of a file.
#[derive(Debug)]
pub struct EntityFileFacts {
    /// `anonymous`, or the Cedar name of a user.
    pub principal: String,
    /// The user name.
    pub username: Option<String>,
    /// Whether it is the anonymous principal.
    pub is_anonymous: bool,
    /// Whether the user is of an external issuer.
    pub has_issuer: bool,
    /// The id of the dataset, as written in the file.
    pub dataset_id: String,
    /// The title of the dataset.
    pub title: String,
    pub(super) facts: Facts,
}

/// A principal or a dataset of an entity file could not be found.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EntityFileError {
    /// The text looks like a Cedar name and is not a valid one.
    #[error("{text} is not a valid entity name: {reason}")]
    InvalidName {
        /// The given text.
        text: String,
        /// Cedar's message.
        reason: String,
    },
    /// The entity is of another type.
    #[error("{entity} is not a {expected}")]
    WrongType {
        /// The Cedar name of the entity.
        entity: String,
        /// The expected type, `user` or `dataset`.
        expected: &'static str,
    },
    /// The file has no such entity.
    #[error("{file}: there is no {what} {name}")]
    NotFound {
        /// The file.
        file: String,
        /// The kind of entity, `user` or `dataset`.
        what: &'static str,
        /// The given name.
        name: String,
    },
    /// More than one user has the name.
    #[error("{file}: more than one user has the name {name}; use an id")]
    Ambiguous {
        /// The file.
        file: String,
        /// The given name.
        name: String,
    },
}

/// Parses entities, or returns a problem for each that is malformed or does not fit the schema.
pub(super) fn parse(
    label: &str,
    text: &Arc<str>,
    schema: &Schema,
) -> Result<Entities, Vec<SourceDiagnostic>> {
    let values: Vec<&RawValue> = serde_json::from_str(text).map_err(|error| {
        vec![SourceDiagnostic::at_span(
            label,
            text,
            error_span(&error, text),
            message_without_position(&error),
        )]
    })?;
    let mut entities = Vec::new();
    let mut problems = Vec::new();
    for (index, value) in values.into_iter().enumerate() {
        match Entity::from_json_str(value.get(), Some(schema)) {
            Ok(entity) => entities.push(entity),
            Err(error) => {
                let message = format!("entity {}: {}", index + 1, error_chain(&error));
                let span = value_start(value, text);
                problems.push(SourceDiagnostic::at_span(label, text, span, message));
            }
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    Entities::from_entities(entities, Some(schema))
        .map_err(|error| vec![SourceDiagnostic::for_file(label, error_chain(&error))])
}

impl EntityFile {
    /// Loads a file, within the size of a policy file.
    ///
    /// Fails with every entity that is malformed or does not fit the schema of `bundle`.
    pub fn load(path: &Path, bundle: &Bundle) -> Result<Self, BundleError> {
        let label = path.display().to_string();
        let text = SourceFiles::read_file(path)?;
        let entities = parse(&label, &text, &bundle.schema)
            .map_err(|problems| BundleError::Invalid { problems })?;
        Ok(Self {
            label,
            entities,
            schema_names: Arc::clone(&bundle.schema_names),
        })
    }

    /// The ids of the users and datasets of the file, and the user names.
    pub fn names(&self) -> impl Iterator<Item = String> {
        let names = &self.schema_names;
        let is_listed = |uid: &EntityUid| names.is_user(uid) || names.is_dataset(uid);
        self.entities
            .iter()
            .filter(move |entity| is_listed(&entity.uid()))
            .flat_map(|entity| {
                let id = entity.uid().id().unescaped().to_owned();
                [Some(id), string_attribute(entity, "username")]
            })
            .flatten()
    }

    /// The facts about a principal and a dataset of the file.
    ///
    /// Each is given by its id or its Cedar name, `User::"..."`; a user also by its user name, and
    /// the anonymous principal, which need not be in the file, as `anonymous`.
    pub fn facts(
        &self,
        principal: &str,
        dataset: &str,
    ) -> Result<EntityFileFacts, EntityFileError> {
        let dataset = self.find_dataset(dataset)?;
        let user = self.find_user(principal)?;
        let principal = user.map_or_else(|| self.schema_names.anonymous().clone(), Entity::uid);
        Ok(EntityFileFacts {
            principal: user.map_or_else(|| "anonymous".to_owned(), |_| principal.to_string()),
            username: user.and_then(|user| string_attribute(user, "username")),
            is_anonymous: user.is_none(),
            has_issuer: user.is_some_and(|user| string_attribute(user, "issuer").is_some()),
            dataset_id: dataset.uid().id().unescaped().to_owned(),
            title: string_attribute(dataset, "title").unwrap_or_default(),
            facts: Facts {
                principal,
                resource: dataset.uid(),
                entities: self.entities.clone(),
                policy_matches: PolicyMatches::default(),
            },
        })
    }

    /// The user of a name; `None` for the anonymous principal.
    fn find_user(&self, name: &str) -> Result<Option<&Entity>, EntityFileError> {
        let names = &self.schema_names;
        let what = "user";
        if let Some(uid) = parse_entity_uid(name)? {
            if uid == *names.anonymous() {
                return Ok(None);
            }
            let is_user = names.is_user(&uid);
            return self.find_entity(&uid, is_user, what).map(Some);
        }
        if name == "anonymous" {
            return Ok(None);
        }
        if let Some(user) = self.entities.get(&names.user_with_id(name)) {
            return Ok(Some(user));
        }
        let users = self.entities.iter();
        let mut users = users.filter(|entity| {
            names.is_user(&entity.uid())
                && string_attribute(entity, "username").as_deref() == Some(name)
        });
        match (users.next(), users.next()) {
            (Some(user), None) => Ok(Some(user)),
            (None, _) => Err(self.not_found(what, name)),
            (Some(_), Some(_)) => Err(EntityFileError::Ambiguous {
                file: self.label.clone(),
                name: name.to_owned(),
            }),
        }
    }

    fn find_dataset(&self, name: &str) -> Result<&Entity, EntityFileError> {
        let what = "dataset";
        match parse_entity_uid(name)? {
            Some(uid) => self.find_entity(&uid, self.schema_names.is_dataset(&uid), what),
            None => self
                .entities
                .get(&self.schema_names.dataset_with_id(name))
                .ok_or_else(|| self.not_found(what, name)),
        }
    }

    fn find_entity(
        &self,
        uid: &EntityUid,
        is_expected: bool,
        what: &'static str,
    ) -> Result<&Entity, EntityFileError> {
        if !is_expected {
            return Err(EntityFileError::WrongType {
                entity: uid.to_string(),
                expected: what,
            });
        }
        let found = self.entities.get(uid);
        found.ok_or_else(|| self.not_found(what, &uid.to_string()))
    }

    fn not_found(&self, what: &'static str, name: &str) -> EntityFileError {
        EntityFileError::NotFound {
            file: self.label.clone(),
            what,
            name: name.to_owned(),
        }
    }
}

/// The entity of a Cedar name; `None` if the text does not look like one.
fn parse_entity_uid(text: &str) -> Result<Option<EntityUid>, EntityFileError> {
    if !text.contains("::\"") {
        return Ok(None);
    }
    let named = text.parse().map_err(|error| EntityFileError::InvalidName {
        text: text.to_owned(),
        reason: error_chain(&error),
    });
    named.map(Some)
}

fn string_attribute(entity: &Entity, attribute: &str) -> Option<String> {
    match entity.attr(attribute) {
        Some(Ok(EvalResult::String(text))) => Some(text),
        _ => None,
    }
}
