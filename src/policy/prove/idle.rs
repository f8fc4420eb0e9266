//! The policies and invariants without effect of a bundle, from what has none in each environment.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::decision::MAX_TOKEN_TTL;
use crate::policy::Bundle;

use super::effects::EffectFindings;
use super::ineffective::Ineffective;
use super::proof::Proof;

/// Adds the policies and invariants that have no effect in any environment.
pub(super) fn add_ineffective(proof: &mut Proof, found: &[EffectFindings], bundle: &Bundle) {
    let mut unknown = BTreeMap::new();
    for environment in found {
        unknown.extend(environment.unknown.clone());
    }
    let covered_by: BTreeMap<&String, BTreeSet<String>> = bundle
        .policies()
        .keys()
        .filter(|id| !unknown.contains_key(*id))
        .map(|id| (id, covering_in_all(id, found)))
        .collect();
    for (id, info) in bundle.policies() {
        let Some(covering) = covered_by.get(id) else {
            continue;
        };
        if !found.iter().any(|found| found.covered_by.contains_key(id)) {
            proof.idle.push(Ineffective::NeverApplies {
                policy: id.clone(),
                reason: None,
                help: None,
            });
            continue;
        }
        let max_ttl = |id: &str| {
            let policy = bundle.policies().get(id);
            policy.and_then(|policy| policy.max_ttl)
        };
        for other in covering {
            let Some(beside) = bundle.policies().get(other) else {
                continue;
            };
            let policy = id.clone();
            let is_mutual = covered_by
                .get(other)
                .is_some_and(|covering| covering.contains(id));
            if beside.is_permit != info.is_permit {
                let by = other.clone();
                proof.idle.push(Ineffective::Overruled { policy, by });
            } else if max_ttl(id).unwrap_or(MAX_TOKEN_TTL) < max_ttl(other).unwrap_or(MAX_TOKEN_TTL)
            {
                // It has an effect: it shortens the life of tokens.
            } else if !is_mutual || id < other || max_ttl(id) != max_ttl(other) {
                proof.idle.push(Ineffective::Redundant {
                    policy,
                    beside: other.clone(),
                    is_mutual: is_mutual && max_ttl(id) == max_ttl(other),
                });
            }
        }
    }
    let unanswered = unknown
        .into_iter()
        .map(|(id, reason)| format!("policy `{id}`: {reason}"));
    proof.unanswered.extend(unanswered);
    for (index, invariant) in proof.invariants.iter().enumerate() {
        let is_effective =
            |found: &EffectFindings| found.is_effective.get(index).copied().unwrap_or(true);
        if !found.iter().any(is_effective) {
            let invariant = invariant.id.clone();
            proof.idle.push(Ineffective::SaysNothing { invariant });
        }
    }
}

/// The policies that cover one in every environment in which it matches anything.
fn covering_in_all(id: &str, found: &[EffectFindings]) -> BTreeSet<String> {
    let mut everywhere = found.iter().filter_map(|found| found.covered_by.get(id));
    let first = everywhere.next().cloned().unwrap_or_default();
    everywhere.fold(first, |common, covering| &common & covering)
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;
    use std::time::Duration;

    use crate::policy::folder::PolicyFolder;
    use crate::policy::prove::{ProofOptions, prove};
    use crate::policy::tests::fixtures::folder;

    use super::*;

    #[test]
    fn of_very_many_permits_alike_a_forbid_overrules_each_and_each_is_as_redundant_as_another() {
        let mut text = String::new();
        for number in 10..30 {
            writeln!(
                text,
                "@id(\"{number}\") permit (principal in Role::\"x\", action == Action::\"read\", resource)\n\
                 when {{ resource.title == \"a\" }};"
            )
            .unwrap();
        }
        text.push_str(
            "@id(\"z\") @reason(\"x\") forbid (principal, action == Action::\"read\", resource);",
        );
        let dir = folder(&[("policies.cedar", &text)]);
        let folder = PolicyFolder::load(dir.path()).unwrap();
        let options = ProofOptions {
            is_thorough: true,
            ..ProofOptions::within(Duration::from_mins(2))
        };
        let (bundle, invariants) = (folder.bundle().unwrap(), folder.invariants().unwrap());
        let proof = prove(&bundle, &invariants, &options, |_, _| {}).unwrap();
        let (mut overruled, mut redundant) = (Vec::new(), BTreeSet::new());
        for idle in proof.proof.idle {
            match idle {
                Ineffective::Overruled { policy, by } => {
                    assert_eq!(by, "z");
                    overruled.push(policy);
                }
                Ineffective::Redundant {
                    policy,
                    beside,
                    is_mutual,
                } => {
                    assert!(is_mutual, "{policy} {beside}");
                    redundant.extend([policy, beside]);
                }
                other => panic!("{other:?}"),
            }
        }
        let all: Vec<String> = (10..30).map(|number| number.to_string()).collect();
        assert_eq!(overruled, all);
        assert_eq!(redundant.into_iter().collect::<Vec<_>>(), all);
    }
}
