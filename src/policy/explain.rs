//! Explaining: why a bundle answers as it does.
//!
//! The answer itself is the one that deciding gives, so that the two cannot disagree; this module
//! only tells which part of which policy it came from. It refuses to know who asks why.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use cedar_policy::{Entities, Policy, PolicyId, Request};
use serde::Serialize;

use crate::domain::action::Action;
use crate::domain::caller::Context;
use crate::domain::decision::Decision;
use crate::domain::principal::Principal;
use crate::domain::resource::Resource;

use super::bundle::{Bundle, ListedPolicy};
use super::conditions::{Outcome, Part, action_part, line_of, parts};
use super::entities::Facts;
use super::entity_file::WrittenFacts;
use super::values::shortened;
pub use super::values::{Seen, Sight};

/// The most policies that are told of, and did not determine the answer.
pub const MOST_OTHERS: usize = 20;
/// The most parts that are told of one policy.
pub const MOST_PARTS: usize = 50;
/// The longest text of a policy or of a part that is told, in characters.
pub const LONGEST_TEXT: usize = 4_000;

/// What a bundle answers, and why.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// The answer.
    pub decision: Decision,
    /// The policies that determined it, by `@id`.
    pub determining: Vec<Account>,
    /// Other policies for the same action, nearest to being satisfied first; at most
    /// [`MOST_OTHERS`].
    pub others: Vec<Account>,
    /// How many others were left off.
    pub left_off: usize,
}

/// How one policy stood to a question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Account {
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
    /// Of a policy that is satisfied its parts, at most [`MOST_PARTS`]; of another one the first
    /// part that does not hold.
    pub parts: Vec<PartAccount>,
}

/// How one part of a policy stood to a question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PartAccount {
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
    pub seen: Vec<Seen>,
}

/// What became of one part of a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
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
        sight: Sight,
        principal: &Principal,
        action: Action,
        resource: &Resource,
        context: &Context,
    ) -> Explanation {
        let decision = self.decide(principal, action, resource, context);
        match self.ask(principal, action, resource, context) {
            Ok((facts, request)) => self.account_for(decision, &facts, &request, sight),
            Err(_) => Explanation::of_no_policy(decision),
        }
    }

    /// Tells what is decided about a principal and a dataset of a file, and why.
    #[must_use]
    pub fn explain_written(
        &self,
        written: &WrittenFacts,
        action: Action,
        context: &Context,
    ) -> Explanation {
        let decision = self.decide_written(written, action, context);
        match self.request(&written.facts, action, context) {
            Ok(request) => self.account_for(decision, &written.facts, &request, Sight::WHOLE),
            Err(_) => Explanation::of_no_policy(decision),
        }
    }

    fn account_for(
        &self,
        decision: Decision,
        facts: &Facts,
        request: &Request,
        sight: Sight,
    ) -> Explanation {
        let question = Question {
            sight,
            ..Question::new(self, request, &facts.entities)
        };
        let besides: BTreeSet<&str> = ids(&decision.determining_policies).collect();
        let others = question.others(&besides);
        Explanation {
            determining: question.told(&decision.determining_policies),
            decision,
            others: others.nearest,
            left_off: others.left_off,
        }
    }
}

impl Explanation {
    fn of_no_policy(decision: Decision) -> Self {
        Self {
            decision,
            determining: Vec::new(),
            others: Vec::new(),
            left_off: 0,
        }
    }
}

/// Policies that did not determine an answer.
#[derive(Debug)]
pub(super) struct Others {
    /// The nearest, at most [`MOST_OTHERS`].
    pub(super) nearest: Vec<Account>,
    /// How many more there are.
    pub(super) left_off: usize,
}

/// One question to the policies of a bundle.
pub(super) struct Question<'a> {
    bundle: &'a Bundle,
    request: &'a Request,
    entities: &'a Entities,
    sight: Sight,
}

impl<'a> Question<'a> {
    pub(super) fn new(bundle: &'a Bundle, request: &'a Request, entities: &'a Entities) -> Self {
        Self {
            bundle,
            request,
            entities,
            sight: Sight::WHOLE,
        }
    }

    /// How policies stood to it; an id that is no policy's is passed over.
    pub(super) fn told(&self, policies: &[String]) -> Vec<Account> {
        let each = ids(policies).filter_map(|id| {
            let (policy, listed) = self.bundle.policy(id)?;
            Some(self.weigh(policy, listed).told(self))
        });
        each.collect()
    }

