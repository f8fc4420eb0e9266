//! Mentions in policies: the entities of scopes and conditions, and what is compared with `username`.

use cedar_policy_core::ast::{BinaryOp, EntityUID, Expr, ExprKind, Literal, Template};
use cedar_policy_core::parser::Loc;

use crate::policy::reach::{RequestTypes, ScopeTypes, string_literals};

use super::mention::{Mention, MentionKind, MentionPlace, MentionSource};

/// The attribute with the name of a user.
const USERNAME: &str = "username";

/// Adds what a policy, a template or an invariant names.
pub(super) fn collect(
    types: &RequestTypes,
    policy: &Template,
    (place, owner): (MentionPlace, &str),
    source: &MentionSource,
    mentions: &mut Vec<Mention>,
) {
    let mut add = |kind, text: &str, location: Option<&Loc>| {
        let span = location.or(policy.loc());
        mentions.push(Mention {
            kind,
            text: text.to_owned(),
            place,
            owner: owner.to_owned(),
            source: source.clone(),
            span: span.map_or(0..0, |location| location.start()..location.end()),
        });
    };
    let scope = ScopeTypes::new(types, policy).of_its_actions(types);
    let principal = policy.principal_constraint().as_inner().get_euid();
    let resource = policy.resource_constraint().as_inner().get_euid();
    for uid in principal.into_iter().chain(resource) {
        if let Some((kind, id)) = entity(uid) {
            add(kind, id, uid.loc());
        }
    }
    let conditions = policy.non_scope_constraints().into_iter();
    for expression in conditions.flat_map(Expr::subexpressions) {
        match expression.expr_kind() {
            ExprKind::Lit(Literal::EntityUID(uid)) => {
                if let Some((kind, id)) = entity(uid) {
                    add(kind, id, expression.source_loc().or(uid.loc()));
                }
            }
            ExprKind::BinaryApp {
                op:
                    BinaryOp::Eq | BinaryOp::Contains | BinaryOp::ContainsAll | BinaryOp::ContainsAny,
                arg1,
                arg2,
            } => {
                let pairs = [(arg1, arg2), (arg2, arg1)];
                let compared = pairs
                    .into_iter()
                    .find(|(name, _)| is_username(name, &scope));
                for (text, location) in compared
                    .iter()
                    .flat_map(|(_, texts)| string_literals(texts))
                {
                    add(MentionKind::Username, text, location);
                }
            }
            _ => {}
        }
    }
}

fn entity(uid: &EntityUID) -> Option<(MentionKind, &str)> {
    let kind = MentionKind::of_type(&uid.entity_type().to_string())?;
    Some((kind, uid.eid().as_ref()))
}

/// `principal.username` or `resource.username` of a user, or one of them in a set.
fn is_username(expression: &Expr, scope: &ScopeTypes) -> bool {
    match expression.expr_kind() {
        ExprKind::GetAttr { expr, attr } => attr == USERNAME && scope.may_be_user(expr),
        ExprKind::Set(elements) => elements.iter().any(|element| is_username(element, scope)),
        _ => false,
    }
}
