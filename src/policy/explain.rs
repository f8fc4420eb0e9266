//! Explaining: why a bundle answers as it does.
//!
//! The answer itself is the one that deciding gives, so that the two cannot disagree; this module
//! only tells which part of which policy it came from. It refuses to know who asks why.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use cedar_policy::{Entities, Policy, PolicyId, Request};
use serde::Serialize;

use crate::domain::action::Action;
use crate::domain::caller::DecisionContext;
use crate::domain::decision::Decision;
use crate::domain::principal::Principal;
use crate::domain::resource::Resource;

use super::bundle::{Bundle, PolicyInfo};
use super::conditions::{PartResult, PolicyPart, action_part, line_number, policy_parts};
use super::entities::Facts;
use super::entity_file::EntityFileFacts;
use super::values::truncated;
pub use super::values::{ObservedValue, ValueVisibility};

/// The most policies that are told of, and did not determine the answer.
pub const MAX_OTHER_POLICIES: usize = 20;
/// The most parts that are told of one policy.
pub const MAX_PARTS: usize = 50;
/// The longest text of a policy or of a part that is told, in characters.
pub const MAX_TEXT_LENGTH: usize = 4_000;

/// What a bundle answers, and why.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// The answer.
    pub decision: Decision,
    /// The policies that determined it, by `@id`.
    pub determining: Vec<PolicyExplanation>,
    /// Other policies for the same action, nearest to being satisfied first; at most
    /// [`MAX_OTHER_POLICIES`].
    pub others: Vec<PolicyExplanation>,
    /// How many others were left off.
    pub omitted: usize,
}

/// How one policy stood to a question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PolicyExplanation {
    /// Its `@id`.
    pub id: String,
    /// Whether it permits; it forbids otherwise.
    pub is_permit: bool,
    /// Its `@reason`.
    pub reason: Option<String>,
    /// Its `@max_ttl`.
    pub max_ttl: Option<u32>,
    /// The template that it is linked to, whose text it has.
    pub template: Option<String>,
    /// The file its text stands in, relative to the folder.
    pub file: String,
    /// The line it begins on.
    pub line: Option<usize>,
    /// As it is written.
    pub text: String,
    /// Whether the question satisfied it: all its parts hold.
    pub is_satisfied: bool,
    /// How many parts hold.
    pub held: usize,
    /// How many parts it has: three of its scope, and its conditions.
    pub part_count: usize,
    /// Of a policy that is satisfied its parts, at most [`MAX_PARTS`]; of another one the first
    /// part that does not hold.
    pub parts: Vec<PartExplanation>,
}

/// How one part of a policy stood to a question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PartExplanation {
    /// As it is written; a part of a scope as Cedar writes it.
    pub text: String,
    /// The line of a condition.
    pub line: Option<usize>,
    /// Whether it stands under `unless`, and must be false.
    pub is_negated: bool,
    /// What became of it.
    pub outcome: PartOutcome,
    /// Why it could not be evaluated. Nothing if it could be, or if that is withheld.
    pub error: Option<String>,
    /// What it looked at.
    pub seen: Vec<ObservedValue>,
}

/// What became of one part of a policy.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Serialize,
    strum::Display,
    strum::EnumString,
    strum::VariantNames,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum PartOutcome {
    /// It does what the policy needs of it.
    Holds,
    /// It does not, and so the policy is not satisfied.
    DoesNotHold,
    /// It cannot be evaluated, which denies if all parts before it hold.
    CannotBeEvaluated,
}

impl Bundle {
    /// Tells what [`Bundle::decide`] answers, and why, to whoever sees no more than what is in sight.
    ///
    /// Where deciding asks no policy (the user is disabled, the facts do not fit) no policy is told
    /// of; the decision's errors say why. Two questions that differ out of sight alone, and of which
    /// the same parts hold, are explained in the same words; the errors of the decision aside, whose
    /// texts repeat values.
    #[must_use]
    pub fn explain(
        &self,
        sight: ValueVisibility,
        principal: &Principal,
        action: Action,
        resource: &Resource,
        context: &DecisionContext,
    ) -> Explanation {
        let decision = self.decide(principal, action, resource, context);
        match self.prepare(principal, action, resource, context) {
            Ok((facts, request)) => self.explain_request(decision, &facts, &request, sight),
            Err(_) => Explanation::without_policies(decision),
        }
    }

