//! AuthZEN questions: a subject, an action, a resource and a context, as somebody else's service asks.
//!
//! The information model of the Authorization API 1.0, section 5, after its form was checked and before any name was
//! looked up.

use serde_json::{Map, Value};

/// A subject or a resource: a type, an id and properties.
#[derive(Clone, Debug, PartialEq)]
pub struct AskedEntity {
    /// The name of a type, such as `user`.
    pub type_name: String,
    /// The id, unique within the type.
    pub id: String,
    /// What the caller says about it.
    pub properties: Map<String, Value>,
}

/// An action: a name and properties.
#[derive(Clone, Debug, PartialEq)]
pub struct AskedAction {
    /// The name, such as `can_read`.
    pub name: String,
    /// What the caller says about it.
    pub properties: Map<String, Value>,
}

/// Whether the subject may do the action on the resource.
#[derive(Clone, Debug, PartialEq)]
pub struct AccessQuestion {
    /// Who would do it.
    pub subject: AskedEntity,
    /// What would be done.
    pub action: AskedAction,
    /// What it would be done to.
    pub resource: AskedEntity,
    /// The circumstances.
    pub context: Map<String, Value>,
}
