//! Entity files: users, datasets and roles to ask about that need not be in any catalog.
//!
//! In the JSON of the Cedar command line's entities, so that either tool reads them; cases name such
//! files too. An entity that does not read, or does not fit the schema, is a problem with file and
//! line. This module refuses to know what is asked.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use cedar_policy::{Entities, Entity, EntityUid, EvalResult, Schema};
use serde_json::value::RawValue;

use super::bundle::Bundle;
use super::case_file::{error_span, message_without_position};
use super::diagnostic::{BundleDiagnostic, BundleError, message_with_causes};
use super::entities::Facts;
use super::index::PolicyMatches;
use super::schema_names::SchemaNames;
use super::sources::SourceFiles;

/// The entities of a file, as one bundle's schema wants them.
#[derive(Debug)]
pub struct EntityFile {
    label: String,
    entities: Entities,
    schema_names: Arc<SchemaNames>,
}

/// A principal and a dataset of a file, to be asked about.
#[derive(Debug)]
pub struct EntityFileFacts {
    /// `anonymous`, or Cedar's name of a user.
    pub principal: String,
    /// The user's name.
    pub username: Option<String>,
    /// Whether it is the anonymous principal.
    pub is_anonymous: bool,
    /// Whether the user comes from an outside issuer.
    pub has_issuer: bool,
    /// The dataset's id, in whatever form the file has it.
    pub dataset_id: String,
    /// Its title.
    pub title: String,
    pub(super) facts: Facts,
}

/// Why something cannot be asked about.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EntityFileError {
    /// The text is in the form of Cedar's names, and is none.
    #[error("{text} is no name of an entity: {reason}")]
    InvalidName {
        /// What was given.
        text: String,
        /// What Cedar says.
        reason: String,
    },
    /// The entity is of a type that is not asked about so.
    #[error("{entity} is no {expected}")]
    WrongType {
        /// Cedar's name of it.
        entity: String,
        /// What would be one.
        expected: &'static str,
    },
    /// The file does not have it.
    #[error("{file}: there is no {what} {name}")]
    NotFound {
        /// The file.
        file: String,
        /// What kind of entity was looked for.
        what: &'static str,
        /// What was given.
        name: String,
    },
    /// More than one user has the name.
    #[error("{file}: more than one user has the name {name}: give an id")]
    Ambiguous {
        /// The file.
        file: String,
        /// What was given.
        name: String,
    },
}

/// Reads entities, or tells every one that does not read or does not fit the schema.
pub(super) fn parse(
    label: &str,
    text: &Arc<str>,
    schema: &Schema,
) -> Result<Entities, Vec<BundleDiagnostic>> {
    let written: Vec<&RawValue> = serde_json::from_str(text).map_err(|error| {
        vec![BundleDiagnostic::at_span(
            label,
            text,
            error_span(&error, text),
            message_without_position(&error),
        )]
    })?;
    let mut entities = Vec::new();
    let mut problems = Vec::new();
    for (index, written) in written.into_iter().enumerate() {
        match Entity::from_json_str(written.get(), Some(schema)) {
            Ok(entity) => entities.push(entity),
            Err(error) => {
                let message = format!("entity {}: {}", index + 1, message_with_causes(&error));
                let span = value_start(written, text);
                problems.push(BundleDiagnostic::at_span(label, text, span, message));
            }
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    Entities::from_entities(entities, Some(schema)).map_err(|error| {
        vec![BundleDiagnostic::for_file(
            label,
            message_with_causes(&error),
        )]
    })
}

/// The first byte of a value that borrows from a text: the distance of their addresses is its place.
pub(super) fn value_start(value: &RawValue, text: &str) -> Range<usize> {
    let start = (value.get().as_ptr() as usize).saturating_sub(text.as_ptr() as usize);
    start..start + 1
}

impl EntityFile {
    /// The entities in a file, which is bounded like a policy file.
    ///
    /// Fails with every entity that does not read or does not fit the schema of `bundle`.
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

    /// The names that users and datasets of the file go by.
    pub fn names(&self) -> impl Iterator<Item = String> {
        let is_asked =
            |uid: &EntityUid| self.schema_names.is_user(uid) || self.schema_names.is_dataset(uid);
        self.entities
            .iter()
            .filter(move |entity| is_asked(&entity.uid()))
            .flat_map(|entity| {
                let id = entity.uid().id().unescaped().to_owned();
                [Some(id), string_attribute(entity, "username")]
            })
            .flatten()
    }

    /// The facts about a principal and a dataset of the file.
    ///
    /// Either is named by its id, or as Cedar writes it, `User::"..."`; a user by its name too, and
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

    /// The user of a name, or nothing for the anonymous principal.
    fn find_user(&self, name: &str) -> Result<Option<&Entity>, EntityFileError> {
        let vocabulary = &self.schema_names;
        let what = "user";
        if let Some(uid) = parse_entity_uid(name)? {
            if uid == *vocabulary.anonymous() {
                return Ok(None);
            }
            let is_user = vocabulary.is_user(&uid);
            return self.find_entity(&uid, is_user, what).map(Some);
        }
        if name == "anonymous" {
            return Ok(None);
        }
        if let Some(user) = self.entities.get(&vocabulary.user_with_id(name)) {
            return Ok(Some(user));
        }
        let users = self.entities.iter();
        let mut users = users.filter(|entity| {
            vocabulary.is_user(&entity.uid())
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

/// The entity that a text names if it is in the form of Cedar's names.
fn parse_entity_uid(text: &str) -> Result<Option<EntityUid>, EntityFileError> {
    if !text.contains("::\"") {
        return Ok(None);
    }
    let named = text.parse().map_err(|error| EntityFileError::InvalidName {
        text: text.to_owned(),
        reason: message_with_causes(&error),
    });
    named.map(Some)
}

fn string_attribute(entity: &Entity, attribute: &str) -> Option<String> {
    match entity.attr(attribute) {
        Some(Ok(EvalResult::String(text))) => Some(text),
        _ => None,
    }
}