    /// Tells what is decided about a principal and a dataset of a file, and why.
    #[must_use]
    pub fn explain_from_file(
        &self,
        written: &EntityFileFacts,
        action: Action,
        context: &DecisionContext,
    ) -> Explanation {
        let decision = self.decide_from_file(written, action, context);
        match self.cedar_request(&written.facts, action, context) {
            Ok(request) => {
                self.explain_request(decision, &written.facts, &request, ValueVisibility::ALL)
            }
            Err(_) => Explanation::without_policies(decision),
        }
    }

    fn explain_request(
        &self,
        decision: Decision,
        facts: &Facts,
        request: &Request,
        sight: ValueVisibility,
    ) -> Explanation {
        let question = RequestExplainer {
            visibility: sight,
            ..RequestExplainer::new(self, request, &facts.entities)
        };
        let besides: BTreeSet<&str> = ids(&decision.determining_policies).collect();
        let others = question.others(&besides);
        Explanation {
            determining: question.explain(&decision.determining_policies),
            decision,
            others: others.nearest,
            omitted: others.omitted,
        }
    }
}

impl Explanation {
    fn without_policies(decision: Decision) -> Self {
        Self {
            decision,
            determining: Vec::new(),
            others: Vec::new(),
            omitted: 0,
        }
    }
}

/// Policies that did not determine an answer.
#[derive(Debug)]
pub(super) struct OtherPolicies {
    /// The nearest, at most [`MAX_OTHER_POLICIES`].
    pub(super) nearest: Vec<PolicyExplanation>,
    /// How many more there are.
    pub(super) omitted: usize,
}

/// One question to the policies of a bundle.
pub(super) struct RequestExplainer<'a> {
    bundle: &'a Bundle,
    request: &'a Request,
    entities: &'a Entities,
    visibility: ValueVisibility,
}

impl<'a> RequestExplainer<'a> {
    pub(super) fn new(bundle: &'a Bundle, request: &'a Request, entities: &'a Entities) -> Self {
        Self {
            bundle,
            request,
            entities,
            visibility: ValueVisibility::ALL,
        }
    }

    /// How policies stood to it; an id that is no policy's is passed over.
    pub(super) fn explain(&self, policies: &[String]) -> Vec<PolicyExplanation> {
        let each = ids(policies).filter_map(|id| {
            let (policy, listed) = self.bundle.policy(id)?;
            Some(self.evaluate(policy, listed).explain(self))
        });
        each.collect()
    }

    /// How the policies stood to it that are for the same action, without those `besides`.
    pub(super) fn others(&self, besides: &BTreeSet<&str>) -> OtherPolicies {
        let each = self.bundle.policies_with_info();
        let mut near: Vec<EvaluatedPolicy<'_>> = each
            .filter(|(_, listed)| !besides.contains(listed.id.as_str()))
            .filter(|(policy, _)| self.matches_action(policy))
            .map(|(policy, listed)| self.evaluate(policy, listed))
            .collect();
        near.sort_by_key(EvaluatedPolicy::distance);
        let left_off = near.len().saturating_sub(MAX_OTHER_POLICIES);
        near.truncate(MAX_OTHER_POLICIES);
        OtherPolicies {
            nearest: near
                .into_iter()
                .map(|policy| policy.explain(self))
                .collect(),
            omitted: left_off,
        }
    }

    fn matches_action(&self, policy: &Policy) -> bool {
        action_part(policy).evaluate(self.request, self.entities) == PartResult::Holds
    }

    fn evaluate<'b>(&self, policy: &'b Policy, listed: &'b PolicyInfo) -> EvaluatedPolicy<'b> {
        let outcomes = policy_parts(policy)
            .iter()
            .map(|part| part.evaluate(self.request, self.entities))
            .collect();
        EvaluatedPolicy {
            policy,
            listed,
            results: outcomes,
        }
    }
}

/// A policy with what became of its parts.
struct EvaluatedPolicy<'a> {
    policy: &'a Policy,
    listed: &'a PolicyInfo,
    results: Vec<PartResult>,
}

impl<'a> EvaluatedPolicy<'a> {
    fn held(&self) -> usize {
        let held = self.results.iter().filter(|it| **it == PartResult::Holds);
        held.count()
    }

    /// How far it was from being satisfied: first how many parts are amiss, then how much did hold.
    fn distance(&self) -> (usize, Reverse<usize>, &'a str) {
        let held = self.held();
        (self.results.len() - held, Reverse(held), &self.listed.id)
    }

