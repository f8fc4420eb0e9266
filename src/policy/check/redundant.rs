//! Redundant policies: another policy of the same effect always applies when they do.
//!
//! Only scopes and conditions are compared, as text: a policy is redundant beside one with the same
//! scope, or an open one, and with no condition that it does not have itself. Conditions are not
//! evaluated; the solver of `prove` finds more.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};

use cedar_policy::{ActionConstraint, EntityUid, Policy};
use cedar_policy_core::ast::Expr;

use crate::domain::decision::MAX_TOKEN_TTL;
use crate::domain::diagnostic::SourceDiagnostic;
use crate::policy::bundle::{Bundle, PolicyInfo};
use crate::policy::conditions::{PolicyPart, SCOPE_PART_COUNT, policy_parts};
use crate::policy::index::EntityScope;

/// The most pairs of policies that are compared. Few policies have the same scope and the same rarest
/// condition; in a folder built so that all have, the search ends early.
const MAX_COMPARISONS: usize = 1_000_000;

/// The requests that a policy applies to, in comparable form.
struct ComparablePolicy<'a> {
    info: &'a PolicyInfo,
    scope: PolicyScope,
    /// The conditions that must all hold, by number.
    conditions: BTreeSet<usize>,
}

/// The number of each distinct condition: whether it must be false, and its expression.
#[derive(Default)]
struct ConditionNumbers(HashMap<(bool, Expr), usize>);

impl ConditionNumbers {
    fn number(&mut self, part: &PolicyPart) -> usize {
        let next = self.0.len();
        let (must_be_false, expression) = part.normalized();
        let condition = (must_be_false, expression.clone());
        *self.0.entry(condition).or_insert(next)
    }
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct PolicyScope {
    is_permit: bool,
    principal: EntityScope,
    action: ActionScope,
    resource: EntityScope,
}

#[derive(Clone, PartialEq, Eq, Hash)]
enum ActionScope {
    Any,
    Equal(EntityUid),
    In(BTreeSet<EntityUid>),
}

impl ActionScope {
    fn from_policy(policy: &Policy) -> Self {
        match policy.action_constraint() {
            ActionConstraint::Any => Self::Any,
            ActionConstraint::Eq(uid) => Self::Equal(uid),
            ActionConstraint::In(uids) => Self::In(uids.into_iter().collect()),
        }
    }
}

impl PolicyScope {
    /// The scopes that include this one: itself, and those with open parts.
    fn widened(&self) -> Vec<Self> {
        let open: [fn(&mut Self); 3] = [
            |scope| scope.principal = EntityScope::Any,
            |scope| scope.action = ActionScope::Any,
            |scope| scope.resource = EntityScope::Any,
        ];
        let mut scopes = vec![self.clone()];
        for open in open {
            let mut opened = scopes.clone();
            opened.iter_mut().for_each(open);
            opened.retain(|scope| !scopes.contains(scope));
            scopes.extend(opened);
        }
        scopes
    }
}

impl<'a> ComparablePolicy<'a> {
    fn new(policy: &Policy, info: &'a PolicyInfo, numbers: &mut ConditionNumbers) -> Self {
        let conditions = policy_parts(policy).into_iter().skip(SCOPE_PART_COUNT);
        Self {
            info,
            scope: PolicyScope {
                is_permit: info.is_permit,
                principal: EntityScope::from_principal(policy),
                action: ActionScope::from_policy(policy),
                resource: EntityScope::from_resource(policy),
            },
            conditions: conditions
                .filter(|part| {
                    let (must_be_false, expression) = part.normalized();
                    *expression != Expr::val(!must_be_false)
                })
                .map(|part| numbers.number(&part))
                .collect(),
        }
    }

    fn max_ttl(&self) -> u32 {
        self.info.max_ttl.unwrap_or(MAX_TOKEN_TTL)
    }

