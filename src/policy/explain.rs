//! Explanations: which parts of which policies led to a decision.
//!
//! The decision itself is that of [`Bundle::decide`], so that the two cannot disagree.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use cedar_policy::{Entities, Policy, Request};
use serde::Serialize;

use crate::domain::action::Action;
use crate::domain::caller::DecisionContext;
use crate::domain::decision::Decision;
use crate::domain::principal::Principal;
use crate::domain::resource::Resource;

use super::bundle::Bundle;
use super::conditions::{
    PartResult, PolicyPart, action_part, evaluate_parts, line_number, policy_parts,
};
use super::entities::Facts;
use super::entity_file::EntityFileFacts;
pub use super::part_value::PartValue;
use super::policies::PolicyInfo;
use super::values::truncated;
pub use super::values::{ObservedValue, ValueVisibility};

/// The most policies that are explained besides the determining ones.
pub const MAX_OTHER_POLICIES: usize = 20;
/// The most parts that are explained of one policy.
pub const MAX_PARTS: usize = 50;
/// The longest text of a policy or of a part, in characters; the rest is cut.
pub const MAX_TEXT_LENGTH: usize = 4_000;

/// A decision with its explanation.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// The decision.
    pub decision: Decision,
    /// The determining policies, by `@id`.
    pub determining: Vec<PolicyExplanation>,
    /// Other policies for the same action, nearest to being satisfied first; at most
    /// [`MAX_OTHER_POLICIES`].
    pub others: Vec<PolicyExplanation>,
    /// The number of other policies that are left out.
    pub omitted: usize,
}

/// How one policy applies to a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PolicyExplanation {
    /// Its `@id`.
    pub id: String,
    /// Whether it is a permit; otherwise it is a forbid.
    pub is_permit: bool,
    /// Its `@reason`.
    pub reason: Option<String>,
    /// Its `@max_ttl`.
    pub max_ttl: Option<u32>,
    /// The template that it is linked to; file, line and text are those of the template.
    pub template: Option<String>,
    /// Its file, relative to the folder.
    pub file: String,
    /// The line where it begins.
    pub line: Option<usize>,
    /// Its source text.
    pub text: String,
    /// Whether the request satisfies it: all its parts are met.
    pub is_satisfied: bool,
    /// The number of parts that are met.
    pub held: usize,
    /// The number of its parts: three of the scope, and the conditions.
    pub part_count: usize,
    /// The parts of a satisfied policy, at most [`MAX_PARTS`]; of another one, the first part that is
    /// not met.
    pub parts: Vec<PartExplanation>,
}

/// How one part of a policy applies to a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PartExplanation {
    /// Its source text; for a part of the scope, as Cedar prints it.
    pub text: String,
    /// The line of a condition.
    pub line: Option<usize>,
    /// Whether it must be false for the policy to be satisfied, because of an `unless` or `!` around it.
    pub is_negated: bool,
    /// Its own value.
    pub value: PartValue,
    /// Whether that is the value that the policy needs.
    pub is_met: bool,
    /// What it means for the policy, in words.
    pub meaning: String,
    /// The evaluation error; `None` if there is none or it is withheld.
    pub error: Option<String>,
    /// The values that it read.
    pub seen: Vec<ObservedValue>,
}

impl Bundle {
    /// Explains the decision of [`Bundle::decide`], with no other values than the visible ones.
    ///
    /// Where no policy is evaluated (the user is disabled, the facts do not fit the schema), no policy
    /// is explained; the errors of the decision say why. Two requests that differ in withheld values
    /// only, and for which the parts have the same values, have the same explanation, except for the errors of the
    /// decision, which repeat values.
    #[must_use]
    pub fn explain(
        &self,
        visibility: ValueVisibility,
        principal: &Principal,
        action: Action,
        resource: &Resource,
        context: &DecisionContext,
    ) -> Explanation {
        let decision = self.decide(principal, action, resource, context);
        match self.prepare(principal, action, resource, context) {
            Ok((facts, request)) => self.explain_request(decision, &facts, &request, visibility),
            Err(_) => Explanation::without_policies(decision),
        }
    }

    /// Explains the decision of [`Bundle::decide_from_file`], with all values.
    #[must_use]
    pub fn explain_from_file(
        &self,
        entities: &EntityFileFacts,
        action: Action,
        context: &DecisionContext,
    ) -> Explanation {
        let decision = self.decide_from_file(entities, action, context);
        match self.cedar_request(&entities.facts, action, context) {
            Ok(request) => {
                self.explain_request(decision, &entities.facts, &request, ValueVisibility::ALL)
            }
            Err(_) => Explanation::without_policies(decision),
        }
    }

