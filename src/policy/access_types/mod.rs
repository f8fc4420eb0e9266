//! AuthZEN names: which entity types and actions the type and action names of AuthZEN mean.
//!
//! A type is named by an `@authzen("...")` on its declaration, by its Cedar name, or, if it is of the catalog, by
//! `user`, `dataset`, `role` or `anonymous`, in this order. Case counts. [`actions`]: the same for actions.

mod actions;
mod aliases;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};

use cedar_policy::{EntityTypeName, EntityUid, Schema};

use crate::domain::diagnostic::SourceDiagnostic;

use super::schema_text::DeclarationKind;
use super::sources::SourceFiles;

pub(super) use actions::NamedAction;
use actions::NamedActions;
pub(super) use aliases::AUTHZEN;
use aliases::{Alias, SchemaPlaces, aliases};

/// What an AuthZEN type means.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum AccessType {
    /// A user of the catalog.
    User,
    /// A dataset of the catalog.
    Dataset,
    /// A role of the catalog.
    Role,
    /// The anonymous principal.
    Anonymous,
    /// A type of the author's own.
    Own(EntityTypeName),
}

/// The types of the catalog: their Cedar names and the names that they have in AuthZEN unless an alias has it.
const CATALOG_TYPES: [(AccessType, &str, &str); 4] = [
    (AccessType::User, "User", "user"),
    (AccessType::Dataset, "Dataset", "dataset"),
    (AccessType::Role, "Role", "role"),
    (AccessType::Anonymous, "Anonymous", "anonymous"),
];

impl AccessType {
    fn of(cedar_name: &EntityTypeName) -> Self {
        let text = cedar_name.to_string();
        let mut catalog = CATALOG_TYPES.into_iter();
        let found = catalog.find(|(_, known, _)| *known == text);
        found.map_or_else(|| Self::Own(cedar_name.clone()), |(kind, ..)| kind)
    }
}

/// A type with its names.
#[derive(Debug)]
struct NamedType {
    cedar_name: EntityTypeName,
    /// The name that answers use.
    name: String,
}

/// The AuthZEN names of a bundle's types and actions.
#[derive(Debug, Default)]
pub struct AccessTypes {
    by_name: HashMap<String, AccessType>,
    types: HashMap<AccessType, NamedType>,
    actions: NamedActions,
}

/// The names with the warnings about them.
pub(super) type ParsedAccessTypes = (AccessTypes, Vec<SourceDiagnostic>);

impl AccessTypes {
    /// Reads the names from the schema, whose text the sources have; fails with every problem of them.
    pub(super) fn parse(
        sources: &SourceFiles,
        schema: &Schema,
    ) -> Result<ParsedAccessTypes, Vec<SourceDiagnostic>> {
        let places = SchemaPlaces::new(sources);
        let aliases = aliases(sources, &places)?;
        let mut warnings = places.misspelt();
        let types = Self::of_types(schema, &aliases, &places, &mut warnings);
        let actions = NamedActions::new(schema, &aliases, &places);
        match (types, actions) {
            (Ok(types), Ok(actions)) => Ok((Self { actions, ..types }, warnings)),
            (types, actions) => {
                let problems = [types.err(), actions.err()];
                Err(problems.into_iter().flatten().flatten().collect())
            }
        }
    }

