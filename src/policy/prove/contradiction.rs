//! Contradictions: policies that match no possible request, and which of their parts cannot hold together.
//!
//! The parts are the constraints of the scope and the conditions split at `&&`. They are left out one after the other
//! as long as what remains still matches nothing that is in the scope by its types: each part that is told is needed
//! for the contradiction.

use cedar_policy::{Policy, RequestEnv, Schema};
use cedar_policy_core::ast::{BinaryOp, Expr, ExprKind, UnaryOp, Var};
use cedar_policy_core::parser::Loc;
use cedar_policy_symcc::{CompiledPolicy, never_matches_asserts};

use crate::domain::text_position::line_at;

use super::solver::{SolverSession, is_unsatisfiable};
use super::source_text::source_text;
use super::statement::{action_condition, principal_condition, resource_condition, scope_policy};

/// The most parts of a policy that are looked at.
const MAX_PARTS: usize = 40;
/// The longest text of a part, in characters; the rest is cut.
const MAX_TEXT_LENGTH: usize = 200;

/// Parts of a policy that never hold together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Contradiction {
    /// The parts as they are written, each with its line.
    parts: Vec<(String, Option<usize>)>,
    /// What was probably meant.
    pub(super) help: Option<String>,
}

impl Contradiction {
    /// The parts, for the end of a sentence.
    pub(super) fn describe(&self) -> String {
        let described = self.parts.iter().map(|(text, line)| match line {
            Some(line) => format!("`{text}` (line {line})"),
            None => format!("`{text}` (the scope)"),
        });
        let described: Vec<String> = described.collect();
        match described.as_slice() {
            [one] => format!("{one} is never true"),
            several => format!("{} are never true together", several.join(" and ")),
        }
    }
}

/// A part of a policy.
struct Part<'a> {
    /// As a Cedar expression.
    condition: String,
    /// As it is written.
    text: String,
    line: Option<usize>,
    expression: Option<&'a Expr>,
}

/// Whether a policy matches no request in any environment; `None` if it is not known.
async fn never_applies(
    policy: &Policy,
    schema: &Schema,
    environments: &[RequestEnv],
    solver: &mut SolverSession,
) -> Option<bool> {
    for environment in environments {
        let compiled = CompiledPolicy::compile(policy, environment, schema).ok()?;
        let asserts = never_matches_asserts(&compiled);
        if is_unsatisfiable(&asserts) {
            continue;
        }
        if solver.find_likely_example(&asserts).await.ok()?.is_some() {
            return Some(false);
        }
    }
    Some(true)
}

/// The parts of a policy that matches nothing which contradict each other; `None` if they are not found in time.
pub(super) async fn find_contradiction(
    policy: &Policy,
    schema: &Schema,
    environments: &[RequestEnv],
    solver: &mut SolverSession,
) -> Option<Contradiction> {
    let mut parts = parts(policy);
    // Only where a request can be in its scope, by types: elsewhere everything would be asked in vain.
    let scope = scope_policy(policy).ok()?;
    let is_in_scope = |environment: &&RequestEnv| {
        CompiledPolicy::compile(&scope, environment, schema)
            .is_ok_and(|compiled| !is_unsatisfiable(&never_matches_asserts(&compiled)))
    };
    let environments: Vec<RequestEnv> = environments.iter().filter(is_in_scope).cloned().collect();
    let environments = environments.as_slice();
    if environments.is_empty() {
        return None;
    }
    if parts.is_empty() || parts.len() > MAX_PARTS {
        return None;
    }
    // A part that guards another one can only be left out after it: so once more, until nothing changes.
    let mut is_changed = true;
    while is_changed {
        is_changed = false;
        let mut index = 0;
        while index < parts.len() && parts.len() > 1 {
            let removed = parts.remove(index);
            if is_impossible(&parts, schema, environments, solver).await? {
                is_changed = true;
            } else {
                parts.insert(index, removed);
                index += 1;
            }
        }
    }
    Some(Contradiction {
        help: window_over_midnight(&parts),
        parts: parts
            .into_iter()
            .map(|part| (shortened(&part.text), part.line))
            .collect(),
    })
}

