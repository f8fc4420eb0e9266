//! Advice: what to do where no text can be offered that is valid at once.

use cedar_policy::ValidationError;
use cedar_policy_core::ast::{BinaryOp, Expr, ExprKind, Literal, Var};

use crate::policy::address::NETWORKS;

use super::condition::{AttributePath, BooleanPart, source_of};
use super::guard::guards;
use super::literal::LiteralType;
use super::meaning::{is_id_word, is_role_word};
use super::value_type::{ExpressionType, TypeReader};
use super::vocabulary::NOT_COUNTED;

/// How people and datasets are found by the ids that policies name.
const USER_ID: &str = "a user is named by its id, such as User::\"5a000000-0000-8000-8000-000000000001\"; \
    `cedargate user list` shows the ids";
const DATASET_ID: &str = "a dataset is named by its id, such as \
    Dataset::\"2489e9ad-2ee2-8e00-8ec9-32d5f69181c0\"; `cedargate dataset list` shows the ids";

/// How networks get names.
const NO_NETWORKS: &str = "this folder names no networks: name some in the file networks.toml beside the schema, such as \
    office = [\"192.0.2.0/24\"], and write `context.networks.contains(Network::\"office\")`";

/// What to do about an error in a part of a condition.
pub(super) fn advice(
    types: &TypeReader<'_>,
    part: &BooleanPart<'_>,
    error: &ValidationError,
) -> Option<String> {
    let inside = || part.expression.subexpressions();
    match error {
        ValidationError::NonLitExtConstructor(_) => {
            inside().find_map(|one| not_literal(types, one))
        }
        ValidationError::FunctionArgumentValidation(_) => inside().find_map(unreadable),
        ValidationError::EntityDerefLevelViolation(_) => Some(too_deep(part.expression)),
        ValidationError::UnsafeAttributeAccess(_) => {
            inside().find_map(|one| unknown_attribute(types, one))
        }
        ValidationError::UnexpectedType(_) | ValidationError::IncompatibleTypes(_) => inside()
            .find_map(|one| counted(types, one))
            .or_else(|| inside().find_map(|one| mismatch(types, one))),
        ValidationError::UnsafeOptionalAttributeAccess(_) | ValidationError::UnsafeTagAccess(_) => {
            let guards = guards(types, part.expression).join(" && ");
            (!guards.is_empty()).then(|| format!("test before it: write `{guards} &&`"))
        }
        _ => None,
    }
}

/// `datetime(resource.getTag("embargo_until"))`: only literals become values of these types in a policy.
fn not_literal(types: &TypeReader<'_>, expression: &Expr) -> Option<String> {
    let ExprKind::ExtensionFunctionApp { fn_name, args } = expression.expr_kind() else {
        return None;
    };
    let kind = LiteralType::of_name(&fn_name.to_string())?;
    let [argument] = args.as_slice() else {
        return None;
    };
    let type_name = match kind {
        LiteralType::Ip => "ipaddr",
        kind => kind.function(),
    };
    // The name of the tag or of the attribute is a good one for the new attribute.
    let (base, name) = match argument.expr_kind() {
        ExprKind::Lit(Literal::String(_)) => return None,
        ExprKind::BinaryApp {
            op: BinaryOp::GetTag,
            arg1,
            arg2,
        } => match arg2.expr_kind() {
            ExprKind::Lit(Literal::String(tag)) => (Some(&**arg1), tag.as_str()),
            _ => (Some(&**arg1), "my_attribute"),
        },
        ExprKind::GetAttr { expr, attr } => (Some(&**expr), attr.as_str()),
        _ => (None, "my_attribute"),
    };
    let variable = base.and_then(AttributePath::of).map(|path| path.variable);
    let (entity, variable) = match variable {
        Some(Var::Principal) => ("User", "principal"),
        _ => ("Dataset", "resource"),
    };
    let name: String = name
        .chars()
        .map(|letter| {
            if letter.is_ascii_alphanumeric() {
                letter
            } else {
                '_'
            }
        })
        .collect();
    let function = kind.function();
    let is_taken = base.is_some_and(|base| {
        let kinds = types.types(base);
        kinds
            .iter()
            .any(|kind| types.attribute(kind, &name).is_some())
    });
    let name = if is_taken {
        format!("{name}_{function}")
    } else {
        name
    };
    Some(format!(
        "`{function}` takes a text that is written in the policy, not one of the data; to compare with data, \
         declare an attribute of that type, `\"{name}\"?: {type_name}`, in the entity {entity} of \
         schema.cedarschema, let the catalog fill it, and write `{variable} has {name}` and \
         `{variable}.{name}`"
    ))
}

/// `datetime("01/02/2027")`: a text that Cedar does not read, and that has more than one meaning.
fn unreadable(expression: &Expr) -> Option<String> {
    let ExprKind::ExtensionFunctionApp { fn_name, args } = expression.expr_kind() else {
        return None;
    };
    let kind = LiteralType::of_name(&fn_name.to_string())?;
    let is_text = matches!(args.first()?.expr_kind(), ExprKind::Lit(Literal::String(_)));
    is_text.then(|| format!("write it as {}", kind.example()))
}

fn too_deep(expression: &Expr) -> String {
    let owner = expression.subexpressions().find_map(|one| {
        let ExprKind::GetAttr { expr, .. } = one.expr_kind() else {
            return None;
        };
        let path = AttributePath::of(expr)?;
        (!path.attributes.is_empty()).then(|| source_of(expr))
    });
    let what = owner.unwrap_or_else(|| "what an attribute refers to".to_owned());
    format!(
        "a policy sees the attributes of the principal and of the resource, and not those of `{what}`; compare \
         `{what}` itself: with `principal`, or with an entity by its id"
    )
}