    fn explain(&self, question: &RequestExplainer<'_>) -> PolicyExplanation {
        let parts = policy_parts(self.policy);
        let is_satisfied = self.held() == parts.len();
        let together = parts.iter().zip(&self.results);
        let told = together
            .filter(|(_, outcome)| is_satisfied || **outcome != PartResult::Holds)
            .take(if is_satisfied { MAX_PARTS } else { 1 })
            .map(|(part, outcome)| explain_part(part, outcome, question));
        let place = self.policy.as_ref().loc();
        let written = place.and_then(|place| place.snippet());
        let text = written.map_or_else(|| self.policy.to_string(), str::to_owned);
        let listed = self.listed;
        PolicyExplanation {
            id: listed.id.clone(),
            is_permit: listed.is_permit,
            reason: listed.reason.clone(),
            max_ttl: listed.max_ttl,
            template: listed.template.clone(),
            file: question.bundle.source_file(self.policy, listed).to_owned(),
            line: place.and_then(line_number),
            text: truncated(&text, MAX_TEXT_LENGTH),
            is_satisfied,
            held: self.held(),
            part_count: parts.len(),
            parts: told.collect(),
        }
    }
}

fn explain_part(
    part: &PolicyPart,
    outcome: &PartResult,
    question: &RequestExplainer<'_>,
) -> PartExplanation {
    let (outcome, error) = match outcome {
        PartResult::Holds => (PartOutcome::Holds, None),
        PartResult::DoesNotHold => (PartOutcome::DoesNotHold, None),
        PartResult::Error(error) => (PartOutcome::CannotBeEvaluated, Some(error.clone())),
    };
    PartExplanation {
        text: truncated(&part.text, MAX_TEXT_LENGTH),
        line: part.line,
        is_negated: part.is_negated,
        outcome,
        error: error.filter(|_| question.visibility.is_unrestricted()),
        seen: part.observed_values(question.request, question.entities, question.visibility),
    }
}

fn ids(policies: &[String]) -> impl Iterator<Item = &str> {
    policies.iter().map(String::as_str)
}

impl Bundle {
    /// The file in which the text of a policy stands; that of a linked one is its template's.
    pub(super) fn source_file<'a>(&'a self, policy: &Policy, listed: &'a PolicyInfo) -> &'a str {
        let own = listed.file.as_str();
        let Some(place) = policy.as_ref().loc().filter(|_| listed.template.is_some()) else {
            return own;
        };
        let is_of = |name: &&str| self.file(name).is_some_and(|text| **text == *place.src);
        self.files().find(is_of).unwrap_or(own)
    }

    /// Every policy, by `@id`.
    pub(super) fn policies_with_info(&self) -> impl Iterator<Item = (&Policy, &PolicyInfo)> {
        let listed = self.policies().keys();
        listed.filter_map(|id| self.policy(id))
    }

    fn policy(&self, id: &str) -> Option<(&Policy, &PolicyInfo)> {
        let policy = self.policies.set.policy(&PolicyId::new(id))?;
        Some((policy, self.policies().get(id)?))
    }
}

impl PolicyExplanation {
    /// The account for a person, some lines that end with a line end.
    #[must_use]
    pub fn render(&self) -> String {
        let place = match self.line {
            Some(line) => format!("{}:{line}", self.file),
            None => self.file.clone(),
        };
        let effect = if self.is_permit { "permit" } else { "forbid" };
        let template = match &self.template {
            Some(id) => format!(", linked to {id}"),
            None => String::new(),
        };
        let mut text = format!("  {} ({effect}, {place}{template})\n", self.id);
        if !self.is_satisfied {
            let (held, count) = (self.held, self.part_count);
            text.extend([format!("    {held} of its {count} parts hold\n")]);
        }
        for part in &self.parts {
            text.push_str(&part.render());
        }
        text
    }
}

impl PartExplanation {
    fn render(&self) -> String {
        let verdict = match self.outcome {
            PartOutcome::Holds => "holds",
            PartOutcome::DoesNotHold => "does not hold",
            PartOutcome::CannotBeEvaluated => "cannot be evaluated",
        };
        let unless = if self.is_negated { "unless " } else { "" };
        let line = self
            .line
            .map_or(String::new(), |line| format!("line {line}, "));
        let mut text = format!("    {verdict}: {line}{unless}{}\n", single_line(&self.text));
        let error = self.error.iter().map(|error| single_line(error));
        let seen = self.seen.iter().map(|seen| {
            let value = seen.value.as_deref().unwrap_or("(withheld)");
            format!("{} = {value}", seen.name)
        });
        for told in error.chain(seen) {
            text.extend(["      ", &told, "\n"]);
        }
        text
    }
}

fn single_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
