//! Why a policy has no effect on some requests: which of its parts none of them meets.

use std::collections::BTreeSet;

use cedar_policy::{EntityUid, Policy};
use ipnet::IpNet;
use serde::Serialize;

use crate::domain::action::Action;
use crate::domain::caller::DecisionContext;
use crate::domain::principal::Principal;
use crate::domain::resource::Resource;

use super::bundle::Bundle;
use super::conditions::{PolicyPart, SCOPE_PART_COUNT, policy_parts};
use super::context_literals::ContextLiterals;
use super::links::instantiate;
use super::policies::PolicyInfo;
use super::values::truncated;

/// The longest text of a part, in characters.
const MAX_PART_LENGTH: usize = 200;
/// The most different outcomes that are remembered of one policy.
const MAX_OUTCOMES: usize = 1_000;

/// The most named networks inside of which is asked.
const MAX_NETWORK_SAMPLES: usize = 8;

/// How a policy of one bundle differs from another bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PolicyDifference {
    /// The other bundle lacks it, and this one came after.
    Added,
    /// Both have it, and it says something else.
    Changed,
    /// The other bundle, which came after, lacks it.
    Removed,
}

impl Bundle {
    /// The policies that differ from a bundle before this one, by `@id`: layout, comments and `@reason` do not count.
    #[must_use]
    pub fn differences(&self, before: &Self) -> Vec<(String, PolicyDifference)> {
        let mut differing = Vec::new();
        for (policy, info) in self.policies_with_info() {
            if self.is_written_alike(before, info) {
                continue;
            }
            match before.policy_with_ttl(&info.id) {
                None => differing.push((info.id.clone(), PolicyDifference::Added)),
                Some(other) if other == (statement(policy), info.max_ttl) => {}
                Some(_) => differing.push((info.id.clone(), PolicyDifference::Changed)),
            }
        }
        let removed = before.policies().keys();
        let removed = removed.filter(|id| !self.policies().contains_key(*id));
        differing.extend(removed.map(|id| (id.clone(), PolicyDifference::Removed)));
        differing
    }

    /// Whether a policy has the same text in another bundle: most have, and are not taken apart.
    fn is_written_alike(&self, other: &Self, info: &PolicyInfo) -> bool {
        let Some(found) = other.policies().get(&info.id) else {
            return false;
        };
        let is_alike = |id: &str| {
            let text = self.text_of(id);
            text.is_some() && text == other.text_of(id)
        };
        let is_template_alike = match (&info.template, &found.template) {
            (Some(template), Some(found)) => template == found && is_alike(template),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        is_template_alike && info.max_ttl == found.max_ttl && is_alike(&info.id)
    }

    /// The text of a policy or a template; of a link, that of its file.
    fn text_of(&self, id: &str) -> Option<&str> {
        let location = self.policies.locations.get(id)?;
        let text = self.sources.text(&location.file)?;
        if location.is_link {
            return Some(text);
        }
        text.get(location.span.clone())
    }

    /// Whether a policy may apply to requests other than these actions of users and anonymous callers on datasets: to
    /// other actions, or to the author's own types.
    #[must_use]
    pub fn applies_beyond_datasets(&self, id: &str, actions: &[Action]) -> bool {
        let Some((policy, _)) = self.policy(id) else {
            return false;
        };
        let names = &self.schema_names;
        let known: Vec<EntityUid> = actions.iter().map(|action| names.action(*action)).collect();
        let mut requests = policy.get_valid_request_envs(&self.schema);
        requests.any(|request| {
            !known.contains(request.action())
                || request.resource().to_string() != "Dataset"
                || !["User", "Anonymous"].contains(&request.principal().to_string().as_str())
        })
    }

    /// What the policies compare the context with.
    #[must_use]
    pub fn context_literals(&self) -> ContextLiterals {
        self.with_networks(ContextLiterals::of_policies(self.policies.set.policies()))
    }

    /// What the policies for some actions compare the context with.
    #[must_use]
    pub fn context_literals_for(&self, actions: &[Action]) -> ContextLiterals {
        self.with_networks(ContextLiterals::of_policies(self.policies_for(actions)))
    }

    /// Literals with a range of each named network, if the address is read.
    fn with_networks(&self, literals: ContextLiterals) -> ContextLiterals {
        if !literals.reads_address {
            return literals;
        }
        let named = self.networks.sample_addresses().map(IpNet::from);
        literals.and(ContextLiterals {
            networks: named.take(MAX_NETWORK_SAMPLES).collect(),
            ..ContextLiterals::default()
        })
    }

    /// What the policies that differ from a bundle before this one compare the context with, in either.
    #[must_use]
    pub fn differing_literals(&self, before: &Self) -> ContextLiterals {
        let differing = self.differences(before);
        let of = |bundle: &Self| {
            let policies = differing.iter().filter_map(|(id, _)| bundle.policy(id));
            let mut literals = ContextLiterals::of_policies(policies.map(|(policy, _)| policy));
            literals.reads_address |= self.networks != before.networks;
            bundle.with_networks(literals)
        };
        of(self).and(of(before))
    }

    fn policy_with_ttl(&self, id: &str) -> Option<(String, Option<u32>)> {
        let (policy, info) = self.policy(id)?;
        Some((statement(policy), info.max_ttl))
    }

    /// A trial of one policy against requests.
    #[must_use]
    pub fn try_policy(&self, id: &str) -> Option<PolicyTrial<'_>> {
        let (policy, _) = self.policy(id)?;
        Some(PolicyTrial {
            bundle: self,
            parts: policy_parts(policy),
            outcomes: BTreeSet::new(),
        })
    }
}

