//! The roles admin API: `/admin/roles`, `/admin/roles/{role}` and their members.
//!
//! Role membership is a field of the user.

use std::sync::Arc;

use poem_openapi::param::{Path, Query};
use poem_openapi::types::Example;
use poem_openapi::{Object, OpenApi};

use crate::domain::id::UserId;
use crate::domain::name::{ADMIN_ROLE, RoleName};
use crate::http::conditional::etag_response::{CreatedWithEtag, WithEtag};
use crate::http::extract::credentials::HeaderCredentials;
use crate::http::extract::if_match::IfMatch;
use crate::http::extract::json_body::JsonBody;
use crate::http::extract::page_limit::PageLimit;
use crate::http::extract::parameter::RawName;
use crate::http::openapi::ApiTag;
use crate::http::reply::admin_statuses::{
    CreateStatuses, DeleteStatuses, ListStatuses, ReadStatuses,
};
use crate::http::reply::responses::{ErrorResponse, JsonOk, NoContent};
use crate::service::administration::Administration;

use super::user_request::UserPage;

/// The roles admin API.
pub struct AdminRolesApi {
    /// Performs administrative operations.
    pub administration: Arc<Administration>,
}

/// A role.
#[derive(Object)]
#[oai(rename = "RoleAnswer")]
pub struct RoleResponse {
    /// The name of the role in policies.
    pub name: RoleName,
    /// Whether the role is built in and cannot be deleted.
    pub is_built_in: bool,
}

/// A page of roles, ordered by name.
#[derive(Object)]
pub struct RolePage {
    /// The roles.
    pub items: Vec<RoleResponse>,
    /// The `after` value of the next page; absent on the last page.
    #[oai(skip_serializing_if_is_none)]
    pub next: Option<RoleName>,
}

/// A new role.
#[derive(Object)]
#[oai(deny_unknown_fields, example)]
#[oai(rename = "NewRole")]
pub struct CreateRoleRequest {
    /// The name: letters of one script, digits and `. _ - @`; it is stored in lower case (RFC 8265).
    pub name: RawName,
}

impl Example for CreateRoleRequest {
    fn example() -> Self {
        Self {
            name: RawName("hydrology".to_owned()),
        }
    }
}

impl From<RoleName> for RoleResponse {
    fn from(name: RoleName) -> Self {
        Self {
            is_built_in: name.as_str() == ADMIN_ROLE,
            name,
        }
    }
}

#[OpenApi(tag = "ApiTag::Administration")]
impl AdminRolesApi {
    /// List roles
    ///
    /// Returns the roles, ordered by name. Pass `next` as `after` to get the next page. Requires
    /// `view_users` on the server.
    #[oai(path = "/admin/roles", method = "get", operation_id = "list_roles")]
    async fn list_roles(
        &self,
        credentials: HeaderCredentials,
        /// Maximum number of roles per page.
        #[oai(default)]
        limit: Query<PageLimit>,
        /// The `next` value of the previous page. If omitted, the first page is returned.
        after: Query<Option<RoleName>>,
    ) -> Result<JsonOk<RolePage>, ErrorResponse<ListStatuses>> {
        let page = self
            .administration
            .list_roles(&credentials.0, after.0.as_ref(), limit.0.0)
            .await?;
        Ok(JsonOk(RolePage {
            next: page.next_cursor(RoleName::clone),
            items: page.items.into_iter().map(RoleResponse::from).collect(),
        }))
    }

    /// Create role
    ///
    /// Policies decide what its members may do. Requires `administer_roles` on the role.
    #[oai(path = "/admin/roles", method = "post", operation_id = "create_role")]
    async fn create_role(
        &self,
        body: JsonBody<CreateRoleRequest>,
        credentials: HeaderCredentials,
    ) -> Result<CreatedWithEtag<RoleResponse>, ErrorResponse<CreateStatuses>> {
        let name: RoleName = body.0.name.parse_field("name")?;
        let role = self
            .administration
            .create_role(&credentials.0, &name)
            .await?;
        Ok(CreatedWithEtag {
            location: format!("roles/{role}"),
            resource: role.into(),
        })
    }

    /// Get role
    ///
    /// Requires `view_users` on the server.
    #[oai(
        path = "/admin/roles/:role",
        method = "get",
        operation_id = "show_role"
    )]
    async fn get_role(
        &self,
        /// The role name.
        role: Path<RoleName>,
        credentials: HeaderCredentials,
    ) -> Result<WithEtag<RoleResponse>, ErrorResponse<ReadStatuses>> {
        let role = self
            .administration
            .get_role(&credentials.0, &role.0)
            .await?;
        Ok(WithEtag(role.into()))
    }

    /// Delete role
    ///
    /// Deletes the role, its memberships and its dataset shares. The built-in role `admin` cannot
    /// be deleted. Requires `administer_roles` on the role.
    #[oai(
        path = "/admin/roles/:role",
        method = "delete",
        operation_id = "remove_role"
    )]
    async fn delete_role(
        &self,
        /// The role name.
        role: Path<RoleName>,
        /// The `ETag` of the role. The deletion fails with 412 if the role has changed since.
        #[oai(name = "If-Match")]
        if_match: IfMatch,
        credentials: HeaderCredentials,
    ) -> Result<NoContent, ErrorResponse<DeleteStatuses>> {
        self.administration
            .delete_role(
                &credentials.0,
                &role.0,
                &if_match.precondition::<RoleResponse, _>(),
            )
            .await?;
        Ok(NoContent)
    }

    /// List role members
    ///
    /// Returns the members that you may see, ordered by id. To add a member, update the user's
    /// `roles`. Requires `view_users` on the server; lists only users on which you have
    /// `view_users`.
    #[oai(
        path = "/admin/roles/:role/members",
        method = "get",
        operation_id = "list_role_members"
    )]
    async fn list_members(
        &self,
        /// The role name.
        role: Path<RoleName>,
        credentials: HeaderCredentials,
        /// Maximum number of users per page.
        #[oai(default)]
        limit: Query<PageLimit>,
        /// The `next` value of the previous page. If omitted, the first page is returned.
        after: Query<Option<UserId>>,
    ) -> Result<JsonOk<UserPage>, ErrorResponse<ReadStatuses>> {
        let page = self
            .administration
            .list_role_members(&credentials.0, &role.0, after.0, limit.0.0)
            .await?;
        Ok(JsonOk(page.into()))
    }
}
