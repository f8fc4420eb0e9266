//! Comparisons of a value with one of another type, in another form.

use cedar_policy_core::ast::{BinaryOp, Expr, ExprKind, Literal, UnaryOp, Var};
use uuid::Uuid;

use crate::domain::suggest::closest;

use super::condition::{AttributePath, source_of};
use super::literal::LiteralType;
use super::meaning::{attribute_meant, is_id_word, is_role_word, uid};
use super::value_type::{ExpressionType, TypeReader, of_type};

/// The forms that a comparison can have been meant in, the most likely first.
pub(super) fn comparison(
    types: &TypeReader<'_>,
    op: BinaryOp,
    one: &Expr,
    other: &Expr,
    is_opposite: bool,
) -> Vec<String> {
    let mut found = Vec::new();
    if let ExprKind::UnaryApp {
        op: UnaryOp::Not,
        arg,
    } = one.expr_kind()
        && let Some(operator) = operator(op)
    {
        // `!` binds stronger than comparisons.
        found.push(format!(
            "!({} {operator} {})",
            source_of(arg),
            source_of(other)
        ));
    }
    for (left, right) in [(one, other), (other, one)] {
        found.extend(with_roles(op, left, right));
        found.extend(with_id(types, left, right));
        found.extend(with_texts(types, op, left, right));
        found.extend(in_ranges(types, op, left, right));
        found.extend(in_set(types, op, left, right));
    }
    if let Some(method) = decimal_method(op, is_opposite)
        && is_decimal(types, one)
    {
        found.push(format!("{}.{method}({})", source_of(one), source_of(other)));
    }
    found
}

fn operator(op: BinaryOp) -> Option<&'static str> {
    match op {
        BinaryOp::Eq => Some("=="),
        BinaryOp::In => Some("in"),
        _ => None,
    }
}

/// Cedar orders decimals by methods; `>` and `>=` are the opposites of `<=` and `<`.
fn decimal_method(op: BinaryOp, is_opposite: bool) -> Option<&'static str> {
    match (op, is_opposite) {
        (BinaryOp::Less, false) => Some("lessThan"),
        (BinaryOp::LessEq, false) => Some("lessThanOrEqual"),
        (BinaryOp::LessEq, true) => Some("greaterThan"),
        (BinaryOp::Less, true) => Some("greaterThanOrEqual"),
        _ => None,
    }
}

fn is_decimal(types: &TypeReader<'_>, expression: &Expr) -> bool {
    let kinds = types.types(expression);
    kinds
        .iter()
        .any(|kind| matches!(kind, ExpressionType::Extension(LiteralType::Decimal)))
}

/// The texts of an expression: itself, or the elements of a set; none if anything else is in it.
fn texts<'a>(expression: &'a Expr) -> Vec<&'a str> {
    let elements: Vec<&'a Expr> = match expression.expr_kind() {
        ExprKind::Set(elements) => elements.iter().collect(),
        _ => vec![expression],
    };
    let text = |element: &&'a Expr| match element.expr_kind() {
        ExprKind::Lit(Literal::String(text)) => Some(text.as_str()),
        _ => None,
    };
    let found: Option<Vec<&str>> = elements.iter().map(text).collect();
    found.unwrap_or_default()
}

/// One value, or a set of several.
fn one_or_set(values: Vec<String>) -> String {
    match <[String; 1]>::try_from(values) {
        Ok([value]) => value,
        Err(values) => format!("[{}]", values.join(", ")),
    }
}

/// `principal.roles.contains("admin")` and `principal in "admin"`: roles are what a user is in.
fn with_roles(op: BinaryOp, left: &Expr, right: &Expr) -> Option<String> {
    let path = AttributePath::of(left)?;
    let is_of_roles = match path.attributes.as_slice() {
        [] => op == BinaryOp::In,
        [attribute] => is_role_word(attribute),
        _ => false,
    };
    if path.variable != Var::Principal || !is_of_roles {
        return None;
    }
    let names = texts(right);
    let is_entity =
        |right: &Expr| matches!(right.expr_kind(), ExprKind::Lit(Literal::EntityUID(_)));
    if !path.attributes.is_empty() && is_entity(right) {
        return Some(format!("principal in {}", source_of(right)));
    }
    if names.is_empty() || (path.attributes.is_empty() && names.iter().any(|name| name.len() == 36))
    {
        return None;
    }
    let roles = names.iter().map(|name| uid("Role", name)).collect();
    Some(format!("principal in {}", one_or_set(roles)))
}