/// What a policy says, as Cedar reads it.
fn statement(policy: &Policy) -> String {
    let whole = instantiate(policy).ok();
    let policy = whole.as_ref().unwrap_or(policy);
    let json = policy.to_json().ok().and_then(|mut json| {
        json.as_object_mut()?.remove("annotations");
        Some(json.to_string())
    });
    json.unwrap_or_else(|| policy.to_string())
}

/// A policy that is tried against requests, to find out which of its parts they meet.
pub struct PolicyTrial<'a> {
    bundle: &'a Bundle,
    parts: Vec<PolicyPart>,
    /// Which parts are met, each as it came up.
    outcomes: BTreeSet<Vec<bool>>,
}

/// The part of a request that a policy asks for in vain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnmetSubject {
    /// The principal of its scope.
    Principal,
    /// The action.
    Action,
    /// The resource.
    Resource,
    /// One of its conditions.
    Condition,
}

/// Why a policy applies to none of the requests that it was tried against.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unmet {
    /// None meets this part.
    Part {
        /// What it is about.
        subject: UnmetSubject,
        /// Its text and line.
        text: String,
    },
    /// None meets both of these parts.
    Together {
        /// The text and line of one.
        first: String,
        /// The text and line of the other.
        second: String,
    },
    /// Each meets some of the parts, and none all of them.
    All,
}

impl PolicyTrial<'_> {
    /// Whether the policy applies to a request.
    pub fn observe(
        &mut self,
        principal: &Principal,
        action: Action,
        resource: &Resource,
        context: &DecisionContext,
    ) -> bool {
        let Ok((facts, request)) = self.bundle.prepare(principal, action, resource, context) else {
            return false;
        };
        let outcome: Vec<bool> = self
            .parts
            .iter()
            .map(|part| part.evaluate(&request, &facts.entities).is_met)
            .collect();
        let is_satisfied = !outcome.contains(&false);
        if self.outcomes.len() < MAX_OUTCOMES {
            self.outcomes.insert(outcome);
        }
        is_satisfied
    }

    /// Why it applied to no request; `None` if it applied to one, or was tried against none.
    #[must_use]
    pub fn unmet(&self) -> Option<Unmet> {
        let is_met = |indexes: &[usize]| {
            self.outcomes.iter().any(|outcome| {
                indexes
                    .iter()
                    .all(|index| outcome.get(*index) == Some(&true))
            })
        };
        let all: Vec<usize> = (0..self.parts.len()).collect();
        if self.outcomes.is_empty() || is_met(&all) {
            return None;
        }
        let named = |index: usize| self.parts.get(index).map_or_else(String::new, name_part);
        if let Some(index) = all.iter().find(|index| !is_met(&[**index])) {
            let subject = match index {
                0 => UnmetSubject::Principal,
                1 => UnmetSubject::Action,
                2 => UnmetSubject::Resource,
                _ => UnmetSubject::Condition,
            };
            let text = named(*index);
            return Some(Unmet::Part { subject, text });
        }
        // Conditions first: the scope is what an author wants.
        let conditions = all.iter().rev();
        let pairs = conditions.flat_map(|second| all.iter().map(move |first| (*first, *second)));
        let pairs = pairs.filter(|(first, second)| first < second && *second >= SCOPE_PART_COUNT);
        let pair = pairs
            .filter(|(first, second)| !is_met(&[*first, *second]))
            .max_by_key(|(first, _)| *first);
        Some(pair.map_or(Unmet::All, |(first, second)| Unmet::Together {
            first: named(first),
            second: named(second),
        }))
    }
}

/// What a policy needs of a part, which is told as it stands in the file, with its line.
fn name_part(part: &PolicyPart) -> String {
    let words: Vec<&str> = part.text.split_whitespace().collect();
    let text = truncated(&words.join(" "), MAX_PART_LENGTH);
    let needed = if part.negations.must_be_false {
        "the opposite of "
    } else {
        ""
    };
    let line = part.line.map(|line| format!("line {line}"));
    let around = part
        .negations
        .is_under_unless
        .then(|| "under unless".to_owned());
    let place: Vec<String> = line.into_iter().chain(around).collect();
    if place.is_empty() {
        format!("{needed}`{text}`")
    } else {
        format!("{needed}`{text}` ({})", place.join(", "))
    }
}
