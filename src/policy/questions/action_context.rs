//! Contexts of actions: what the schema declares for `context` of each action, and who fills it in.
//!
//! A member that has the name and the type of one that Cedargate fills in for `read` is Cedargate's, in the context of
//! whichever action; every other one is the caller's.

use std::collections::{BTreeMap, HashMap};

use cedar_policy::{EntityUid, Schema};
use cedar_policy_core::ast::{BinaryOp, Expr, ExprKind, Var};
use cedar_policy_core::validator::ValidatorSchema;
use cedar_policy_core::validator::types::Type;

use crate::domain::action::Action;
use crate::domain::text_enum::TextEnum;
use crate::policy::address::{ADDRESS, NETWORKS};
use crate::policy::attributes::{DeclaredAttribute, IdForm, ValueType, declared_attributes};
use crate::policy::index::PolicyIndex;

/// Who fills in a member of a context.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MemberSource {
    /// Cedargate: the client's address.
    Address,
    /// Cedargate: the time.
    Time,
    /// Cedargate: how the subject authenticated.
    Authentication,
    /// Cedargate: the API key.
    Key,
    /// Cedargate: the named networks of the address.
    Networks,
    /// Whoever asks.
    Caller,
}

/// A member of a context.
#[derive(Debug)]
pub(super) struct ContextMember {
    pub(super) declared: DeclaredAttribute,
    pub(super) source: MemberSource,
}

/// The context of one action.
#[derive(Debug)]
pub(super) struct ActionContext {
    pub(super) members: BTreeMap<String, ContextMember>,
    /// Whether a policy for the action may read attributes or ancestors of a user or a dataset that the context names.
    pub(super) follows_catalog: bool,
}

impl ActionContext {
    /// The contexts of all actions of a schema.
    pub(super) fn of_all(
        schema: &Schema,
        index: &PolicyIndex,
        has_networks: bool,
    ) -> HashMap<EntityUid, Self> {
        let core: &ValidatorSchema = schema.as_ref();
        let declared = |context: Option<&Type>| match context {
            Some(Type::Record { attrs, .. }) => declared_attributes(attrs, core),
            _ => BTreeMap::new(),
        };
        let is_read = |uid: &EntityUid| {
            uid.type_name().to_string() == "Action" && uid.id().unescaped() == Action::Read.as_str()
        };
        let mut actions = core.action_ids();
        let of_read = actions.find(|action| is_read(&action.name().clone().into()));
        let of_read = declared(of_read.and_then(|action| action.context_type()));
        let all = core.action_ids().map(|action| {
            let uid = EntityUid::from(action.name().clone());
            let members = declared(action.context_type());
            let follows_catalog = members
                .values()
                .any(|member| names_catalog(&member.value_type))
                && index.policies_for(&uid).any(|policy| {
                    let condition = policy.as_ref().non_scope_constraints();
                    condition.is_some_and(|condition| follows_context(condition, &members))
                });
            let members = members.into_iter().map(|(name, declared)| {
                let source = match source(&name, has_networks) {
                    MemberSource::Caller => MemberSource::Caller,
                    source => of_read
                        .get(&name)
                        .filter(|of_read| of_read.value_type == declared.value_type)
                        .map_or(MemberSource::Caller, |_| source),
                };
                (name, ContextMember { declared, source })
            });
            let context = Self {
                members: members.collect(),
                follows_catalog,
            };
            (uid, context)
        });
        all.collect()
    }
}

/// The members of a context that Cedargate fills in itself.
pub const CEDARGATE_MEMBERS: [&str; 5] = [ADDRESS, "time", "authentication", "key", NETWORKS];

/// Who fills in a member of this name if it has the type of Cedargate's.
fn source(name: &str, has_networks: bool) -> MemberSource {
    match name {
        ADDRESS => MemberSource::Address,
        "time" => MemberSource::Time,
        "authentication" => MemberSource::Authentication,
        "key" => MemberSource::Key,
        NETWORKS if has_networks => MemberSource::Networks,
        _ => MemberSource::Caller,
    }
}

/// Whether values of a type can name users or datasets.
fn names_catalog(value_type: &ValueType) -> bool {
    match value_type {
        ValueType::Entity(_, form) => matches!(form, IdForm::User | IdForm::Dataset),
        ValueType::Set(element) => names_catalog(element),
        ValueType::Record(members) => members
            .values()
            .any(|member| names_catalog(&member.value_type)),
        _ => false,
    }
}

/// Whether an expression may look at an entity that the context names: at its attributes, tags or ancestors. In doubt it
/// does.
fn follows_context(condition: &Expr, members: &BTreeMap<String, DeclaredAttribute>) -> bool {
    condition
        .subexpressions()
        .any(|part| match part.expr_kind() {
            ExprKind::GetAttr { expr, .. } | ExprKind::HasAttr { expr, .. } => {
                may_be_entity(expr, members)
            }
            ExprKind::ExtHasAttr { expr, attrs } => {
                let before_last = attrs.iter().take(attrs.len().saturating_sub(1));
                match record(expr, members) {
                    Some(of) => before_last
                        .map(AsRef::as_ref)
                        .try_fold(of, |of, name: &str| member_record(of, name))
                        .is_none(),
                    None => reads_context(expr),
                }
            }
            ExprKind::BinaryApp { op, arg1, .. } => {
                matches!(op, BinaryOp::In | BinaryOp::GetTag | BinaryOp::HasTag)
                    && may_be_entity(arg1, members)
            }
            _ => false,
        })
}

fn may_be_entity(expression: &Expr, members: &BTreeMap<String, DeclaredAttribute>) -> bool {
    reads_context(expression) && record(expression, members).is_none()
}

fn reads_context(expression: &Expr) -> bool {
    let mut parts = expression.subexpressions();
    parts.any(|part| matches!(part.expr_kind(), ExprKind::Var(Var::Context)))
}

type Members = BTreeMap<String, DeclaredAttribute>;

/// The members of the record that an expression is: the context, or a record in it.
fn record<'a>(expression: &Expr, members: &'a Members) -> Option<&'a Members> {
    match expression.expr_kind() {
        ExprKind::Var(Var::Context) => Some(members),
        ExprKind::GetAttr { expr, attr } => member_record(record(expr, members)?, attr),
        _ => None,
    }
}

fn member_record<'a>(of: &'a Members, name: &str) -> Option<&'a Members> {
    match &of.get(name)?.value_type {
        ValueType::Record(members) => Some(members),
        _ => None,
    }
}
