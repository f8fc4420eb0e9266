//! Conditions by their smallest boolean parts: what stands between `&&`, `||`, `!` and `if`.

use std::ops::Range;

use cedar_policy_core::ast::{BinaryOp, Expr, ExprKind, UnaryOp, Var};

/// A part of a condition that is true or false as a whole, such as a comparison.
#[derive(Clone, Debug)]
pub(super) struct BooleanPart<'a> {
    pub(super) expression: &'a Expr,
    pub(super) span: Range<usize>,
    /// Whether its operator says the opposite of the expression: `!=`, `>` and `>=` are the negations of others.
    pub(super) is_opposite: bool,
    /// Whether it is the operand of `!`, which binds stronger than everything that hints add.
    pub(super) is_operand: bool,
}

/// The smallest boolean part that a span is in.
pub(super) fn part_at<'a>(condition: &'a Expr, span: &Range<usize>) -> Option<BooleanPart<'a>> {
    let mut found: Option<BooleanPart<'a>> = None;
    // (expression, the location of a `!` around it)
    let mut open: Vec<(&Expr, Option<Range<usize>>)> = vec![(condition, None)];
    while let Some((expression, negated)) = open.pop() {
        match expression.expr_kind() {
            ExprKind::And { left, right } | ExprKind::Or { left, right } => {
                open.extend([(&**left, None), (&**right, None)]);
            }
            ExprKind::UnaryApp {
                op: UnaryOp::Not,
                arg,
            } => open.push((arg, location(expression))),
            ExprKind::If {
                test_expr,
                then_expr,
                else_expr,
            } => {
                open.extend([
                    (&**test_expr, None),
                    (&**then_expr, None),
                    (&**else_expr, None),
                ]);
            }
            _ => {
                let Some(own) = location(expression).filter(|own| contains(own, span)) else {
                    continue;
                };
                if found
                    .as_ref()
                    .is_some_and(|found| found.span.len() <= own.len())
                {
                    continue;
                }
                let is_opposite = negated.as_ref() == Some(&own);
                found = Some(BooleanPart {
                    expression,
                    span: own,
                    is_opposite,
                    is_operand: negated.is_some() && !is_opposite,
                });
            }
        }
    }
    found
}

/// The bytes of an expression; of a member access those of the whole chain that it is in.
pub(super) fn location(expression: &Expr) -> Option<Range<usize>> {
    let location = expression.source_loc()?;
    Some(location.start()..location.end())
}

fn contains(outer: &Range<usize>, inner: &Range<usize>) -> bool {
    outer.start <= inner.start && inner.end <= outer.end
}

/// A variable with attributes: `context.key.actions`, as it can be written.
pub(super) struct AttributePath<'a> {
    pub(super) variable: Var,
    pub(super) attributes: Vec<&'a str>,
}

impl<'a> AttributePath<'a> {
    pub(super) fn of(expression: &'a Expr) -> Option<Self> {
        match expression.expr_kind() {
            ExprKind::Var(variable) => Some(Self {
                variable: *variable,
                attributes: Vec::new(),
            }),
            ExprKind::GetAttr { expr, attr } => {
                let mut path = Self::of(expr)?;
                path.attributes.push(attr.as_str());
                Some(path)
            }
            _ => None,
        }
    }
}

/// An expression as an author writes it: member chains have no location of their own, so they are put together.
pub(super) fn source_of(expression: &Expr) -> String {
    match expression.expr_kind() {
        ExprKind::Var(variable) => variable.to_string(),
        ExprKind::GetAttr { expr, attr } => format!("{}{}", source_of(expr), member(attr)),
        ExprKind::BinaryApp { op, arg1, arg2 } => match method(*op) {
            Some(method) => format!("{}.{method}({})", source_of(arg1), source_of(arg2)),
            None => snippet(expression),
        },
        ExprKind::Set(elements) => {
            let elements: Vec<String> = elements.iter().map(source_of).collect();
            format!("[{}]", elements.join(", "))
        }
        ExprKind::ExtensionFunctionApp { fn_name, args } => {
            let name = fn_name.to_string();
            let is_constructor = super::literal::LiteralType::of_name(&name).is_some();
            let args: Vec<String> = args.iter().map(source_of).collect();
            match args.split_first() {
                Some((receiver, rest)) if !is_constructor => {
                    format!("{receiver}.{name}({})", rest.join(", "))
                }
                _ => format!("{name}({})", args.join(", ")),
            }
        }
        _ => snippet(expression),
    }
}

fn method(op: BinaryOp) -> Option<&'static str> {
    match op {
        BinaryOp::Contains => Some("contains"),
        BinaryOp::ContainsAll => Some("containsAll"),
        BinaryOp::ContainsAny => Some("containsAny"),
        BinaryOp::GetTag => Some("getTag"),
        BinaryOp::HasTag => Some("hasTag"),
        _ => None,
    }
}

/// `.owner`, or `["an owner"]` where it is no identifier.
pub(super) fn member(attr: &str) -> String {
    if is_identifier(attr) {
        format!(".{attr}")
    } else {
        format!("[{attr:?}]")
    }
}

pub(super) fn is_identifier(text: &str) -> bool {
    let mut letters = text.chars();
    let is_first = |letter: char| letter.is_ascii_alphabetic() || letter == '_';
    letters.next().is_some_and(is_first)
        && letters.all(|letter| is_first(letter) || letter.is_ascii_digit())
}

fn snippet(expression: &Expr) -> String {
    let source = expression
        .source_loc()
        .and_then(|location| location.snippet());
    source.map_or_else(|| expression.to_string(), str::to_owned)
}