/// An attribute that there is not: roles, ids, tags, or one that the schema could have.
pub(super) fn unknown_attribute(types: &TypeReader<'_>, expression: &Expr) -> Option<String> {
    let (ExprKind::GetAttr { expr, attr } | ExprKind::HasAttr { expr, attr }) =
        expression.expr_kind()
    else {
        return None;
    };
    let bases = types.types(expr);
    if bases.is_empty()
        || bases
            .iter()
            .any(|base| types.attribute(base, attr).is_some())
    {
        return None;
    }
    let path = AttributePath::of(expr)?;
    let has_base = path.attributes.is_empty();
    if path.variable == Var::Context && has_base && attr == NETWORKS {
        return Some(NO_NETWORKS.to_owned());
    }
    match path.variable {
        Var::Principal if has_base && is_role_word(attr) => {
            Some("a user is in its roles: write `principal in Role::\"...\"`".to_owned())
        }
        Var::Principal if has_base && is_id_word(attr) => Some(USER_ID.to_owned()),
        Var::Resource if has_base && is_id_word(attr) => Some(DATASET_ID.to_owned()),
        Var::Principal | Var::Resource if bases.iter().any(|base| types.has_tags(base)) => {
            let base = source_of(expr);
            let entity = if path.variable == Var::Principal {
                "User"
            } else {
                "Dataset"
            };
            let known = known_attributes(types, &bases);
            if matches!(*attr, ref name if name == "tags" || name == "attributes" || name == "attr")
            {
                return Some(format!(
                    "a tag is read by its name: write `{base}.hasTag(\"theme\") && \
                     {base}.getTag(\"theme\").contains(\"...\")`"
                ));
            }
            Some(format!(
                "it has {known}; a tag is read by `{base}.hasTag({attr:?}) && {base}.getTag({attr:?})`, and an \
                 attribute of your own must be declared in the entity {entity} of schema.cedarschema"
            ))
        }
        _ => Some(format!("it has {}", known_attributes(types, &bases))),
    }
}

fn known_attributes(types: &TypeReader<'_>, bases: &[ExpressionType<'_>]) -> String {
    let mut known: Vec<&str> = bases
        .iter()
        .flat_map(|base| types.attributes(base))
        .collect();
    known.sort_unstable();
    known.dedup();
    if known.is_empty() {
        "no attributes".to_owned()
    } else {
        format!("the attributes {}", known.join(", "))
    }
}

/// `resource.reader_users.length`.
fn counted(types: &TypeReader<'_>, expression: &Expr) -> Option<String> {
    let ExprKind::GetAttr { expr, .. } = expression.expr_kind() else {
        return None;
    };
    let kinds = types.types(expr);
    let is_set = kinds
        .iter()
        .any(|kind| matches!(kind, ExpressionType::Set(_)));
    is_set.then(|| NOT_COUNTED.to_owned())
}

/// A value that is compared with one of another type.
fn mismatch(types: &TypeReader<'_>, expression: &Expr) -> Option<String> {
    let (one, other) = match expression.expr_kind() {
        ExprKind::BinaryApp { arg1, arg2, .. } => (&**arg1, &**arg2),
        ExprKind::ExtensionFunctionApp { fn_name, args } => {
            let kind = super::value_type::argument_of(&fn_name.to_string())?;
            let is_text = |one: &Expr| matches!(one.expr_kind(), ExprKind::Lit(_));
            let found = args.iter().skip(1).any(is_text);
            return found
                .then(|| format!("`{fn_name}` takes a {}: {}", name_of(kind), kind.example()));
        }
        _ => return None,
    };
    let all: Vec<ExpressionType<'_>> = [one, other]
        .iter()
        .flat_map(|side| types.types(side))
        .collect();
    let is_text = all
        .iter()
        .any(|kind| matches!(kind, ExpressionType::String | ExpressionType::Number))
        || [one, other]
            .iter()
            .any(|side| matches!(side.expr_kind(), ExprKind::Set(_)));
    if !is_text {
        return None;
    }
    let is_order = matches!(
        expression.expr_kind(),
        ExprKind::BinaryApp {
            op: BinaryOp::Less | BinaryOp::LessEq,
            ..
        }
    );
    let found = all.iter().find_map(|kind| match kind {
        ExpressionType::Extension(literal) => Some(format!(
            "a {} is written {}",
            name_of(*literal),
            literal.example()
        )),
        ExpressionType::Entity(name) => match types.words(name) {
            Some(words) => {
                let words: Vec<String> = words
                    .iter()
                    .map(|word| super::meaning::uid(name, word))
                    .collect();
                Some(format!("it is one of {}", words.join(", ")))
            }
            None => match name.to_string().as_str() {
                "User" => Some(USER_ID.to_owned()),
                "Dataset" => Some(DATASET_ID.to_owned()),
                kind => Some(format!("write an entity, such as {kind}::\"...\"")),
            },
        },
        ExpressionType::Set(element) => match super::value_type::of_type(element) {
            ExpressionType::Entity(name) if name.to_string() == "User" => Some(USER_ID.to_owned()),
            ExpressionType::Entity(name) => {
                Some(format!("write an entity, such as {name}::\"...\""))
            }
            _ => None,
        },
        _ => None,
    });
    found.or_else(|| {
        is_order.then(|| {
            "numbers, times and durations have an order, and texts have none: compare with `==` or `like`".to_owned()
        })
    })
}

fn name_of(kind: LiteralType) -> &'static str {
    match kind {
        LiteralType::Ip => "client address or range",
        LiteralType::Datetime => "time",
        LiteralType::Duration => "length of time, or time of the day,",
        LiteralType::Decimal => "decimal",
    }
}
