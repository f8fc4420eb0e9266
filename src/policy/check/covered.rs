//! Covered policies: those beside which another of their effect applies whenever they do.
//!
//! The texts alone are compared: a policy is covered by one whose scope is the same, or open where
//! its own is not, and whose conditions are among its own. This module refuses to know what
//! conditions mean; a solver finds more, and `prove` asks one.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use cedar_policy::Policy;
use serde_json::{Value, json};

use crate::domain::decision::LONGEST_TOKEN_LIFE;
use crate::policy::bundle::{Bundle, ListedPolicy};
use crate::policy::problem::Problem;

use super::at_policy;

/// The most pairs of policies that are compared. Few policies stand beside each other with the same
/// rarest condition; a folder made so that all do is not looked at to its end.
const MOST_COMPARISONS: usize = 1_000_000;

/// What a policy applies to.
struct Reach<'a> {
    listed: &'a ListedPolicy,
    scope: Scope,
    /// What must all hold.
    conditions: BTreeSet<String>,
}

/// The effect, and the principal, the action and the resource of a scope as Cedar's JSON.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Scope {
    is_permit: bool,
    parts: [String; 3],
}

impl Scope {
    /// The scopes that take in all of this one: itself, and those that leave parts of it open.
    fn wider(&self) -> BTreeSet<Self> {
        let open = json!({"op": "All"}).to_string();
        let mut scopes = BTreeSet::from([self.clone()]);
        for part in 0..self.parts.len() {
            let opened: Vec<Self> = scopes
                .iter()
                .map(|scope| {
                    let mut scope = scope.clone();
                    if let Some(part) = scope.parts.get_mut(part) {
                        part.clone_from(&open);
                    }
                    scope
                })
                .collect();
            scopes.extend(opened);
        }
        scopes
    }
}

impl<'a> Reach<'a> {
    fn of(policy: &Policy, bundle: &'a Bundle) -> Option<Self> {
        let listed = bundle.policies().get(AsRef::<str>::as_ref(policy.id()))?;
        let written = policy.to_json().ok()?;
        let part = |name: &str| written.get(name).map(in_one_order);
        let mut conditions = BTreeSet::new();
        for condition in written.get("conditions")?.as_array()? {
            let body = condition.get("body")?;
            let is_when = condition.get("kind")?.as_str()? == "when";
            let (operator, is_plain) = if is_when { ("&&", true) } else { ("||", false) };
            for said in split(body, operator) {
                if is_plain {
                    conditions.insert(said.to_string());
                } else {
                    conditions.insert(json!({"!": {"arg": said}}).to_string());
                }
            }
        }
        conditions.remove(&json!({"Value": true}).to_string());
        Some(Self {
            listed,
            scope: Scope {
                is_permit: listed.is_permit,
                parts: [part("principal")?, part("action")?, part("resource")?],
            },
            conditions,
        })
    }

    fn life(&self) -> u32 {
        self.listed.max_ttl.unwrap_or(LONGEST_TOKEN_LIFE)
    }

    /// Where duplicates are alike, the first to read stays.
    fn order(&self) -> (u32, &str, &str) {
        (self.life(), &self.listed.file, &self.listed.id)
    }
}

/// A part of a scope, with listed actions in one order.
fn in_one_order(part: &Value) -> String {
    let mut part = part.clone();
    if let Some(entities) = part.get_mut("entities").and_then(Value::as_array_mut) {
        entities.sort_by_cached_key(Value::to_string);
    }
    part.to_string()
}

/// What stands between the operators of a chain.
fn split<'a>(body: &'a Value, operator: &str) -> Vec<&'a Value> {
    let mut found = Vec::new();
    let mut left = vec![body];
    while let Some(body) = left.pop() {
        match body.get(operator) {
            Some(chain) => left.extend(["left", "right"].iter().filter_map(|side| chain.get(side))),
            None => found.push(body),
        }
    }
    found
}

/// One warning for each policy that another leaves nothing to do.
pub(super) fn warnings(bundle: &Bundle) -> Vec<Problem> {
    let policies = bundle.policies.set.policies();
    let reaches: Vec<Reach<'_>> = policies.filter_map(|p| Reach::of(p, bundle)).collect();
    let mut alike: BTreeMap<(&Scope, &BTreeSet<String>), Vec<&Reach<'_>>> = BTreeMap::new();
    for reach in &reaches {
        let key = (&reach.scope, &reach.conditions);
        alike.entry(key).or_default().push(reach);
    }
    let mut warnings = Vec::new();
    let mut distinct = Vec::new();
    for mut group in alike.into_values() {
        group.sort_by(|a, b| a.order().cmp(&b.order()));
        let Some((first, others)) = group.split_first() else {
            continue;
        };
        distinct.push(*first);
        warnings.extend(others.iter().map(|other| {
            let (id, first) = (&other.listed.id, &first.listed.id);
            let message = format!("{id:?} says the same as {first:?}");
            at_policy(bundle, id, message).with_help("remove one of them")
        }));
    }
    let (found, is_whole) = search(&distinct);
    warnings.extend(found.into_iter().map(|(covered, by)| {
        let (id, by) = (&covered.listed.id, &by.listed.id);
        let message = format!("{id:?} adds nothing: {by:?} applies whenever it does");
        let help = "remove it; or, if it should stay, narrow the other one";
        at_policy(bundle, id, message).with_help(help)
    }));
    if !is_whole {
        let message = "too many policies are alike to look for all that add nothing";
        let problem = Problem::of_file(&bundle.sources.label(""), message);
        warnings.push(problem.into_warning());
    }
    warnings
}

/// The covered policies, each with one that covers it, and whether all were looked at.
///
/// What covers a policy has its rarest condition among that policy's, or has none at all: only
/// those are compared.
fn search<'r, 'a>(reaches: &[&'r Reach<'a>]) -> (Vec<(&'r Reach<'a>, &'r Reach<'a>)>, bool) {
    let mut uses: HashMap<&str, usize> = HashMap::new();
    for condition in reaches.iter().flat_map(|reach| &reach.conditions) {
        *uses.entry(condition).or_default() += 1;
    }
    let mut index: HashMap<(&Scope, Option<&str>), Vec<&'r Reach<'a>>> = HashMap::new();
    for reach in reaches {
        let conditions = reach.conditions.iter().map(String::as_str);
        let rarest = conditions.min_by_key(|condition| (uses.get(condition), *condition));
        index.entry((&reach.scope, rarest)).or_default().push(reach);
    }
    let mut found = Vec::new();
    let mut comparisons = 0;
    for reach in reaches {
        let wider = reach.scope.wider();
        let keys =
            || std::iter::once(None).chain(reach.conditions.iter().map(|c| Some(c.as_str())));
        let candidates = wider
            .iter()
            .flat_map(|scope| keys().map(move |key| (scope, key)))
            .filter_map(|key| index.get(&key))
            .flatten();
        for other in candidates {
            comparisons += 1;
            if comparisons > MOST_COMPARISONS {
                return (found, false);
            }
            let is_other = other.listed.id != reach.listed.id;
            // A shorter life is a reason to be there.
            if is_other
                && other.life() <= reach.life()
                && other.conditions.is_subset(&reach.conditions)
            {
                found.push((*reach, *other));
                break;
            }
        }
    }
    (found, true)
}
