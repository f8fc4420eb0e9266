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
    /// Whether something else may come of asking at other addresses and times.
    #[serde(skip)]
    pub(super) is_confined: bool,
}

/// What came of the requests that a policy was tried against.
#[derive(Default)]
struct Applied {
    is_permit: bool,
    tried: usize,
    /// Whether there are requests that it was not tried against.
    is_sample: bool,
    /// How many of them it applies to.
    count: usize,
    permitted: usize,
    /// The policies that determine them, others than the one that an edit adds.
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
        let bundle = match difference {
            PolicyDifference::Removed => decider.from,
            PolicyDifference::Added | PolicyDifference::Changed => decider.to,
        };
        let mut trial = bundle.try_policy(&policy)?;
        let applied = try_all(decider, &mut trial, (bundle, &policy, difference), budget);
        let unmet = trial.unmet();
        let is_of_contexts = matches!(
            &unmet,
            Some(
                Unmet::Together { .. }
                    | Unmet::All
                    | Unmet::Part {
                        subject: UnmetSubject::Condition,
                        ..
                    }
            )
        );
        let why = match unmet {
            Some(unmet) => describe_unmet(&unmet, &applied),
            None if applied.tried == 0 => "there is nobody and nothing to ask about".to_owned(),
            None => applied.describe(&policy, difference),
        };
        Some(IneffectivePolicy {
            is_about_more: bundle.applies_beyond_datasets(&policy, decider.actions),
            is_confined: is_confined && is_of_contexts,
            policy,
            difference,
            why,
        })
    });
    (explained.collect(), more)
}

/// Tries a policy against what was decided about, and finds what comes of it without the edit of the policy.
fn try_all(
    decider: &PairDecider<'_>,
    trial: &mut PolicyTrial<'_>,
    (bundle, policy, difference): (&Bundle, &str, PolicyDifference),
    budget: usize,
) -> Applied {
    let info = bundle.policies().get(policy);
    let mut applied = Applied {
        is_permit: info.is_some_and(|info| info.is_permit),
        is_sample: !decider.has_all_pairs(),
        ..Applied::default()
    };
    // A policy that is changed may have said the same before; one that is added was not there.
    let other = match difference {
        PolicyDifference::Changed => decider.from,
        PolicyDifference::Added | PolicyDifference::Removed => decider.to,
    };
    let added = Some(policy).filter(|_| difference == PolicyDifference::Added);
    for (principal, dataset) in &decider.pairs {
        let resource = Resource::Dataset(dataset.clone());
        for (_, place) in decider.asked.of_principal(principal) {
            let context = decider.asked.context(place, principal, dataset);
            for action in decider.actions.iter().copied() {
                if applied.tried >= budget {
                    applied.is_sample = true;
                    return applied;
                }
                applied.tried += 1;
                if trial.observe(principal, action, &resource, &context) {
                    applied.add(other.decide(principal, action, &resource, &context), added);
                }
            }
        }
    }
    applied
}

impl Applied {
    fn add(&mut self, decision: Decision, added: Option<&str>) {
        self.count += 1;
        let others = decision.determining_policies.into_iter();
        let others = others.filter(|id| Some(id.as_str()) != added);
        if decision.is_permitted {
            self.permitted += 1;
            self.permits.extend(others);
        } else {
            self.forbids.extend(others);
        }
    }

    /// Policies, and the one that an edit changes as it was.
    fn name(ids: &BTreeSet<String>, policy: &str) -> String {
        let named = ids.iter().map(|id| {
            let before = if id == policy { " as it was" } else { "" };
            format!("`{id}`{before}")
        });
        let named: Vec<String> = named.collect();
        join_shown(named.iter().map(String::as_str), MAX_NAMED)
    }

    fn describe(&self, policy: &str, difference: PolicyDifference) -> String {
        let permits = Self::name(&self.permits, policy);
        let forbids = Self::name(&self.forbids, policy);
        let is_removed = difference == PolicyDifference::Removed;
        match (self.is_permit, is_removed) {
            (true, false) if self.permitted == 0 && !forbids.is_empty() => {
                format!("whatever it permits is forbidden by {forbids}")
            }
            (true, false) if permits.is_empty() => {
                "whatever it permits is forbidden by others of the edit".to_owned()
            }
            (true, false) => format!("whatever it permits is permitted already, by {permits}"),
            (true, true) if self.permitted == 0 && !forbids.is_empty() => {
                format!("whatever it permitted was forbidden, by {forbids}")
            }
            (true, true) if permits.is_empty() => {
                "whatever it permitted was forbidden by others that the edit removes".to_owned()
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

/// What the policy was tried against without success: all that was asked about, or as much of it as was tried.
fn describe_unmet(unmet: &Unmet, applied: &Applied) -> String {
    let tried = applied.tried;
    let sample = format!("none of the first {tried} requests that were tried");
    let requests = if applied.is_sample {
        sample.clone()
    } else {
        "no request that was asked about".to_owned()
    };
    match unmet {
        Unmet::Part { subject, text } => match subject {
            UnmetSubject::Principal if applied.is_sample => {
                format!("it matched nobody: {sample} meets {text}")
            }
            UnmetSubject::Principal => format!(
                "it matches nobody: no user who was compared and no anonymous caller meets {text}"
            ),
            UnmetSubject::Action => {
                format!("it is for other actions than read, discover and administer: {text}")
            }
            UnmetSubject::Resource if applied.is_sample => {
                format!("it matched nothing: {sample} meets {text}")
            }
            UnmetSubject::Resource => {
                format!("it matches nothing: no dataset that was compared meets {text}")
            }
            UnmetSubject::Condition => format!("it never applies: {requests} meets {text}"),
        },
        Unmet::Together { first, second } => {
            format!("it never applies: {requests} meets both {first} and {second}")
        }
        Unmet::All => format!("it never applies: {requests} meets all of its parts"),
    }
}
