//! Types of expressions: what an author's expression can be, as far as the schema says.
//!
//! Cedar's typechecker says no type of what has an error in it, and that is what hints are about. This follows
//! variables, attributes and literals only; of everything else the type is unknown.

use std::collections::BTreeSet;

use cedar_policy_core::ast::{BinaryOp, Eid, EntityType, Expr, ExprKind, Literal, Var};

use cedar_policy_core::validator::types::{Attributes, EntityKind, Type};
use cedar_policy_core::validator::{ValidatorEntityType, ValidatorEntityTypeKind, ValidatorSchema};

use crate::policy::reach::{RequestTypes, ScopeTypes};

use super::literal::LiteralType;

/// The type of an expression.
#[derive(Clone, Debug)]
pub(super) enum ExpressionType<'a> {
    Entity(&'a EntityType),
    Set(&'a Type),
    Record(&'a Attributes),
    Extension(LiteralType),
    String,
    Number,
    Unknown,
}

/// The types that requests in the scope of one policy have.
pub(super) struct TypeReader<'a> {
    schema: &'a ValidatorSchema,
    principals: Vec<&'a EntityType>,
    resources: Vec<&'a EntityType>,
    contexts: Vec<&'a Type>,
}

impl<'a> TypeReader<'a> {
    pub(super) fn new(
        schema: &'a ValidatorSchema,
        types: &RequestTypes,
        scope: &ScopeTypes,
    ) -> Self {
        let known = |names: BTreeSet<EntityType>| {
            let found = names.iter().filter_map(|name| schema.get_entity_type(name));
            found.map(ValidatorEntityType::name).collect::<Vec<_>>()
        };
        let (principals, resources) = scope.asked_types(types);
        Self {
            schema,
            principals: known(principals),
            resources: known(resources),
            contexts: scope
                .actions(types)
                .filter_map(|action| schema.context_type(action))
                .collect(),
        }
    }

    /// Whether a principal in the scope can be of a type.
    pub(super) fn has_principal(&self, name: &str) -> bool {
        self.principals.iter().any(|kind| kind.to_string() == name)
    }

    /// Whether a resource in the scope can be of a type.
    pub(super) fn has_resource(&self, name: &str) -> bool {
        self.resources.iter().any(|kind| kind.to_string() == name)
    }

    /// The types that an expression can have; none if it has an attribute that there is not.
    pub(super) fn types(&self, expression: &Expr) -> Vec<ExpressionType<'a>> {
        match expression.expr_kind() {
            ExprKind::Lit(Literal::String(_)) => vec![ExpressionType::String],
            ExprKind::Lit(Literal::Long(_)) => vec![ExpressionType::Number],
            ExprKind::Lit(Literal::EntityUID(uid)) => self.entity(uid.entity_type()),
            ExprKind::Var(Var::Principal) => entities(&self.principals),
            ExprKind::Var(Var::Resource) => entities(&self.resources),
            ExprKind::Var(Var::Context) => self.contexts.iter().map(|kind| of_type(kind)).collect(),
            ExprKind::GetAttr { expr, attr } => {
                let bases = self.types(expr);
                let found = bases.iter().filter_map(|base| self.attribute(base, attr));
                found.map(|(kind, _)| of_type(kind)).collect()
            }
            ExprKind::BinaryApp {
                op: BinaryOp::GetTag,
                arg1,
                ..
            } => {
                let bases = self.types(arg1);
                let found = bases.iter().filter_map(|base| match base {
                    ExpressionType::Entity(name) => self.schema.get_entity_type(name)?.tag_type(),
                    _ => None,
                });
                found.map(of_type).collect()
            }
            ExprKind::ExtensionFunctionApp { fn_name, .. } => result_of(&fn_name.to_string())
                .map(ExpressionType::Extension)
                .into_iter()
                .collect(),
            _ => vec![ExpressionType::Unknown],
        }
    }

    fn entity(&self, name: &EntityType) -> Vec<ExpressionType<'a>> {
        let kind = self.schema.get_entity_type(name);
        kind.map(|kind| ExpressionType::Entity(kind.name()))
            .into_iter()
            .collect()
    }

    /// The type of an attribute, and whether it is always there.
    pub(super) fn attribute(
        &self,
        base: &ExpressionType<'a>,
        attr: &str,
    ) -> Option<(&'a Type, bool)> {
        let found = match base {
            ExpressionType::Entity(name) => self.schema.get_entity_type(name)?.attr(attr)?,
            ExpressionType::Record(attributes) => attributes.get_attr(attr)?,
            _ => return None,
        };
        Some((&*found.attr_type, found.is_required))
    }

    /// The attributes of a type.
    pub(super) fn attributes(&self, base: &ExpressionType<'a>) -> Vec<&'a str> {
        let attributes = match base {
            ExpressionType::Entity(name) => self
                .schema
                .get_entity_type(name)
                .map(ValidatorEntityType::attributes),
            ExpressionType::Record(attributes) => Some(*attributes),
            _ => None,
        };
        let names = attributes.into_iter().flat_map(Attributes::keys);
        names.map(AsRef::as_ref).collect()
    }

    /// Whether entities of a type can have tags.
    pub(super) fn has_tags(&self, base: &ExpressionType<'a>) -> bool {
        match base {
            ExpressionType::Entity(name) => {
                let kind = self.schema.get_entity_type(name);
                kind.is_some_and(|kind| kind.tag_type().is_some())
            }
            _ => false,
        }
    }

    /// The words of an enumeration.
    pub(super) fn words(&self, name: &EntityType) -> Option<Vec<&'a str>> {
        match &self.schema.get_entity_type(name)?.kind {
            ValidatorEntityTypeKind::Enum(ids) => {
                Some(ids.iter().map(<Eid as AsRef<str>>::as_ref).collect())
            }
            ValidatorEntityTypeKind::Standard(_) | ValidatorEntityTypeKind::External => None,
        }
    }

    /// The actions of the schema.
    pub(super) fn actions(&self) -> impl Iterator<Item = &'a str> {
        let ids = self.schema.action_ids();
        ids.map(|id| <Eid as AsRef<str>>::as_ref(id.name().eid()))
    }
}

