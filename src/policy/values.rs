//! Values: what a condition saw of the principal, the resource and the circumstances.
//!
//! Attributes, tags and variables are told with their values, and for `in` what the entity is a
//! member of; as many and as long as a person reads. This module refuses to know policies.

use std::sync::Arc;

use cedar_policy::{Entities, EvalResult, Expression, Request, eval_expression};
use cedar_policy_core::ast::{BinaryOp, Expr, ExprKind, Var};
use serde::Serialize;

/// The most values that are told of one condition.
pub(super) const MOST_VALUES: usize = 8;
/// The longest text that is told, in characters.
pub(super) const LONGEST_VALUE: usize = 200;
/// What is told of an attribute or a tag that is not there.
const ABSENT: &str = "absent";

/// Something that a condition looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Seen {
    /// What, as Cedar writes it; `groups of ...` for what an entity is a member of.
    pub name: String,
    /// Its value, as Cedar writes it; `absent` if it is not there.
    pub value: String,
}

/// What an expression looked at, in the order in which it is written.
pub(super) fn seen(expression: &Expr, request: &Request, entities: &Entities) -> Vec<Seen> {
    let mut looking = Looking {
        request,
        entities,
        found: Vec::new(),
    };
    // A stack of our own: a policy may be as deep as its file is long.
    let mut open = vec![expression];
    while let Some(expression) = open.pop() {
        if looking.found.len() >= MOST_VALUES {
            break;
        }
        looking.note(expression);
        open.extend(operands(expression).into_iter().rev());
    }
    looking.found
}

/// The parts of an expression that are worth a look of their own: of `resource.owner` none is.
fn operands(expression: &Expr) -> Vec<&Expr> {
    let beyond_variables = |expr: &'_ Arc<Expr>| !matches!(expr.expr_kind(), ExprKind::Var(_));
    match expression.expr_kind() {
        ExprKind::If {
            test_expr,
            then_expr,
            else_expr,
        } => vec![test_expr, then_expr, else_expr],
        ExprKind::And { left, right } | ExprKind::Or { left, right } => vec![left, right],
        ExprKind::UnaryApp { arg, .. } => vec![arg],
        ExprKind::BinaryApp {
            op: BinaryOp::GetTag | BinaryOp::HasTag,
            arg1,
            ..
        } if !beyond_variables(arg1) => Vec::new(),
        ExprKind::BinaryApp { arg1, arg2, .. } => vec![arg1, arg2],
        ExprKind::ExtensionFunctionApp { args, .. } => args.iter().collect(),
        ExprKind::Like { expr, .. } | ExprKind::Is { expr, .. } => vec![expr],
        ExprKind::GetAttr { expr, .. }
        | ExprKind::HasAttr { expr, .. }
        | ExprKind::ExtHasAttr { expr, .. }
            if beyond_variables(expr) =>
        {
            vec![expr]
        }
        ExprKind::Set(members) => members.iter().collect(),
        ExprKind::Record(members) => members.values().collect(),
        _ => Vec::new(),
    }
}

struct Looking<'a> {
    request: &'a Request,
    entities: &'a Entities,
    found: Vec<Seen>,
}

impl Looking<'_> {
    fn note(&mut self, expression: &Expr) {
        match expression.expr_kind() {
            // The circumstances as a whole say nothing to a person.
            ExprKind::Var(Var::Context) => {}
            ExprKind::Var(_) | ExprKind::ExtHasAttr { .. } => self.value(expression, None),
            ExprKind::GetAttr { expr, .. } => self.value(expression, Some(expr)),
            ExprKind::HasAttr { expr, attr } => {
                let attribute = Expr::get_attr(Expr::clone(expr), attr.clone());
                self.value(&attribute, Some(expr));
            }
            ExprKind::BinaryApp {
                op: BinaryOp::GetTag | BinaryOp::HasTag,
                arg1,
                arg2,
            } => {
                let tag = Expr::get_tag(Expr::clone(arg1), Expr::clone(arg2));
                self.value(&tag, Some(arg1));
            }
            ExprKind::BinaryApp {
                op: BinaryOp::In,
                arg1,
                ..
            } => self.groups(arg1),
            _ => {}
        }
    }

    /// The value of an expression; one `of` which nothing can be read is passed over, for what is
    /// not there has no attributes that could be absent.
    fn value(&mut self, expression: &Expr, of: Option<&Expr>) {
        let value = match (self.evaluate(expression), of) {
            (Some(value), _) => value.to_string(),
            (None, Some(of)) if self.evaluate(of).is_some() => ABSENT.to_owned(),
            (None, _) => return,
        };
        self.tell(&expression.to_string(), &value);
    }

    fn groups(&mut self, member: &Expr) {
        let Some(EvalResult::EntityUid(uid)) = self.evaluate(member) else {
            return;
        };
        let mut groups: Vec<String> = self
            .entities
            .ancestors(&uid)
            .into_iter()
            .flatten()
            .map(ToString::to_string)
            .collect();
        groups.sort();
        let groups = if groups.is_empty() {
            "none".to_owned()
        } else {
            groups.join(", ")
        };
        self.tell(&format!("groups of {member}"), &groups);
    }

    fn evaluate(&self, expression: &Expr) -> Option<EvalResult> {
        let expression = Expression::from(expression.clone());
        eval_expression(self.request, self.entities, &expression).ok()
    }

    fn tell(&mut self, name: &str, value: &str) {
        let seen = Seen {
            name: shortened(name, LONGEST_VALUE),
            value: shortened(value, LONGEST_VALUE),
        };
        if !self.found.contains(&seen) {
            self.found.push(seen);
        }
    }
}

