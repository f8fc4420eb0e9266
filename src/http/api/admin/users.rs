//! Administration of users: `/admin/users`, `/admin/users/{user_id}` and their passwords.

use std::sync::Arc;

use poem::http::Method;
use poem_openapi::OpenApi;
use poem_openapi::param::{Path, Query};

use crate::domain::id::UserId;
use crate::domain::name::{RoleName, Username};
use crate::domain::secret::Secret;
use crate::http::conditional::etag_response::{CreatedWithEtag, WithEtag};
use crate::http::extract::credentials::HeaderCredentials;
use crate::http::extract::if_match::IfMatch;
use crate::http::extract::json_body::JsonBody;
use crate::http::extract::page_limit::PageLimit;
use crate::http::openapi::ApiTag;
use crate::http::reply::admin_statuses::{
    CreateStatuses, DeleteStatuses, ListStatuses, ReadStatuses, UpdateStatuses,
    UpdateUnversionedStatuses,
};
use crate::http::reply::responses::{ErrorResponse, JsonOk, NoContent};
use crate::service::administration::Administration;
use crate::storage::UserFilter;

use super::user_request::{
    CreateUserRequest, SetPasswordRequest, SetPasswordResponse, UpdateUserRequest, UserPage,
    UserResponse,
};

/// The users admin API.
pub struct AdminUsersApi {
    /// Performs administrative operations.
    pub administration: Arc<Administration>,
}

/// Whether a request has the description of a user as its body.
pub fn has_user_body(method: &Method, path: &str) -> bool {
    let id = path.strip_prefix("/admin/users/");
    match *method {
        Method::POST => path == "/admin/users",
        Method::PUT => id.is_some_and(|id| !id.contains('/')),
        _ => false,
    }
}

#[OpenApi(tag = "ApiTag::Administration")]
impl AdminUsersApi {
    /// List users
    ///
    /// Returns the users that you may see, ordered by id. Pass `next` as `after` to get the next
    /// page. Requires `view_users` on the server; lists only users on which you have `view_users`.
    #[oai(path = "/admin/users", method = "get", operation_id = "list_users")]
    async fn list_users(
        &self,
        credentials: HeaderCredentials,
        /// Maximum number of users per page.
        #[oai(default)]
        limit: Query<PageLimit>,
        /// The `next` value of the previous page. If omitted, the first page is returned.
        after: Query<Option<UserId>>,
        /// Return only the user with this name.
        username: Query<Option<Username>>,
        /// Return only members of this role.
        role: Query<Option<RoleName>>,
    ) -> Result<JsonOk<UserPage>, ErrorResponse<ListStatuses>> {
        let filter = UserFilter {
            username: username.0,
            role: role.0,
        };
        let page = self
            .administration
            .list_users(&credentials.0, &filter, after.0, limit.0.0)
            .await?;
        Ok(JsonOk(page.into()))
    }

    /// Create user
    ///
    /// Requires `administer_users` on the new user.
    #[oai(path = "/admin/users", method = "post", operation_id = "create_user")]
    async fn create_user(
        &self,
        body: JsonBody<CreateUserRequest>,
        credentials: HeaderCredentials,
    ) -> Result<CreatedWithEtag<UserResponse>, ErrorResponse<CreateStatuses>> {
        let user = body.0.into_new_user()?;
        let account = self
            .administration
            .create_user(&credentials.0, user)
            .await?;
        Ok(CreatedWithEtag {
            location: format!("users/{}", account.user.id),
            resource: account.into(),
        })
    }

    /// Get user
    ///
    /// Requires `view_users` on the user.
    #[oai(
        path = "/admin/users/:user_id",
        method = "get",
        operation_id = "show_user"
    )]
    async fn get_user(
        &self,
        /// The user id.
        user_id: Path<UserId>,
        credentials: HeaderCredentials,
    ) -> Result<WithEtag<UserResponse>, ErrorResponse<ReadStatuses>> {
        let account = self
            .administration
            .get_user(&credentials.0, user_id.0)
            .await?;
        Ok(WithEtag(account.into()))
    }

    /// Update user
    ///
    /// Replaces the user. Disabling a user ends its sessions and invalidates its API keys and
    /// download tokens, immediately on this server and within one second on all others. The last
    /// admin who is not disabled cannot be disabled or removed from the role. Requires
    /// `administer_users` on the user before and after the update.
    #[oai(
        path = "/admin/users/:user_id",
        method = "put",
        operation_id = "change_user"
    )]
    async fn update_user(
        &self,
        /// The user id.
        user_id: Path<UserId>,
        /// The `ETag` of the user. The update fails with 412 if the user has changed since.
        #[oai(name = "If-Match")]
        if_match: IfMatch,
        body: JsonBody<UpdateUserRequest>,
        credentials: HeaderCredentials,
    ) -> Result<WithEtag<UserResponse>, ErrorResponse<UpdateStatuses>> {
        let account = self
            .administration
            .update_user(
                &credentials.0,
                user_id.0,
                &if_match.precondition::<UserResponse, _>(),
                |account| body.0.apply_to(account),
            )
            .await?;
        Ok(WithEtag(account.into()))
    }

    /// Delete user
    ///
    /// Deletes the user with its sessions, API keys, role memberships and shares permanently. Its
    /// datasets have no owner afterwards. To keep the user's data, disable the user instead. The
    /// last admin who is not disabled cannot be deleted. Requires `administer_users` on the user.
    #[oai(
        path = "/admin/users/:user_id",
        method = "delete",
        operation_id = "remove_user"
    )]
    async fn delete_user(
        &self,
        /// The user id.
        user_id: Path<UserId>,
        /// The `ETag` of the user. The deletion fails with 412 if the user has changed since.
        #[oai(name = "If-Match")]
        if_match: IfMatch,
        credentials: HeaderCredentials,
    ) -> Result<NoContent, ErrorResponse<DeleteStatuses>> {
        self.administration
            .delete_user(
                &credentials.0,
                user_id.0,
                &if_match.precondition::<UserResponse, _>(),
            )
            .await?;
        Ok(NoContent)
    }

    /// Set user password
    ///
    /// Ends the user's sessions immediately; API keys stay valid. Send `{}` to generate a random
    /// password, which is in this response only. Requires `administer_users` on the user.
    #[oai(
        path = "/admin/users/:user_id/password",
        method = "put",
        operation_id = "set_password"
    )]
    async fn set_password(
        &self,
        /// The user id.
        user_id: Path<UserId>,
        body: JsonBody<SetPasswordRequest>,
        credentials: HeaderCredentials,
    ) -> Result<JsonOk<SetPasswordResponse>, ErrorResponse<UpdateUnversionedStatuses>> {
        let password = body.0.password.map(Secret::new);
        let generated = self
            .administration
            .set_password(&credentials.0, user_id.0, password)
            .await?;
        Ok(JsonOk(SetPasswordResponse {
            password: generated.map(|password| password.reveal().clone()),
        }))
    }
}
