//! Resolved entities: what the subject or the resource of a question is in the catalog or in the policies.

use std::sync::Arc;

use crate::domain::access_question::AskedEntity;
use crate::domain::id::{DatasetId, UserId};
use crate::domain::name::RoleName;
use crate::domain::principal::Principal;
use crate::domain::principal_name::{ANONYMOUS, PrincipalName};
use crate::policy::Bundle;
use crate::policy::access_types::AccessType;
use crate::policy::questions::QuestionEntity;
use crate::service::error::ServiceError;

use super::AccessApi;

/// One side of a question, as far as it is known.
#[derive(Clone, Debug)]
pub(super) struct ResolvedEntity {
    /// The entity, or why nothing can be decided about it.
    pub(super) entity: Result<QuestionEntity, String>,
    /// Its name as Cedar writes it.
    pub(super) name: String,
    /// The dataset that was named, whether or not there is one.
    pub(super) dataset_id: Option<DatasetId>,
    /// The user that was found.
    pub(super) user_id: Option<UserId>,
}

impl ResolvedEntity {
    fn known(entity: QuestionEntity, name: String) -> Self {
        let user_id = match &entity {
            QuestionEntity::Principal(principal) => principal.user_id(),
            QuestionEntity::Dataset(_) | QuestionEntity::Role(_) | QuestionEntity::Own { .. } => {
                None
            }
        };
        Self {
            entity: Ok(entity),
            name,
            dataset_id: None,
            user_id,
        }
    }

    fn unknown(kind: &str, asked: &AskedEntity, reason: String) -> Self {
        Self {
            entity: Err(reason),
            name: entity_name(kind, &asked.id),
            dataset_id: None,
            user_id: None,
        }
    }
}

/// A type as Cedar writes it.
pub(super) fn cedar_type_name(kind: &AccessType) -> String {
    match kind {
        AccessType::User => "User".to_owned(),
        AccessType::Dataset => "Dataset".to_owned(),
        AccessType::Role => "Role".to_owned(),
        AccessType::Anonymous => "Anonymous".to_owned(),
        AccessType::Own(own) => own.to_string(),
    }
}

/// An entity as Cedar writes it.
pub(super) fn entity_name(kind: &str, id: &str) -> String {
    format!("{kind}::\"{}\"", id.escape_debug())
}

/// Why a type means nothing.
pub(super) fn unknown_type(name: &str) -> String {
    format!("unknown type {name:?}")
}

impl AccessApi {
    /// Finds the entity that a question names.
    pub(super) async fn resolve(
        &self,
        bundle: &Bundle,
        asked: &AskedEntity,
    ) -> Result<ResolvedEntity, ServiceError> {
        let Some(kind) = bundle.access_types().find(&asked.type_name) else {
            let reason = unknown_type(&asked.type_name);
            return Ok(ResolvedEntity::unknown(&asked.type_name, asked, reason));
        };
        match kind {
            AccessType::User => self.resolve_user(asked).await,
            AccessType::Dataset => self.resolve_dataset(asked).await,
            AccessType::Role => self.resolve_role(asked).await,
            AccessType::Anonymous => Ok(resolve_anonymous(asked)),
            AccessType::Own(kind) => {
                let name = entity_name(&kind.to_string(), &asked.id);
                let entity = QuestionEntity::Own {
                    kind,
                    id: asked.id.clone(),
                    properties: Arc::new(asked.properties.clone()),
                };
                Ok(ResolvedEntity::known(entity, name))
            }
        }
    }

    async fn resolve_user(&self, asked: &AskedEntity) -> Result<ResolvedEntity, ServiceError> {
        let cache = &self.access.catalog_cache;
        let found = match asked.id.parse() {
            Ok(PrincipalName::Anonymous) => return Ok(anonymous()),
            Ok(PrincipalName::Id(id)) => cache.user(id).await?,
            Ok(PrincipalName::Username(name)) => cache.user_by_name(&name).await?,
            Err(_) => None,
        };
        Ok(match found {
            Some(user) => {
                let name = entity_name("User", &user.id.to_string());
                ResolvedEntity::known(QuestionEntity::Principal(Principal::User(user)), name)
            }
            None => ResolvedEntity::unknown("User", asked, "there is no such user".to_owned()),
        })
    }

    async fn resolve_role(&self, asked: &AskedEntity) -> Result<ResolvedEntity, ServiceError> {
        let role = RoleName::parse_canonical(&asked.id);
        let roles = self.access.catalog_cache.roles().await?;
        Ok(match role.filter(|role| roles.contains(role)) {
            Some(role) => {
                let name = entity_name("Role", role.as_str());
                ResolvedEntity::known(QuestionEntity::Role(role), name)
            }
            None => ResolvedEntity::unknown("Role", asked, "there is no such role".to_owned()),
        })
    }

    async fn resolve_dataset(&self, asked: &AskedEntity) -> Result<ResolvedEntity, ServiceError> {
        let reason = || "there is no such dataset".to_owned();
        let Ok(id) = asked.id.parse::<DatasetId>() else {
            return Ok(ResolvedEntity::unknown("Dataset", asked, reason()));
        };
        let found = self.access.catalog_cache.dataset(id).await?;
        Ok(ResolvedEntity {
            entity: found.map(QuestionEntity::Dataset).ok_or_else(reason),
            name: entity_name("Dataset", &id.to_string()),
            dataset_id: Some(id),
            user_id: None,
        })
    }
}

fn anonymous() -> ResolvedEntity {
    let entity = QuestionEntity::Principal(Principal::Anonymous);
    ResolvedEntity::known(entity, entity_name("Anonymous", ANONYMOUS))
}

fn resolve_anonymous(asked: &AskedEntity) -> ResolvedEntity {
    if asked.id == ANONYMOUS {
        return anonymous();
    }
    let reason = format!("the only entity of this type is {ANONYMOUS:?}");
    ResolvedEntity::unknown("Anonymous", asked, reason)
}
