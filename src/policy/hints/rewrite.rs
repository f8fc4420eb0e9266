//! Rewrites: how a comparison that does not fit the schema was most likely meant.
//!
//! A rewrite is a candidate: it is offered only if the policy with it is valid there (see `super::validation`).

use std::ops::Range;

use cedar_policy_core::ast::{BinaryOp, Expr, ExprKind, Literal, Pattern, PatternElem, Var};

use crate::domain::suggest::closest;

use super::comparison::comparison;
use super::condition::{AttributePath, BooleanPart, is_identifier, location, source_of};
use super::literal::LiteralType;
use super::meaning::{attribute_meant, uid};
use super::value_type::{ExpressionType, TypeReader, argument_of, of_type};
use super::vocabulary::is_no_value;

/// A text in the place of some bytes of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Replacement {
    pub(super) span: Range<usize>,
    pub(super) text: String,
}

/// The literals of a part that are of another type than what they are compared with, as they were meant.
pub(super) fn literals(types: &TypeReader<'_>, part: &Expr) -> Vec<Replacement> {
    let mut found = Vec::new();
    for expression in part.subexpressions() {
        match expression.expr_kind() {
            ExprKind::BinaryApp { op, arg1, arg2 } => {
                let is_compared = matches!(
                    op,
                    BinaryOp::Eq
                        | BinaryOp::Less
                        | BinaryOp::LessEq
                        | BinaryOp::Contains
                        | BinaryOp::ContainsAll
                        | BinaryOp::ContainsAny
                        | BinaryOp::In
                );
                if is_compared {
                    found.extend(converted(types, arg1, &element_types(types, arg2)));
                    found.extend(converted(types, arg2, &element_types(types, arg1)));
                }
            }
            ExprKind::ExtensionFunctionApp { fn_name, args } => {
                let name = fn_name.to_string();
                if let Some(kind) = argument_of(&name) {
                    for argument in args.iter().skip(1) {
                        found.extend(converted(
                            types,
                            argument,
                            &[ExpressionType::Extension(kind)],
                        ));
                    }
                }
                if let (Some(kind), [argument]) = (LiteralType::of_name(&name), args.as_slice()) {
                    found.extend(respelt(kind, argument));
                }
            }
            ExprKind::Lit(Literal::EntityUID(entity)) => {
                let word: &str = entity.eid().as_ref();
                let words = types.words(entity.entity_type());
                let is_known = words.is_none_or(|words| words.contains(&word));
                let meant = ExpressionType::Entity(entity.entity_type());
                let meant = types.value_of(word, &meant).filter(|_| !is_known);
                found.extend(
                    location(expression)
                        .zip(meant)
                        .map(|(span, text)| Replacement { span, text }),
                );
            }
            _ => {}
        }
    }
    found.sort_by_key(|one| one.span.start);
    found.dedup();
    found
}

/// The types of an expression, and of its elements if it is a set.
fn element_types<'a>(types: &TypeReader<'a>, expression: &Expr) -> Vec<ExpressionType<'a>> {
    if let ExprKind::Set(elements) = expression.expr_kind() {
        return elements
            .iter()
            .flat_map(|element| types.types(element))
            .collect();
    }
    let own = types.types(expression).into_iter();
    own.map(|kind| match kind {
        ExpressionType::Set(element) => of_type(element),
        kind => kind,
    })
    .collect()
}

