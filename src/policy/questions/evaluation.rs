//! Evaluation of questions that are not about the catalog alone: the entities, the request, the policies that match.

use std::sync::Arc;

use cedar_policy::{Context, Entities, Entity, EntityUid, Request, RestrictedExpression};
use cedar_policy_core::ast;
use cedar_policy_core::entities::{Entities as CoreEntities, NoEntitiesSchema, TCComputation};
use cedar_policy_core::extensions::Extensions;

use crate::domain::decision::Decision;
use crate::domain::error_chain::error_chain;
use crate::domain::principal::Principal;
use crate::domain::resource::Resource;
use crate::policy::bundle::Bundle;
use crate::policy::combined_decision::CombinedDecision;
use crate::policy::context::has_time;
use crate::policy::index::may_be_kept;

use super::action_context::ActionContext;
use super::properties::OwnEntity;
use super::question::QuestionEntity;
use super::question_context::{CedargateMembers, named_entities};
use super::refusal::QuestionRefusal;

/// Why there is no decision of the policies.
pub(super) enum Failure {
    /// What is asked does not fit the schema.
    Refusal(QuestionRefusal),
    /// What the catalog has does not fit the schema, or Cedar failed.
    Error(String),
}

impl From<QuestionRefusal> for Failure {
    fn from(refusal: QuestionRefusal) -> Self {
        Self::Refusal(refusal)
    }
}

impl Failure {
    fn of_cedar(error: impl std::error::Error + 'static) -> Self {
        Self::Error(error_chain(&error))
    }
}

/// Subject and resource, with the entities of those that are of the author's own types.
pub(super) struct Sides<'a> {
    pub(super) subject: &'a QuestionEntity,
    pub(super) resource: &'a QuestionEntity,
    pub(super) own_subject: Option<OwnEntity>,
    pub(super) own_resource: Option<OwnEntity>,
}

/// What a question is evaluated with.
struct QuestionFacts {
    principal: EntityUid,
    resource: EntityUid,
    entities: Entities,
}

impl Sides<'_> {
    /// Subject and resource if both are as the bundle has them, so that nothing else can change the decision about
    /// them than the context.
    fn unchanging(&self) -> Option<(&OwnEntity, &OwnEntity)> {
        let pair = self.own_subject.as_ref().zip(self.own_resource.as_ref());
        pair.filter(|(subject, resource)| subject.is_as_in_bundle() && resource.is_as_in_bundle())
    }

    /// Cedar has one entity for each name.
    fn check_oneself(&self) -> Result<(), QuestionRefusal> {
        match (&self.own_subject, &self.own_resource) {
            (Some(subject), Some(resource))
                if subject.uid == resource.uid && subject.given != resource.given =>
            {
                let message = "subject and resource are one entity with different properties";
                Err(QuestionRefusal::error(message))
            }
            _ => Ok(()),
        }
    }
}

impl Bundle {
    pub(super) fn evaluate_question(
        &self,
        sides: &Sides<'_>,
        action: &EntityUid,
        context: &ActionContext,
        own: &CedargateMembers,
        mut members: Vec<(String, RestrictedExpression)>,
    ) -> Result<Decision, Failure> {
        sides.check_oneself()?;
        let named = self.entities_of_context(sides, context, &members)?;
        let kept_key = sides
            .unchanging()
            .map(|(subject, resource)| (subject.uid.clone(), action.clone(), resource.uid.clone()));
        let kept = kept_key.as_ref().filter(|_| has_time(&own.decision));
        if let Some(decision) = kept.and_then(|key| self.question_tables.kept.get(key)) {
            return Ok(decision);
        }
        let facts = self.question_facts(sides, own, named)?;
        let sets = self
            .policy_index
            .matching(&facts.principal, action, &facts.resource, &facts.entities)
            .ok_or_else(|| Failure::Error(format!("the schema has no action {action}")))?;
        context
            .complete(&mut members, own, &self.networks)
            .map_err(Failure::of_cedar)?;
        let request_context = Context::from_pairs(members).map_err(Failure::of_cedar)?;
        // Every value has been read by its type, so the request needs no check.
        let request = Request::new(
            facts.principal,
            action.clone(),
            facts.resource,
            request_context,
            None,
        )
        .map_err(Failure::of_cedar)?;
        let combined =
            CombinedDecision::evaluate(&self.authorizer, &request, &sets, &facts.entities);
        let decision = self.to_decision(&combined);
        if let Some(key) = kept_key
            && !self.policy_index.reads_context(&sets)
            && may_be_kept(&decision)
        {
            self.question_tables.kept.insert(key, decision.clone());
        }
        Ok(decision)
    }

