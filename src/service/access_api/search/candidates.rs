//! Candidates: the subjects or resources of a type, in the order of their ids.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::domain::id::{DatasetId, UserId};
use crate::domain::principal::Principal;
use crate::policy::Bundle;
use crate::policy::access_types::AccessType;
use crate::policy::bundle_entities::EntityClass;
use crate::policy::questions::QuestionEntity;
use crate::service::access_api::AccessApi;
use crate::service::access_api::resolve::ANONYMOUS;
use crate::service::error::ServiceError;
use crate::storage::UserFilter;

/// How many candidates one page looks at.
pub(super) const MAX_CANDIDATES: usize = 20_000;
/// How many users or datasets are read at a time.
const MAX_READ: u32 = 500;

/// An entity that may be found.
pub(super) struct Candidate {
    /// Its id, as results have it; candidates are in its order.
    pub(super) id: String,
    pub(super) entity: QuestionEntity,
    /// Entities of one class are decided alike, unless the question names one of them.
    pub(super) class: Option<EntityClass>,
}

/// Some candidates, and whether they are the last.
pub(super) struct CandidatePage {
    pub(super) candidates: Vec<Candidate>,
    pub(super) is_last: bool,
}

impl AccessApi {
    /// The next candidates of a type after an id.
    pub(super) async fn candidates(
        &self,
        bundle: &Bundle,
        kind: &AccessType,
        properties: &Map<String, Value>,
        after: Option<&str>,
    ) -> Result<CandidatePage, ServiceError> {
        match kind {
            AccessType::User => self.users(after).await,
            AccessType::Dataset => self.datasets(after).await,
            AccessType::Role => self.roles(after).await,
            AccessType::Anonymous => Ok(anonymous(after)),
            AccessType::Own(own) => {
                let mut known = bundle.own_candidates(own, after).into_iter();
                let candidates = known.by_ref().take(MAX_CANDIDATES);
                let candidates = candidates.map(|(id, class)| Candidate {
                    id: id.to_owned(),
                    entity: QuestionEntity::Own {
                        kind: own.clone(),
                        id: id.to_owned(),
                        properties: properties.clone(),
                    },
                    class,
                });
                Ok(CandidatePage {
                    candidates: candidates.collect(),
                    is_last: known.next().is_none(),
                })
            }
        }
    }

    async fn users(&self, after: Option<&str>) -> Result<CandidatePage, ServiceError> {
        let after: Option<UserId> = parse_position(after)?;
        let filter = UserFilter::default();
        let records = self.database.list_users(after, MAX_READ, &filter).await?;
        let is_last = records.len() < MAX_READ as usize;
        let candidates = records.into_iter().map(|record| Candidate {
            id: record.user.id.to_string(),
            entity: QuestionEntity::Principal(Principal::User(Arc::new(record.user))),
            class: None,
        });
        Ok(CandidatePage {
            candidates: candidates.collect(),
            is_last,
        })
    }

    async fn datasets(&self, after: Option<&str>) -> Result<CandidatePage, ServiceError> {
        let after: Option<DatasetId> = parse_position(after)?;
        let cache = &self.access.catalog_cache;
        let datasets = cache.datasets_after(after, MAX_READ).await?;
        let is_last = datasets.len() < MAX_READ as usize;
        let candidates = datasets.into_iter().map(|dataset| Candidate {
            id: dataset.id.to_string(),
            entity: QuestionEntity::Dataset(dataset),
            class: None,
        });
        Ok(CandidatePage {
            candidates: candidates.collect(),
            is_last,
        })
    }

    async fn roles(&self, after: Option<&str>) -> Result<CandidatePage, ServiceError> {
        let roles = self.access.catalog_cache.roles().await?;
        let roles = roles
            .iter()
            .filter(|role| after.is_none_or(|after| role.as_str() > after));
        let mut candidates: Vec<Candidate> = roles
            .map(|role| Candidate {
                id: role.as_str().to_owned(),
                entity: QuestionEntity::Role(role.clone()),
                class: None,
            })
            .collect();
        let is_last = candidates.len() <= MAX_CANDIDATES;
        candidates.truncate(MAX_CANDIDATES);
        Ok(CandidatePage {
            candidates,
            is_last,
        })
    }
}

fn anonymous(after: Option<&str>) -> CandidatePage {
    let only = after.is_none().then(|| Candidate {
        id: ANONYMOUS.to_owned(),
        entity: QuestionEntity::Principal(Principal::Anonymous),
        class: None,
    });
    CandidatePage {
        candidates: only.into_iter().collect(),
        is_last: true,
    }
}

/// The id in a token; only a forged one has none.
fn parse_position<T: std::str::FromStr>(after: Option<&str>) -> Result<Option<T>, ServiceError> {
    let parsed = after.map(str::parse).transpose();
    parsed.map_err(|_| ServiceError::QuestionInvalid {
        detail: "`page.token`: this is no token of a search",
    })
}