/// `resource.id == "..."` and `principal == "..."`: an entity is compared with an entity.
fn with_id(types: &TypeReader<'_>, left: &Expr, right: &Expr) -> Option<String> {
    let path = AttributePath::of(left)?;
    let is_id = match path.attributes.as_slice() {
        [] => true,
        [attribute] => is_id_word(attribute),
        _ => false,
    };
    let name = match path.variable {
        Var::Principal => "User",
        Var::Resource if types.has_resource("Dataset") => "Dataset",
        _ => return None,
    };
    let values: Vec<String> = texts(right)
        .iter()
        .filter_map(|text| Uuid::try_parse(text.trim()).ok())
        .map(|id| uid(name, &id.to_string()))
        .collect();
    if !is_id || values.is_empty() || values.len() != texts(right).len() {
        return None;
    }
    Some(match values.as_slice() {
        [value] => format!("{} == {value}", path.variable),
        values => format!("[{}].contains({})", values.join(", "), path.variable),
    })
}

/// What a text that is compared with something else than a text can mean.
fn with_texts(types: &TypeReader<'_>, op: BinaryOp, left: &Expr, right: &Expr) -> Vec<String> {
    let words = texts(right);
    let mut found = Vec::new();
    let Some(path) = AttributePath::of(left) else {
        return with_tag(types, op, left, &words).into_iter().collect();
    };
    let kinds = types.types(left);
    let quoted = |words: &[&str]| {
        words
            .iter()
            .map(|word| format!("{word:?}"))
            .collect::<Vec<_>>()
    };
    let equals = |attribute: String| match quoted(&words).as_slice() {
        [word] => format!("{attribute} == {word}"),
        words => format!("[{}].contains({attribute})", words.join(", ")),
    };
    if words.is_empty() {
        return found;
    }
    match (path.variable, path.attributes.as_slice()) {
        // A name of a person or of a dataset is an attribute of it.
        (Var::Principal, []) if op != BinaryOp::In => {
            found.push(equals("principal.username".to_owned()));
        }
        (Var::Resource, []) => found.push(equals("resource.title".to_owned())),
        (Var::Action, []) => {
            let named = words
                .iter()
                .filter_map(|word| closest(word, types.actions()));
            let actions: Vec<String> = named.map(|action| uid("Action", action)).collect();
            if actions.len() == words.len() {
                found.push(match actions.as_slice() {
                    [action] => format!("action == {action}"),
                    actions => format!("action in [{}]", actions.join(", ")),
                });
            }
        }
        (variable, [attribute]) => {
            if let Some(meant) = attribute_meant(&variable.to_string(), attribute) {
                // Of a set, its elements are compared.
                found.extend(
                    words
                        .iter()
                        .map(|word| format!("{variable}.{meant}.contains({word:?})")),
                );
                found.push(equals(format!("{variable}.{meant}")));
            }
        }
        _ => {}
    }
    if op == BinaryOp::Contains
        && kinds
            .iter()
            .any(|kind| matches!(kind, ExpressionType::String))
    {
        found.extend(
            words
                .iter()
                .map(|word| format!("{} like \"*{}*\"", source_of(left), word.escape_debug())),
        );
    }
    for kind in &kinds {
        if let ExpressionType::Set(element) = kind {
            let element = of_type(element);
            let value = |word: &&str| match element {
                ExpressionType::String => Some(format!("{word:?}")),
                _ => types.value_of(word, &element),
            };
            let values: Vec<String> = words.iter().filter_map(value).collect();
            found.extend(contains(left, &values, words.len()));
        }
    }
    found
}

