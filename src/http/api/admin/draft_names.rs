//! What an author can name: the vocabulary of a draft, and the names of the catalog.

use std::sync::Arc;

use poem_openapi::param::{Path, Query};
use poem_openapi::{Enum, Object, OpenApi};

use crate::domain::id::DraftId;
use crate::http::extract::credentials::HeaderCredentials;
use crate::http::extract::page_limit::PageLimit;
use crate::http::openapi::ApiTag;
use crate::http::reply::admin_statuses::{ListStatuses, ReadStatuses};
use crate::http::reply::responses::{ErrorResponse, JsonOk};
use crate::policy::vocabulary::{ActionWords, AttributeWords, TypeWords, annotations};
use crate::service::administration::Administration;
use crate::service::administration::drafts::names::{NamedEntity, NamedKind};
use crate::service::administration::drafts::vocabulary::DraftVocabulary;

/// The most names of an answer.
const MAX_FOUND_NAMES: u32 = 50;

/// The API of what an author can name.
pub struct DraftNamesApi {
    /// Performs administrative operations.
    pub administration: Arc<Administration>,
}

/// What the policies of a draft can name.
#[derive(Object)]
#[oai(rename = "Vocabulary")]
pub struct VocabularyResponse {
    /// The entity types, by name.
    pub entity_types: Vec<EntityTypeResponse>,
    /// The actions and the groups of actions, by id.
    pub actions: Vec<ActionResponse>,
    /// What the context of any action has.
    pub context: Vec<SchemaAttributeResponse>,
    /// The annotations that Cedargate reads.
    pub annotations: Vec<AnnotationResponse>,
    /// The users and datasets that the draft mentions by their ids, as far as you may see them; of very many the first.
    pub names: Vec<MentionedNameResponse>,
}

/// An entity type of the schema.
#[derive(Object)]
#[oai(rename = "SchemaEntityType")]
pub struct EntityTypeResponse {
    /// Its name.
    pub name: String,
    /// The ids of its entities, if the schema lists them.
    #[oai(skip_serializing_if_is_none)]
    pub members: Option<Vec<String>>,
    /// Its attributes.
    pub attributes: Vec<SchemaAttributeResponse>,
    /// Whether its entities have tags.
    pub has_tags: bool,
}

/// An attribute of an entity type, or a member of the context.
#[derive(Object)]
#[oai(rename = "SchemaAttribute")]
pub struct SchemaAttributeResponse {
    /// Its name.
    pub name: String,
    /// Its type, as a schema has it.
    #[oai(rename = "type")]
    pub type_name: String,
    /// Whether it may be absent.
    pub is_optional: bool,
}

/// An action of the schema.
#[derive(Object)]
#[oai(rename = "SchemaAction")]
pub struct ActionResponse {
    /// Its id; its Cedar name if it is of a namespace.
    pub id: String,
    /// The types of the principals that it applies to; none for a group.
    pub principals: Vec<String>,
    /// The types of the resources that it applies to.
    pub resources: Vec<String>,
    /// The groups that it is in.
    pub groups: Vec<String>,
}

/// An annotation.
#[derive(Object)]
#[oai(rename = "AnnotationWord")]
pub struct AnnotationResponse {
    /// Its name.
    pub name: String,
    /// What it does.
    pub description: String,
}

/// What has a name in the catalog.
#[derive(Clone, Copy, Enum)]
#[oai(rename = "NamedKind")]
pub enum NamedKindWord {
    /// A user.
    User,
    /// A role.
    Role,
    /// A dataset.
    Dataset,
}

/// The name of a user or a dataset that a draft mentions.
#[derive(Object)]
#[oai(rename = "MentionedName")]
pub struct MentionedNameResponse {
    /// What it is.
    #[oai(rename = "type")]
    pub kind: NamedKindWord,
    /// Its id.
    pub id: String,
    /// The name of the user, or the title of the dataset.
    pub name: String,
}

/// Users, roles and datasets that a search finds.
#[derive(Object)]
#[oai(rename = "FoundNames")]
pub struct FoundNamesResponse {
    /// What is found, those whose name begins with the text first.
    pub items: Vec<FoundNameResponse>,
    /// Whether there may be more: a longer text finds them.
    pub is_cut: bool,
}

/// A user, a role or a dataset that a search finds.
#[derive(Object)]
#[oai(rename = "FoundName")]
pub struct FoundNameResponse {
    /// What it is.
    #[oai(rename = "type")]
    pub kind: NamedKindWord,
    /// Its id; the name of a role.
    pub id: String,
    /// The name of the user or the role, or the title of the dataset.
    pub name: String,
    /// As a policy names it, such as `User::"<UUID>"`.
    pub cedar: String,
}