/// Whether parts never hold together. Those that are no valid condition without the others are none.
async fn is_impossible(
    parts: &[Part<'_>],
    schema: &Schema,
    environments: &[RequestEnv],
    solver: &mut SolverSession,
) -> Option<bool> {
    let conditions: Vec<String> = parts
        .iter()
        .map(|part| format!("when {{ {} }}", part.condition))
        .collect();
    let text = format!(
        "permit (principal, action, resource) {};",
        conditions.join(" ")
    );
    let Ok(policy) = Policy::parse(None, text) else {
        return Some(false);
    };
    let is_valid = environments
        .iter()
        .all(|environment| CompiledPolicy::compile(&policy, environment, schema).is_ok());
    if !is_valid {
        return Some(false);
    }
    never_applies(&policy, schema, environments, solver).await
}

fn parts(policy: &Policy) -> Vec<Part<'_>> {
    let scope = [
        principal_condition(policy),
        action_condition(policy),
        resource_condition(policy),
    ];
    let scope = scope.into_iter().flatten().map(|condition| Part {
        text: condition.clone(),
        condition,
        line: None,
        expression: None,
    });
    let mut parts: Vec<Part<'_>> = scope.collect();
    let mut open: Vec<(&Expr, bool)> = Vec::new();
    open.extend(
        policy
            .as_ref()
            .non_scope_constraints()
            .map(|all| (all, false)),
    );
    while let Some((expression, is_negated)) = open.pop() {
        match (expression.expr_kind(), is_negated) {
            (ExprKind::And { left, right }, false) | (ExprKind::Or { left, right }, true) => {
                open.extend([(&**right, is_negated), (&**left, is_negated)]);
            }
            // `unless`, whose alternatives are parts.
            (
                ExprKind::UnaryApp {
                    op: UnaryOp::Not,
                    arg,
                },
                false,
            ) if matches!(arg.expr_kind(), ExprKind::Or { .. }) => open.push((arg, true)),
            _ => parts.push(Part::new(expression, is_negated)),
        }
    }
    parts
}

impl<'a> Part<'a> {
    fn new(expression: &'a Expr, is_negated: bool) -> Self {
        let text = source_text(expression);
        let location = expression
            .source_loc()
            .or_else(|| match expression.expr_kind() {
                ExprKind::UnaryApp { arg, .. } => arg.source_loc(),
                _ => None,
            });
        let line = location.and_then(|location: &Loc| {
            location.src.get(..location.start())?;
            Some(line_at(location.src.as_ref(), location.start()))
        });
        let negation = if is_negated { "!" } else { "" };
        Self {
            condition: format!("{negation}({expression})"),
            text: if is_negated {
                format!("!({text})")
            } else {
                text
            },
            line,
            expression: (!is_negated).then_some(expression),
        }
    }
}

/// What to write for a window of the time of day that begins before midnight and ends after it.
fn window_over_midnight(parts: &[Part<'_>]) -> Option<String> {
    let [one, other] = parts else {
        return None;
    };
    let is_of_day = |part: &Part<'_>| part.expression.is_some_and(compares_time_of_day);
    (is_of_day(one) && is_of_day(other)).then(|| {
        format!(
            "for a window over midnight write `{} || {}`, in brackets beside other conditions",
            one.text, other.text
        )
    })
}

/// Whether an expression is one of `<`, `<=`, `>`, `>=` with `context.time.toTime()` on a side.
fn compares_time_of_day(expression: &Expr) -> bool {
    let expression = match expression.expr_kind() {
        ExprKind::UnaryApp {
            op: UnaryOp::Not,
            arg,
        } => arg,
        _ => expression,
    };
    let is_time = |side: &Expr| match side.expr_kind() {
        ExprKind::ExtensionFunctionApp { fn_name, args } => {
            let is_of_context = |argument: &Expr| {
                matches!(argument.expr_kind(), ExprKind::GetAttr { expr, attr }
                    if attr == "time" && matches!(expr.expr_kind(), ExprKind::Var(Var::Context)))
            };
            fn_name.to_string() == "toTime" && args.iter().any(is_of_context)
        }
        _ => false,
    };
    match expression.expr_kind() {
        ExprKind::BinaryApp {
            op: BinaryOp::Less | BinaryOp::LessEq,
            arg1,
            arg2,
        } => is_time(arg1) || is_time(arg2),
        _ => false,
    }
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(MAX_TEXT_LENGTH) {
        Some((end, _)) => format!("{}...", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}
