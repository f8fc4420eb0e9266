//! The names of the schema that Cedargate itself uses.

use cedar_policy::{EntityId, EntityTypeName, EntityUid, ParseErrors, Schema};
use cedar_policy_core::validator::ValidatorEntityTypeKind;

use crate::domain::action::Action;
use crate::domain::dataset::{RecordStatus, Visibility};
use crate::domain::id::{DatasetId, UserId};
use crate::domain::name::RoleName;
use crate::domain::text_enum::TextEnum;

/// The types whose entities Cedargate makes, from the catalog or for each decision.
const FILLED_TYPES: [&str; 5] = ["User", "Role", "Dataset", "Anonymous", "Server"];

/// Where the entities of a type come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TypeOrigin {
    /// Cedargate makes them: [`FILLED_TYPES`].
    Cedargate,
    /// The schema lists them, or they are actions.
    Schema,
    /// A type of the author's own: the files of entities of the bundle, and whoever asks.
    Author,
    /// The schema has no such type.
    Unknown,
}

/// Where the entities of a type come from.
pub(super) fn type_origin(schema: &Schema, name: &EntityTypeName) -> TypeOrigin {
    let declared = schema.as_ref().get_entity_type(name.as_ref());
    if FILLED_TYPES.contains(&name.to_string().as_str()) {
        TypeOrigin::Cedargate
    } else if name.as_ref().is_action() {
        TypeOrigin::Schema
    } else {
        match declared.map(|declared| &declared.kind) {
            Some(ValidatorEntityTypeKind::Enum(_)) => TypeOrigin::Schema,
            Some(ValidatorEntityTypeKind::Standard(_)) => TypeOrigin::Author,
            Some(ValidatorEntityTypeKind::External) | None => TypeOrigin::Unknown,
        }
    }
}

/// Cedar names, parsed once: parsing one costs more than a decision.
#[derive(Debug)]
pub(super) struct SchemaNames {
    user: EntityTypeName,
    role: EntityTypeName,
    dataset: EntityTypeName,
    visibility: EntityTypeName,
    record_status: EntityTypeName,
    anonymous: EntityUid,
    server: EntityUid,
    action: EntityTypeName,
}

impl SchemaNames {
    /// Parses every name.
    pub(super) fn new() -> Result<Self, Box<ParseErrors>> {
        let type_name = |name: &str| name.parse::<EntityTypeName>().map_err(Box::new);
        Ok(Self {
            user: type_name("User")?,
            role: type_name("Role")?,
            dataset: type_name("Dataset")?,
            visibility: type_name("Visibility")?,
            record_status: type_name("RecordStatus")?,
            anonymous: uid(&type_name("Anonymous")?, "anonymous"),
            server: uid(&type_name("Server")?, "cedargate"),
            action: type_name("Action")?,
        })
    }

    /// `User::"<uuid>"`.
    pub(super) fn user(&self, id: UserId) -> EntityUid {
        uid(&self.user, &id.to_string())
    }

    /// `User::"<id>"`, for an id that need not be a UUID.
    pub(super) fn user_with_id(&self, id: &str) -> EntityUid {
        uid(&self.user, id)
    }

    /// Whether this is the name of a user.
    pub(super) fn is_user(&self, entity: &EntityUid) -> bool {
        *entity.type_name() == self.user
    }

    /// `Role::"<name>"`.
    pub(super) fn role(&self, name: &RoleName) -> EntityUid {
        uid(&self.role, name.as_str())
    }

    /// `Dataset::"<uuid>"`.
    pub(super) fn dataset(&self, id: DatasetId) -> EntityUid {
        uid(&self.dataset, &id.to_string())
    }

    /// `Dataset::"<id>"`, for an id that need not be a UUID.
    pub(super) fn dataset_with_id(&self, id: &str) -> EntityUid {
        uid(&self.dataset, id)
    }

    /// Whether this is the name of a dataset.
    pub(super) fn is_dataset(&self, entity: &EntityUid) -> bool {
        *entity.type_name() == self.dataset
    }

    /// `Visibility::"<word>"`.
    pub(super) fn visibility(&self, visibility: Visibility) -> EntityUid {
        uid(&self.visibility, visibility.as_str())
    }

    /// `RecordStatus::"<word>"`.
    pub(super) fn record_status(&self, record_status: RecordStatus) -> EntityUid {
        uid(&self.record_status, record_status.as_str())
    }

    /// `Anonymous::"anonymous"`.
    pub(super) fn anonymous(&self) -> &EntityUid {
        &self.anonymous
    }

    /// `Server::"cedargate"`.
    pub(super) fn server(&self) -> &EntityUid {
        &self.server
    }

    /// `Action::"<word>"`.
    pub(super) fn action(&self, action: Action) -> EntityUid {
        uid(&self.action, action.as_str())
    }
}

fn uid(type_name: &EntityTypeName, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(type_name.clone(), EntityId::new(id))
}