impl From<NamedKind> for NamedKindWord {
    fn from(kind: NamedKind) -> Self {
        match kind {
            NamedKind::User => Self::User,
            NamedKind::Role => Self::Role,
            NamedKind::Dataset => Self::Dataset,
        }
    }
}

impl From<NamedEntity> for MentionedNameResponse {
    fn from(named: NamedEntity) -> Self {
        Self {
            kind: named.kind.into(),
            id: named.id,
            name: named.name,
        }
    }
}

impl From<NamedEntity> for FoundNameResponse {
    fn from(named: NamedEntity) -> Self {
        Self {
            cedar: named.cedar_name(),
            kind: named.kind.into(),
            id: named.id,
            name: named.name,
        }
    }
}

impl From<AttributeWords> for SchemaAttributeResponse {
    fn from(words: AttributeWords) -> Self {
        Self {
            name: words.name,
            type_name: words.type_name,
            is_optional: words.is_optional,
        }
    }
}

impl From<TypeWords> for EntityTypeResponse {
    fn from(words: TypeWords) -> Self {
        Self {
            name: words.name,
            members: words.members,
            attributes: converted(words.attributes),
            has_tags: words.has_tags,
        }
    }
}

impl From<ActionWords> for ActionResponse {
    fn from(words: ActionWords) -> Self {
        Self {
            id: words.id,
            principals: words.principals,
            resources: words.resources,
            groups: words.groups,
        }
    }
}

impl From<DraftVocabulary> for VocabularyResponse {
    fn from(vocabulary: DraftVocabulary) -> Self {
        let annotations = annotations().map(|(name, description)| AnnotationResponse {
            name: name.to_owned(),
            description: description.to_owned(),
        });
        Self {
            entity_types: converted(vocabulary.words.entity_types),
            actions: converted(vocabulary.words.actions),
            context: converted(vocabulary.words.context),
            annotations: annotations.collect(),
            names: converted(vocabulary.names),
        }
    }
}

fn converted<T, R: From<T>>(all: Vec<T>) -> Vec<R> {
    all.into_iter().map(R::from).collect()
}

#[OpenApi(tag = "ApiTag::Administration")]
impl DraftNamesApi {
    /// Get vocabulary of draft
    ///
    /// Returns what the policies of a draft can name, for completion in an editor: types, actions, context and
    /// annotations, and the names of the users and datasets whose ids the draft mentions. If the schema of the draft is
    /// not valid, the words are those of the schema in force. Requires `view_policies`; the names are those of users on
    /// whom you have `view_users`, and of datasets that you may administer or discover.
    #[oai(
        path = "/admin/policies/drafts/:draft_id/vocabulary",
        method = "get",
        operation_id = "show_draft_vocabulary"
    )]
    async fn get_vocabulary(
        &self,
        /// The draft id.
        draft_id: Path<DraftId>,
        credentials: HeaderCredentials,
    ) -> Result<JsonOk<VocabularyResponse>, ErrorResponse<ReadStatuses>> {
        let vocabulary = self
            .administration
            .get_draft_vocabulary(&credentials.0, draft_id.0)
            .await?;
        Ok(JsonOk(vocabulary.into()))
    }

    /// Search names
    ///
    /// Returns users, roles and datasets whose name contains a text or whose id begins with it, and how a policy names
    /// them. The case of the letters `A` to `Z` does not count. Requires `view_policies`; found are users on whom you have `view_users`, datasets that
    /// you may administer or discover, and roles if you have `view_users` on the server. A search decides about at most
    /// 2,000 users and 2,000 datasets, so a longer text may find more.
    #[oai(
        path = "/admin/policies/names",
        method = "get",
        operation_id = "search_policy_names"
    )]
    async fn search_names(
        &self,
        /// A part of a name, or the beginning of an id; from 2 to 100 characters.
        text: Query<String>,
        credentials: HeaderCredentials,
        /// The most items, of which there are never more than 50.
        #[oai(default)]
        limit: Query<PageLimit>,
    ) -> Result<JsonOk<FoundNamesResponse>, ErrorResponse<ListStatuses>> {
        let limit = limit.0.0.min(MAX_FOUND_NAMES) as usize;
        let found = self
            .administration
            .search_names(&credentials.0, &text.0, limit)
            .await?;
        Ok(JsonOk(FoundNamesResponse {
            items: converted(found.names),
            is_cut: found.is_cut,
        }))
    }
}