    /// The entities that the values of the context name, beside subject and resource.
    fn entities_of_context(
        &self,
        sides: &Sides<'_>,
        context: &ActionContext,
        members: &[(String, RestrictedExpression)],
    ) -> Result<Vec<Entity>, QuestionRefusal> {
        if members.is_empty() {
            return Ok(Vec::new());
        }
        let of_sides = [sides.subject, sides.resource].map(|side| self.question_uid(side));
        let mut found = Vec::new();
        for uid in named_entities(members) {
            if of_sides.contains(&uid) {
                continue;
            }
            let Some(own) = self.question_tables.own_type(uid.type_name()) else {
                let is_known =
                    !self.schema_names.is_user(&uid) && !self.schema_names.is_dataset(&uid);
                if is_known || !context.follows_catalog {
                    continue;
                }
                let what = "is neither subject nor resource, so nothing is known about it";
                let kind = uid.type_name();
                return Err(QuestionRefusal::error(format!("context: {uid} {what}"))
                    .recorded_as(format!("context: a {kind} {what}")));
            };
            if own.members.is_some() {
                continue;
            }
            match (self.entities().get(&uid), own.required().next()) {
                (Some(entity), _) => found.push(entity.clone()),
                (None, None) => found.push(Entity::with_uid(uid)),
                (None, Some(name)) => {
                    let (kind, what) = (uid.type_name(), "and the schema requires");
                    let message = format!("context: there is no {uid}, {what} {name}");
                    return Err(QuestionRefusal::reason(message)
                        .recorded_as(format!("context: a {kind} is not there, {what} {name}")));
                }
            }
        }
        Ok(found)
    }

    /// The entities of a question: those of the catalog as in other decisions, and the own ones.
    fn question_facts(
        &self,
        sides: &Sides<'_>,
        own: &CedargateMembers,
        named: Vec<Entity>,
    ) -> Result<QuestionFacts, Failure> {
        let principal = match sides.subject {
            QuestionEntity::Principal(principal) => principal,
            _ => &Principal::Anonymous,
        };
        let resource = match sides.resource {
            QuestionEntity::Dataset(dataset) => Resource::Dataset(dataset.clone()),
            QuestionEntity::Principal(Principal::User(user)) => Resource::User(user.clone()),
            QuestionEntity::Role(role) => Resource::Role(role.clone()),
            QuestionEntity::Principal(Principal::Anonymous) | QuestionEntity::Own { .. } => {
                Resource::Server
            }
        };
        let seconds = own.decision.unix_millis.div_euclid(1_000);
        let facts = self
            .entity_cache
            .facts(principal, &resource, seconds)
            .map_err(Failure::of_cedar)?;
        let (subject_uid, resource_uid) = (
            self.question_uid(sides.subject),
            self.question_uid(sides.resource),
        );
        if matches!(resource, Resource::User(_)) && facts.resource != resource_uid {
            // Read at two moments. Cedar has one entity for each name.
            let message = "the user was changed while the question was decided";
            return Err(Failure::Refusal(QuestionRefusal::reason(message)));
        }
        let mut added = named;
        if let Some(own) = &sides.own_subject {
            added.extend(own.build(self.entities())?);
        }
        if let QuestionEntity::Dataset(dataset) = sides.subject
            && subject_uid != resource_uid
        {
            let dataset = Resource::Dataset(dataset.clone());
            let facts = self
                .entity_cache
                .facts(&Principal::Anonymous, &dataset, seconds)
                .map_err(Failure::of_cedar)?;
            added.extend(facts.entities.get(&subject_uid).cloned());
        }
        if let Some(own) = &sides.own_resource
            && subject_uid != resource_uid
        {
            added.extend(own.build(self.entities())?);
        }
        let entities = with_closed(&facts.entities, added)?;
        Ok(QuestionFacts {
            principal: subject_uid,
            resource: resource_uid,
            entities,
        })
    }
}

/// The entities with others that have all their ancestors, and that were checked against the schema by themselves.
///
/// An own entity is in what its file says, and in no user: the roles of a user are the catalog's.
fn with_closed(entities: &Entities, added: Vec<Entity>) -> Result<Entities, Failure> {
    if added.is_empty() {
        return Ok(entities.clone());
    }
    let all: &CoreEntities = entities.as_ref();
    let added = added.into_iter().map(|entity| {
        let entity: &ast::Entity = entity.as_ref();
        Arc::new(entity.clone())
    });
    let all = all.clone().add_entities(
        added,
        None::<&NoEntitiesSchema>,
        TCComputation::AssumeAlreadyComputed,
        Extensions::all_available(),
    );
    Ok(all.map_err(Failure::of_cedar)?.into())
}
