//! Users that a forbid is about, where it is about a few of them by name.
//!
//! Whoever writes such a policy most likely wants to stop somebody now. That needs no policy: `cedargate user disable`
//! ends everything that a user has, at once, and no invariant has to allow it.

use std::collections::BTreeSet;

use cedar_policy::{Effect, Policy};
use cedar_policy_core::ast::{BinaryOp, Expr, ExprKind, Literal, PatternElem, Var};

use crate::domain::shown::join_shown;

use super::bundle::Bundle;
use super::links::instantiate;
use super::reach::string_literals;

/// The most users that a policy names to be about them.
const MAX_USERS: usize = 10;

/// A user by what a policy names it with.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum NamedUser {
    /// By its name.
    Name(String),
    /// By its id.
    Id(String),
}

/// The users that a forbid is about; none if it is a permit, or about others too.
fn forbidden_users(policy: &Policy) -> Vec<NamedUser> {
    let instantiated = instantiate(policy).ok();
    let policy = instantiated.as_ref().unwrap_or(policy);
    if policy.effect() != Effect::Forbid {
        return Vec::new();
    }
    // All of these have to hold: one that names users is enough.
    let condition = policy.as_ref().condition();
    let mut open = vec![&condition];
    while let Some(expression) = open.pop() {
        if let ExprKind::And { left, right } = expression.expr_kind() {
            open.extend([&**left, &**right]);
            continue;
        }
        if let Some(users) = users_of(expression).filter(|users| !users.is_empty()) {
            return users;
        }
    }
    Vec::new()
}

/// The users that an expression is true of, if these are a few.
fn users_of(expression: &Expr) -> Option<Vec<NamedUser>> {
    let users = match expression.expr_kind() {
        ExprKind::Or { left, right } => [users_of(left)?, users_of(right)?].concat(),
        ExprKind::BinaryApp { op, arg1, arg2 } => match op {
            BinaryOp::Eq => named(arg1, arg2).or_else(|| named(arg2, arg1))?,
            BinaryOp::In => named(arg1, arg2)?,
            BinaryOp::Contains => named(arg2, arg1)?,
            _ => return None,
        },
        ExprKind::Like { expr, pattern } if is_username(expr) => {
            let letters = pattern.get_elems().iter().map(|part| match part {
                PatternElem::Char(character) => Some(*character),
                PatternElem::Wildcard => None,
            });
            vec![NamedUser::Name(letters.collect::<Option<String>>()?)]
        }
        _ => return None,
    };
    (users.len() <= MAX_USERS).then_some(users)
}

/// The users among `values`, one or a set, that `subject` is compared with.
fn named(subject: &Expr, values: &Expr) -> Option<Vec<NamedUser>> {
    if is_username(subject) {
        let names = string_literals(values);
        return Some(
            names
                .map(|(name, _)| NamedUser::Name(name.to_owned()))
                .collect(),
        );
    }
    if !matches!(subject.expr_kind(), ExprKind::Var(Var::Principal)) {
        return None;
    }
    let values = match values.expr_kind() {
        ExprKind::Set(elements) => elements.iter().collect(),
        _ => vec![values],
    };
    let user = |value: &Expr| match value.expr_kind() {
        ExprKind::Lit(Literal::EntityUID(uid)) if uid.entity_type().to_string() == "User" => {
            Some(NamedUser::Id(AsRef::<str>::as_ref(uid.eid()).to_owned()))
        }
        _ => None,
    };
    values.into_iter().map(user).collect()
}

/// `principal.username`.
fn is_username(expression: &Expr) -> bool {
    matches!(expression.expr_kind(), ExprKind::GetAttr { expr, attr }
        if attr == "username" && matches!(expr.expr_kind(), ExprKind::Var(Var::Principal)))
}

/// How to do without a policy what some policies do, if all of them forbid about a few users.
pub(super) fn disable_hint<'a>(
    bundle: &Bundle,
    policies: impl IntoIterator<Item = &'a String>,
) -> Option<String> {
    let mut users = BTreeSet::new();
    for id in policies {
        let named = forbidden_users(bundle.policy(id)?.0);
        if named.is_empty() {
            return None;
        }
        users.extend(named);
    }
    let command = |user: &NamedUser| match user {
        NamedUser::Name(name) => format!("`cedargate user disable {name}`"),
        NamedUser::Id(id) => {
            format!(
                "`cedargate user disable NAME`, with the name that `cedargate user list` has for {id}"
            )
        }
    };
    let commands: Vec<String> = users.iter().map(command).collect();
    let commands = join_shown(commands.iter().map(String::as_str), MAX_USERS);
    (!users.is_empty()).then(|| {
        format!(
            "to stop a user now, disable the user instead, which no policy has to allow: {commands}"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn users(scope: &str, conditions: &str) -> Vec<NamedUser> {
        let text = format!("forbid ({scope}, action, resource) {conditions};");
        forbidden_users(&Policy::parse(None, text).unwrap())
    }

    #[test]
    fn a_forbid_about_a_few_users_is_recognized_in_whatever_form() {
        let otto = || vec![NamedUser::Name("otto".to_owned())];
        let both = || {
            vec![
                NamedUser::Name("otto".to_owned()),
                NamedUser::Name("mo".to_owned()),
            ]
        };
        let id = || vec![NamedUser::Id("5a".to_owned())];
        for (scope, conditions, expected) in [
            (r#"principal == User::"5a""#, "", id()),
            (r#"principal in User::"5a""#, "", id()),
            ("principal", r#"when { principal == User::"5a" }"#, id()),
            (
                "principal",
                r#"when { [User::"5a"].contains(principal) }"#,
                id(),
            ),
            ("principal", r#"when { principal in [User::"5a"] }"#, id()),
            (
                "principal is User",
                r#"when { principal.username == "otto" }"#,
                otto(),
            ),
            (
                "principal",
                r#"when { principal is User && "otto" == principal.username }"#,
                otto(),
            ),
            (
                "principal is User",
                r#"when { principal.username like "otto" }"#,
                otto(),
            ),
            (
                "principal is User",
                r#"when { principal.username == "otto" || principal.username == "mo" }"#,
                both(),
            ),
            (
                "principal is User",
                r#"when { ["otto"].contains(principal.username) }"#,
                otto(),
            ),
            (
                "principal is User",
                r#"when { context.address.isLoopback() } when { principal.username == "otto" }"#,
                otto(),
            ),
            ("principal", r#"when { principal in Role::"x" }"#, vec![]),
            (
                "principal is User",
                r#"when { principal.username like "ot*" }"#,
                vec![],
            ),
            (
                "principal is User",
                r#"unless { principal.username == "otto" }"#,
                vec![],
            ),
            (
                "principal is User",
                r#"when { principal.username == "otto" || context.address.isLoopback() }"#,
                vec![],
            ),
            (
                "principal is User",
                "when { resource has owner && principal == resource.owner }",
                vec![],
            ),
        ] {
            assert_eq!(users(scope, conditions), expected, "{scope} {conditions}");
        }
        let permit = Policy::parse(
            None,
            r#"permit (principal == User::"5a", action, resource);"#,
        );
        assert_eq!(forbidden_users(&permit.unwrap()), []);
    }
}