/// `resource.getTag("theme") == "x"`: a tag is a set of texts.
fn with_tag(types: &TypeReader<'_>, op: BinaryOp, left: &Expr, words: &[&str]) -> Option<String> {
    let is_tag = matches!(
        left.expr_kind(),
        ExprKind::BinaryApp {
            op: BinaryOp::GetTag,
            ..
        }
    );
    let is_set = types
        .types(left)
        .iter()
        .any(|kind| matches!(kind, ExpressionType::Set(_)));
    if !is_tag || !is_set || op == BinaryOp::Contains {
        return None;
    }
    let values: Vec<String> = words.iter().map(|word| format!("{word:?}")).collect();
    contains(left, &values, words.len())
}

fn contains(left: &Expr, values: &[String], wanted: usize) -> Option<String> {
    match values {
        [] => None,
        values if values.len() != wanted => None,
        [value] => Some(format!("{}.contains({value})", source_of(left))),
        values => Some(format!(
            "{}.containsAny([{}])",
            source_of(left),
            values.join(", ")
        )),
    }
}

/// `context.address in "10.0.0.0/8"`: addresses are in ranges by a method.
fn in_ranges(types: &TypeReader<'_>, op: BinaryOp, left: &Expr, right: &Expr) -> Option<String> {
    let is_address =
        |kind: &ExpressionType<'_>| matches!(kind, ExpressionType::Extension(LiteralType::Ip));
    let is_left = AttributePath::of(left).is_some() && types.types(left).iter().any(is_address);
    if !is_left || !matches!(op, BinaryOp::In | BinaryOp::Contains | BinaryOp::Eq) {
        return None;
    }
    let elements: Vec<&Expr> = match right.expr_kind() {
        ExprKind::Set(elements) => elements.iter().collect(),
        _ => vec![right],
    };
    let mut tests = Vec::new();
    for element in elements {
        let range = match element.expr_kind() {
            ExprKind::Lit(Literal::String(text)) => LiteralType::Ip.of_text(text)?,
            ExprKind::ExtensionFunctionApp { fn_name, .. } if fn_name.to_string() == "ip" => {
                source_of(element)
            }
            _ => return None,
        };
        tests.push(format!("{}.isInRange({range})", source_of(left)));
    }
    match tests.as_slice() {
        [] => None,
        [test] => Some(test.clone()),
        tests => Some(format!("({})", tests.join(" || "))),
    }
}

/// `resource.visibility in ["public"]`, `principal in resource.owner` and other uses of `in` for being equal to one of some.
fn in_set(types: &TypeReader<'_>, op: BinaryOp, left: &Expr, right: &Expr) -> Option<String> {
    let kinds = types.types(left);
    if op == BinaryOp::Contains && matches!(left.expr_kind(), ExprKind::Var(Var::Principal)) {
        // `resource.reader_roles.contains(principal)`
        return Some(format!("principal in {}", source_of(right)));
    }
    if op != BinaryOp::In {
        return None;
    }
    if kinds
        .iter()
        .any(|kind| matches!(kind, ExpressionType::Set(_)))
    {
        // `resource.reader_roles in Role::"a"`, and `"x" in resource.getTag("theme")`.
        return Some(format!(
            "{}.contains({})",
            source_of(left),
            source_of(right)
        ));
    }
    let ExprKind::Set(elements) = right.expr_kind() else {
        let words = texts(right);
        let is_text = kinds
            .iter()
            .any(|kind| matches!(kind, ExpressionType::String));
        let word = words.first().filter(|_| is_text)?;
        return Some(format!("{} == {word:?}", source_of(left)));
    };
    let value = |element: &Expr| match element.expr_kind() {
        ExprKind::Lit(Literal::String(text)) => kinds.iter().find_map(|kind| match kind {
            ExpressionType::String => Some(format!("{text:?}")),
            kind => types.value_of(text, kind),
        }),
        _ => Some(source_of(element)),
    };
    let values: Vec<String> = elements.iter().filter_map(value).collect();
    (values.len() == elements.len() && !kinds.is_empty())
        .then(|| format!("[{}].contains({})", values.join(", "), source_of(left)))
}