/// The literals of an expression, itself or the elements of a set, as values of one of the types.
fn converted(
    types: &TypeReader<'_>,
    expression: &Expr,
    kinds: &[ExpressionType<'_>],
) -> Vec<Replacement> {
    if kinds
        .iter()
        .any(|kind| matches!(kind, ExpressionType::String | ExpressionType::Unknown))
    {
        return Vec::new();
    }
    let elements: Vec<&Expr> = match expression.expr_kind() {
        ExprKind::Set(elements) => elements.iter().collect(),
        _ => vec![expression],
    };
    let convert = |element: &&Expr| {
        let text = match element.expr_kind() {
            ExprKind::Lit(Literal::String(text)) => {
                kinds.iter().find_map(|kind| types.value_of(text, kind))
            }
            ExprKind::Lit(Literal::Long(number)) => kinds.iter().find_map(|kind| match kind {
                ExpressionType::Extension(literal) => literal.of_number(*number),
                _ => None,
            }),
            _ => None,
        };
        Some(Replacement {
            span: location(element)?,
            text: text?,
        })
    };
    elements.iter().filter_map(convert).collect()
}

/// The argument of `ip("10.0.0/8")` and the like, as Cedar reads it.
fn respelt(kind: LiteralType, argument: &Expr) -> Option<Replacement> {
    let ExprKind::Lit(Literal::String(text)) = argument.expr_kind() else {
        return None;
    };
    let written = kind.of_text(text)?;
    let inner = written
        .strip_prefix(kind.function())?
        .strip_prefix('(')?
        .strip_suffix(')')?;
    let is_new = inner != format!("{text:?}");
    let span = location(argument)?;
    is_new.then(|| Replacement {
        span,
        text: inner.to_owned(),
    })
}

/// The whole part in another form.
pub(super) fn reshaped(types: &TypeReader<'_>, part: &BooleanPart<'_>) -> Vec<String> {
    let mut found = match part.expression.expr_kind() {
        ExprKind::BinaryApp { op, arg1, arg2 } => {
            comparison(types, *op, arg1, arg2, part.is_opposite)
        }
        ExprKind::HasAttr { expr, attr } => all_at_once(expr, attr).into_iter().collect(),
        ExprKind::Like { expr, pattern } => pattern_of(types, expr, pattern),
        ExprKind::Is { expr, entity_type } => no_value(expr, &entity_type.to_string())
            .into_iter()
            .collect(),
        _ => Vec::new(),
    };
    if part.is_opposite && !is_order(part.expression) {
        for text in &mut found {
            *text = format!("!({text})");
        }
    }
    found
}

/// `context.key has actions`: the test of an attribute of an optional one.
fn all_at_once(base: &Expr, attr: &str) -> Option<String> {
    let path = AttributePath::of(base).filter(|path| !path.attributes.is_empty())?;
    let are_identifiers =
        path.attributes.iter().all(|name| is_identifier(name)) && is_identifier(attr);
    are_identifiers.then(|| format!("{} has {}.{attr}", path.variable, path.attributes.join(".")))
}

/// `resource.owner is null`: Cedar asks whether there is an attribute, and who did not sign in is Anonymous.
fn no_value(expression: &Expr, kind: &str) -> Option<String> {
    if !is_no_value(kind) {
        return None;
    }
    match expression.expr_kind() {
        ExprKind::GetAttr { expr, attr } => Some(format!("!({} has {attr})", source_of(expr))),
        ExprKind::Var(Var::Principal) => Some("principal is Anonymous".to_owned()),
        _ => None,
    }
}

fn is_order(expression: &Expr) -> bool {
    matches!(
        expression.expr_kind(),
        ExprKind::BinaryApp {
            op: BinaryOp::Less | BinaryOp::LessEq,
            ..
        }
    )
}

/// `like` of what is no text.
fn pattern_of(types: &TypeReader<'_>, expression: &Expr, pattern: &Pattern) -> Vec<String> {
    let mut found = Vec::new();
    let text: String = pattern
        .get_elems()
        .iter()
        .map(|element| match element {
            PatternElem::Char(letter) => *letter,
            PatternElem::Wildcard => '*',
        })
        .collect();
    for kind in types.types(expression) {
        match kind {
            ExpressionType::Entity(name) => {
                let words = types.words(name).unwrap_or_default();
                let matched = words.iter().filter(|word| pattern.wildcard_match(word));
                let values: Vec<String> = matched.map(|word| uid(name, word)).collect();
                match values.as_slice() {
                    [] => {}
                    [value] => found.push(format!("{} == {value}", source_of(expression))),
                    values => found.push(format!(
                        "[{}].contains({})",
                        values.join(", "),
                        source_of(expression)
                    )),
                }
                let variable =
                    AttributePath::of(expression).filter(|path| path.attributes.is_empty());
                match variable.map(|path| path.variable) {
                    Some(Var::Principal) => {
                        found.push(format!("principal.username like \"{pattern}\""));
                    }
                    Some(Var::Resource) => found.push(format!("resource.title like \"{pattern}\"")),
                    _ => {}
                }
            }
            ExpressionType::Extension(LiteralType::Ip) => {
                let range = LiteralType::Ip.of_text(&text);
                found.extend(
                    range.map(|range| format!("{}.isInRange({range})", source_of(expression))),
                );
            }
            _ => {}
        }
    }
    found
}

/// The part with other words for its attributes, as far as they are known.
pub(super) fn renamed(types: &TypeReader<'_>, part: &Expr, text: &str) -> Option<String> {
    let mut written = text.to_owned();
    for expression in part.subexpressions() {
        let (ExprKind::GetAttr { expr, attr } | ExprKind::HasAttr { expr, attr }) =
            expression.expr_kind()
        else {
            continue;
        };
        let bases = types.types(expr);
        let is_known = bases
            .iter()
            .any(|base| types.attribute(base, attr).is_some());
        if is_known || bases.is_empty() {
            continue;
        }
        let variable = AttributePath::of(expr).filter(|path| path.attributes.is_empty());
        let synonym = variable.and_then(|path| attribute_meant(&path.variable.to_string(), attr));
        let known: Vec<&str> = bases
            .iter()
            .flat_map(|base| types.attributes(base))
            .collect();
        let meant = synonym.or_else(|| closest(attr, known));
        if let Some(meant) = meant {
            let base = source_of(expr);
            written = written.replace(&format!("{base}.{attr}"), &format!("{base}.{meant}"));
            written = written.replace(
                &format!("{base} has {attr}"),
                &format!("{base} has {meant}"),
            );
        }
    }
    (written != text).then_some(written)
}
