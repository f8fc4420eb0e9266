//! Request types: which types of principals and resources requests have, with which actions.
//!
//! Cedargate asks for its own actions, and other services ask for those of the author (Authorization API 1.0). No
//! request has an action that applies to nothing, such as a group.

use std::collections::{BTreeMap, BTreeSet};

use cedar_policy::Schema;
use cedar_policy_core::ast::{EntityType, EntityUID};
use strum::VariantNames;

use crate::domain::action::Action;

/// The type of the server as a whole, which is the resource of Cedargate's own actions alone.
const SERVER_TYPE: &str = "Server";
const ACTION_TYPE: &str = "Action";

/// A principal or a resource, the two parts of a scope that are alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ScopePart {
    Principal,
    Resource,
}

impl ScopePart {
    /// Cedar's word for it.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Principal => "principal",
            Self::Resource => "resource",
        }
    }
}

/// An action that requests have.
#[derive(Debug)]
pub(super) struct RequestAction {
    pub(super) uid: EntityUID,
    groups: BTreeSet<EntityUID>,
    principals: BTreeSet<EntityType>,
    resources: BTreeSet<EntityType>,
}

impl RequestAction {
    /// Whether it is this action or in this group.
    pub(super) fn is_in(&self, uid: &EntityUID) -> bool {
        self.uid == *uid || self.groups.contains(uid)
    }

    /// The types that the action applies to.
    pub(super) fn types(&self, part: ScopePart) -> &BTreeSet<EntityType> {
        match part {
            ScopePart::Principal => &self.principals,
            ScopePart::Resource => &self.resources,
        }
    }
}

/// The requests that there are, by their types.
#[derive(Debug)]
pub(in crate::policy) struct RequestTypes {
    pub(super) actions: Vec<RequestAction>,
    principals: BTreeSet<EntityType>,
    resources: BTreeSet<EntityType>,
    /// The types that an entity of a type can be in, for all types of the schema.
    ancestors: BTreeMap<EntityType, BTreeSet<EntityType>>,
}

impl RequestTypes {
    /// The requests under a schema.
    pub(in crate::policy) fn new(schema: &Schema) -> Self {
        let groups = schema.action_entities().ok();
        let mut actions = Vec::new();
        for uid in schema.actions() {
            let is_own = is_of_cedargate(uid.as_ref());
            let is_asked = |kind: &EntityType| is_own || kind.to_string() != SERVER_TYPE;
            let known = |types: &mut dyn Iterator<Item = &EntityType>| {
                let known = types.filter(|kind| is_asked(kind));
                known.cloned().collect::<BTreeSet<EntityType>>()
            };
            let principals = schema.principals_for_action(uid).into_iter().flatten();
            let resources = schema.resources_for_action(uid).into_iter().flatten();
            let principals = known(&mut principals.map(AsRef::as_ref));
            let resources = known(&mut resources.map(AsRef::as_ref));
            if !is_own && (principals.is_empty() || resources.is_empty()) {
                continue;
            }
            let of_action = groups.as_ref().and_then(|groups| groups.ancestors(uid));
            let of_action = of_action.into_iter().flatten();
            actions.push(RequestAction {
                uid: uid.as_ref().clone(),
                groups: of_action.map(|group| group.as_ref().clone()).collect(),
                principals,
                resources,
            });
        }
        let ancestors = schema.entity_types().map(|name| {
            let above = schema.ancestors(name).into_iter().flatten();
            let above = above.map(|name| name.as_ref().clone()).collect();
            (name.as_ref().clone(), above)
        });
        let all = |part| {
            let types = actions.iter().flat_map(|action| action.types(part));
            types.cloned().collect()
        };
        Self {
            principals: all(ScopePart::Principal),
            resources: all(ScopePart::Resource),
            ancestors: ancestors.collect(),
            actions,
        }
    }

    /// The types that a part of a request can have.
    pub(super) fn types(&self, part: ScopePart) -> &BTreeSet<EntityType> {
        match part {
            ScopePart::Principal => &self.principals,
            ScopePart::Resource => &self.resources,
        }
    }

    /// Whether an entity of the one type can be, or be in, an entity of the other.
    pub(super) fn can_be_in(&self, inner: &EntityType, outer: &EntityType) -> bool {
        inner == outer || self.is_below(inner, outer)
    }

    /// Whether an entity of any type can be in an entity of this type, besides itself.
    pub(super) fn has_members(&self, outer: &EntityType) -> bool {
        self.ancestors
            .keys()
            .any(|inner| self.is_below(inner, outer))
    }

    fn is_below(&self, inner: &EntityType, outer: &EntityType) -> bool {
        let above = self.ancestors.get(inner);
        above.is_some_and(|above| above.contains(outer))
    }
}

/// Whether it is one of the actions of which Cedargate knows what they mean.
fn is_of_cedargate(uid: &EntityUID) -> bool {
    let id: &str = uid.eid().as_ref();
    uid.entity_type().to_string() == ACTION_TYPE && Action::VARIANTS.contains(&id)
}