/// A text cut after so many characters, with `...` if there is more.
pub(super) fn shortened(text: &str, longest: usize) -> String {
    match text.char_indices().nth(longest) {
        Some((end, _)) => format!("{}...", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use cedar_policy::{Context, Policy};

    use super::*;

    fn seen_by(condition: &str) -> Vec<String> {
        let entities = r#"[
            {"uid": {"type": "U", "id": "ada"}, "attrs": {}, "parents": [{"type": "R", "id": "b"},
             {"type": "R", "id": "a"}]},
            {"uid": {"type": "D", "id": "1"}, "parents": [], "tags": {"state": ["x"]},
             "attrs": {"status": "draft", "owner": {"__entity": {"type": "U", "id": "ada"}}}}]"#;
        let entities = Entities::from_json_str(entities, None).unwrap();
        let context = serde_json::json!({"key": {"n": 3}, "long": "m".repeat(LONGEST_VALUE + 1)});
        let request = Request::new(
            "U::\"ada\"".parse().unwrap(),
            "Action::\"r\"".parse().unwrap(),
            "D::\"1\"".parse().unwrap(),
            Context::from_json_value(context, None).unwrap(),
            None,
        )
        .unwrap();
        let policy = format!("permit (principal, action, resource) when {{ {condition} }};");
        let policy: Policy = policy.parse().unwrap();
        let expression = policy.as_ref().non_scope_constraints().unwrap();
        seen(expression, &request, &entities)
            .into_iter()
            .map(|seen| format!("{} = {}", seen.name, seen.value))
            .collect()
    }

    #[test]
    fn attributes_tags_variables_and_groups_are_told_with_their_values() {
        for (condition, told) in [
            (
                r#"resource.status == "published""#,
                vec![r#"resource.status = "draft""#],
            ),
            ("resource has title", vec!["resource.title = absent"]),
            (
                "resource has owner && resource.owner == principal",
                vec![r#"resource.owner = U::"ada""#, r#"principal = U::"ada""#],
            ),
            (
                r#"principal in R::"c""#,
                vec![
                    r#"groups of principal = R::"a", R::"b""#,
                    r#"principal = U::"ada""#,
                ],
            ),
            (
                r#"resource.hasTag("state") || resource.hasTag("no")"#,
                vec![
                    r#"resource.getTag("state") = ["x"]"#,
                    r#"resource.getTag("no") = absent"#,
                ],
            ),
            (
                "context.key.n > 2",
                vec!["context.key.n = 3", "context.key = {\"n\": 3}"],
            ),
            ("9223372036854775807 + 1 > 0", vec![]),
        ] {
            assert_eq!(seen_by(condition), told, "{condition}");
        }
    }

    #[test]
    fn what_is_told_is_bounded_in_number_and_in_length() {
        let many: Vec<String> = (0..20).map(|n| format!("context.a{n} > 0")).collect();
        assert_eq!(seen_by(&many.join(" || ")).len(), MOST_VALUES);
        let [told] = &seen_by("context.long == \"\"")[..] else {
            panic!("one value is seen")
        };
        assert!(told.ends_with("m..."), "{told}");
        assert!(told.len() < LONGEST_VALUE + 30, "{told}");
    }
}
