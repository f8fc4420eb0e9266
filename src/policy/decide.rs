//! Decisions: evaluates the policies for one request.
//!
//! Every error denies. Cedar skips a policy that fails to evaluate, so that a failing forbid would let
//! a permit through; here any failure denies the whole request.

use std::slice;
use std::sync::Arc;

use cedar_policy::{EntityUid, PolicySet, Request};

use crate::domain::action::Action;
use crate::domain::caller::DecisionContext;
use crate::domain::decision::{Decision, MAX_TOKEN_TTL};
use crate::domain::error_chain::error_chain;
use crate::domain::principal::{Principal, User};
use crate::domain::resource::Resource;

use super::bundle::Bundle;
use super::combined_decision::CombinedDecision;
use super::context::has_time;
use super::decision_classes::DecisionClass;
use super::entities::{DatasetAt, Facts};
use super::entity_file::EntityFileFacts;
use super::index::{MatchedAction, may_be_kept};
use super::policy_id::id_text;
use super::schema_check::is_applicable;

impl Bundle {
    /// Decides whether `principal` may do `action` on `resource` in `context`; policies see the time in
    /// whole seconds.
    ///
    /// An evaluation error, or facts that do not fit the schema, deny with an entry in
    /// [`Decision::errors`]. So does a disabled user, whose credentials should have been rejected before.
    ///
    /// A caller can be in another state than the catalog has it in: with the roles of an older token of its
    /// identity provider. A question about itself is then permitted only if it is in every reading of who
    /// the two are ([`readings_of_oneself`]).
    ///
    /// Pass the same `Arc`s for the same user and dataset: their entities are cached by address.
    #[must_use]
    pub fn decide(
        &self,
        principal: &Principal,
        action: Action,
        resource: &Resource,
        context: &DecisionContext,
    ) -> Decision {
        let decide = |principal: &Principal, resource: &Resource| {
            self.decide_one(principal, action, resource, context)
                .unwrap_or_else(|error| self.deny(error))
        };
        let Some(readings) = readings_of_oneself(principal, resource) else {
            return decide(principal, resource);
        };
        let [first, second, third] = readings.map(|(who, what)| decide(&who, &what));
        first.and(second).and(third)
    }

    /// Decides about a principal and a dataset of a file.
    #[must_use]
    pub fn decide_from_file(
        &self,
        entities: &EntityFileFacts,
        action: Action,
        context: &DecisionContext,
    ) -> Decision {
        self.decide_facts(&entities.facts, action, context)
            .unwrap_or_else(|error| self.deny(error))
    }

    /// Decides as [`Bundle::decide`] does, without the index: evaluates every policy.
    ///
    /// For tests and benches only.
    #[doc(hidden)]
    #[must_use]
    pub fn decide_unindexed(
        &self,
        principal: &Principal,
        action: Action,
        resource: &Resource,
        context: &DecisionContext,
    ) -> Decision {
        self.prepare(principal, action, resource, context)
            .map(|(facts, request)| {
                self.evaluate(&request, slice::from_ref(&self.policies.set), &facts)
            })
            .map_or_else(
                |error| self.deny(error),
                |combined| self.to_decision(&combined),
            )
    }

    /// The facts and the Cedar request, or why the request is denied without evaluating policies.
    pub(super) fn prepare(
        &self,
        principal: &Principal,
        action: Action,
        resource: &Resource,
        context: &DecisionContext,
    ) -> Result<(Arc<Facts>, Request), String> {
        let facts = self.facts(principal, action, resource, context)?;
        let request = self.cedar_request(&facts, action, context)?;
        Ok((facts, request))
    }

    fn decide_one(
        &self,
        principal: &Principal,
        action: Action,
        resource: &Resource,
        context: &DecisionContext,
    ) -> Result<Decision, String> {
        self.check_applicable(principal, action, resource)?;
        let at = match resource {
            Resource::Dataset(dataset) if has_time(context) => {
                DatasetAt::new(dataset, context.unix_millis.div_euclid(1_000))
            }
            _ => {
                let facts = self.facts(principal, action, resource, context)?;
                return self.decide_facts(&facts, action, context);
            }
        };
        let classes = &self.decision_classes;
        if let Some(decision) = classes.pair(principal, action, at) {
            return Ok(decision);
        }
        if let Some(facts) = self.entity_cache.cached_facts(principal, at) {
            return self.decide_facts(&facts, action, context);
        }
        let class = self.class(principal, action, at);
        let known = class
            .as_ref()
            .and_then(|class| classes.decision(class, principal, at));
        if let Some(decision) = known {
            return Ok(decision);
        }
        let facts = self.facts(principal, action, resource, context)?;
        let decision = self.decide_facts(&facts, action, context)?;
        if let Some(class) = class
            && may_be_kept(&decision)
        {
            classes.keep(class, &decision);
        }
        Ok(decision)
    }

    /// The facts, or why the request is denied without evaluating policies.
    fn facts(
        &self,
        principal: &Principal,
        action: Action,
        resource: &Resource,
        context: &DecisionContext,
    ) -> Result<Arc<Facts>, String> {
        self.check_applicable(principal, action, resource)?;
        self.entity_cache
            .facts(principal, resource, context.unix_millis.div_euclid(1_000))
            .map_err(|error| error_chain(&error))
    }

