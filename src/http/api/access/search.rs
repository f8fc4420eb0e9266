//! Search: `POST /access/v1/search/subject`, `/resource` and `/action` (Authorization API 1.0, section 8).

use std::sync::Arc;

use poem_openapi::{Object, OpenApi};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::domain::access_question::AskedEntity;
use crate::http::extract::authzen_body::{AuthzenBody, AuthzenRequest};
use crate::http::extract::credentials::HeaderCredentials;
use crate::http::openapi::ApiTag;
use crate::http::reply::responses::ErrorResponse;
use crate::service::access_api::AccessApi;
use crate::service::access_api::search::{AccessSearch, SearchKind, SearchPage};

use super::evaluation::AccessStatuses;
use super::information_model::{AccessAction, AccessEntity, Properties, SearchedEntity};
use super::members::Members;
use super::reply::AccessOk;

/// The path of the search for subjects.
pub const SUBJECT_PATH: &str = "/access/v1/search/subject";
/// The path of the search for resources.
pub const RESOURCE_PATH: &str = "/access/v1/search/resource";
/// The path of the search for actions.
pub const ACTION_PATH: &str = "/access/v1/search/action";

/// The search API.
pub struct SearchApi {
    /// Searches.
    pub access_api: Arc<AccessApi>,
}

/// Which page of the results.
#[derive(Object)]
pub struct SearchPageRequest {
    /// The `next_token` of the page before; all else must be as in the request for it.
    #[oai(skip_serializing_if_is_none)]
    pub token: Option<String>,
    /// The most results of a page: 100 unless it is given, and never more than 1,000.
    #[oai(skip_serializing_if_is_none, validator(minimum(value = "0")))]
    pub limit: Option<u64>,
}

/// A search for subjects who may do an action on a resource.
#[derive(Object)]
pub struct SubjectSearchRequest {
    /// Which subjects.
    pub subject: SearchedEntity,
    /// What would be done.
    pub action: AccessAction,
    /// What it would be done to.
    pub resource: AccessEntity,
    /// The circumstances.
    #[oai(skip_serializing_if_is_none)]
    pub context: Option<Properties>,
    /// Which page.
    #[oai(skip_serializing_if_is_none)]
    pub page: Option<SearchPageRequest>,
}

/// A search for resources on which a subject may do an action.
#[derive(Object)]
pub struct ResourceSearchRequest {
    /// Who would do it.
    pub subject: AccessEntity,
    /// What would be done.
    pub action: AccessAction,
    /// Which resources.
    pub resource: SearchedEntity,
    /// The circumstances.
    #[oai(skip_serializing_if_is_none)]
    pub context: Option<Properties>,
    /// Which page.
    #[oai(skip_serializing_if_is_none)]
    pub page: Option<SearchPageRequest>,
}

/// A search for actions that a subject may do on a resource.
#[derive(Object)]
pub struct ActionSearchRequest {
    /// Who would do it.
    pub subject: AccessEntity,
    /// What it would be done to.
    pub resource: AccessEntity,
    /// The circumstances.
    #[oai(skip_serializing_if_is_none)]
    pub context: Option<Properties>,
    /// Which page.
    #[oai(skip_serializing_if_is_none)]
    pub page: Option<SearchPageRequest>,
}

/// Whether more results follow.
#[derive(Object, Serialize)]
pub struct SearchPageResponse {
    /// The token of the next page; empty if there is none.
    pub next_token: String,
    /// The number of results of this page.
    pub count: u64,
}

/// An entity that was found.
#[derive(Object, Serialize)]
pub struct FoundAccessEntity {
    /// Its type, as it was asked for.
    #[oai(rename = "type")]
    #[serde(rename = "type")]
    pub kind: String,
    /// Its id; that of a user is a UUID.
    pub id: String,
}

/// An action that was found.
#[derive(Object, Serialize)]
pub struct FoundAccessAction {
    /// Its name.
    pub name: String,
}

/// A page of subjects or resources, in the order of their ids.
#[derive(Object, Serialize)]
pub struct EntitySearchResponse {
    /// Whether more follow; a page with a token may have few results, or none.
    pub page: SearchPageResponse,
    /// The results.
    pub results: Vec<FoundAccessEntity>,
}

/// A page of actions, in the order of their names.
#[derive(Object, Serialize)]
pub struct ActionSearchResponse {
    /// Whether more follow.
    pub page: SearchPageResponse,
    /// The results.
    pub results: Vec<FoundAccessAction>,
}

/// The body of a search for subjects.
pub struct SubjectSearchBody(AccessSearch);
/// The body of a search for resources.
pub struct ResourceSearchBody(AccessSearch);
/// The body of a search for actions.
pub struct ActionSearchBody(AccessSearch);

