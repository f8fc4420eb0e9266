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
use super::case_file::{plain, span_of};
use super::diagnostic::{BundleError, Problem, with_causes};
use super::entities::Facts;
use super::index::Picks;
use super::schema_names::Vocabulary;
use super::sources::Sources;

/// The entities of a file, as one bundle's schema wants them.
#[derive(Debug)]
pub struct EntityFile {
    label: String,
    entities: Entities,
    vocabulary: Arc<Vocabulary>,
}

/// A principal and a dataset of a file, to be asked about.
#[derive(Debug)]
pub struct WrittenFacts {
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
pub enum WrittenFactsError {
    /// The text is in the form of Cedar's names, and is none.
    #[error("{text} is no name of an entity: {reason}")]
    NoName {
        /// What was given.
        text: String,
        /// What Cedar says.
        reason: String,
    },
    /// The entity is of a type that is not asked about so.
    #[error("{entity} is no {expected}")]
    OtherType {
        /// Cedar's name of it.
        entity: String,
        /// What would be one.
        expected: &'static str,
    },
    /// The file does not have it.
    #[error("{file}: there is no {what} {name}")]
    Missing {
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
pub(super) fn read(
    label: &str,
    text: &Arc<str>,
    schema: &Schema,
) -> Result<Entities, Vec<Problem>> {
    let written: Vec<&RawValue> = serde_json::from_str(text).map_err(|error| {
        vec![Problem::at(
            label,
            text,
            span_of(&error, text),
            plain(&error),
        )]
    })?;
    let mut entities = Vec::new();
    let mut problems = Vec::new();
    for (index, written) in written.into_iter().enumerate() {
        match Entity::from_json_str(written.get(), Some(schema)) {
            Ok(entity) => entities.push(entity),
            Err(error) => {
                let message = format!("entity {}: {}", index + 1, with_causes(&error));
                let span = start_of(written, text);
                problems.push(Problem::at(label, text, span, message));
            }
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    Entities::from_entities(entities, Some(schema))
        .map_err(|error| vec![Problem::of_file(label, with_causes(&error))])
}

/// The first byte of a value that borrows from a text: the distance of their addresses is its place.
pub(super) fn start_of(value: &RawValue, text: &str) -> Range<usize> {
    let start = (value.get().as_ptr() as usize).saturating_sub(text.as_ptr() as usize);
    start..start + 1
}

impl EntityFile {
    /// The entities in a file, which is bounded like a policy file.
    ///
    /// Fails with every entity that does not read or does not fit the schema of `bundle`.
    pub fn load(path: &Path, bundle: &Bundle) -> Result<Self, BundleError> {
        let label = path.display().to_string();
        let text = Sources::read_one(path)?;
        let entities = read(&label, &text, &bundle.schema)
            .map_err(|problems| BundleError::Invalid { problems })?;
        Ok(Self {
            label,
            entities,
            vocabulary: Arc::clone(&bundle.vocabulary),
        })
    }

    /// The names that users and datasets of the file go by.
    pub fn names(&self) -> impl Iterator<Item = String> {
        let is_asked =
            |uid: &EntityUid| self.vocabulary.is_user(uid) || self.vocabulary.is_dataset(uid);
        self.entities
            .iter()
            .filter(move |entity| is_asked(&entity.uid()))
            .flat_map(|entity| {
                let id = entity.uid().id().unescaped().to_owned();
                [Some(id), text_of(entity, "username")]
            })
            .flatten()
    }

    /// The facts about a principal and a dataset of the file.
    ///
    /// Either is named by its id, or as Cedar writes it, `User::"..."`; a user by its name too, and
    /// the anonymous principal, which need not be in the file, as `anonymous`.
    pub fn facts(&self, principal: &str, dataset: &str) -> Result<WrittenFacts, WrittenFactsError> {
        let dataset = self.dataset(dataset)?;
        let user = self.user(principal)?;
        let principal = user.map_or_else(|| self.vocabulary.anonymous().clone(), Entity::uid);
        Ok(WrittenFacts {
            principal: user.map_or_else(|| "anonymous".to_owned(), |_| principal.to_string()),
            username: user.and_then(|user| text_of(user, "username")),
            is_anonymous: user.is_none(),
            has_issuer: user.is_some_and(|user| text_of(user, "issuer").is_some()),
            dataset_id: dataset.uid().id().unescaped().to_owned(),
            title: text_of(dataset, "title").unwrap_or_default(),
            facts: Facts {
                principal,
                resource: dataset.uid(),
                entities: self.entities.clone(),
                picks: Picks::default(),
            },
        })
    }

    /// The user of a name, or nothing for the anonymous principal.
    fn user(&self, name: &str) -> Result<Option<&Entity>, WrittenFactsError> {
        let vocabulary = &self.vocabulary;
        let what = "user";
        if let Some(uid) = named_as_in_cedar(name)? {
            if uid == *vocabulary.anonymous() {
                return Ok(None);
            }
            let is_user = vocabulary.is_user(&uid);
            return self.entity(&uid, is_user, what).map(Some);
        }
        if name == "anonymous" {
            return Ok(None);
        }
        if let Some(user) = self.entities.get(&vocabulary.user_of(name)) {
            return Ok(Some(user));
        }
        let users = self.entities.iter();
        let mut users = users.filter(|entity| {
            vocabulary.is_user(&entity.uid())
                && text_of(entity, "username").as_deref() == Some(name)
        });
        match (users.next(), users.next()) {
            (Some(user), None) => Ok(Some(user)),
            (None, _) => Err(self.missing(what, name)),
            (Some(_), Some(_)) => Err(WrittenFactsError::Ambiguous {
                file: self.label.clone(),
                name: name.to_owned(),
            }),
        }
    }

    fn dataset(&self, name: &str) -> Result<&Entity, WrittenFactsError> {
        let what = "dataset";
        match named_as_in_cedar(name)? {
            Some(uid) => self.entity(&uid, self.vocabulary.is_dataset(&uid), what),
            None => self
                .entities
                .get(&self.vocabulary.dataset_of(name))
                .ok_or_else(|| self.missing(what, name)),
        }
    }

    fn entity(
        &self,
        uid: &EntityUid,
        is_expected: bool,
        what: &'static str,
    ) -> Result<&Entity, WrittenFactsError> {
        if !is_expected {
            return Err(WrittenFactsError::OtherType {
                entity: uid.to_string(),
                expected: what,
            });
        }
        let found = self.entities.get(uid);
        found.ok_or_else(|| self.missing(what, &uid.to_string()))
    }

    fn missing(&self, what: &'static str, name: &str) -> WrittenFactsError {
        WrittenFactsError::Missing {
            file: self.label.clone(),
            what,
            name: name.to_owned(),
        }
    }
}

/// The entity that a text names if it is in the form of Cedar's names.
fn named_as_in_cedar(text: &str) -> Result<Option<EntityUid>, WrittenFactsError> {
    if !text.contains("::\"") {
        return Ok(None);
    }
    let named = text.parse().map_err(|error| WrittenFactsError::NoName {
        text: text.to_owned(),
        reason: with_causes(&error),
    });
    named.map(Some)
}

fn text_of(entity: &Entity, attribute: &str) -> Option<String> {
    match entity.attr(attribute) {
        Some(Ok(EvalResult::String(text))) => Some(text),
        _ => None,
    }
}
