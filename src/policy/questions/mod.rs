//! AuthZEN questions: decides whether a subject may do an action on a resource, of the catalog or of the author's own
//! types.

use std::sync::Arc;

use cedar_policy::EntityTypeName;
use serde_json::{Map, Value};

use crate::domain::access_question::AskedAction;
use crate::domain::dataset::Dataset;
use crate::domain::decision::Decision;
use crate::domain::name::RoleName;
use crate::domain::principal::Principal;

use super::bundle::Bundle;
use super::bundle_entities::EntityClass;

/// One side of a question. Users, roles and datasets have been looked up in the catalog.
#[derive(Clone, Debug)]
pub enum QuestionEntity {
    /// A user or the anonymous principal, as subject or as resource.
    Principal(Principal),
    /// A dataset of the catalog.
    Dataset(Arc<Dataset>),
    /// A role.
    Role(RoleName),
    /// An entity of the author's own types: with the properties of the caller over the bundle's entity.
    Own {
        /// Its type.
        kind: EntityTypeName,
        /// Its id.
        id: String,
        /// What the caller says about it.
        properties: Map<String, Value>,
    },
}

/// The circumstances of a question that do not come with it.
#[derive(Clone, Copy, Debug)]
pub struct QuestionCircumstances {
    /// The time of the decision, in milliseconds since 1970 UTC.
    pub unix_millis: i64,
    /// Whether Cedargate's own members of the context (`address`, `time`, ...) are believed from the caller.
    pub is_context_believed: bool,
}

/// The answer to a question.
#[derive(Clone, Debug)]
pub struct QuestionAnswer {
    /// The decision; a deny if there is a refusal.
    pub decision: Decision,
    /// Why no policy was asked.
    pub refusal: Option<QuestionRefusal>,
    /// What was asked, in Cedar's names.
    pub names: AskedNames,
}

/// Why no policy was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuestionRefusal {
    /// The HTTP status of an evaluation error (Authorization API 1.0, section 7.1.2.1); `None` for a plain reason.
    pub status: Option<u16>,
    /// What is the matter.
    pub message: String,
}

/// The names of a question as Cedar writes them, such as `User::"..."`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AskedNames {
    /// The subject.
    pub principal: String,
    /// The action.
    pub action: String,
    /// The resource.
    pub resource: String,
}

impl Bundle {
    /// Decides a question.
    #[must_use]
    pub fn decide_question(
        &self,
        _subject: &QuestionEntity,
        _action: &AskedAction,
        _resource: &QuestionEntity,
        _context: &Map<String, Value>,
        _circumstances: &QuestionCircumstances,
    ) -> QuestionAnswer {
        todo!()
    }

    /// The `@reason` of the determining policies that have `@tell`, joined.
    #[must_use]
    pub fn told_reason(&self, _decision: &Decision) -> Option<String> {
        None
    }

    /// The ids of a type's entities after one, in their order, each with its class.
    pub fn own_candidates<'a>(
        &'a self,
        _kind: &EntityTypeName,
        _after: Option<&str>,
    ) -> Vec<(&'a str, Option<EntityClass>)> {
        Vec::new()
    }
}