    fn explain_request(
        &self,
        decision: Decision,
        facts: &Facts,
        request: &Request,
        visibility: ValueVisibility,
    ) -> Explanation {
        let explainer = RequestExplainer {
            visibility,
            ..RequestExplainer::new(self, request, &facts.entities)
        };
        let determining = || decision.determining_policies.iter().map(String::as_str);
        let others = explainer.others(&determining().collect());
        Explanation {
            determining: explainer.explain(determining()),
            others: others.nearest,
            omitted: others.omitted,
            decision,
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

/// Policies that are not determining.
#[derive(Debug)]
pub(super) struct OtherPolicies {
    /// The nearest, at most [`MAX_OTHER_POLICIES`].
    pub(super) nearest: Vec<PolicyExplanation>,
    /// The number of those left out.
    pub(super) omitted: usize,
}

/// Explains how the policies of a bundle apply to one request.
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

    /// Explains policies by id; ids without a policy are skipped.
    pub(super) fn explain<'i>(&self, ids: impl Iterator<Item = &'i str>) -> Vec<PolicyExplanation> {
        ids.filter_map(|id| self.bundle.policy(id))
            .map(|(policy, info)| self.explain_policy(&self.evaluate(policy, info)))
            .collect()
    }

    /// Explains the other policies for the same action.
    pub(super) fn others(&self, excluded: &BTreeSet<&str>) -> OtherPolicies {
        let mut policies: Vec<EvaluatedPolicy<'_>> = self
            .bundle
            .policies_with_info()
            .filter(|(_, info)| !excluded.contains(info.id.as_str()))
            .filter(|(policy, _)| self.matches_action(policy))
            .map(|(policy, info)| self.evaluate(policy, info))
            .collect();
        policies.sort_by_key(EvaluatedPolicy::distance);
        let nearest = policies.iter().take(MAX_OTHER_POLICIES);
        OtherPolicies {
            nearest: nearest.map(|policy| self.explain_policy(policy)).collect(),
            omitted: policies.len().saturating_sub(MAX_OTHER_POLICIES),
        }
    }

    fn matches_action(&self, policy: &Policy) -> bool {
        action_part(policy)
            .evaluate(self.request, self.entities)
            .is_met
    }

    fn evaluate<'b>(&self, policy: &'b Policy, info: &'b PolicyInfo) -> EvaluatedPolicy<'b> {
        let parts = policy_parts(policy);
        let results = evaluate_parts(policy, &parts, self.request, self.entities);
        EvaluatedPolicy {
            policy,
            info,
            results,
        }
    }

    fn explain_policy(&self, evaluated: &EvaluatedPolicy<'_>) -> PolicyExplanation {
        let EvaluatedPolicy { policy, info, .. } = *evaluated;
        let parts = policy_parts(policy);
        let is_satisfied = evaluated.held() == parts.len();
        let explained = parts
            .iter()
            .zip(&evaluated.results)
            .filter(|(_, result)| is_satisfied || !result.is_met)
            .take(if is_satisfied { MAX_PARTS } else { 1 })
            .map(|(part, result)| self.explain_part(part, result));
        let location = policy.as_ref().loc();
        let source = location.and_then(|location| location.snippet());
        let text = source.map_or_else(|| policy.to_string(), str::to_owned);
        PolicyExplanation {
            id: info.id.clone(),
            is_permit: info.is_permit,
            reason: info.reason.clone(),
            max_ttl: info.max_ttl,
            template: info.template.clone(),
            file: self.bundle.source_file(policy, info).to_owned(),
            line: location.and_then(line_number),
            text: truncated(&text, MAX_TEXT_LENGTH),
            is_satisfied,
            held: evaluated.held(),
            part_count: parts.len(),
            parts: explained.collect(),
        }
    }

    fn explain_part(&self, part: &PolicyPart, result: &PartResult) -> PartExplanation {
        PartExplanation {
            text: truncated(&part.text, MAX_TEXT_LENGTH),
            line: part.line,
            is_negated: part.negations.must_be_false,
            value: result.value,
            is_met: result.is_met,
            meaning: part.negations.meaning(result.value, result.is_met),
            error: result
                .error
                .clone()
                .filter(|_| self.visibility.is_unrestricted()),
            seen: part.observed_values(self.request, self.entities, self.visibility),
        }
    }
}

/// A policy with the results of its parts.
struct EvaluatedPolicy<'a> {
    policy: &'a Policy,
    info: &'a PolicyInfo,
    results: Vec<PartResult>,
}

impl<'a> EvaluatedPolicy<'a> {
    fn held(&self) -> usize {
        let held = self.results.iter();
        held.filter(|result| result.is_met).count()
    }

    /// How far it is from being satisfied: first by the parts that are not met, then by those that are.
    fn distance(&self) -> (usize, Reverse<usize>, &'a str) {
        let held = self.held();
        (self.results.len() - held, Reverse(held), &self.info.id)
    }
}

impl PolicyExplanation {
    /// What is told of its parts: their texts and the values that they saw.
    pub fn told(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().flat_map(|part| {
            let seen = part
                .seen
                .iter()
                .filter_map(|observed| observed.value.as_deref());
            std::iter::once(part.text.as_str()).chain(seen)
        })
    }

    /// The explanation as text of several lines.
    #[must_use]
    pub fn render(&self) -> String {
        let location = match self.line {
            Some(line) => format!("{}:{line}", self.file),
            None => self.file.clone(),
        };
        let effect = if self.is_permit { "permit" } else { "forbid" };
        let template = match &self.template {
            Some(id) => format!(", linked to {id}"),
            None => String::new(),
        };
        let mut text = format!("  {} ({effect}, {location}{template})\n", self.id);
        if !self.is_satisfied {
            let (held, count) = (self.held, self.part_count);
            text.extend([format!("    {held} of its {count} parts are met\n")]);
        }
        for part in &self.parts {
            text.push_str(&part.render());
        }
        text
    }
}

impl PartExplanation {
    fn render(&self) -> String {
        let line = self
            .line
            .map_or(String::new(), |line| format!("line {line}, "));
        let (value, text) = (self.value, single_line(&self.text));
        let mut text = format!("    {value}: {line}{text}\n");
        let is_plain = self.value == PartValue::True && !self.is_negated;
        let meaning = (!is_plain).then(|| self.meaning.clone());
        let error = self.error.iter().map(|error| single_line(error));
        let values = self.seen.iter().map(|observed| {
            let value = observed.value.as_deref().unwrap_or("(withheld)");
            format!("{} = {value}", observed.name)
        });
        for detail in meaning.into_iter().chain(error).chain(values) {
            text.extend(["      ", &detail, "\n"]);
        }
        text
    }
}

fn single_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
