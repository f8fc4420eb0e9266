//! Guards: what must be tested before a part of a condition may be read.
//!
//! Cedar asks for one guard after the other; an author needs all of them at once: the type of the principal, every
//! optional attribute on the way, the tag.

use cedar_policy_core::ast::{BinaryOp, Expr, ExprKind, Literal, Var};

use super::condition::{AttributePath, is_identifier, source_of};
use super::value_type::{ExpressionType, TypeReader};

/// What tests all that a part reads, in the order in which it must be tested; none if there is nothing to test.
pub(super) fn guards(types: &TypeReader<'_>, part: &Expr) -> Vec<String> {
    let mut kinds: Vec<String> = Vec::new();
    let mut attributes: Vec<String> = Vec::new();
    let mut tags: Vec<String> = Vec::new();
    for expression in part.subexpressions() {
        match expression.expr_kind() {
            ExprKind::GetAttr { expr, .. } => {
                kinds.extend(kind_guard(types, expr));
                attributes.extend(attribute_guard(types, expression));
            }
            ExprKind::BinaryApp {
                op: BinaryOp::GetTag,
                arg1,
                arg2,
            } => {
                kinds.extend(kind_guard(types, arg1));
                let is_text = matches!(arg2.expr_kind(), ExprKind::Lit(Literal::String(_)));
                if is_text {
                    tags.push(format!("{}.hasTag({})", source_of(arg1), source_of(arg2)));
                }
            }
            _ => {}
        }
    }
    // The test of `a.b.c` is one of `a.b` too.
    let longest = attributes.clone();
    attributes.retain(|guard| {
        !longest
            .iter()
            .any(|other| other.starts_with(&format!("{guard}.")))
    });
    let mut guards = Vec::new();
    for guard in kinds.into_iter().chain(attributes).chain(tags) {
        if !guards.contains(&guard) {
            guards.push(guard);
        }
    }
    guards
}

/// `principal is User`, where the scope also admits somebody who did not sign in.
fn kind_guard(types: &TypeReader<'_>, base: &Expr) -> Option<String> {
    match base.expr_kind() {
        ExprKind::Var(Var::Principal)
            if types.has_principal("Anonymous") && types.has_principal("User") =>
        {
            Some("principal is User".to_owned())
        }
        ExprKind::Var(Var::Resource)
            if types.has_resource("Dataset") && types.has_resource("Role") =>
        {
            Some("resource is Dataset".to_owned())
        }
        _ => None,
    }
}

/// `context has key.actions`, if an attribute on the way is optional.
fn attribute_guard(types: &TypeReader<'_>, expression: &Expr) -> Option<String> {
    let path = AttributePath::of(expression)?;
    let mut bases: Vec<(&Expr, &str)> = Vec::new();
    let mut next = expression;
    while let ExprKind::GetAttr { expr, attr } = next.expr_kind() {
        bases.push((expr, attr));
        next = expr;
    }
    // From the variable outwards.
    let mut optional_until = None;
    for (index, (base, attr)) in bases.iter().rev().enumerate() {
        let kinds: Vec<ExpressionType<'_>> = types.types(base);
        let is_optional =
            |kind: &ExpressionType<'_>| matches!(types.attribute(kind, attr), Some((_, false)));
        if kinds.iter().any(is_optional) {
            optional_until = Some(index);
        }
    }
    let tested = path.attributes.get(..=optional_until?)?;
    if let [single] = tested {
        let name = if is_identifier(single) {
            (*single).to_owned()
        } else {
            format!("{single:?}")
        };
        return Some(format!("{} has {name}", path.variable));
    }
    let are_identifiers = tested.iter().all(|name| is_identifier(name));
    are_identifiers.then(|| format!("{} has {}", path.variable, tested.join(".")))
}
