//! The vocabulary of a schema: its types, actions and context, and the annotations that Cedargate reads; what an editor
//! offers to complete.

use std::collections::BTreeMap;

use cedar_policy::Schema;
use cedar_policy_core::validator::types::{Attributes, Type};
use cedar_policy_core::validator::{ValidatorEntityType, ValidatorEntityTypeKind};

use super::access_types::AUTHZEN;
use super::bundle::Bundle;
use super::policies::TELL;
use super::prove::EXCEPT;

/// Between the types of a member that actions declare differently.
const OR: &str = " or ";

/// The annotations, each with what it does.
const ANNOTATIONS: [(&str, &str); 7] = [
    ("id", "The name of the policy, required and unique."),
    ("reason", "A sentence for authors and auditors."),
    (
        "max_ttl",
        "The longest life of a token that the policy permits, in seconds, from 1 to 120.",
    ),
    (
        TELL,
        "Tells the reason to the subject of a question of another service.",
    ),
    (
        "invariant",
        "`upper` if policies may permit no more, `lower` if they must permit at least this; in the folder invariants.",
    ),
    (
        EXCEPT,
        "The policies that an invariant does not apply to, by id.",
    ),
    (
        AUTHZEN,
        "The names of an entity type or an action for other services, in the schema.",
    ),
];

/// What policies of a schema can name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vocabulary {
    /// The entity types, by name.
    pub entity_types: Vec<TypeWords>,
    /// The actions and action groups, by id.
    pub actions: Vec<ActionWords>,
    /// The members of the context of any action, by name.
    pub context: Vec<AttributeWords>,
}

/// An entity type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypeWords {
    /// Its name.
    pub name: String,
    /// The ids of its entities, if the schema lists them.
    pub members: Option<Vec<String>>,
    /// Its attributes, by name.
    pub attributes: Vec<AttributeWords>,
    /// Whether its entities have tags.
    pub has_tags: bool,
}

/// An attribute of an entity type, or a member of the context.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttributeWords {
    /// Its name.
    pub name: String,
    /// Its type, as a schema has it.
    pub type_name: String,
    /// Whether it may be absent.
    pub is_optional: bool,
}

/// An action, or a group of actions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActionWords {
    /// Its id; with its type if it is of a namespace.
    pub id: String,
    /// The types of principals that it applies to; none for a group.
    pub principals: Vec<String>,
    /// The types of resources that it applies to.
    pub resources: Vec<String>,
    /// The groups that it is in, directly or not.
    pub groups: Vec<String>,
}

/// The annotations that Cedargate reads, each with a sentence about what it does.
pub fn annotations() -> impl Iterator<Item = (&'static str, &'static str)> {
    ANNOTATIONS.into_iter()
}

impl Vocabulary {
    /// The vocabulary of a schema.
    pub(super) fn new(schema: &Schema) -> Self {
        let types = schema.as_ref().entity_types();
        let types = types.filter(|kind| !kind.name().is_action());
        let mut entity_types: Vec<TypeWords> = types.map(TypeWords::new).collect();
        entity_types.sort_by(|one, other| one.name.cmp(&other.name));
        Self {
            entity_types,
            actions: actions(schema),
            context: context(schema),
        }
    }
}

impl Bundle {
    /// What policies of its schema can name.
    #[must_use]
    pub fn vocabulary(&self) -> Vocabulary {
        Vocabulary::new(&self.schema)
    }
}

impl TypeWords {
    fn new(declared: &ValidatorEntityType) -> Self {
        let members = match &declared.kind {
            ValidatorEntityTypeKind::Enum(members) => {
                let ids = members.iter().map(|id| AsRef::<str>::as_ref(id).to_owned());
                Some(ids.collect())
            }
            ValidatorEntityTypeKind::Standard(_) | ValidatorEntityTypeKind::External => None,
        };
        Self {
            name: declared.name().to_string(),
            members,
            attributes: attributes(declared.attributes()).collect(),
            has_tags: declared.tag_type().is_some(),
        }
    }
}

fn attributes(declared: &Attributes) -> impl Iterator<Item = AttributeWords> {
    declared.iter().map(|(name, attribute)| AttributeWords {
        name: name.to_string(),
        type_name: type_name(&attribute.attr_type),
        is_optional: !attribute.is_required(),
    })
}

/// A type as a schema has it.
fn type_name(of: &Type) -> String {
    match of {
        Type::Set {
            element_type: Some(element),
        } => format!("Set<{}>", type_name(element)),
        Type::Record { attrs, .. } => {
            let members = attributes(attrs).map(|member| {
                let mark = if member.is_optional { "?" } else { "" };
                format!("{}{mark}: {}", member.name, member.type_name)
            });
            let members: Vec<String> = members.collect();
            format!("{{ {} }}", members.join(", "))
        }
        other => other.to_string(),
    }
}

fn actions(schema: &Schema) -> Vec<ActionWords> {
    let entities = schema.action_entities().ok();
    let actions = schema.actions().map(|uid| {
        let above = entities.as_ref().and_then(|all| all.ancestors(uid));
        let mut words = ActionWords {
            id: action_id(uid),
            principals: names(schema.principals_for_action(uid).into_iter().flatten()),
            resources: names(schema.resources_for_action(uid).into_iter().flatten()),
            groups: above.into_iter().flatten().map(action_id).collect(),
        };
        words.groups.sort();
        words
    });
    let mut actions: Vec<ActionWords> = actions.collect();
    actions.sort_by(|one, other| one.id.cmp(&other.id));
    actions
}

