//! AuthZEN actions: which action of the schema a name means for a pair of types.
//!
//! A name means the action that has it as `@authzen`, or that has it as id and no `@authzen`; if there is none, the one
//! that has it as id beside other names. The same name may mean another action for another pair of types.

use std::collections::{BTreeMap, HashMap, HashSet};

use cedar_policy::{EntityTypeName, EntityUid, Schema};

use crate::domain::action::Action;
use crate::domain::diagnostic::SourceDiagnostic;
use crate::policy::schema_text::DeclarationKind;

use super::aliases::{Alias, SchemaPlaces};

/// The most actions with one name.
const MAX_ACTIONS_OF_NAME: usize = 256;

/// An action that questions can name.
#[derive(Debug)]
pub(in crate::policy) struct NamedAction {
    /// Its Cedar name.
    pub(in crate::policy) uid: EntityUid,
    /// The same as text.
    pub(in crate::policy) cedar_name: String,
    /// The action of the catalog, if it is one.
    pub(in crate::policy) standard: Option<Action>,
    /// Its AuthZEN names: those of `@authzen`, else its id.
    names: Vec<String>,
    principals: HashSet<EntityTypeName>,
    resources: HashSet<EntityTypeName>,
}

/// The actions by their names.
#[derive(Debug, Default)]
pub(super) struct NamedActions {
    /// Sorted by their Cedar names.
    all: Vec<NamedAction>,
    by_name: HashMap<String, Vec<usize>>,
    /// The actions that have the name as id, and other names by `@authzen`.
    by_id: HashMap<String, Vec<usize>>,
}

impl NamedAction {
    fn applies_to(&self, subject: &EntityTypeName, resource: &EntityTypeName) -> bool {
        self.principals.contains(subject) && self.resources.contains(resource)
    }

    /// The name that answers use.
    fn name(&self) -> &str {
        self.names.first().map_or("", String::as_str)
    }

    /// Its namespace, empty for none, and its id.
    fn parts(&self) -> (String, &str) {
        (self.uid.type_name().namespace(), self.uid.id().as_ref())
    }
}

impl NamedActions {
    /// The actions of a schema; fails if a name means two of them for one pair of types.
    pub(super) fn new(
        schema: &Schema,
        aliases: &[Alias],
        places: &SchemaPlaces<'_>,
    ) -> Result<Self, Vec<SourceDiagnostic>> {
        let of_actions = aliases
            .iter()
            .filter(|alias| alias.kind == DeclarationKind::Action)
            .map(|alias| ((alias.namespace.clone(), &*alias.name), &alias.names));
        let aliases: BTreeMap<(String, &str), &Vec<String>> = of_actions.collect();
        let cedar_types = |types: &mut dyn Iterator<Item = &cedar_policy_core::ast::EntityType>| {
            types.cloned().map(EntityTypeName::from).collect()
        };
        let mut found = Self::default();
        for action in schema.as_ref().action_ids() {
            let uid = EntityUid::from(action.name().clone());
            let namespace = uid.type_name().namespace();
            let id: &str = uid.id().as_ref();
            let standard = namespace.is_empty().then(|| id.parse().ok()).flatten();
            let given = aliases.get(&(namespace, id));
            found.all.push(NamedAction {
                cedar_name: uid.to_string(),
                standard,
                names: given.map_or_else(|| vec![id.to_owned()], |names| (*names).clone()),
                principals: cedar_types(&mut action.applies_to_principals()),
                resources: cedar_types(&mut action.applies_to_resources()),
                uid,
            });
        }
        found
            .all
            .sort_by(|one, other| one.cedar_name.cmp(&other.cedar_name));
        for (at, action) in found.all.iter().enumerate() {
            for name in &action.names {
                found.by_name.entry(name.clone()).or_default().push(at);
            }
            let (_, id) = action.parts();
            if !action.names.iter().any(|name| name == id) {
                found.by_id.entry(id.to_owned()).or_default().push(at);
            }
        }
        let problems = found.conflicts(places);
        if problems.is_empty() {
            Ok(found)
        } else {
            Err(problems)
        }
    }

    /// The action that a name means for a pair of types.
    pub(super) fn find(
        &self,
        name: &str,
        subject: &EntityTypeName,
        resource: &EntityTypeName,
    ) -> Option<&NamedAction> {
        let applicable = |positions: Option<&'_ Vec<usize>>| {
            let positions = positions.into_iter().flatten();
            let mut found = positions
                .filter_map(|at| self.all.get(*at))
                .filter(|action| action.applies_to(subject, resource));
            (found.next(), found.next().is_some())
        };
        match applicable(self.by_name.get(name)) {
            (Some(found), _) => Some(found),
            // An id that two actions have, both with other names, means neither.
            (None, _) => match applicable(self.by_id.get(name)) {
                (found, false) => found,
                (_, true) => None,
            },
        }
    }

    /// The actions that apply to a pair of types, by the names that answers use, sorted.
    pub(super) fn of_pair(
        &self,
        subject: &EntityTypeName,
        resource: &EntityTypeName,
    ) -> Vec<(&str, &EntityUid)> {
        let applicable = self
            .all
            .iter()
            .filter(|action| action.applies_to(subject, resource));
        let mut found: Vec<_> = applicable
            .map(|action| (action.name(), &action.uid))
            .collect();
        found.sort_by_key(|(name, _)| *name);
        found
    }

    /// The problems of names that mean two actions for one pair of types.
    fn conflicts(&self, places: &SchemaPlaces<'_>) -> Vec<SourceDiagnostic> {
        let mut problems = Vec::new();
        for (name, positions) in &self.by_name {
            let actions: Vec<&NamedAction> = positions
                .iter()
                .filter_map(|at| self.all.get(*at))
                .collect();
            if let Some(one) = actions.get(MAX_ACTIONS_OF_NAME) {
                let message = format!(
                    "more than {MAX_ACTIONS_OF_NAME} actions have the AuthZEN name {name:?}"
                );
                problems.push(problem_at(places, one, message));
                continue;
            }
            for (at, one) in actions.iter().enumerate() {
                let before = actions.iter().take(at);
                let mut shared = before.filter_map(|other| Some((other, shared_pair(one, other)?)));
                if let Some((other, (subject, resource))) = shared.next() {
                    let message = format!(
                        "the AuthZEN action {name:?} of a {subject} and a {resource} is {} and {}",
                        other.cedar_name, one.cedar_name
                    );
                    let help = "give each a name of its own with @authzen";
                    // An action of the catalog keeps its name.
                    let to_change = if one.standard.is_some() { other } else { one };
                    problems.push(problem_at(places, to_change, message).with_help(help));
                }
            }
        }
        problems
    }
}

/// A pair of types that both actions apply to, the first by name.
fn shared_pair(one: &NamedAction, other: &NamedAction) -> Option<(String, String)> {
    let first = |one: &HashSet<EntityTypeName>, other: &HashSet<EntityTypeName>| {
        one.intersection(other).map(ToString::to_string).min()
    };
    let subject = first(&one.principals, &other.principals)?;
    Some((subject, first(&one.resources, &other.resources)?))
}

fn problem_at(
    places: &SchemaPlaces<'_>,
    action: &NamedAction,
    message: String,
) -> SourceDiagnostic {
    let (namespace, id) = action.parts();
    places.problem((DeclarationKind::Action, &namespace, id), message)
}
