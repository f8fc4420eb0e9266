//! The types of attributes, as far as the catalog can fill them.

use std::collections::BTreeMap;

use cedar_policy::{EntityId, EntityTypeName, EntityUid};
use cedar_policy_core::ast::EntityType;
use cedar_policy_core::validator::ValidatorEntityTypeKind;
use cedar_policy_core::validator::ValidatorSchema;
use cedar_policy_core::validator::types::{Attributes as CedarAttributes, EntityKind, Type};
use serde_json::{Value, json};

/// An attribute of the schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::policy) struct DeclaredAttribute {
    pub(in crate::policy) value_type: ValueType,
    pub(in crate::policy) is_required: bool,
}

/// The type of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::policy) enum ValueType {
    String,
    Long,
    Bool,
    Datetime,
    Decimal,
    IpAddress,
    Duration,
    /// An entity of a type that lists its members.
    Enumerated(EntityTypeName, Vec<String>),
    /// An entity that is named by its id.
    Entity(EntityTypeName, IdForm),
    Set(Box<ValueType>),
    Record(BTreeMap<String, DeclaredAttribute>),
    /// A type whose values the catalog cannot have.
    Unfillable(String),
}

/// What the ids of an entity type look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::policy) enum IdForm {
    /// A UUID; the catalog takes the name of a user in its place.
    User,
    /// A UUID.
    Dataset,
    /// The name of a role.
    RoleName,
    /// Any text: a type of the author's own.
    Text,
}

/// The attributes of an entity or a record type.
pub(in crate::policy) fn declared_attributes(
    attributes: &CedarAttributes,
    schema: &ValidatorSchema,
) -> BTreeMap<String, DeclaredAttribute> {
    let attributes = attributes.iter().map(|(name, attribute)| {
        let declared = DeclaredAttribute {
            value_type: ValueType::new(&attribute.attr_type, schema),
            is_required: attribute.is_required(),
        };
        (name.to_string(), declared)
    });
    attributes.collect()
}

impl ValueType {
    fn new(cedar: &Type, schema: &ValidatorSchema) -> Self {
        let unfillable = || Self::Unfillable(cedar.to_string());
        match cedar {
            Type::Bool(_) => Self::Bool,
            Type::Long => Self::Long,
            Type::String => Self::String,
            Type::ExtensionType { name } => match name.to_string().as_str() {
                "datetime" => Self::Datetime,
                "decimal" => Self::Decimal,
                "ipaddr" => Self::IpAddress,
                "duration" => Self::Duration,
                _ => unfillable(),
            },
            Type::Set { element_type } => match element_type {
                Some(element) => match Self::new(element, schema) {
                    Self::Unfillable(_) => unfillable(),
                    element => Self::Set(Box::new(element)),
                },
                None => unfillable(),
            },
            Type::Record { attrs, .. } => {
                let members = declared_attributes(attrs, schema);
                let is_unfillable = |member: &DeclaredAttribute| {
                    member.is_required && matches!(member.value_type, Self::Unfillable(_))
                };
                if members.values().any(is_unfillable) {
                    unfillable()
                } else {
                    Self::Record(members)
                }
            }
            Type::Never | Type::Entity(EntityKind::AnyEntity) => unfillable(),
            Type::Entity(EntityKind::Entity(types)) => types
                .get_single_entity()
                .and_then(|name| Self::of_entity(name, schema))
                .unwrap_or_else(unfillable),
        }
    }

    fn of_entity(name: &EntityType, schema: &ValidatorSchema) -> Option<Self> {
        let type_name: EntityTypeName = name.to_string().parse().ok()?;
        match &schema.get_entity_type(name)?.kind {
            ValidatorEntityTypeKind::Enum(members) => {
                let members = members.iter();
                let members = members.map(|member| {
                    let text: &str = member.as_ref();
                    text.to_owned()
                });
                Some(Self::Enumerated(type_name, members.collect()))
            }
            ValidatorEntityTypeKind::Standard(_) => {
                let form = match name.to_string().as_str() {
                    "User" => IdForm::User,
                    "Dataset" => IdForm::Dataset,
                    "Role" => IdForm::RoleName,
                    _ => IdForm::Text,
                };
                Some(Self::Entity(type_name, form))
            }
            ValidatorEntityTypeKind::External => None,
        }
    }