fn action_id(uid: &cedar_policy::EntityUid) -> String {
    if uid.type_name().namespace().is_empty() {
        uid.id().unescaped().to_owned()
    } else {
        uid.to_string()
    }
}

fn names<T: ToString>(types: impl Iterator<Item = T>) -> Vec<String> {
    let mut names: Vec<String> = types.map(|name| name.to_string()).collect();
    names.sort();
    names.dedup();
    names
}

/// What some action has in its context; optional unless every action with a context has it.
fn context(schema: &Schema) -> Vec<AttributeWords> {
    let mut actions: Vec<_> = schema.actions().collect();
    actions.sort_by_cached_key(ToString::to_string);
    let contexts = actions.into_iter().filter_map(|uid| {
        // A group applies to nothing.
        schema.principals_for_action(uid)?.next()?;
        match schema.as_ref().context_type(uid.as_ref())? {
            Type::Record { attrs, .. } => Some(attributes(attrs).collect::<Vec<_>>()),
            _ => None,
        }
    });
    let contexts: Vec<Vec<AttributeWords>> = contexts.collect();
    let mut found: BTreeMap<String, (AttributeWords, usize)> = BTreeMap::new();
    for member in contexts.iter().flatten() {
        let entry = found
            .entry(member.name.clone())
            .or_insert_with(|| (member.clone(), 0));
        entry.0.is_optional |= member.is_optional;
        if !entry
            .0
            .type_name
            .split(OR)
            .any(|known| known == member.type_name)
        {
            entry.0.type_name.extend([OR, &member.type_name]);
        }
        entry.1 += 1;
    }
    let members = found.into_values().map(|(member, count)| AttributeWords {
        is_optional: member.is_optional || count < contexts.len(),
        ..member
    });
    members.collect()
}

#[cfg(test)]
mod tests {
    use super::super::folder::PolicyFolder;
    use super::super::{policies, prove::invariants};
    use super::*;

    fn shipped() -> Vocabulary {
        PolicyFolder::embedded().unwrap().vocabulary().unwrap()
    }

    #[test]
    fn the_vocabulary_has_types_actions_and_context_of_the_shipped_schema() {
        let words = shipped();
        let dataset = words.entity_types.iter().find(|one| one.name == "Dataset");
        let dataset = dataset.unwrap();
        assert!(dataset.has_tags && dataset.members.is_none());
        let attributes = dataset.attributes.iter();
        let attributes: Vec<String> = attributes
            .map(|one| {
                format!(
                    "{}{}: {}",
                    one.name,
                    if one.is_optional { "?" } else { "" },
                    one.type_name
                )
            })
            .collect();
        assert_eq!(
            attributes.join(", "),
            "owner?: User, reader_roles: Set<Role>, reader_users: Set<User>, record_status: RecordStatus, \
             title: String, visibility: Visibility"
        );
        let visibility = words
            .entity_types
            .iter()
            .find(|one| one.name == "Visibility");
        let mut members = visibility.unwrap().members.clone().unwrap();
        members.sort();
        assert_eq!(members, ["internal", "private", "public", "restricted"]);
        let view = words
            .actions
            .iter()
            .find(|one| one.id == "view_users")
            .unwrap();
        assert_eq!(view.principals, ["User"]);
        assert_eq!(view.resources, ["Server", "User"]);
        assert_eq!(view.groups, ["administer"]);
        let key = words.context.iter().find(|one| one.name == "key").unwrap();
        assert!(key.is_optional);
        assert_eq!(
            key.type_name,
            "{ actions?: Set<KeyAction>, datasets?: Set<String> }"
        );
        let address = words.context.iter().find(|one| one.name == "address");
        assert!(address.is_some_and(|one| one.type_name == "ipaddr" && !one.is_optional));
    }

    #[test]
    fn a_member_of_two_types_has_both_whatever_the_order_of_the_actions() {
        let schema = |first: &str, second: &str| {
            let of = |action: &str, kind: &str| {
                format!(
                    "action {action} appliesTo {{ principal: U, resource: U, context: {{ x: {kind} }} }};"
                )
            };
            let text = format!("entity U; {} {}", of("a", first), of("b", second));
            Schema::from_cedarschema_str(&text).unwrap().0
        };
        let type_of = |schema: &Schema| context(schema)[0].type_name.clone();
        assert_eq!(type_of(&schema("Long", "String")), "Long or String");
        assert_eq!(type_of(&schema("String", "Long")), "String or Long");
        assert_eq!(type_of(&schema("Long", "Long")), "Long");
    }

    #[test]
    fn every_annotation_that_is_read_is_described() {
        let described: Vec<&str> = annotations().map(|(name, _)| name).collect();
        let read = policies::ANNOTATIONS.iter().chain(&invariants::ANNOTATIONS);
        for name in read {
            assert!(described.contains(name), "{name}");
        }
        assert!(annotations().all(|(_, sentence)| sentence.ends_with('.')));
    }
}
