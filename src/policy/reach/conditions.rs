//! Conditions that are never true, by their types.
//!
//! Cedar's typechecker says it of each comparison in each request environment that the scope of the policy
//! admits. What depends on values is for `policy prove`.

use cedar_policy::Schema;
use cedar_policy_core::ast::{
    BinaryOp, EntityType, EntityUID, Expr, ExprKind, Literal, Policy as AstPolicy, Template,
    UnaryOp,
};
use cedar_policy_core::parser::Loc;
use cedar_policy_core::validator::ValidationMode;
use cedar_policy_core::validator::typecheck::{PolicyCheck, Typechecker};
use cedar_policy_core::validator::types::RequestEnv;

use super::request_types::RequestTypes;
use super::scope::{ScopeTypes, without_members};
use super::unreachable_part::UnreachablePart;
use crate::policy::source_form::SourceForm;

/// The most conditions among which a contradiction is searched.
const MAX_CONTRADICTION_PARTS: usize = 40;

/// The types of the request environment of a typechecked policy.
type EnvironmentTypes<'a> = (&'a EntityType, &'a EntityUID, &'a EntityType);

/// What in the conditions of a policy is never true, although requests are in its scope.
///
/// `is_impossible` is what Cedar's validator says of the policy; only then everything is looked at, and else
/// what compares types, so that a large folder costs little.
pub(super) fn findings(
    schema: &Schema,
    types: &RequestTypes,
    policy: &Template,
    scope: &ScopeTypes,
    is_impossible: bool,
) -> Vec<UnreachablePart> {
    let Some(conditions) = policy.non_scope_constraints() else {
        return Vec::new();
    };
    let comparisons = comparisons(conditions);
    let is_telling = |it: &&Comparison<'_>| is_impossible || compares_types(it.expression);
    let telling: Vec<&Comparison<'_>> = comparisons.iter().filter(is_telling).collect();
    let mut found: Vec<UnreachablePart> = comparisons
        .iter()
        .filter_map(|it| in_without_members(types, it.expression))
        .collect();
    if telling.is_empty() && !is_impossible {
        return found;
    }
    let checker = Typechecker::new(schema.as_ref(), ValidationMode::Strict);
    for comparison in telling {
        if is_never_true(&checker, types, policy, scope, comparison.expression) {
            let finding = never_true(types, comparison);
            let is_total = is_impossible;
            found.push(if is_total { finding.total() } else { finding });
        }
    }
    if !is_impossible {
        found.extend(unmatched_actions(&checker, types, policy, scope));
    }
    found
}

/// Conditions of an impossible policy that are never true together, none of which can be left out; none if there are
/// too many.
pub(super) fn contradiction(
    schema: &Schema,
    types: &RequestTypes,
    policy: &Template,
    scope: &ScopeTypes,
) -> Vec<String> {
    let mut parts: Vec<&Expr> = Vec::new();
    let mut open: Vec<&Expr> = policy.non_scope_constraints().into_iter().collect();
    while let Some(expression) = open.pop() {
        match expression.expr_kind() {
            ExprKind::And { left, right } => open.extend([&**right, &**left]),
            _ => parts.push(expression),
        }
    }
    if parts.len() > MAX_CONTRADICTION_PARTS {
        return Vec::new();
    }
    let checker = Typechecker::new(schema.as_ref(), ValidationMode::Strict);
    let is_impossible = |parts: &[&Expr]| {
        let all = parts.iter().map(|part| Expr::clone(part));
        let all = all.reduce(|all, part| Expr::and(all, part));
        all.is_some_and(|all| is_never_true(&checker, types, policy, scope, &all))
    };
    if !is_impossible(&parts) {
        return Vec::new();
    }
    let mut index = 0;
    while index < parts.len() && parts.len() > 1 {
        let removed = parts.remove(index);
        if !is_impossible(&parts) {
            parts.insert(index, removed);
            index += 1;
        }
    }
    parts.into_iter().map(snippet).collect()
}

/// A comparison in a condition.
struct Comparison<'a> {
    expression: &'a Expr,
    /// Whether the source has the opposite: `a != b` for this `a == b`.
    is_opposite: bool,
}

/// The comparisons of a condition: what is joined by `&&`, `||`, `!` and `if`.
fn comparisons(condition: &Expr) -> Vec<Comparison<'_>> {
    let mut found = Vec::new();
    let mut open = vec![condition];
    while let Some(expression) = open.pop() {
        if let SourceForm::Opposite(expression) = SourceForm::new(expression) {
            found.push(Comparison {
                expression,
                is_opposite: true,
            });
            continue;
        }
        match expression.expr_kind() {
            ExprKind::And { left, right } | ExprKind::Or { left, right } => {
                open.extend([&**right, &**left]);
            }
            ExprKind::UnaryApp {
                op: UnaryOp::Not,
                arg,
            } => open.push(arg),
            ExprKind::If {
                test_expr,
                then_expr,
                else_expr,
            } => open.extend([&**else_expr, &**then_expr, &**test_expr]),
            _ => found.push(Comparison {
                expression,
                is_opposite: false,
            }),
        }
    }
    found
}

