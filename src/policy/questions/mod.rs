//! AuthZEN questions: decides whether a subject may do an action on a resource, of the catalog or of the author's own
//! types.
//!
//! A question about the catalog alone is decided by [`Bundle::decide`]. Every other one is a Cedar request whose entities
//! are the principal, the resource and those that the context names: users, roles and datasets as the catalog has them,
//! own entities as the bundle has them with the properties of the question ([`properties`]). What the schema does not
//! allow is refused ([`refusal`]), never left out: without it a `forbid` could be got around. Errors deny, always.
//!
//! [`tables`]: what questions need of a bundle. [`action_context`], [`question_context`]: who fills in the context.

mod action_context;
mod evaluation;
mod properties;
mod question;
mod question_context;
mod refusal;
pub(super) mod tables;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use cedar_policy::{EntityId, EntityTypeName, EntityUid};
use serde_json::{Map, Value};

use crate::domain::access_question::AskedAction;
use crate::domain::action::Action;
use crate::domain::decision::Decision;
use crate::domain::principal::Principal;
use crate::domain::resource::Resource;

use super::access_types::{AccessType, NamedAction};
use super::bundle::Bundle;
use super::bundle_entities::EntityClass;
use super::schema_check::is_applicable;

pub use action_context::CEDARGATE_MEMBERS;
use evaluation::{Failure, Sides};
use properties::OwnEntity;
pub use question::{AskedNames, QuestionAnswer, QuestionCircumstances, QuestionEntity};
use question_context::GivenContext;
pub use refusal::QuestionRefusal;

/// The longest id of a question, in characters.
pub const MAX_ASKED_ID_LENGTH: usize = 1024;
/// The entity that stands for this server, of an enumeration in the schema.
const SERVER_TYPE: &str = "Server";
const SERVER_ID: &str = "cedargate";

impl Bundle {
    /// Decides a question.
    ///
    /// What it asks must be as the schema has it: see [`QuestionRefusal`]. An evaluation error, or an entity of the
    /// catalog that does not fit the schema, denies with an entry in [`Decision::errors`].
    #[must_use]
    pub fn decide_question(
        &self,
        subject: &QuestionEntity,
        action: &AskedAction,
        resource: &QuestionEntity,
        context: &Map<String, Value>,
        circumstances: &QuestionCircumstances,
    ) -> QuestionAnswer {
        let types = (subject.access_type(), resource.access_type());
        let found = self
            .access_types()
            .find_action(&action.name, &types.0, &types.1);
        let names = AskedNames {
            principal: self.question_name(subject),
            action: found.map_or_else(
                || format!("{:?}", action.name),
                |found| found.cedar_name.clone(),
            ),
            resource: self.question_name(resource),
        };
        let answer = match found {
            Some(found) => {
                let given = GivenContext {
                    properties: &action.properties,
                    context,
                };
                self.answer(subject, found, resource, given, circumstances)
            }
            None => Err(self.no_action(&action.name, &types)),
        };
        let (decision, refusal) = match answer {
            Ok(decision) => (decision, None),
            Err(refusal) => (self.refuse(), Some(refusal)),
        };
        QuestionAnswer {
            decision,
            refusal,
            names,
        }
    }

    /// The `@reason` of the determining policies that have `@tell`, joined by spaces in the order of their ids.
    #[must_use]
    pub fn told_reason(&self, decision: &Decision) -> Option<String> {
        let policies = decision.determining_policies.iter();
        let told = policies
            .filter_map(|id| self.policies().get(id))
            .filter(|policy| policy.is_told)
            .filter_map(|policy| policy.reason.as_deref());
        let told: Vec<&str> = told.filter(|reason| !reason.is_empty()).collect();
        (!told.is_empty()).then(|| told.join(" "))
    }

