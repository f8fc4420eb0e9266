//! Covered policies: those beside which another of their effect applies whenever they do.
//!
//! What is written alone is compared: a policy is covered by one whose scope is the same, or open where
//! its own is not, and whose conditions are among its own. This module refuses to know what
//! conditions mean; a solver finds more, and `prove` asks one.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};

use cedar_policy::{ActionConstraint, EntityUid, Policy};
use cedar_policy_core::ast::Expr;

use crate::domain::decision::LONGEST_TOKEN_LIFE;
use crate::policy::bundle::{Bundle, ListedPolicy};
use crate::policy::conditions::{Part, SCOPE_PARTS, parts};
use crate::policy::diagnostic::Problem;
use crate::policy::index::EntityScope;

use super::at_policy;

/// The most pairs of policies that are compared. Few policies stand beside each other with the same
/// rarest condition; a folder made so that all do is not looked at to its end.
const MOST_COMPARISONS: usize = 1_000_000;

/// What a policy applies to.
struct Reach<'a> {
    listed: &'a ListedPolicy,
    scope: Scope,
    /// What must all hold, by number.
    conditions: BTreeSet<usize>,
}

/// The conditions of all policies, each with a number: whether it must be false, and what it says.
#[derive(Default)]
struct Conditions(HashMap<(bool, Expr), usize>);

impl Conditions {
    fn number(&mut self, part: &Part) -> usize {
        let next = self.0.len();
        let said = (part.is_negated, part.expression().clone());
        *self.0.entry(said).or_insert(next)
    }
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Scope {
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
    fn of(policy: &Policy) -> Self {
        match policy.action_constraint() {
            ActionConstraint::Any => Self::Any,
            ActionConstraint::Eq(uid) => Self::Equal(uid),
            ActionConstraint::In(uids) => Self::In(uids.into_iter().collect()),
        }
    }
}

impl Scope {
    /// The scopes that take in all of this one: itself, and those that leave parts of it open.
    fn wider(&self) -> Vec<Self> {
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

impl<'a> Reach<'a> {
    fn of(policy: &Policy, listed: &'a ListedPolicy, all: &mut Conditions) -> Self {
        let conditions = parts(policy).into_iter().skip(SCOPE_PARTS);
        Self {
            listed,
            scope: Scope {
                is_permit: listed.is_permit,
                principal: EntityScope::of_principal(policy),
                action: ActionScope::of(policy),
                resource: EntityScope::of_resource(policy),
            },
            conditions: conditions
                .filter(|part| *part.expression() != Expr::val(!part.is_negated))
                .map(|part| all.number(&part))
                .collect(),
        }
    }

    fn life(&self) -> u32 {
        self.listed.max_ttl.unwrap_or(LONGEST_TOKEN_LIFE)
    }

    /// Where duplicates are alike, the first to read stays.
    fn order(&self) -> (u32, &str, &str) {
        (self.life(), &self.listed.file, &self.listed.id)
    }
}

/// One warning for each policy that another leaves nothing to do.
pub(super) fn warnings(bundle: &Bundle) -> Vec<Problem> {
    let mut all = Conditions::default();
    let mut reaches: Vec<Reach<'_>> = bundle
        .each_policy()
        .map(|(policy, listed)| Reach::of(policy, listed, &mut all))
        .collect();
    reaches.sort_by(|a, b| a.order().cmp(&b.order()));
    let mut alike: HashMap<(&Scope, &BTreeSet<usize>), &Reach<'_>> = HashMap::new();
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
                warnings.push(at_policy(bundle, id, message).with_help("remove one of them"));
            }
        }
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
    let mut uses: HashMap<usize, usize> = HashMap::new();
    for condition in reaches.iter().flat_map(|reach| &reach.conditions) {
        *uses.entry(*condition).or_default() += 1;
    }
    let mut index: HashMap<(&Scope, Option<usize>), Vec<&'r Reach<'a>>> = HashMap::new();
    for reach in reaches {
        let conditions = reach.conditions.iter().copied();
        let rarest = conditions.min_by_key(|condition| (uses.get(condition), *condition));
        index.entry((&reach.scope, rarest)).or_default().push(reach);
    }
    let mut found = Vec::new();
    let mut comparisons = 0;
    for reach in reaches {
        let wider = reach.scope.wider();
        let keys = || std::iter::once(None).chain(reach.conditions.iter().copied().map(Some));
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