    /// What a value of it is, for messages.
    pub(super) fn describe(&self) -> String {
        match self {
            Self::String => "a string".to_owned(),
            Self::Long => "a whole number".to_owned(),
            Self::Bool => "true or false".to_owned(),
            Self::Datetime => "a datetime".to_owned(),
            Self::Decimal => "a decimal".to_owned(),
            Self::IpAddress => "an IP address or a range of them".to_owned(),
            Self::Duration => "a duration".to_owned(),
            Self::Enumerated(type_name, members) => {
                let members: Vec<_> = members.iter().map(|member| format!("{member:?}")).collect();
                format!("a {type_name}, one of {}", members.join(", "))
            }
            Self::Entity(type_name, IdForm::RoleName) => format!("the name of a {type_name}"),
            Self::Entity(type_name, IdForm::User) => format!("the name or the id of a {type_name}"),
            Self::Entity(type_name, IdForm::Dataset | IdForm::Text) => {
                format!("the id of a {type_name}")
            }
            Self::Set(element) => format!("a list of {}", element.describe_many()),
            Self::Record(members) => {
                let names: Vec<_> = members.keys().map(String::as_str).collect();
                format!("an object with {}", names.join(", "))
            }
            Self::Unfillable(name) => format!("a {name}, of which the catalog has no values"),
        }
    }

    /// What values of it are, for messages.
    fn describe_many(&self) -> String {
        match self {
            Self::String => "strings".to_owned(),
            Self::Long => "whole numbers".to_owned(),
            Self::Bool => "values true or false".to_owned(),
            Self::Datetime => "datetimes".to_owned(),
            Self::Decimal => "decimals".to_owned(),
            Self::IpAddress => "IP addresses or ranges".to_owned(),
            Self::Duration => "durations".to_owned(),
            Self::Enumerated(type_name, _) => format!("members of {type_name}"),
            Self::Entity(type_name, IdForm::RoleName) => format!("names of {type_name} entities"),
            Self::Entity(type_name, IdForm::User) => {
                format!("names or ids of {type_name} entities")
            }
            Self::Entity(type_name, IdForm::Dataset | IdForm::Text) => {
                format!("ids of {type_name} entities")
            }
            Self::Set(element) => format!("lists of {}", element.describe_many()),
            Self::Record(_) => "objects".to_owned(),
            Self::Unfillable(name) => format!("values of {name}"),
        }
    }

    /// A value of it; none if it has none that the catalog could have.
    pub(super) fn example(&self) -> Option<Value> {
        Some(match self {
            Self::String => json!("text"),
            Self::Long => json!(3),
            Self::Bool => json!(true),
            Self::Datetime => json!("2027-01-01"),
            Self::Decimal => json!("1.5"),
            Self::IpAddress => json!("192.0.2.0/24"),
            Self::Duration => json!("1d12h"),
            Self::Enumerated(_, members) => json!(members.first()?),
            Self::Entity(_, IdForm::User | IdForm::Dataset) => {
                json!("00000000-0000-0000-0000-000000000000")
            }
            Self::Entity(_, IdForm::RoleName | IdForm::Text) => json!("example"),
            Self::Set(element) => json!([element.example()?]),
            Self::Record(members) => {
                let required = members.iter().filter(|(_, member)| member.is_required);
                let values = required.map(|(name, member)| {
                    let value = member.value_type.example()?;
                    Some((name.clone(), value))
                });
                Value::Object(values.collect::<Option<_>>()?)
            }
            Self::Unfillable(_) => return None,
        })
    }

    /// What a value of it is, with one that would work.
    pub(super) fn expectation(&self) -> String {
        match (self, self.example()) {
            // The words of the type are the values.
            (Self::Bool | Self::Enumerated(..), _) | (_, None) => self.describe(),
            (Self::Datetime, Some(_)) => {
                "a datetime such as \"2027-01-01\" or \"2027-01-01T09:30:00Z\"".to_owned()
            }
            (Self::Decimal, Some(example)) => {
                format!("a decimal such as {example}, with at most four digits after the point")
            }
            (Self::Entity(_, IdForm::User), Some(_)) => {
                format!("{} such as \"ada\"", self.describe())
            }
            (_, Some(example)) => format!("{} such as {example}", self.describe()),
        }
    }
}

pub(super) fn entity_uid(type_name: &EntityTypeName, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(type_name.clone(), EntityId::new(id))
}
