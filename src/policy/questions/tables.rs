//! What questions need of a bundle: the own types, the contexts of its actions, and decisions that are kept.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use cedar_policy::{EntityTypeName, EntityUid, Schema};
use cedar_policy_core::validator::{ValidatorEntityTypeKind, ValidatorSchema};

use crate::domain::decision::Decision;
use crate::domain::recent_table::RecentTable;
use crate::policy::attributes::{DeclaredAttribute, declared_attributes};
use crate::policy::cache_size::CacheSize;
use crate::policy::index::PolicyIndex;

use super::action_context::ActionContext;

/// How many decisions about entities of the author's own types are kept; each takes at most about 8 KiB, with ids of
/// the longest.
const MAX_KEPT_DECISIONS: usize = 8192;

/// The types of the catalog: questions have their entities from there, never from the bundle or the caller.
const CATALOG_TYPES: [&str; 4] = ["User", "Dataset", "Role", "Anonymous"];

/// A subject, an action and a resource.
pub(super) type KeptKey = (EntityUid, EntityUid, EntityUid);

/// What questions need of a bundle.
pub(in crate::policy) struct QuestionTables {
    types: HashMap<EntityTypeName, OwnType>,
    contexts: HashMap<EntityUid, ActionContext>,
    /// The decisions about entities that are as the bundle has them, by policies that read no context.
    pub(super) kept: RecentTable<KeptKey, Decision>,
}

/// A type of the author's own.
#[derive(Debug)]
pub(super) struct OwnType {
    /// The ids of an enumeration, sorted.
    pub(super) members: Option<BTreeSet<String>>,
    /// The attributes that the schema declares.
    pub(super) attributes: BTreeMap<String, DeclaredAttribute>,
}

impl QuestionTables {
    /// The tables of a schema; `has_networks` says whether the bundle names networks.
    pub(in crate::policy) fn new(
        schema: &Schema,
        index: &PolicyIndex,
        has_networks: bool,
        size: CacheSize,
    ) -> Self {
        let core: &ValidatorSchema = schema.as_ref();
        let own = core
            .entity_types()
            .filter(|kind| !CATALOG_TYPES.contains(&kind.name().to_string().as_str()));
        let types = own.map(|kind| {
            let members = match &kind.kind {
                ValidatorEntityTypeKind::Enum(members) => {
                    let members = members.iter();
                    Some(members.map(|member| AsRef::<str>::as_ref(member).to_owned()))
                }
                _ => None,
            };
            let own = OwnType {
                members: members.map(Iterator::collect),
                attributes: declared_attributes(kind.attributes(), core),
            };
            (kind.name().clone().into(), own)
        });
        Self {
            types: types.collect(),
            contexts: ActionContext::of_all(schema, index, has_networks),
            kept: RecentTable::new(size.entries(MAX_KEPT_DECISIONS)),
        }
    }

    /// An own type; none for a type of the catalog, or one that the schema does not have.
    pub(super) fn own_type(&self, kind: &EntityTypeName) -> Option<&OwnType> {
        self.types.get(kind)
    }

    /// The context of an action.
    pub(super) fn context(&self, action: &EntityUid) -> Option<&ActionContext> {
        self.contexts.get(action)
    }
}

impl OwnType {
    /// The attributes that each entity of the type must have.
    pub(super) fn required(&self) -> impl Iterator<Item = &str> {
        let attributes = self.attributes.iter();
        let required = attributes.filter(|(_, attribute)| attribute.is_required);
        required.map(|(name, _)| name.as_str())
    }
}

impl std::fmt::Debug for QuestionTables {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("QuestionTables").finish_non_exhaustive()
    }
}
