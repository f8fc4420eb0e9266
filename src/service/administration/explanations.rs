//! Explanations of the decisions that the policies in force would make for others.
//!
//! What the policies decide about a user or a dataset discloses something about it. So a caller may
//! ask only about those that exist for it, and sees no values of those that it may not see.

use std::sync::Arc;

use crate::domain::action::Action;
use crate::domain::caller::Authentication;
use crate::domain::client_address::AssumedAddress;
use crate::domain::dataset::Dataset;
use crate::domain::id::DatasetId;
use crate::domain::principal::{Principal, User};
use crate::domain::principal_name::PrincipalName;
use crate::domain::resource::Resource;
use crate::policy::explain::ValueVisibility;
use crate::service::catalog_cache::CatalogCache;
use crate::service::error::ServiceError;
use crate::service::identity::request_context::RequestContext;
use crate::service::policies::review::context::{AssumedCaller, ReviewContext};
use crate::service::policies::review::explanation::{DecisionQuery, ExplanationReport, explain};

use super::operation::{AdminOperation, no_policies_in_force};
use super::{AdminAccess, Administration};

/// The decision to explain.
#[derive(Clone, Debug)]
pub struct ExplanationQuery {
    /// Who would act.
    pub principal: PrincipalName,
    /// What it would do.
    pub action: Action,
    /// On which dataset.
    pub dataset_id: DatasetId,
    /// From which address; if omitted, the caller's.
    pub address: Option<AssumedAddress>,
    /// When, in milliseconds since 1970 UTC; if omitted, now.
    pub unix_millis: Option<i64>,
    /// How the principal authenticates; if omitted, as it usually does.
    pub authentication: Option<Authentication>,
}

impl Administration {
    /// Returns what the policies in force decide and why, as far as the caller may see it.
    pub async fn explain_decision(
        &self,
        request: &RequestContext,
        query: &ExplanationQuery,
    ) -> Result<ExplanationReport, ServiceError> {
        self.audited(request, Action::ViewPolicies, async |operation| {
            operation.set_dataset(query.dataset_id);
            operation.authorize(Action::ViewPolicies, &Resource::Server)?;
            let (action, principal) = (query.action, &query.principal);
            operation.set_summary(format!("explained the decision on {action} by {principal}"));
            let (question, visibility) = self.find_explained(&operation, query).await?;
            let mut report = operation
                .run_blocking(move |bundle| explain(bundle, &question, visibility))
                .await?;
            self.add_visible_names(&mut report, &operation).await?;
            Ok(report)
        })
        .await
    }

    /// Finds the principal and the dataset of a query, and what the caller may see of them.
    pub(super) async fn find_explained(
        &self,
        operation: &AdminOperation,
        query: &ExplanationQuery,
    ) -> Result<(DecisionQuery, ValueVisibility), ServiceError> {
        let cache = self.catalog_cache()?;
        let (principal, shows_principal) = self
            .find_principal(operation, cache, &query.principal)
            .await?;
        let (dataset, shows_resource) =
            find_visible_dataset(operation, cache, query.dataset_id).await?;
        let caller = query.authentication.map(|authentication| {
            AssumedCaller::authenticated(authentication, principal.user_id())
                .map_err(|detail| ServiceError::invalid("authentication", detail))
        });
        let context = ReviewContext {
            address: query
                .address
                .unwrap_or(AssumedAddress(operation.request.address.known())),
            unix_millis: query
                .unix_millis
                .unwrap_or_else(|| self.clock.unix_millis()),
            caller: caller.transpose()?.unwrap_or_default(),
        };
        let question = DecisionQuery {
            principal,
            action: query.action,
            dataset,
            context,
        };
        let visibility = ValueVisibility {
            shows_principal,
            shows_resource,
        };
        Ok((question, visibility))
    }

    /// The users and datasets of the policies in force; an error with local access.
    pub(super) fn catalog_cache(&self) -> Result<&CatalogCache, ServiceError> {
        match &self.access {
            AdminAccess::Policies(dependencies) => Ok(&dependencies.catalog_cache),
            AdminAccess::Local => Err(no_policies_in_force()),
        }
    }

    /// Adds the names of the users and datasets that an explanation mentions and that the caller may see.
    pub(super) async fn add_visible_names(
        &self,
        report: &mut ExplanationReport,
        operation: &AdminOperation,
    ) -> Result<(), ServiceError> {
        let cache = self.catalog_cache()?;
        for id in report.mentioned_users() {
            if let Some(user) = cache.user(id).await?
                && operation.is_permitted(Action::ViewUsers, &Resource::User(Arc::clone(&user)))
            {
                report.add_name("User", id.0, user.username.as_str());
            }
        }
        for id in report.mentioned_datasets() {
            if let Some(dataset) = cache.dataset(id).await?
                && operation
                    .is_permitted(Action::Discover, &Resource::Dataset(Arc::clone(&dataset)))
            {
                report.add_name("Dataset", id.0, &dataset.title);
            }
        }
        Ok(())
    }

    /// Finds the principal with a name, and whether the caller may see it.
    ///
    /// Names can be guessed, so one is resolved only for a caller who may see that user. Ids cannot:
    /// whoever knows one may ask about its user, except a caller who may list users but not see this
    /// one. A disabled user that the caller may not see does not exist for it.
    async fn find_principal(
        &self,
        operation: &AdminOperation,
        cache: &CatalogCache,
        name: &PrincipalName,
    ) -> Result<(Principal, bool), ServiceError> {
        let (id, is_guessable) = match name {
            PrincipalName::Anonymous => return Ok((Principal::Anonymous, true)),
            PrincipalName::Id(id) => (Some(*id), false),
            PrincipalName::Username(name) => (self.database.find_user_id(name).await?, true),
        };
        let user = match id {
            Some(id) => cache.user(id).await?,
            None => None,
        };
        if let Some(id) = id {
            operation.set_user(id);
        }
        let may_list = operation.is_permitted(Action::ViewUsers, &Resource::Server);
        let is_known = |user: &User| !is_guessable && !may_list && !user.is_disabled;
        let may_see = |user: &Arc<User>| {
            operation.is_permitted(Action::ViewUsers, &Resource::User(Arc::clone(user)))
        };
        match user {
            Some(user) if may_see(&user) => Ok((Principal::User(user), true)),
            Some(user) if is_known(&user) => Ok((Principal::User(user), false)),
            Some(_) | None if may_list => Err(ServiceError::NotFound { what: "user" }),
            Some(_) | None => Err(ServiceError::AdministrationDenied {
                action: Action::ViewUsers,
            }),
        }
    }
}

/// Finds a dataset that the caller may administer, discover or read, and whether it may administer it
/// and so see all of it.
async fn find_visible_dataset(
    operation: &AdminOperation,
    cache: &CatalogCache,
    id: DatasetId,
) -> Result<(Arc<Dataset>, bool), ServiceError> {
    if let Some(dataset) = cache.dataset(id).await? {
        let resource = Resource::Dataset(Arc::clone(&dataset));
        let may = |action| operation.is_permitted(action, &resource);
        if may(Action::Administer) {
            return Ok((dataset, true));
        }
        if may(Action::Discover) || may(Action::Read) {
            return Ok((dataset, false));
        }
    }
    if operation.is_permitted(Action::ViewDatasets, &Resource::Server) {
        Err(ServiceError::NotFound { what: "dataset" })
    } else {
        Err(ServiceError::AdministrationDenied {
            action: Action::Administer,
        })
    }
}