    /// The ids of a type's entities after one, in their order, each with its class; the members of an enumeration, but for
    /// those that no question can name.
    pub fn own_candidates<'a>(
        &'a self,
        kind: &EntityTypeName,
        after: Option<&str>,
    ) -> impl Iterator<Item = (&'a str, Option<EntityClass>)> + use<'a> {
        let is_before = |id: &str| after.is_some_and(|after| id <= after);
        let own = self.question_tables.own_type(kind);
        let members = own.and_then(|own| own.members.as_ref());
        let members: Option<Vec<&'a str>> = members.map(|members| {
            let members = members.iter().map(String::as_str);
            let after = members.filter(|id| !is_before(id));
            after.filter(|id| can_be_asked(id)).collect()
        });
        let all = self.entities().of_type(kind);
        let first = all.partition_point(|uid| is_before(uid.id().as_ref()));
        let rest = all.get(first..).unwrap_or_default().iter();
        let rest = rest.map(|uid| (uid.id().as_ref(), self.entities().class(uid)));
        let members = members.into_iter().flatten();
        members.map(|id| (id, None)).chain(rest)
    }

    fn answer(
        &self,
        subject: &QuestionEntity,
        action: &NamedAction,
        resource: &QuestionEntity,
        given: GivenContext<'_>,
        circumstances: &QuestionCircumstances,
    ) -> Result<Decision, QuestionRefusal> {
        if let QuestionEntity::Principal(Principal::User(user)) = subject
            && user.is_disabled
        {
            return Err(QuestionRefusal::reason("the user is disabled"));
        }
        let Some(context) = self.question_tables.context(&action.uid) else {
            let message = format!("the schema has no action {}", action.uid);
            return Err(QuestionRefusal::reason(message));
        };
        let usual = subject.usual_context(circumstances.unix_millis);
        let own = context.circumstances(given, usual, circumstances.is_context_believed)?;
        context.require_key(&own)?;
        let members = context.callers_members(given)?;
        if members.is_empty()
            && own.key.is_none()
            && let Some((principal, action, resource)) = catalog_pair(subject, action, resource)
            && self.declares(action)
        {
            return Ok(self.decide(principal, action, &resource, &own.decision));
        }
        let sides = Sides {
            own_subject: self.own_entity("subject", subject)?,
            own_resource: self.own_entity("resource", resource)?,
            subject,
            resource,
        };
        let answer = self.evaluate_question(&sides, &action.uid, context, &own, members);
        match answer {
            Ok(decision) => Ok(decision),
            Err(Failure::Error(message)) => Ok(self.deny(message)),
            Err(Failure::Refusal(refusal)) => Err(refusal),
        }
    }

    /// The entity of an own type, as the schema allows it.
    fn own_entity(
        &self,
        role: &str,
        entity: &QuestionEntity,
    ) -> Result<Option<OwnEntity>, QuestionRefusal> {
        let QuestionEntity::Own {
            kind,
            id,
            properties,
        } = entity
        else {
            return Ok(None);
        };
        let access_type = entity.access_type();
        OwnEntity::new(
            (&self.question_tables, self.entities()),
            (role, self.access_types().name_of(&access_type)),
            (kind, id),
            properties,
        )
        .map(Some)
    }

    fn question_uid(&self, entity: &QuestionEntity) -> EntityUid {
        let names = &self.schema_names;
        match entity {
            QuestionEntity::Principal(Principal::User(user)) => names.user(user.id),
            QuestionEntity::Principal(Principal::Anonymous) => names.anonymous().clone(),
            QuestionEntity::Dataset(dataset) => names.dataset(dataset.id),
            QuestionEntity::Role(role) => names.role(role),
            QuestionEntity::Own { kind, id, .. } => {
                EntityUid::from_type_name_and_id(kind.clone(), EntityId::new(id))
            }
        }
    }

    /// The Cedar name of a side, as text.
    fn question_name(&self, entity: &QuestionEntity) -> String {
        match entity {
            // Most questions are about these, and a UUID needs no escapes.
            QuestionEntity::Principal(Principal::User(user)) => format!("User::\"{}\"", user.id),
            QuestionEntity::Dataset(dataset) => format!("Dataset::\"{}\"", dataset.id),
            other => self.question_uid(other).to_string(),
        }
    }

    fn no_action(
        &self,
        name: &str,
        (subject, resource): &(AccessType, AccessType),
    ) -> QuestionRefusal {
        let types = self.access_types();
        QuestionRefusal::reason(format!(
            "no action {} applies to a subject of type \"{}\" and a resource of type \"{}\"",
            refusal::quoted(name),
            types.name_of(subject),
            types.name_of(resource)
        ))
    }
}

/// Whether an id is one that a question can have.
fn can_be_asked(id: &str) -> bool {
    !id.is_empty() && id.chars().count() <= MAX_ASKED_ID_LENGTH
}

/// The question as [`Bundle::decide`] takes it, if it is about the catalog alone.
fn catalog_pair<'a>(
    subject: &'a QuestionEntity,
    action: &NamedAction,
    resource: &QuestionEntity,
) -> Option<(&'a Principal, Action, Resource)> {
    let QuestionEntity::Principal(principal) = subject else {
        return None;
    };
    let action = action.standard?;
    let resource = match resource {
        QuestionEntity::Dataset(dataset) => Resource::Dataset(Arc::clone(dataset)),
        QuestionEntity::Principal(Principal::User(user)) => Resource::User(Arc::clone(user)),
        QuestionEntity::Role(role) => Resource::Role(role.clone()),
        QuestionEntity::Own { kind, id, .. }
            if id == SERVER_ID && kind.to_string() == SERVER_TYPE =>
        {
            Resource::Server
        }
        QuestionEntity::Principal(Principal::Anonymous) | QuestionEntity::Own { .. } => {
            return None;
        }
    };
    is_applicable(principal, action, &resource).then_some((principal, action, resource))
}
