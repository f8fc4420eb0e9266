//! What attributes refer to: users, datasets and roles of the catalog.
//!
//! A user may be given by name, as an owner is. The catalog keeps the id, which stays when the name changes.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::domain::attributes::{AttributeOwner, Attributes};
use crate::domain::id::{DatasetId, UserId};
use crate::domain::name::{RoleName, Username};

use super::DeclaredAttributes;
use super::value_type::{IdForm, ValueType};

/// The users, datasets and roles that attributes refer to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AttributeReferences {
    /// Users, by id.
    pub users: BTreeSet<UserId>,
    /// Users that are given by name.
    pub usernames: BTreeSet<Username>,
    /// Datasets.
    pub datasets: BTreeSet<DatasetId>,
    /// Roles.
    pub roles: BTreeSet<RoleName>,
}

impl AttributeReferences {
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Those that are not among others.
    #[must_use]
    pub fn without(mut self, others: &Self) -> Self {
        self.users.retain(|user| !others.users.contains(user));
        self.datasets
            .retain(|dataset| !others.datasets.contains(dataset));
        self.roles.retain(|role| !others.roles.contains(role));
        self
    }

    fn collect(&mut self, value_type: &ValueType, value: &Value) {
        match (value_type, value) {
            (ValueType::Entity(_, form), Value::String(text)) => self.add(*form, text),
            (ValueType::Set(element), Value::Array(values)) => {
                for value in values {
                    self.collect(element, value);
                }
            }
            (ValueType::Record(members), Value::Object(values)) => {
                for (name, member) in members {
                    if let Some(value) = values.get(name) {
                        self.collect(&member.value_type, value);
                    }
                }
            }
            _ => {}
        }
    }

    fn add(&mut self, form: IdForm, text: &str) {
        let id = text.parse::<DatasetId>().map(|id| id.0);
        match (form, id) {
            (IdForm::User, Ok(id)) => drop(self.users.insert(UserId(id))),
            (IdForm::User, Err(_)) => self.usernames.extend(text.parse::<Username>()),
            (IdForm::Dataset, id) => self.datasets.extend(id.map(DatasetId)),
            (IdForm::RoleName, _) => self.roles.extend(text.parse::<RoleName>()),
            (IdForm::Text, _) => {}
        }
    }
}

impl DeclaredAttributes {
    /// The users, datasets and roles that attributes refer to.
    #[must_use]
    pub fn references(
        &self,
        owner: AttributeOwner,
        attributes: &Attributes,
    ) -> AttributeReferences {
        let mut found = AttributeReferences::default();
        for (name, attribute) in self.of(owner) {
            if let Some(value) = attributes.get(name) {
                found.collect(&attribute.value_type, value);
            }
        }
        found
    }

    /// The attributes with the ids of the users that are given by name; other names stay, and are no users then.
    #[must_use]
    pub fn with_user_ids(
        &self,
        owner: AttributeOwner,
        attributes: &Attributes,
        ids: &BTreeMap<Username, UserId>,
    ) -> Attributes {
        let declared = self.of(owner);
        let replaced = attributes.iter().map(|(name, value)| {
            let value = match declared.get(name) {
                Some(attribute) => attribute.value_type.with_user_ids(value, ids),
                None => value.clone(),
            };
            (name.clone(), value)
        });
        replaced.collect()
    }
}

impl ValueType {
    fn with_user_ids(&self, value: &Value, ids: &BTreeMap<Username, UserId>) -> Value {
        match (self, value) {
            // A name may look like an id: an id it is then.
            (Self::Entity(_, IdForm::User), Value::String(text))
                if text.parse::<DatasetId>().is_err() =>
            {
                let name = text.parse::<Username>().ok();
                let id = name.and_then(|name| ids.get(&name));
                id.map_or_else(|| value.clone(), |id| Value::String(id.to_string()))
            }
            (Self::Set(element), Value::Array(values)) => {
                let values = values.iter();
                values
                    .map(|value| element.with_user_ids(value, ids))
                    .collect()
            }
            (Self::Record(members), Value::Object(values)) => {
                let values = values.iter().map(|(name, value)| {
                    let value = match members.get(name) {
                        Some(member) => member.value_type.with_user_ids(value, ids),
                        None => value.clone(),
                    };
                    (name.clone(), value)
                });
                Value::Object(values.collect())
            }
            _ => value.clone(),
        }
    }
}
