//! Names of entities in a `*.entities.json` file: the name of an entity and those of its parents, by what the schema allows.

use cedar_policy::EntityUid;
use cedar_policy_core::validator::{ValidatorEntityType, ValidatorEntityTypeKind};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::policy::json_span::value_span;
use crate::policy::schema_names::{TypeOrigin, type_origin};

use super::entity_json::EntityReader;
use super::finding::{EntityFinding, SpannedUid};

/// The most direct parents of an entity.
pub const MAX_ENTITY_PARENTS: usize = 1_000;
/// The longest id of an entity, in characters.
pub const MAX_ENTITY_ID_LENGTH: usize = 1_024;

const HELP_FILLED: &str =
    "remove it; if the file has the entities of cases, give it another name than *.entities.json";

impl EntityReader<'_> {
    /// The name of an entity.
    pub(super) fn uid(
        &self,
        value: &RawValue,
        what: &str,
        findings: &mut Vec<EntityFinding>,
    ) -> Option<SpannedUid> {
        let span = value_span(value, self.text);
        let json: Value = serde_json::from_str(value.get()).unwrap_or_default();
        let Ok(uid) = EntityUid::from_json(json) else {
            let message = format!("the {what} is not the name of an entity");
            let help = if value.get().contains("\"__cedar::") {
                "names that begin with __cedar are Cedar's own"
            } else {
                "write {\"type\": \"Team\", \"id\": \"hydrology\"}, with the namespace of the type"
            };
            findings.push(EntityFinding::new(span, message).with_help(help));
            return None;
        };
        let id = uid.id().unescaped();
        if id.is_empty()
            || id.chars().count() > MAX_ENTITY_ID_LENGTH
            || id.chars().any(char::is_control)
        {
            let help = format!(
                "use 1 to {MAX_ENTITY_ID_LENGTH} characters, none of them a control character"
            );
            let message = format!("the id of the {what} is not allowed");
            findings.push(EntityFinding::new(span, message).with_help(help));
            return None;
        }
        Some(SpannedUid { uid, span })
    }

    /// The declaration of its type, which must be one of the author's own.
    pub(super) fn declared_type(
        &self,
        name: &SpannedUid,
        findings: &mut Vec<EntityFinding>,
    ) -> Option<&ValidatorEntityType> {
        let type_name = name.uid.type_name();
        let finding = match type_origin(self.schema, type_name) {
            TypeOrigin::Author => {
                return self.schema.as_ref().get_entity_type(type_name.as_ref());
            }
            TypeOrigin::Cedargate => {
                let message = format!(
                    "{} cannot be in a file of entities: the catalog says what is true of every {type_name}",
                    name.uid
                );
                EntityFinding::new(name.span.clone(), message).with_help(HELP_FILLED)
            }
            TypeOrigin::Schema => {
                let message = format!(
                    "{} cannot be in a file of entities: the schema lists the members of {type_name}",
                    name.uid
                );
                EntityFinding::new(name.span.clone(), message).with_help(HELP_FILLED)
            }
            TypeOrigin::Unknown => {
                let message = format!("the schema has no entity type `{type_name}`");
                let finding = EntityFinding::new(name.span.clone(), message);
                finding.with_help(self.similar_type(type_name.basename(), &type_name.to_string()))
            }
        };
        findings.push(finding);
        None
    }

    fn similar_type(&self, basename: &str, name: &str) -> String {
        let own = || {
            let all = self.schema.entity_types();
            all.filter(|kind| type_origin(self.schema, kind) == TypeOrigin::Author)
        };
        let in_other_namespace = own().find(|kind| kind.basename() == basename);
        if let Some(kind) = in_other_namespace {
            return format!("did you mean {:?}?", kind.to_string());
        }
        let similar = self.suggest(name, || own().map(ToString::to_string).collect());
        similar.unwrap_or_else(|| "declare it in schema.cedarschema".to_owned())
    }

    /// The parents that its type may have.
    pub(super) fn parents(
        &self,
        value: &RawValue,
        (name, declared): (&SpannedUid, &ValidatorEntityType),
        findings: &mut Vec<EntityFinding>,
    ) -> Vec<SpannedUid> {
        let Ok(values) = serde_json::from_str::<Vec<&RawValue>>(value.get()) else {
            let message = "`parents` is not a list";
            findings.push(EntityFinding::new(self.start(value), message));
            return Vec::new();
        };
        if values.len() > MAX_ENTITY_PARENTS {
            let message = format!("{} has more than {MAX_ENTITY_PARENTS} parents", name.uid);
            findings.push(EntityFinding::new(self.start(value), message));
            return Vec::new();
        }
        let mut parents = Vec::new();
        for value in values {
            let Some(parent) = self.uid(value, "parent", findings) else {
                continue;
            };
            match self.parent_problem(&parent, (name, declared)) {
                Some(finding) => findings.push(finding),
                None => parents.push(parent),
            }
        }
        parents
    }

    fn parent_problem(
        &self,
        parent: &SpannedUid,
        (name, declared): (&SpannedUid, &ValidatorEntityType),
    ) -> Option<EntityFinding> {
        let (kind, own) = (parent.uid.type_name(), name.uid.type_name());
        let span = parent.span.clone();
        let Some(above) = self.schema.as_ref().get_entity_type(kind.as_ref()) else {
            let message = format!("the schema has no entity type `{kind}`");
            let help = self.similar_type(kind.basename(), &kind.to_string());
            return Some(EntityFinding::new(span, message).with_help(help));
        };
        if !above.has_descendant_entity_type(declared.name()) {
            let message = format!("the schema does not let a {own} be in a {kind}");
            let help = format!("declare it: entity {} in [{kind}]", own.basename());
            return Some(EntityFinding::new(span, message).with_help(help));
        }
        if let Some(help) = self.not_a_member(&parent.uid) {
            let message = format!("there is no {}", parent.uid);
            return Some(EntityFinding::new(span, message).with_help(help));
        }
        // The roles of a user are in the catalog, so nobody knows here what the entity would be in besides.
        (kind.to_string() == "User").then(|| {
            let message =
                format!("a {own} cannot be in a user, whose roles only the catalog knows");
            EntityFinding::new(span, message).with_help("name the user in an attribute")
        })
    }

    /// What to write instead of an entity of an enumeration that the schema does not list.
    pub(super) fn not_a_member(&self, uid: &EntityUid) -> Option<String> {
        let declared = self
            .schema
            .as_ref()
            .get_entity_type(uid.type_name().as_ref())?;
        let ValidatorEntityTypeKind::Enum(members) = &declared.kind else {
            return None;
        };
        let id: &str = uid.id().unescaped();
        let members: Vec<&str> = members.iter().map(AsRef::as_ref).collect();
        if members.contains(&id) {
            return None;
        }
        let known = || members.iter().map(|member| (*member).to_owned()).collect();
        let similar = self.suggest(id, known);
        Some(similar.unwrap_or_else(|| format!("it is one of {}", members.join(", "))))
    }
}
