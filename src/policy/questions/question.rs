//! A question and its answer: subject and resource, looked up, and what was decided.

use std::sync::Arc;

use cedar_policy::EntityTypeName;
use serde_json::{Map, Value};

use crate::domain::caller::{Authentication, DecisionContext};
use crate::domain::dataset::Dataset;
use crate::domain::decision::Decision;
use crate::domain::name::RoleName;
use crate::domain::principal::Principal;
use crate::policy::access_types::AccessType;

use super::refusal::QuestionRefusal;

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
        /// What the caller says about it; a search says the same about many.
        properties: Arc<Map<String, Value>>,
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

impl QuestionAnswer {
    /// The errors of the decision without the values that they quote, which may be the caller's: for records and the log.
    #[must_use]
    pub fn recorded_errors(&self) -> Vec<String> {
        let errors = self.decision.errors.iter();
        let recorded = errors.map(|error| match error.split_once("`: ") {
            Some((policy, _)) => format!("{policy}`"),
            None => "the question could not be evaluated".to_owned(),
        });
        recorded.collect()
    }
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

impl QuestionEntity {
    /// Its type.
    #[must_use]
    pub fn access_type(&self) -> AccessType {
        match self {
            Self::Principal(Principal::User(_)) => AccessType::User,
            Self::Principal(Principal::Anonymous) => AccessType::Anonymous,
            Self::Dataset(_) => AccessType::Dataset,
            Self::Role(_) => AccessType::Role,
            Self::Own { kind, .. } => AccessType::Own(kind.clone()),
        }
    }

    /// The context of its requests that does not come with a question: how users authenticate usually, an unknown
    /// address, no API key. Subjects of the author's own types are not known to authenticate at all.
    pub(super) fn usual_context(&self, unix_millis: i64) -> DecisionContext {
        let authentication = match self {
            Self::Principal(Principal::User(user)) if user.issuer.is_some() => {
                Authentication::Issuer
            }
            Self::Principal(Principal::User(_)) => Authentication::Password,
            _ => Authentication::None,
        };
        DecisionContext {
            address: None,
            unix_millis,
            authentication,
            key: None,
        }
    }
}
