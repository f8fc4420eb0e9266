//! Covered policies: those beside which another of their effect applies whenever they do.
//!
//! What is written alone is compared: a policy is covered by one whose scope is the same, or open where
//! its own is not, and whose conditions are among its own. This module refuses to know what
//! conditions mean; a solver finds more, and `prove` asks one.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};

use cedar_policy::{ActionConstraint, EntityUid, Policy};
use cedar_policy_core::ast::Expr;

use crate::domain::decision::MAX_TOKEN_TTL;
use crate::policy::bundle::{Bundle, PolicyInfo};
use crate::policy::conditions::{PolicyPart, SCOPE_PART_COUNT, policy_parts};
use crate::policy::diagnostic::BundleDiagnostic;
use crate::policy::index::EntityScope;

use super::warning_at_policy;

/// The most pairs of policies that are compared. Few policies stand beside each other with the same
/// rarest condition; a folder made so that all do is not looked at to its end.
const MAX_COMPARISONS: usize = 1_000_000;

/// What a policy applies to.
struct ComparablePolicy<'a> {
    listed: &'a PolicyInfo,
    scope: PolicyScope,
    /// What must all hold, by number.
    conditions: BTreeSet<usize>,
}

/// The conditions of all policies, each with a number: whether it must be false, and what it says.
#[derive(Default)]
struct ConditionNumbers(HashMap<(bool, Expr), usize>);

impl ConditionNumbers {
    fn number(&mut self, part: &PolicyPart) -> usize {
        let next = self.0.len();
        let said = (part.is_negated, part.expression().clone());
        *self.0.entry(said).or_insert(next)
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
    /// The scopes that take in all of this one: itself, and those that leave parts of it open.
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
    fn new(policy: &Policy, listed: &'a PolicyInfo, all: &mut ConditionNumbers) -> Self {
        let conditions = policy_parts(policy).into_iter().skip(SCOPE_PART_COUNT);
        Self {
            listed,
            scope: PolicyScope {
                is_permit: listed.is_permit,
                principal: EntityScope::from_principal(policy),
                action: ActionScope::from_policy(policy),
                resource: EntityScope::from_resource(policy),
            },
            conditions: conditions
                .filter(|part| *part.expression() != Expr::val(!part.is_negated))
                .map(|part| all.number(&part))
                .collect(),
        }
    }

    fn max_ttl(&self) -> u32 {
        self.listed.max_ttl.unwrap_or(MAX_TOKEN_TTL)
    }

    /// Where duplicates are alike, the first to read stays.
    fn sort_key(&self) -> (u32, &str, &str) {
        (self.max_ttl(), &self.listed.file, &self.listed.id)
    }
}

/// One warning for each policy that another leaves nothing to do.
pub(super) fn warnings(bundle: &Bundle) -> Vec<BundleDiagnostic> {
    let mut all = ConditionNumbers::default();
    let mut reaches: Vec<ComparablePolicy<'_>> = bundle
        .policies_with_info()
        .map(|(policy, listed)| ComparablePolicy::new(policy, listed, &mut all))
        .collect();
    reaches.sort_by(|a, b| a.sort_key().cmp(&b.sort_key()));
    let mut alike: HashMap<(&PolicyScope, &BTreeSet<usize>), &ComparablePolicy<'_>> =
        HashMap::new();
    let (mut warnings, mut distinct) = (Vec::new(), Vec::new());
    for reach in &reaches {
        match alike.entry((&reach.scope, &reach.conditions)) {
            Entry::Vacant(place) => {
                place.insert(reach);
                distinct.push(reach);
            }
            Entry::Occupied(first) => {
                let (id, first) = (&reach.listed.id, &first.get().listed.id);
                let message = format!("{id:?} says the same as {first:?}");
                warnings
                    .push(warning_at_policy(bundle, id, message).with_help("remove one of them"));
            }
        }
    }
    let (found, is_whole) = find_redundant(&distinct);
    warnings.extend(found.into_iter().map(|(covered, by)| {
        let (id, by) = (&covered.listed.id, &by.listed.id);
        let message = format!("{id:?} adds nothing: {by:?} applies whenever it does");
        let help = "remove it; or, if it should stay, narrow the other one";
        warning_at_policy(bundle, id, message).with_help(help)
    }));
    if !is_whole {
        let message = "too many policies are alike to look for all that add nothing";
        let problem = BundleDiagnostic::for_file(&bundle.sources.label(""), message);
        warnings.push(problem.into_warning());
    }
    warnings
}

/// The covered policies, each with one that covers it, and whether all were looked at.
///
/// What covers a policy has its rarest condition among that policy's, or has none at all: only
/// those are compared.
fn find_redundant<'r, 'a>(
    reaches: &[&'r ComparablePolicy<'a>],
) -> (
    Vec<(&'r ComparablePolicy<'a>, &'r ComparablePolicy<'a>)>,
    bool,
) {
    let mut uses: HashMap<usize, usize> = HashMap::new();
    for condition in reaches.iter().flat_map(|reach| &reach.conditions) {
        *uses.entry(*condition).or_default() += 1;
    }
    let mut index: HashMap<(&PolicyScope, Option<usize>), Vec<&'r ComparablePolicy<'a>>> =
        HashMap::new();
    for reach in reaches {
        let conditions = reach.conditions.iter().copied();
        let rarest = conditions.min_by_key(|condition| (uses.get(condition), *condition));
        index.entry((&reach.scope, rarest)).or_default().push(reach);
    }
    let mut found = Vec::new();
    let mut comparisons = 0;
    for reach in reaches {
        let wider = reach.scope.widened();
        let keys = || std::iter::once(None).chain(reach.conditions.iter().copied().map(Some));
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
            let is_other = other.listed.id != reach.listed.id;
            // A shorter life is a reason to be there.
            if is_other
                && other.max_ttl() <= reach.max_ttl()
                && other.conditions.is_subset(&reach.conditions)
            {
                found.push((*reach, *other));
                break;
            }
        }
    }
    (found, true)
}
