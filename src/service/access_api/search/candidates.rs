//! Candidates: the subjects or resources of a type, in the order of their ids.

use std::sync::Arc;

use crate::domain::id::{DatasetId, UserId};
use crate::domain::principal::Principal;
use crate::domain::principal_name::ANONYMOUS;
use crate::policy::Bundle;
use crate::policy::access_types::AccessType;
use crate::policy::bundle_entities::EntityClass;
use crate::policy::questions::QuestionEntity;
use crate::service::access_api::AccessApi;
use crate::service::error::ServiceError;
use crate::storage::UserFilter;

/// How many candidates one page looks at.
pub(super) const MAX_CANDIDATES: usize = 20_000;
/// How many candidates of an own type are taken at a time.
const MAX_OWN_PIECE: usize = 500;
/// How many users or datasets are read at a time.
const MAX_READ: u32 = 500;

/// An entity that may be found.
pub(super) struct Candidate {
    /// Its id, as results have it; candidates are in its order.
    pub(super) id: String,
    pub(super) entity: CandidateEntity,
    /// Entities of one class are decided alike, unless the question names one of them.
    pub(super) class: Option<EntityClass>,
}

/// What a candidate is.
pub(super) enum CandidateEntity {
    /// Of the catalog.
    Known(QuestionEntity),
    /// Of the own type that is searched.
    Own,
}

/// Some candidates, and whether they are the last.
pub(super) struct CandidatePage {
    pub(super) candidates: Vec<Candidate>,
    pub(super) is_last: bool,
}

/// The next candidates of an own type after an id; none of another type.
pub(super) fn own_candidates(
    bundle: &Bundle,
    kind: &AccessType,
    after: Option<&str>,
) -> CandidatePage {
    let mut candidates = Vec::new();
    if let AccessType::Own(own) = kind {
        let found = bundle.own_candidates(own, after);
        candidates.extend(found.take(MAX_OWN_PIECE).map(|(id, class)| Candidate {
            id: id.to_owned(),
            entity: CandidateEntity::Own,
            class,
        }));
    }
    CandidatePage {
        is_last: candidates.len() < MAX_OWN_PIECE,
        candidates,
    }
}

impl AccessApi {
    /// The next candidates of a type of the catalog after an id.
    pub(super) async fn candidates(
        &self,
        kind: &AccessType,
        after: Option<&str>,
    ) -> Result<CandidatePage, ServiceError> {
        match kind {
            AccessType::User => self.users(after).await,
            AccessType::Dataset => self.datasets(after).await,
            AccessType::Role => self.roles(after).await,
            AccessType::Anonymous => Ok(anonymous(after)),
            // They are in the bundle, and read where they are decided about.
            AccessType::Own(_) => Ok(CandidatePage {
                candidates: Vec::new(),
                is_last: true,
            }),
        }
    }

    async fn users(&self, after: Option<&str>) -> Result<CandidatePage, ServiceError> {
        let after: Option<UserId> = parse_position(after)?;
        let filter = UserFilter::default();
        let records = self.database.list_users(after, MAX_READ, &filter).await?;
        let is_last = records.len() < MAX_READ as usize;
        let candidates = records.into_iter().map(|record| Candidate {
            id: record.user.id.to_string(),
            entity: CandidateEntity::Known(QuestionEntity::Principal(Principal::User(Arc::new(
                record.user,
            )))),
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
            entity: CandidateEntity::Known(QuestionEntity::Dataset(dataset)),
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
                entity: CandidateEntity::Known(QuestionEntity::Role(role.clone())),
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
        entity: CandidateEntity::Known(QuestionEntity::Principal(Principal::Anonymous)),
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