impl AuthzenRequest for SubjectSearchBody {
    type Schema = SubjectSearchRequest;

    fn read(members: Map<String, Value>) -> Result<Self, String> {
        read_search(SearchKind::Subjects, members).map(Self)
    }
}

impl AuthzenRequest for ResourceSearchBody {
    type Schema = ResourceSearchRequest;

    fn read(members: Map<String, Value>) -> Result<Self, String> {
        read_search(SearchKind::Resources, members).map(Self)
    }
}

impl AuthzenRequest for ActionSearchBody {
    type Schema = ActionSearchRequest;

    fn read(members: Map<String, Value>) -> Result<Self, String> {
        read_search(SearchKind::Actions, members).map(Self)
    }
}

fn read_search(kind: SearchKind, members: Map<String, Value>) -> Result<AccessSearch, String> {
    let mut body = Members::of_body(members);
    let side = |body: &mut Members, name: &str, is_searched: bool| -> Result<AskedEntity, String> {
        let members = body.require_object(name)?;
        if is_searched {
            members.into_searched()
        } else {
            members.into_entity()
        }
    };
    let subject = side(&mut body, "subject", kind == SearchKind::Subjects)?;
    let action = if kind == SearchKind::Actions {
        None
    } else {
        Some(body.require_object("action")?.into_action()?)
    };
    let resource = side(&mut body, "resource", kind == SearchKind::Resources)?;
    let context = body.take_context()?;
    let (token, limit) = match body.take_object("page")? {
        Some(mut page) => (page.take_text("token")?, page.take_count("limit")?),
        None => (None, None),
    };
    Ok(AccessSearch {
        kind,
        subject,
        action,
        resource,
        context,
        token,
        limit,
    })
}

fn page_response(next_token: String, count: usize) -> SearchPageResponse {
    SearchPageResponse {
        next_token,
        count: count as u64,
    }
}

fn entities(kind: &str, page: SearchPage) -> AccessOk<EntitySearchResponse> {
    let SearchPage {
        results,
        next_token,
    } = page;
    AccessOk(EntitySearchResponse {
        page: page_response(next_token, results.len()),
        results: results
            .into_iter()
            .map(|id| FoundAccessEntity {
                kind: kind.to_owned(),
                id,
            })
            .collect(),
    })
}

#[OpenApi(tag = "ApiTag::Access")]
impl SearchApi {
    /// Search subjects
    ///
    /// Returns the subjects of a type who may do the action on the resource, in pages. Who may search is decided by the
    /// policies: `search` on the server.
    #[oai(
        path = "/access/v1/search/subject",
        method = "post",
        operation_id = "search_subjects"
    )]
    async fn search_subjects(
        &self,
        body: AuthzenBody<SubjectSearchBody>,
        credentials: HeaderCredentials,
    ) -> Result<AccessOk<EntitySearchResponse>, ErrorResponse<AccessStatuses>> {
        let search = body.0.0;
        let page = self.access_api.search(&credentials.0, &search).await?;
        Ok(entities(&search.subject.type_name, page))
    }

    /// Search resources
    ///
    /// Returns the resources of a type on which the subject may do the action, in pages. Who may search is decided by
    /// the policies: `search` on the server.
    #[oai(
        path = "/access/v1/search/resource",
        method = "post",
        operation_id = "search_resources"
    )]
    async fn search_resources(
        &self,
        body: AuthzenBody<ResourceSearchBody>,
        credentials: HeaderCredentials,
    ) -> Result<AccessOk<EntitySearchResponse>, ErrorResponse<AccessStatuses>> {
        let search = body.0.0;
        let page = self.access_api.search(&credentials.0, &search).await?;
        Ok(entities(&search.resource.type_name, page))
    }

    /// Search actions
    ///
    /// Returns the actions that the subject may do on the resource. Who may search is decided by the policies: `search`
    /// on the server.
    #[oai(
        path = "/access/v1/search/action",
        method = "post",
        operation_id = "search_actions"
    )]
    async fn search_actions(
        &self,
        body: AuthzenBody<ActionSearchBody>,
        credentials: HeaderCredentials,
    ) -> Result<AccessOk<ActionSearchResponse>, ErrorResponse<AccessStatuses>> {
        let page = self.access_api.search(&credentials.0, &body.0.0).await?;
        let SearchPage {
            results,
            next_token,
        } = page;
        Ok(AccessOk(ActionSearchResponse {
            page: page_response(next_token, results.len()),
            results: results
                .into_iter()
                .map(|name| FoundAccessAction { name })
                .collect(),
        }))
    }
}
