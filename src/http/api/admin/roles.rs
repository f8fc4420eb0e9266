//! Administration of roles: `/admin/roles`, `/admin/roles/{role}` and their members.
//!
//! Who is a member is a field of the user. This module refuses to know what a role may do.

use std::sync::Arc;

use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::types::Example;
use poem_openapi::{Object, OpenApi};

use crate::domain::id::UserId;
use crate::domain::name::{ADMIN_ROLE, RoleName};
use crate::http::conditional::etag_response::{CreatedWithEtag, WithEtag};
use crate::http::extract::credentials::HeaderCredentials;
use crate::http::extract::if_match::IfMatch;
use crate::http::extract::parameter::RawName;
use crate::http::openapi::Tags;
use crate::http::reply::admin_statuses::{
    CreateStatuses, DeleteStatuses, ListStatuses, ReadStatuses,
};
use crate::http::reply::responses::{ErrorResponse, JsonOk, NoContent};
use crate::service::administration::Administration;

use super::user_request::UserPage;

/// The operations on roles.
pub struct AdminRolesApi {
    /// What administers.
    pub administration: Arc<Administration>,
}

/// A role.
#[derive(Object)]
#[oai(rename = "RoleAnswer")]
pub struct RoleResponse {
    /// The name: what policies call it.
    pub name: RoleName,
    /// Whether it is built in, and cannot be removed.
    pub is_built_in: bool,
}

/// Some roles, in the order of their names.
#[derive(Object)]
pub struct RolePage {
    /// The roles.
    pub items: Vec<RoleResponse>,
    /// The `after` of the next page; left out on the last one.
    #[oai(skip_serializing_if_is_none)]
    pub next: Option<RoleName>,
}

/// What a new role is to be like.
#[derive(Object)]
#[oai(deny_unknown_fields, example)]
#[oai(rename = "NewRole")]
pub struct CreateRoleRequest {
    /// The name: letters a to z, digits and `. _ - @`.
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

fn usual_page() -> u32 {
    50
}

#[OpenApi(tag = "Tags::Administration")]
impl AdminRolesApi {
    /// List roles
    ///
    /// In the order of their names; go on with `next` until there is none. It takes `view_users` on the
    /// server.
    #[oai(path = "/admin/roles", method = "get", operation_id = "list_roles")]
    async fn list_roles(
        &self,
        visitor: HeaderCredentials,
        /// The most roles of the page.
        #[oai(
            default = "usual_page",
            validator(minimum(value = "1"), maximum(value = "100"))
        )]
        limit: Query<u32>,
        /// The `next` of the page before; the first page if left out.
        after: Query<Option<RoleName>>,
    ) -> Result<JsonOk<RolePage>, ErrorResponse<ListStatuses>> {
        let page = self
            .administration
            .list_roles(&visitor.0, after.0.as_ref(), limit.0)
            .await?;
        Ok(JsonOk(RolePage {
            next: page.next_cursor(RoleName::clone),
            items: page.items.into_iter().map(RoleResponse::from).collect(),
        }))
    }

    /// Make a role
    ///
    /// What its members may do is for the policies to say. It takes `administer_roles` on the role.
    #[oai(path = "/admin/roles", method = "post", operation_id = "create_role")]
    async fn create_role(
        &self,
        // Before the visitor, who would read the body away.
        wish: Json<CreateRoleRequest>,
        visitor: HeaderCredentials,
    ) -> Result<CreatedWithEtag<RoleResponse>, ErrorResponse<CreateStatuses>> {
        let name: RoleName = wish.0.name.parse_field("name")?;
        let role = self.administration.create_role(&visitor.0, &name).await?;
        Ok(CreatedWithEtag {
            location: format!("/admin/roles/{role}"),
            resource: role.into(),
        })
    }

    /// Show one role
    ///
    /// It takes `view_users` on the server.
    #[oai(
        path = "/admin/roles/:role",
        method = "get",
        operation_id = "show_role"
    )]
    async fn show_role(
        &self,
        /// The role's name.
        role: Path<RoleName>,
        visitor: HeaderCredentials,
    ) -> Result<WithEtag<RoleResponse>, ErrorResponse<ReadStatuses>> {
        let role = self.administration.get_role(&visitor.0, &role.0).await?;
        Ok(WithEtag(role.into()))
    }

    /// Remove a role
    ///
    /// With its memberships, and with the shares of datasets with it. The role `admin` is built in and
    /// stays. It takes `administer_roles` on the role.
    #[oai(
        path = "/admin/roles/:role",
        method = "delete",
        operation_id = "remove_role"
    )]
    async fn remove_role(
        &self,
        /// The role's name.
        role: Path<RoleName>,
        /// The `ETag` of the role that you saw, to remove no other version.
        #[oai(name = "If-Match")]
        if_match: IfMatch,
        visitor: HeaderCredentials,
    ) -> Result<NoContent, ErrorResponse<DeleteStatuses>> {
        let is_wanted = |role: &RoleName| if_match.matches(&RoleResponse::from(role.clone()));
        self.administration
            .delete_role(&visitor.0, &role.0, &is_wanted)
            .await?;
        Ok(NoContent)
    }

    /// List the members of a role
    ///
    /// In the order of their ids, those that you may see. To make somebody a member, change the user's
    /// `roles`. It takes `view_users` on the server, and on each user that is listed.
    #[oai(
        path = "/admin/roles/:role/members",
        method = "get",
        operation_id = "list_role_members"
    )]
    async fn list_members(
        &self,
        /// The role's name.
        role: Path<RoleName>,
        visitor: HeaderCredentials,
        /// The most users of the page.
        #[oai(
            default = "usual_page",
            validator(minimum(value = "1"), maximum(value = "100"))
        )]
        limit: Query<u32>,
        /// The `next` of the page before; the first page if left out.
        after: Query<Option<UserId>>,
    ) -> Result<JsonOk<UserPage>, ErrorResponse<ReadStatuses>> {
        let page = self
            .administration
            .list_role_members(&visitor.0, &role.0, after.0, limit.0)
            .await?;
        Ok(JsonOk(page.into()))
    }
}