/// Whether a comparison may be false by its types alone: it names an entity, or compares two variables.
fn compares_types(expression: &Expr) -> bool {
    let is_entity = |side: &Expr| matches!(side.expr_kind(), ExprKind::Lit(Literal::EntityUID(_)));
    let is_variable = |side: &Expr| matches!(side.expr_kind(), ExprKind::Var(_));
    match expression.expr_kind() {
        ExprKind::BinaryApp {
            op: BinaryOp::Eq | BinaryOp::In,
            arg1,
            arg2,
        } => {
            let has_variable = is_variable(arg1) || is_variable(arg2);
            has_variable
                && (is_entity(arg1) || is_entity(arg2) || (is_variable(arg1) && is_variable(arg2)))
        }
        ExprKind::Is { expr, .. } => is_variable(expr),
        _ => false,
    }
}

fn is_never_true(
    checker: &Typechecker<'_>,
    types: &RequestTypes,
    policy: &Template,
    scope: &ScopeTypes,
    expression: &Expr,
) -> bool {
    let alone = AstPolicy::from_when_clause(
        policy.effect(),
        expression.clone(),
        policy.id().clone(),
        None,
    );
    let mut checks = checker
        .typecheck_by_request_env(alone.template())
        .filter(|(env, _)| environment(env).is_some_and(|env| scope.admits(types, env)))
        .map(|(_, check)| matches!(check, PolicyCheck::Irrelevant(..)))
        .peekable();
    checks.peek().is_some() && checks.all(|is_false| is_false)
}

fn environment<'a>(env: &RequestEnv<'a>) -> Option<EnvironmentTypes<'a>> {
    match env {
        RequestEnv::DeclaredAction {
            principal,
            action,
            resource,
            ..
        } => Some((principal, action, resource)),
        RequestEnv::UndeclaredAction => None,
    }
}

fn never_true(types: &RequestTypes, comparison: &Comparison<'_>) -> UnreachablePart {
    let Comparison { expression, .. } = comparison;
    // An `a != b` has the location of its `a == b`.
    let value = if comparison.is_opposite {
        "always true"
    } else {
        "never true"
    };
    let reason = format!("`{}` is {value}", snippet(expression));
    let finding = UnreachablePart::new(expression.source_loc(), reason);
    let ExprKind::BinaryApp {
        op: BinaryOp::Eq,
        arg1,
        arg2,
    } = expression.expr_kind()
    else {
        return finding;
    };
    match (arg1.expr_kind(), arg2.expr_kind()) {
        (ExprKind::Var(variable), ExprKind::Lit(Literal::EntityUID(uid)))
            if types.has_members(uid.entity_type()) =>
        {
            finding.with_help(if comparison.is_opposite {
                format!("write `!({variable} in {uid})` for whoever is not its member")
            } else {
                format!("write `{variable} in {uid}` for its members")
            })
        }
        _ => finding,
    }
}

/// `in` with an entity that nothing is in.
fn in_without_members(types: &RequestTypes, expression: &Expr) -> Option<UnreachablePart> {
    let ExprKind::BinaryApp {
        op: BinaryOp::In,
        arg1,
        arg2,
    } = expression.expr_kind()
    else {
        return None;
    };
    let ExprKind::Lit(Literal::EntityUID(uid)) = arg2.expr_kind() else {
        return None;
    };
    let mut finding = without_members(types, &snippet(arg1), uid)?;
    finding.span = span(arg2.source_loc()).or(finding.span);
    Some(finding)
}

/// The actions of a list for which the conditions are never true, though they are for others.
fn unmatched_actions(
    checker: &Typechecker<'_>,
    types: &RequestTypes,
    policy: &Template,
    scope: &ScopeTypes,
) -> Vec<UnreachablePart> {
    if scope.listed.len() < 2 {
        return Vec::new();
    }
    // By listed action: whether a request with it is in the scope, and whether one can satisfy the policy.
    let mut seen = vec![(false, false); scope.listed.len()];
    for (env, check) in checker.typecheck_by_request_env(policy) {
        let Some(env) = environment(&env).filter(|env| scope.admits(types, *env)) else {
            continue;
        };
        let is_possible = !matches!(check, PolicyCheck::Irrelevant(..));
        let asked = types.actions.iter().find(|action| action.uid == *env.1);
        for (listed, seen) in scope.listed.iter().zip(&mut seen) {
            if asked.is_some_and(|action| action.is_in(listed)) {
                seen.0 = true;
                seen.1 |= is_possible;
            }
        }
    }
    let unmatched = scope
        .listed
        .iter()
        .zip(seen)
        .filter(|(_, seen)| *seen == (true, false));
    let finding = |(uid, _): (&EntityUID, _)| {
        let reason = format!("the conditions are never true for `{uid}`");
        UnreachablePart::new(uid.loc(), reason)
            .with_help("remove the action, or change the conditions")
    };
    unmatched.map(finding).collect()
}

fn snippet(expression: &Expr) -> String {
    let source = expression.source_loc().and_then(Loc::snippet);
    source.map_or_else(|| expression.to_string(), str::to_owned)
}

fn span(location: Option<&Loc>) -> Option<std::ops::Range<usize>> {
    location.map(|location| location.start()..location.end())
}
