//! The entities and attributes that the policies of a bundle refer to.
//!
//! Two users who differ in nothing that the policies refer to get the same decisions, so they can be
//! grouped before deciding. Whatever is uncertain counts as referred to.

use std::collections::BTreeSet;

use cedar_policy::Policy;
use serde_json::Value;

use crate::domain::action::Action;
use crate::domain::attributes::AttributeOwner;
use crate::domain::id::{DatasetId, UserId};
use crate::domain::name::RoleName;

use super::attributes::AttributeReferences;
use super::bundle::Bundle;
use super::pair_traits::lists_no_members;

/// What policies refer to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PolicyReferences {
    /// The users, by id.
    pub users: BTreeSet<UserId>,
    /// The roles.
    pub roles: BTreeSet<RoleName>,
    /// The datasets, by id.
    pub datasets: BTreeSet<DatasetId>,
    /// The names of attributes that are read or tested with `has`, of any entity.
    pub attributes: BTreeSet<String>,
    /// Whether entity tags are read.
    pub has_tags: bool,
    /// Whether the context is read.
    pub has_context: bool,
    /// Whether a policy could not be analysed, so that everything counts as referred to.
    pub is_everything: bool,
}

impl Bundle {
    /// Whether a decision on `administer` or `share` may depend on whom the dataset is shared with.
    #[must_use]
    pub fn administers_by_readers(&self) -> bool {
        *self.administers_by_readers.get_or_init(|| {
            let references = self.references_for(&Action::DATASET_ADMINISTRATION);
            references.has_attribute("reader_users") || references.has_attribute("reader_roles")
        })
    }

    /// Whether a decision on `administer` or `share` may depend on a dataset's tags, or on attributes that the author's
    /// schema declares.
    #[must_use]
    pub fn administers_by_attributes(&self) -> bool {
        *self.administers_by_attributes.get_or_init(|| {
            let references = self.references_for(&Action::DATASET_ADMINISTRATION);
            let mut own = self.declared_attributes().names(AttributeOwner::Dataset);
            references.has_tags
                || references.is_everything
                || own.any(|name| references.has_attribute(name))
        })
    }

    /// What the policies for some actions refer to in their scopes and conditions.
    #[must_use]
    pub fn references_for(&self, actions: &[Action]) -> PolicyReferences {
        self.references_of(self.policies_for(actions))
    }

    /// What the policies refer to in their scopes and conditions.
    #[must_use]
    pub fn references(&self) -> PolicyReferences {
        self.references_of(self.policies.set.policies())
    }

    fn references_of<'p>(&self, policies: impl Iterator<Item = &'p Policy>) -> PolicyReferences {
        // A type that lists its members refuses all others, so that it tells apart what no policy names.
        let mut references = PolicyReferences {
            is_everything: !lists_no_members(&self.schema),
            ..PolicyReferences::default()
        };
        for policy in policies {
            match policy.to_json() {
                Ok(policy) => references.collect(&policy),
                Err(_) => references.is_everything = true,
            }
        }
        references
    }
}

impl PolicyReferences {
    /// What either of two refers to.
    #[must_use]
    pub fn union(mut self, other: Self) -> Self {
        self.users.extend(other.users);
        self.roles.extend(other.roles);
        self.datasets.extend(other.datasets);
        self.attributes.extend(other.attributes);
        self.has_tags |= other.has_tags;
        self.has_context |= other.has_context;
        self.is_everything |= other.is_everything;
        self
    }

    /// Adds what attributes of the catalog refer to.
    pub fn add_referred(&mut self, of_attributes: Vec<AttributeReferences>) {
        for referred in of_attributes {
            self.users.extend(referred.users);
            self.datasets.extend(referred.datasets);
            self.roles.extend(referred.roles);
        }
    }

    /// Whether an attribute is referred to.
    #[must_use]
    pub fn has_attribute(&self, name: &str) -> bool {
        self.is_everything || self.attributes.contains(name)
    }

    /// Collects the references of a policy in Cedar's JSON form (<https://docs.cedarpolicy.com/policies/json-format.html>).
    fn collect(&mut self, value: &Value) {
        match value {
            Value::Object(members) => {
                let text = |name: &str| members.get(name).and_then(Value::as_str);
                if let (Some(kind), Some(id)) = (text("type"), text("id")) {
                    self.add_entity(kind, id);
                }
                for (operator, operand) in members {
                    match operator.as_str() {
                        "." | "has" => match operand.get("attr").map(Value::as_str) {
                            Some(Some(name)) => drop(self.attributes.insert(name.to_owned())),
                            // Not a known form of access.
                            Some(None) | None => self.is_everything = true,
                        },
                        "getTag" | "hasTag" => self.has_tags = true,
                        "Var" if operand == "context" => self.has_context = true,
                        _ => {}
                    }
                    self.collect(operand);
                }
            }
            Value::Array(values) => values.iter().for_each(|value| self.collect(value)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    fn add_entity(&mut self, kind: &str, id: &str) {
        // A name that is invalid, or not in canonical form, is no entity of ours.
        match kind {
            "User" => self.users.extend(id.parse().map(UserId)),
            "Role" => self.roles.extend(RoleName::parse_canonical(id)),
            "Dataset" => self.datasets.extend(id.parse().map(DatasetId)),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::tests::fixtures::bundle;

    #[test]
    fn readers_matter_only_if_a_policy_for_the_action_refers_to_them() {
        let depends = |text: &str| bundle(text).unwrap().administers_by_readers();
        for (text, expected) in [
            (
                r#"permit (principal, action == Action::"administer", resource);"#,
                false,
            ),
            (
                r#"permit (principal is User, action == Action::"read", resource)
                when { resource.reader_users.contains(principal) };"#,
                false,
            ),
            (
                r"permit (principal is User, action, resource is Dataset)
                when { resource.reader_users.contains(principal) };",
                true,
            ),
            (
                r#"forbid (principal is User, action == Action::"administer", resource)
                unless { principal in resource.reader_roles };"#,
                true,
            ),
        ] {
            let text = format!("@id(\"a\") @reason(\"x\")\n{text}");
            assert_eq!(depends(&text), expected, "{text}");
        }
    }

    #[test]
    fn references_in_scopes_and_conditions_are_found() {
        let references = bundle(
            r#"@id("a") @reason("x")
            permit (principal == User::"00000000-0000-0000-0000-000000000ada", action, resource is Dataset)
            when { resource has owner && resource.title like "A*" };
            @id("b") @reason("x")
            permit (principal is User, action == Action::"read", resource is Dataset)
            when { principal in Role::"hydrology" && principal.hasTag("team") && context.address.isLoopback() }
            unless { resource == Dataset::"2489e9ad-2ee2-8e00-8ec9-32d5f69181c0" };"#,
        )
        .unwrap()
        .references();
        let id = |text: &str| text.parse::<uuid::Uuid>().unwrap();
        assert_eq!(
            references,
            PolicyReferences {
                users: [UserId(uuid::Uuid::from_u128(0xada))].into(),
                roles: ["hydrology".parse().unwrap()].into(),
                datasets: [DatasetId(id("2489e9ad-2ee2-8e00-8ec9-32d5f69181c0"))].into(),
                attributes: ["address", "owner", "title"].map(str::to_owned).into(),
                has_tags: true,
                has_context: true,
                is_everything: false,
            }
        );
    }
}
