//! Policies of an edit that change nothing for anybody, and why.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::domain::decision::Decision;
use crate::domain::resource::Resource;
use crate::domain::shown::join_shown;
use crate::policy::Bundle;
use crate::policy::effect::{PolicyDifference, PolicyTrial, Unmet, UnmetSubject};

use crate::service::policies::review::pair_classes::PairDecider;

/// The most policies that are looked at.
pub(super) const MAX_EXPLAINED: usize = 20;
/// The most requests that all of them together are tried against.
const MAX_TRIED: usize = 20_000;
/// The most other policies that are named.
const MAX_NAMED: usize = 5;

/// A policy that an edit adds, changes or removes, without any change of a decision by it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct IneffectivePolicy {
    /// Its `@id`.
    pub policy: String,
    /// What the edit does with it.
    pub difference: PolicyDifference,
    /// Why nothing changes, in a few words.
    pub why: String,
    /// Whether it may apply to requests that no comparison asks about: other actions, or the author's own types.
    pub is_about_more: bool,
}

/// What came of the requests that a policy applies to.
#[derive(Default)]
struct Applied {
    is_permit: bool,
    tried: usize,
    /// How many of them it applies to.
    count: usize,
    permitted: usize,
    /// The other policies that determine them.
    permits: BTreeSet<String>,
    forbids: BTreeSet<String>,
}

/// The policies of the edit that change nothing, the first ones; and how many more there are.
pub(super) fn find_ineffective(
    decider: &PairDecider<'_>,
    is_confined: bool,
) -> (Vec<IneffectivePolicy>, usize) {
    let differences = decider.to.differences(decider.from);
    let without_effect = differences
        .into_iter()
        .filter(|(id, _)| !decider.effective.contains(id));
    let without_effect: Vec<_> = without_effect.collect();
    let more = without_effect.len().saturating_sub(MAX_EXPLAINED);
    let budget = MAX_TRIED / without_effect.len().clamp(1, MAX_EXPLAINED);
    let explained = without_effect.into_iter().take(MAX_EXPLAINED);
    let explained = explained.filter_map(|(policy, difference)| {
        let (bundle, other) = match difference {
            PolicyDifference::Removed => (decider.from, decider.to),
            PolicyDifference::Added | PolicyDifference::Changed => (decider.to, decider.to),
        };
        let mut trial = bundle.try_policy(&policy)?;
        let applied = try_all(decider, &mut trial, (bundle, other, &policy), budget);
        let why = match trial.unmet() {
            Some(unmet) => describe_unmet(&unmet, is_confined),
            None if applied.tried == 0 => "there is nobody and nothing to ask about".to_owned(),
            None => applied.describe(difference),
        };
        Some(IneffectivePolicy {
            is_about_more: bundle.applies_beyond_datasets(&policy, decider.actions),
            policy,
            difference,
            why,
        })
    });
    (explained.collect(), more)
}

/// Tries a policy against what was decided about; `other` says what comes of it.
fn try_all(
    decider: &PairDecider<'_>,
    trial: &mut PolicyTrial<'_>,
    (bundle, other, policy): (&Bundle, &Bundle, &str),
    budget: usize,
) -> Applied {
    let info = bundle.policies().get(policy);
    let mut applied = Applied {
        is_permit: info.is_some_and(|info| info.is_permit),
        ..Applied::default()
    };
    for (principal, dataset) in &decider.pairs {
        let resource = Resource::Dataset(dataset.clone());
        for (_, place) in decider.asked.of_principal(principal) {
            let context = decider.asked.context(place, principal, dataset);
            for action in decider.actions.iter().copied() {
                if applied.tried >= budget {
                    return applied;
                }
                applied.tried += 1;
                if trial.observe(principal, action, &resource, &context) {
                    applied.add(other.decide(principal, action, &resource, &context), policy);
                }
            }
        }
    }
    applied
}

impl Applied {
    fn add(&mut self, decision: Decision, policy: &str) {
        self.count += 1;
        let others = decision.determining_policies.into_iter();
        let others = others.filter(|id| id != policy);
        if decision.is_permitted {
            self.permitted += 1;
            self.permits.extend(others);
        } else {
            self.forbids.extend(others);
        }
    }

    fn describe(&self, difference: PolicyDifference) -> String {
        let named = |ids: &BTreeSet<String>| {
            let ids: Vec<String> = ids.iter().map(|id| format!("`{id}`")).collect();
            join_shown(ids.iter().map(String::as_str), MAX_NAMED)
        };
        let (permits, forbids) = (named(&self.permits), named(&self.forbids));
        let is_removed = difference == PolicyDifference::Removed;
        match (self.is_permit, is_removed) {
            (true, false) if self.permitted == 0 && !forbids.is_empty() => {
                format!("whatever it permits is forbidden by {forbids}")
            }
            (true, false) => format!("whatever it permits is permitted already, by {permits}"),
            (true, true) if self.permitted == 0 && !forbids.is_empty() => {
                format!("whatever it permitted was forbidden, by {forbids}")
            }
            (true, true) => format!("whatever it permitted is still permitted, by {permits}"),
            (false, false) if forbids.is_empty() => {
                "whatever it forbids is permitted by nothing anyway".to_owned()
            }
            (false, false) => {
                format!(
                    "whatever it forbids is forbidden already, by {forbids}, or permitted by nothing"
                )
            }
            (false, true) if forbids.is_empty() => {
                "whatever it forbade is permitted by nothing".to_owned()
            }
            (false, true) => format!("whatever it forbade is still forbidden, by {forbids}"),
        }
    }
}

fn describe_unmet(unmet: &Unmet, is_confined: bool) -> String {
    let elsewhere = if is_confined {
        "; --address and --time confine the question, leave them out to ask at others"
    } else {
        ""
    };
    match unmet {
        Unmet::Part { subject, text } => match subject {
            UnmetSubject::Principal => {
                format!(
                    "it matches nobody: no user of the catalog and no anonymous caller meets {text}"
                )
            }
            UnmetSubject::Action => {
                format!("it is for other actions than read, discover and administer: {text}")
            }
            UnmetSubject::Resource => {
                format!("it matches nothing: no dataset of the catalog meets {text}")
            }
            UnmetSubject::Condition => {
                format!("it never applies: no request that was asked about meets {text}{elsewhere}")
            }
        },
        Unmet::Together { first, second } => format!(
            "it never applies: no request that was asked about meets both {first} and {second}{elsewhere}"
        ),
        Unmet::All => {
            format!(
                "it never applies: no request that was asked about meets all of its parts{elsewhere}"
            )
        }
    }
}
