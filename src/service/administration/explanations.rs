//! Explanations: what the policies in force would answer others, for those who may see the policies.
//!
//! What the policies answer about a user or a dataset says something about it, so nobody asks about
//! one that is not there for it, and is told no values of one that it may not see. This module
//! refuses to know what policies say.

use std::net::IpAddr;
use std::sync::Arc;

use crate::domain::action::Action;
use crate::domain::dataset::Dataset;
use crate::domain::id::DatasetId;
use crate::domain::principal::{Principal, User};
use crate::domain::principal_name::PrincipalName;
use crate::domain::resource::Resource;
use crate::policy::explain::ValueVisibility;
use crate::service::catalog_cache::CatalogCache;
use crate::service::identity::request_context::RequestContext;
use crate::service::policies::review::context::ReviewContext;
use crate::service::policies::review::explanation::{DecisionQuery, ExplanationReport, explain};

use super::super::error::ServiceError;
use super::policies::no_policies_in_force;
use super::{AdminAccess, AdminOperation, Administration};

/// What is to be explained.
#[derive(Clone, Debug)]
pub struct ExplanationQuery {
    /// Who would do something.
    pub principal: PrincipalName,
    /// What it would do.
    pub action: Action,
    /// To which dataset.
    pub dataset_id: DatasetId,
    /// From where; from where the inquiry comes if left out.
    pub address: Option<IpAddr>,
    /// When, in milliseconds since 1970 UTC; now if left out.
    pub unix_millis: Option<i64>,
}

impl Administration {
    /// What the policies in force answer, and why, as far as whoever asks may see it.
    pub async fn explain_decision(
        &self,
        visitor: &RequestContext,
        inquiry: &ExplanationQuery,
    ) -> Result<ExplanationReport, ServiceError> {
        let mut errand = self.begin(visitor, Action::ViewPolicies).await?;
        let answer = self.explain_query(&mut errand, visitor, inquiry).await;
        self.end(errand, answer).await
    }

    async fn explain_query(
        &self,
        errand: &mut AdminOperation,
        visitor: &RequestContext,
        inquiry: &ExplanationQuery,
    ) -> Result<ExplanationReport, ServiceError> {
        errand.set_dataset(inquiry.dataset_id);
        errand.require(Action::ViewPolicies, &Resource::Server)?;
        let AdminAccess::Policies(guard) = &self.access else {
            return Err(no_policies_in_force());
        };
        let (action, principal) = (inquiry.action, &inquiry.principal);
        errand.set_summary(format!(
            "asked what the policies say to {action} by {principal}"
        ));
        let (principal, sees_principal) = self
            .find_principal(errand, &guard.catalog_cache, principal)
            .await?;
        let (dataset, sees_resource) =
            find_visible_dataset(errand, &guard.catalog_cache, inquiry.dataset_id).await?;
        let question = DecisionQuery {
            principal,
            action,
            dataset,
            context: ReviewContext {
                address: inquiry.address.unwrap_or(visitor.address),
                unix_millis: inquiry
                    .unix_millis
                    .unwrap_or_else(|| self.clock.unix_millis()),
            },
        };
        let sight = ValueVisibility {
            shows_principal: sees_principal,
            shows_resource: sees_resource,
        };
        errand
            .run_blocking(move |bundle| explain(bundle, &question, sight))
            .await
    }

    /// The principal of a name, and whether whoever asks may see it.
    ///
    /// Names can be guessed, so one is looked up for those alone who may see whose it is. An id cannot:
    /// whoever knows one may ask about its user, unless it is one of those who may list users, and not
    /// this one. Nobody learns of a user whom it may not see that it is disabled: it is not there.
    async fn find_principal(
        &self,
        errand: &mut AdminOperation,
        facts: &CatalogCache,
        name: &PrincipalName,
    ) -> Result<(Principal, bool), ServiceError> {
        let (id, is_guessed) = match name {
            PrincipalName::Anonymous => return Ok((Principal::Anonymous, true)),
            PrincipalName::Id(id) => (Some(*id), false),
            PrincipalName::Username(name) => (self.database.find_user_id(name).await?, true),
        };
        let user = match id {
            Some(id) => facts.user(id).await?,
            None => None,
        };
        if let Some(id) = id {
            errand.set_user(id);
        }
        let may_list = errand.is_permitted(Action::ViewUsers, &Resource::Server);
        let is_told = |user: &User| !is_guessed && !may_list && !user.is_disabled;
        match user {
            Some(user)
                if errand.is_permitted(Action::ViewUsers, &Resource::User(Arc::clone(&user))) =>
            {
                Ok((Principal::User(user), true))
            }
            Some(user) if is_told(&user) => Ok((Principal::User(user), false)),
            Some(_) | None if may_list => Err(ServiceError::NotFound { what: "user" }),
            Some(_) | None => Err(ServiceError::AdministrationDenied {
                action: Action::ViewUsers,
            }),
        }
    }
}

/// The dataset with an id, and whether whoever asks may see it whole.
///
/// It is there for those who may administer it, and for those to whom the catalog shows it.
async fn find_visible_dataset(
    errand: &AdminOperation,
    facts: &CatalogCache,
    id: DatasetId,
) -> Result<(Arc<Dataset>, bool), ServiceError> {
    if let Some(dataset) = facts.dataset(id).await? {
        let resource = Resource::Dataset(Arc::clone(&dataset));
        if errand.is_permitted(Action::Administer, &resource) {
            return Ok((dataset, true));
        }
        if errand.is_permitted(Action::Discover, &resource)
            || errand.is_permitted(Action::Read, &resource)
        {
            return Ok((dataset, false));
        }
    }
    if errand.is_permitted(Action::ViewDatasets, &Resource::Server) {
        Err(ServiceError::NotFound { what: "dataset" })
    } else {
        Err(ServiceError::AdministrationDenied {
            action: Action::Administer,
        })
    }
}