    /// How the policies stood to it that are for the same action, without those `besides`.
    pub(super) fn others(&self, besides: &BTreeSet<&str>) -> Others {
        let each = self.bundle.each_policy();
        let mut near: Vec<Weighed<'_>> = each
            .filter(|(_, listed)| !besides.contains(listed.id.as_str()))
            .filter(|(policy, _)| self.is_of_the_action(policy))
            .map(|(policy, listed)| self.weigh(policy, listed))
            .collect();
        near.sort_by_key(Weighed::distance);
        let left_off = near.len().saturating_sub(MOST_OTHERS);
        near.truncate(MOST_OTHERS);
        Others {
            nearest: near.into_iter().map(|policy| policy.told(self)).collect(),
            left_off,
        }
    }

    fn is_of_the_action(&self, policy: &Policy) -> bool {
        action_part(policy).outcome(self.request, self.entities) == Outcome::Holds
    }

    fn weigh<'b>(&self, policy: &'b Policy, listed: &'b ListedPolicy) -> Weighed<'b> {
        let outcomes = parts(policy)
            .iter()
            .map(|part| part.outcome(self.request, self.entities))
            .collect();
        Weighed {
            policy,
            listed,
            outcomes,
        }
    }
}

/// A policy with what became of its parts.
struct Weighed<'a> {
    policy: &'a Policy,
    listed: &'a ListedPolicy,
    outcomes: Vec<Outcome>,
}

impl<'a> Weighed<'a> {
    fn held(&self) -> usize {
        let held = self.outcomes.iter().filter(|it| **it == Outcome::Holds);
        held.count()
    }

    /// How far it was from being satisfied: first how many parts are amiss, then how much did hold.
    fn distance(&self) -> (usize, Reverse<usize>, &'a str) {
        let held = self.held();
        (self.outcomes.len() - held, Reverse(held), &self.listed.id)
    }

    fn told(&self, question: &Question<'_>) -> Account {
        let parts = parts(self.policy);
        let is_satisfied = self.held() == parts.len();
        let together = parts.iter().zip(&self.outcomes);
        let told = together
            .filter(|(_, outcome)| is_satisfied || **outcome != Outcome::Holds)
            .take(if is_satisfied { MOST_PARTS } else { 1 })
            .map(|(part, outcome)| part_account(part, outcome, question));
        let place = self.policy.as_ref().loc();
        let written = place.and_then(|place| place.snippet());
        let text = written.map_or_else(|| self.policy.to_string(), str::to_owned);
        let listed = self.listed;
        Account {
            id: listed.id.clone(),
            is_permit: listed.is_permit,
            reason: listed.reason.clone(),
            max_ttl: listed.max_ttl,
            template: listed.template.clone(),
            file: question.bundle.file_of_text(self.policy, listed).to_owned(),
            line: place.and_then(line_of),
            text: shortened(&text, LONGEST_TEXT),
            is_satisfied,
            held: self.held(),
            part_count: parts.len(),
            parts: told.collect(),
        }
    }
}

fn part_account(part: &Part, outcome: &Outcome, question: &Question<'_>) -> PartAccount {
    let (outcome, error) = match outcome {
        Outcome::Holds => (PartOutcome::Holds, None),
        Outcome::Fails => (PartOutcome::DoesNotHold, None),
        Outcome::Errs(error) => (PartOutcome::CannotBeEvaluated, Some(error.clone())),
    };
    PartAccount {
        text: shortened(&part.text, LONGEST_TEXT),
        line: part.line,
        is_negated: part.is_negated,
        outcome,
        error: error.filter(|_| question.sight.is_whole()),
        seen: part.seen(question.request, question.entities, question.sight),
    }
}

fn ids(policies: &[String]) -> impl Iterator<Item = &str> {
    policies.iter().map(String::as_str)
}

impl Bundle {
    /// The file in which the text of a policy stands; that of a linked one is its template's.
    pub(super) fn file_of_text<'a>(&'a self, policy: &Policy, listed: &'a ListedPolicy) -> &'a str {
        let own = listed.file.as_str();
        let Some(place) = policy.as_ref().loc().filter(|_| listed.template.is_some()) else {
            return own;
        };
        let is_of = |name: &&str| self.file(name).is_some_and(|text| **text == *place.src);
        self.files().find(is_of).unwrap_or(own)
    }

    /// Every policy, by `@id`.
    pub(super) fn each_policy(&self) -> impl Iterator<Item = (&Policy, &ListedPolicy)> {
        let listed = self.policies().keys();
        listed.filter_map(|id| self.policy(id))
    }

    fn policy(&self, id: &str) -> Option<(&Policy, &ListedPolicy)> {
        let policy = self.policies.set.policy(&PolicyId::new(id))?;
        Some((policy, self.policies().get(id)?))
    }
}

impl Account {
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

impl PartAccount {
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
        let mut text = format!("    {verdict}: {line}{unless}{}\n", on_one_line(&self.text));
        let error = self.error.iter().map(|error| on_one_line(error));
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

fn on_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