    /// Of duplicates, the first in this order is kept.
    fn sort_key(&self) -> (u32, &str, &str) {
        (self.max_ttl(), &self.info.file, &self.info.id)
    }
}

/// A warning for each redundant policy.
pub(super) fn warnings(bundle: &Bundle) -> Vec<SourceDiagnostic> {
    let mut numbers = ConditionNumbers::default();
    let mut policies: Vec<ComparablePolicy<'_>> = bundle
        .policies_with_info()
        .map(|(policy, info)| ComparablePolicy::new(policy, info, &mut numbers))
        .collect();
    policies.sort_by(|a, b| a.sort_key().cmp(&b.sort_key()));
    let mut alike: HashMap<(&PolicyScope, &BTreeSet<usize>), &ComparablePolicy<'_>> =
        HashMap::new();
    let (mut warnings, mut distinct) = (Vec::new(), Vec::new());
    for policy in &policies {
        match alike.entry((&policy.scope, &policy.conditions)) {
            Entry::Vacant(entry) => {
                entry.insert(policy);
                distinct.push(policy);
            }
            Entry::Occupied(first) => {
                let (id, first) = (&policy.info.id, &first.get().info.id);
                let message = format!("policy `{id}` is redundant: `{first}` is the same");
                let warning = bundle.warning_at_policy(id, message);
                warnings.push(warning.with_help("remove one of them"));
            }
        }
    }
    let (found, is_complete) = find_redundant(&distinct);
    warnings.extend(found.into_iter().map(|(redundant, other)| {
        let (id, other) = (&redundant.info.id, &other.info.id);
        let message = format!("policy `{id}` is redundant: `{other}` always applies when it does");
        let help = format!("remove it, or narrow `{other}`");
        bundle.warning_at_policy(id, message).with_help(help)
    }));
    warnings.extend(
        find_overridden(&distinct)
            .into_iter()
            .map(|(permit, forbid)| {
                let (id, other) = (&permit.info.id, &forbid.info.id);
                let message = format!(
                    "permit `{id}` has no effect: forbid `{other}` always applies when it does"
                );
                let help = format!("remove it, or narrow `{other}`");
                bundle.warning_at_policy(id, message).with_help(help)
            }),
    );
    if !is_complete {
        let message = "too many similar policies to find all redundant ones";
        let problem = SourceDiagnostic::for_file(&bundle.sources.label(""), message);
        warnings.push(problem.into_warning());
    }
    warnings
}

/// The permits that a forbid overrides whenever they apply, each with the forbid; not all, where very many are
/// alike.
fn find_overridden<'r, 'a>(
    policies: &[&'r ComparablePolicy<'a>],
) -> Vec<(&'r ComparablePolicy<'a>, &'r ComparablePolicy<'a>)> {
    let mut forbids: HashMap<&PolicyScope, Vec<&'r ComparablePolicy<'a>>> = HashMap::new();
    for forbid in policies.iter().filter(|policy| !policy.info.is_permit) {
        forbids.entry(&forbid.scope).or_default().push(forbid);
    }
    let mut comparisons = 0;
    let mut found = Vec::new();
    for permit in policies.iter().filter(|policy| policy.info.is_permit) {
        let opposite = PolicyScope {
            is_permit: false,
            ..permit.scope.clone()
        };
        let wider = opposite.widened();
        let mut candidates = wider
            .iter()
            .filter_map(|scope| forbids.get(scope))
            .flatten();
        let overriding = candidates.find(|forbid| {
            comparisons += 1;
            comparisons <= MAX_COMPARISONS && forbid.conditions.is_subset(&permit.conditions)
        });
        found.extend(overriding.map(|forbid| (*permit, *forbid)));
    }
    found
}

/// The redundant policies, each with the other one, and whether all pairs were compared.
///
/// The rarest condition of the other one, if it has any, is also a condition of the redundant one: only
/// such pairs are compared.
fn find_redundant<'r, 'a>(
    policies: &[&'r ComparablePolicy<'a>],
) -> (
    Vec<(&'r ComparablePolicy<'a>, &'r ComparablePolicy<'a>)>,
    bool,
) {
    let mut uses: HashMap<usize, usize> = HashMap::new();
    for condition in policies.iter().flat_map(|policy| &policy.conditions) {
        *uses.entry(*condition).or_default() += 1;
    }
    let mut index: HashMap<(&PolicyScope, Option<usize>), Vec<&'r ComparablePolicy<'a>>> =
        HashMap::new();
    for policy in policies {
        let conditions = policy.conditions.iter().copied();
        let rarest = conditions.min_by_key(|condition| (uses.get(condition), *condition));
        index
            .entry((&policy.scope, rarest))
            .or_default()
            .push(policy);
    }
    let mut found = Vec::new();
    let mut comparisons = 0;
    for policy in policies {
        let wider = policy.scope.widened();
        let keys = || std::iter::once(None).chain(policy.conditions.iter().copied().map(Some));
        let candidates = wider
            .iter()
            .flat_map(|scope| keys().map(move |key| (scope, key)))
            .filter_map(|key| index.get(&key))
            .flatten();
        for other in candidates {
            comparisons += 1;
            if comparisons > MAX_COMPARISONS {
                return (found, false);
            }
            let is_other = other.info.id != policy.info.id;
            // A policy with a shorter token life has an effect.
            if is_other
                && other.max_ttl() <= policy.max_ttl()
                && other.conditions.is_subset(&policy.conditions)
            {
                found.push((*policy, *other));
                break;
            }
        }
    }
    (found, true)
}