    /// Evaluates the policies that match, or repeats what they decided about the same facts if none of them reads
    /// the context. The facts are of one bundle, of one state of principal and resource, and of the shares of one
    /// time, so nothing else can have changed.
    fn decide_facts(
        &self,
        facts: &Facts,
        action: Action,
        context: &DecisionContext,
    ) -> Result<Decision, String> {
        let find_matching = || {
            let uid = self.schema_names.action(action);
            let (principal, resource) = (&facts.principal, &facts.resource);
            let sets = self
                .policy_index
                .matching(principal, &uid, resource, &facts.entities)?;
            let reads_context = self.policy_index.reads_context(&sets);
            Some(MatchedAction::new(sets, reads_context))
        };
        let matched = facts
            .policy_matches
            .get_or_match(action, find_matching)
            .ok_or_else(|| format!("the schema has no action {action}"))?;
        if let Some(decision) = matched.kept_decision()
            && has_time(context)
        {
            return Ok(decision.clone());
        }
        let request = self.cedar_request(facts, action, context)?;
        let decision = self.to_decision(&self.evaluate(&request, matched.sets(), facts));
        matched.keep_decision(&decision);
        Ok(decision)
    }

    fn evaluate(
        &self,
        request: &Request,
        sets: &[Arc<PolicySet>],
        facts: &Facts,
    ) -> CombinedDecision {
        CombinedDecision::evaluate(&self.authorizer, request, sets, &facts.entities)
    }

    pub(super) fn cedar_request(
        &self,
        facts: &Facts,
        action: Action,
        context: &DecisionContext,
    ) -> Result<Request, String> {
        let context = self
            .context_cache
            .context(context)
            .map_err(|error| error_chain(&error))?;
        // Loading the bundle checked every action, type of principal and context against the schema, so
        // this request needs no check.
        Request::new(
            facts.principal.clone(),
            self.schema_names.action(action),
            facts.resource.clone(),
            context,
            None,
        )
        .map_err(|error| error_chain(&error))
    }

    /// The decision of policies, in the order of their ids.
    pub(super) fn to_decision(&self, combined: &CombinedDecision) -> Decision {
        let mut errors: Vec<String> = combined
            .errors
            .iter()
            .map(|error| error_chain(error))
            .collect();
        errors.sort();
        let mut determining_policies: Vec<String> =
            combined.determining.iter().map(id_text).collect();
        determining_policies.sort();
        let max_ttl = determining_policies
            .iter()
            .filter_map(|id| self.policies().get(id)?.max_ttl)
            .min()
            .unwrap_or(MAX_TOKEN_TTL);
        Decision {
            is_permitted: combined.is_allowed && errors.is_empty(),
            determining_policies,
            errors,
            max_ttl,
            revision: self.revision().clone(),
        }
    }

    /// The decision of an error.
    pub(super) fn deny(&self, error: String) -> Decision {
        Decision {
            errors: vec![error],
            ..self.refuse()
        }
    }

    /// A denial that no policy was asked for.
    pub(super) fn refuse(&self) -> Decision {
        Decision {
            is_permitted: false,
            determining_policies: Vec::new(),
            errors: Vec::new(),
            max_ttl: MAX_TOKEN_TTL,
            revision: self.revision().clone(),
        }
    }
}

impl Bundle {
    /// The class of a pair; none if some policy could tell pairs of it apart.
    fn class(
        &self,
        principal: &Principal,
        action: Action,
        at: DatasetAt<'_>,
    ) -> Option<DecisionClass> {
        if !self.decision_classes.has_any() {
            return None;
        }
        let names = &self.schema_names;
        let (uid, roles): (EntityUid, Vec<EntityUid>) = match principal {
            Principal::Anonymous => (names.anonymous().clone(), Vec::new()),
            Principal::User(user) => {
                let roles = user.roles.iter().map(|role| names.role(role));
                (names.user(user.id), roles.collect())
            }
        };
        let resource = names.dataset(at.dataset.id);
        let action_uid = names.action(action);
        let sets = self.policy_index.matching_among(
            (&uid, roles.as_slice()),
            &action_uid,
            (&resource, &[]),
        )?;
        if !self.policy_index.depends_on_traits(&sets) {
            return None;
        }
        DecisionClass::of(action, &sets, principal, at)
    }

    /// Why a request is denied without looking at facts or policies.
    fn check_applicable(
        &self,
        principal: &Principal,
        action: Action,
        resource: &Resource,
    ) -> Result<(), String> {
        if let Principal::User(user) = principal
            && user.is_disabled
        {
            return Err(format!("the user {} is disabled", user.id));
        }
        if !is_applicable(principal, action, resource) {
            // The schema excludes it, so no policy was validated for it.
            return Err(format!(
                "{action} does not apply to this principal and resource"
            ));
        }
        if !self.declares(action) {
            // One of this name is the author's own.
            return Err(format!("the schema has no action {action}"));
        }
        Ok(())
    }
}

/// The readings of a question about the caller itself, as the catalog has it, if its state there differs from
/// the caller's own; Cedar has one entity for each name, so no single question can show both.
///
/// In the first two, principal and resource are the same entity, once with the attributes and roles of the
/// caller and once with the catalog's. In the third each has its own, and the resource the nil UUID.
fn readings_of_oneself(
    principal: &Principal,
    resource: &Resource,
) -> Option<[(Principal, Resource); 3]> {
    let (Principal::User(caller), Resource::User(stored)) = (principal, resource) else {
        return None;
    };
    let one_state = |user: &Arc<User>| {
        let resource = Resource::User(Arc::clone(user));
        (Principal::User(Arc::clone(user)), resource)
    };
    (caller.id == stored.id && caller != stored).then(|| {
        let apart = (principal.clone(), Resource::ChangedUser(Arc::clone(stored)));
        [one_state(caller), one_state(stored), apart]
    })
}