    fn of_types(
        schema: &Schema,
        aliases: &[Alias],
        places: &SchemaPlaces<'_>,
        warnings: &mut Vec<SourceDiagnostic>,
    ) -> Result<Self, Vec<SourceDiagnostic>> {
        let declared: BTreeMap<String, &EntityTypeName> = schema
            .entity_types()
            .map(|kind| (kind.to_string(), kind))
            .collect();
        let mut found = Self::default();
        // Which type an alias names, for messages.
        let mut taken: HashMap<&str, String> = HashMap::new();
        let mut problems = Vec::new();
        let of_types = aliases
            .iter()
            .filter(|alias| alias.kind == DeclarationKind::Entity);
        for alias in of_types {
            let cedar_name = match alias.namespace.as_str() {
                "" => alias.name.clone(),
                namespace => format!("{namespace}::{}", alias.name),
            };
            let Some(kind) = declared.get(&cedar_name).map(|kind| AccessType::of(kind)) else {
                continue;
            };
            let key = (DeclarationKind::Entity, &*alias.namespace, &*alias.name);
            for name in &alias.names {
                if let Some(other) = taken.insert(name, cedar_name.clone()) {
                    let message = format!("the AuthZEN type {name:?} is {other} and {cedar_name}");
                    let help = "one name means one type";
                    problems.push(places.problem(key, message).with_help(help));
                }
                if *name != cedar_name && declared.contains_key(name) {
                    let message = format!("@authzen({name:?}) is the name of another entity type");
                    let help =
                        "AuthZEN requests may also name a type as Cedar does: choose another name";
                    problems.push(places.problem(key, message).with_help(help));
                }
                warnings.extend(
                    taken_catalog_name(name, &kind, &cedar_name)
                        .map(|message| places.problem(key, message).into_warning()),
                );
                found.by_name.insert(name.clone(), kind.clone());
            }
            if let (Some(first), Some(cedar_name)) =
                (alias.names.first(), declared.get(&cedar_name))
            {
                let named = NamedType {
                    cedar_name: (*cedar_name).clone(),
                    name: first.clone(),
                };
                found.types.insert(kind, named);
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        found.add_unnamed(&declared);
        for (text, kind) in &declared {
            // An own type that is named like the word of the catalog takes it too.
            let is_it = found.by_name.get(text) == Some(&AccessType::of(kind));
            let message = taken_catalog_name(text, &AccessType::of(kind), text).filter(|_| is_it);
            warnings.extend(message.map(|message| {
                let key = (DeclarationKind::Entity, "", text.as_str());
                places.problem(key, message).into_warning()
            }));
        }
        Ok(found)
    }

    /// Adds the names that types have without an alias.
    fn add_unnamed(&mut self, declared: &BTreeMap<String, &EntityTypeName>) {
        for (text, cedar_name) in declared {
            let kind = AccessType::of(cedar_name);
            self.by_name.entry(text.clone()).or_insert(kind);
        }
        for (kind, _, word) in CATALOG_TYPES {
            self.by_name.entry(word.to_owned()).or_insert(kind);
        }
        for (text, cedar_name) in declared {
            let kind = AccessType::of(cedar_name);
            let mut catalog = CATALOG_TYPES.into_iter();
            let word = catalog.find(|(known, ..)| *known == kind);
            // The short word of the catalog, unless it means an own type.
            let word = word.filter(|(_, _, word)| self.by_name.get(*word) == Some(&kind));
            let name = word.map_or(text.as_str(), |(_, _, word)| word).to_owned();
            self.types.entry(kind).or_insert_with(|| NamedType {
                cedar_name: (*cedar_name).clone(),
                name,
            });
        }
    }

    /// The type that a name means: an `@authzen` alias, a Cedar name, or `user`, `dataset`, `role`, `anonymous`.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<AccessType> {
        self.by_name.get(name).cloned()
    }

    /// The name that answers use for a type; empty for a type that the schema does not have.
    #[must_use]
    pub fn name_of<'a>(&'a self, kind: &'a AccessType) -> &'a str {
        self.types.get(kind).map_or("", |named| named.name.as_str())
    }

    /// The actions that apply to a pair of types, by their AuthZEN names, sorted; each name means its action.
    #[must_use]
    pub fn actions(&self, subject: &AccessType, resource: &AccessType) -> Vec<(&str, &EntityUid)> {
        let pair = self.cedar_name(subject).zip(self.cedar_name(resource));
        pair.map(|(subject, resource)| self.actions.of_pair(subject, resource))
            .unwrap_or_default()
    }

    /// The action that a name means for a pair of types, as Cedar writes it.
    #[must_use]
    pub fn action_name(
        &self,
        name: &str,
        subject: &AccessType,
        resource: &AccessType,
    ) -> Option<String> {
        let found = self.find_action(name, subject, resource)?;
        Some(found.uid.to_string())
    }

    /// The action that a name means for a pair of types.
    pub(super) fn find_action(
        &self,
        name: &str,
        subject: &AccessType,
        resource: &AccessType,
    ) -> Option<&NamedAction> {
        let (subject, resource) = (self.cedar_name(subject)?, self.cedar_name(resource)?);
        self.actions.find(name, subject, resource)
    }

    fn cedar_name(&self, kind: &AccessType) -> Option<&EntityTypeName> {
        self.types.get(kind).map(|named| &named.cedar_name)
    }
}

/// What to say of an alias that takes the word of a type of the catalog.
fn taken_catalog_name(name: &str, kind: &AccessType, cedar_name: &str) -> Option<String> {
    let (_, catalog, _) = CATALOG_TYPES
        .into_iter()
        .find(|(known, _, word)| *word == name && known != kind)?;
    Some(format!(
        "the AuthZEN type {name:?} means {cedar_name}: {catalog} of the catalog is {catalog:?} there"
    ))
}