fn entities<'a>(names: &[&'a EntityType]) -> Vec<ExpressionType<'a>> {
    names.iter().copied().map(ExpressionType::Entity).collect()
}

/// Cedar's type, as hints need it.
pub(super) fn of_type(kind: &Type) -> ExpressionType<'_> {
    match kind {
        Type::Entity(EntityKind::Entity(names)) => {
            let single = names.get_single_entity();
            single.map_or(ExpressionType::Unknown, ExpressionType::Entity)
        }
        Type::Set {
            element_type: Some(element),
        } => ExpressionType::Set(element),
        Type::Record { attrs, .. } => ExpressionType::Record(attrs),
        Type::ExtensionType { name } => {
            let name = name.to_string();
            LiteralType::of_name(&name).map_or(ExpressionType::Unknown, ExpressionType::Extension)
        }
        Type::String => ExpressionType::String,
        Type::Long => ExpressionType::Number,
        _ => ExpressionType::Unknown,
    }
}

/// What an extension function returns.
fn result_of(function: &str) -> Option<LiteralType> {
    match function {
        "offset" | "toDate" => Some(LiteralType::Datetime),
        "toTime" | "durationSince" => Some(LiteralType::Duration),
        function => LiteralType::of_name(function),
    }
}

/// What the arguments of an extension function are, without the receiver of a method.
pub(super) fn argument_of(function: &str) -> Option<LiteralType> {
    match function {
        "isInRange" => Some(LiteralType::Ip),
        "offset" => Some(LiteralType::Duration),
        "durationSince" => Some(LiteralType::Datetime),
        "lessThan" | "lessThanOrEqual" | "greaterThan" | "greaterThanOrEqual" => {
            Some(LiteralType::Decimal)
        }
        _ => None,
    }
}
