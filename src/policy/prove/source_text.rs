//! The text of a part of a policy as it is written, and never one that says something else.
//!
//! Cedar rewrites what it parses: `a >= b` is `!(a < b)`, `unless { a }` is `!a`. A piece of the source is the text of
//! an expression only if parsing it gives that expression again.

use cedar_policy_core::ast::{Expr, ExprKind, UnaryOp};
use cedar_policy_core::parser::Loc;

/// An expression as it is written, on one line; as Cedar prints it where it is not written as such.
pub(super) fn source_text(expression: &Expr) -> String {
    if let Some(text) = snippet_of(expression, expression) {
        return text;
    }
    match expression.expr_kind() {
        ExprKind::UnaryApp {
            op: UnaryOp::Not,
            arg,
        } => snippet_of(arg, expression).unwrap_or_else(|| format!("!({})", source_text(arg))),
        ExprKind::And { left, right } => {
            format!("{} && {}", in_brackets(left), in_brackets(right))
        }
        _ => expression.to_string(),
    }
}

/// The source of `part`, if it says what `meant` is.
fn snippet_of(part: &Expr, meant: &Expr) -> Option<String> {
    let source = part.source_loc().and_then(Loc::snippet)?;
    let parsed: Expr = source.parse().ok()?;
    if parsed != *meant {
        return None;
    }
    let line = source.split_whitespace().collect::<Vec<_>>().join(" ");
    // A comment, or blanks inside a text, do not bear being put on one line.
    let is_same = line.parse::<Expr>().is_ok_and(|parsed| parsed == *meant);
    is_same.then_some(line)
}

fn in_brackets(operand: &Expr) -> String {
    let text = source_text(operand);
    match operand.expr_kind() {
        ExprKind::Or { .. } | ExprKind::If { .. } => format!("({text})"),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use cedar_policy::Policy;

    use super::source_text;

    #[test]
    fn a_text_is_what_was_written_or_says_the_same() {
        for (written, text) in [
            ("when { context.a >= 3 }", "context.a >= 3"),
            ("when { !(context.a < 3) }", "!(context.a < 3)"),
            ("unless { context.a > 3 }", "!(context.a > 3)"),
            ("unless { context.a < 3 }", "!(context.a < 3)"),
            ("unless { context.a != 3 }", "!(context.a != 3)"),
            ("when { context.a != 3 }", "context.a != 3"),
            ("when { context.a == \"x  y\" }", "context.a == \"x  y\""),
            ("when { context.a // why\n == 3 }", "context.a == 3"),
            (
                "when { context.a ==\n   3 || context.b }",
                "context.a == 3 || context.b",
            ),
            (
                "when { context.a } when { context.b || context.c }",
                "context.a && (context.b || context.c)",
            ),
        ] {
            let policy = format!("permit (principal, action, resource) {written};");
            let policy: Policy = policy.parse().unwrap();
            let condition = policy.as_ref().non_scope_constraints().unwrap();
            let told = source_text(condition);
            let plain: String = told.chars().filter(|c| !"()".contains(*c)).collect();
            let expected: String = text.chars().filter(|c| !"()".contains(*c)).collect();
            assert_eq!(plain, expected, "{written}: {told}");
            let parsed: cedar_policy_core::ast::Expr = told.parse().unwrap();
            assert_eq!(parsed, *condition, "{written}: {told}");
        }
    }
}
