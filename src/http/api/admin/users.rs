//! Administration of users: `/admin/users`, `/admin/users/{user_id}` and their passwords.
//!
//! This module refuses to know who may administer whom, and how a user is written
//! ([`mod@super::user_request`]).

use std::sync::Arc;

use poem_openapi::OpenApi;
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;

use crate::domain::id::UserId;
use crate::domain::name::{RoleName, Username};
use crate::domain::secret::Secret;
use crate::http::conditional::etag_response::{CreatedWithEtag, WithEtag};
use crate::http::extract::credentials::HeaderCredentials;
use crate::http::extract::if_match::IfMatch;
use crate::http::openapi::Tags;
use crate::http::reply::admin_statuses::{
    CreateStatuses, DeleteStatuses, ListStatuses, ReadStatuses, UpdateStatuses,
    UpdateUnversionedStatuses,
};
use crate::http::reply::responses::{ErrorResponse, JsonOk, NoContent};
use crate::service::administration::Administration;
use crate::service::administration::users::UserAccount;
use crate::storage::UserFilter;

use super::user_request::{
    CreateUserRequest, SetPasswordRequest, SetPasswordResponse, UpdateUserRequest, UserPage,
    UserResponse, matches_version,
};

/// The operations on users.
pub struct AdminUsersApi {
    /// What administers.
    pub administration: Arc<Administration>,
}

fn usual_page() -> u32 {
    50
}

#[OpenApi(tag = "Tags::Administration")]
impl AdminUsersApi {
    /// List users
    ///
    /// In the order of their ids, those that you may see; go on with `next` until there is none. It
    /// takes `view_users` on the server, and on each user that is listed.
    #[oai(path = "/admin/users", method = "get", operation_id = "list_users")]
    async fn list_users(
        &self,
        visitor: HeaderCredentials,
        /// The most users of the page.
        #[oai(
            default = "usual_page",
            validator(minimum(value = "1"), maximum(value = "100"))
        )]
        limit: Query<u32>,
        /// The `next` of the page before; the first page if left out.
        after: Query<Option<UserId>>,
        /// Only the user of this name.
        username: Query<Option<Username>>,
        /// Only members of this role.
        role: Query<Option<RoleName>>,
    ) -> Result<JsonOk<UserPage>, ErrorResponse<ListStatuses>> {
        let filter = UserFilter {
            username: username.0,
            role: role.0,
        };
        let page = self
            .administration
            .list_users(&visitor.0, &filter, after.0, limit.0)
            .await?;
        Ok(JsonOk(page.into()))
    }

    /// Make a user
    ///
    /// It takes `administer_users` on the user as it would be.
    #[oai(path = "/admin/users", method = "post", operation_id = "create_user")]
    async fn create_user(
        &self,
        // Before the visitor, who would read the body away.
        wish: Json<CreateUserRequest>,
        visitor: HeaderCredentials,
    ) -> Result<CreatedWithEtag<UserResponse>, ErrorResponse<CreateStatuses>> {
        let wish = wish.0.into_new_user()?;
        let known = self.administration.create_user(&visitor.0, wish).await?;
        Ok(CreatedWithEtag {
            location: format!("/admin/users/{}", known.user.id),
            resource: known.into(),
        })
    }

    /// Show one user
    ///
    /// It takes `view_users` on the user.
    #[oai(
        path = "/admin/users/:user_id",
        method = "get",
        operation_id = "show_user"
    )]
    async fn show_user(
        &self,
        /// The user's id.
        user_id: Path<UserId>,
        visitor: HeaderCredentials,
    ) -> Result<WithEtag<UserResponse>, ErrorResponse<ReadStatuses>> {
        let known = self.administration.get_user(&visitor.0, user_id.0).await?;
        Ok(WithEtag(known.into()))
    }

    /// Change or disable a user
    ///
    /// The body is the whole user as it is to be. Disabling it ends its sessions, and closes its API
    /// keys and download tokens, at once here and within a second everywhere. The last admin who is
    /// not disabled stays one. It takes `administer_users` on the user as it is and as it would be.
    #[oai(
        path = "/admin/users/:user_id",
        method = "put",
        operation_id = "change_user"
    )]
    async fn change_user(
        &self,
        /// The user's id.
        user_id: Path<UserId>,
        /// The `ETag` of the user that you saw, to change no other version.
        #[oai(name = "If-Match")]
        if_match: IfMatch,
        // Before the visitor, who would read the body away.
        wish: Json<UpdateUserRequest>,
        visitor: HeaderCredentials,
    ) -> Result<WithEtag<UserResponse>, ErrorResponse<UpdateStatuses>> {
        let is_wanted = |known: &UserAccount| matches_version(known, &if_match);
        let known = self
            .administration
            .update_user(&visitor.0, user_id.0, &is_wanted, |known| {
                wish.0.apply_to(known)
            })
            .await?;
        Ok(WithEtag(known.into()))
    }

    /// Remove a user
    ///
    /// With its sessions, API keys, memberships and shares, for good; the datasets that it owns have
    /// no owner then. To keep what it was, disable it instead. The last admin who is not disabled
    /// stays. It takes `administer_users` on the user.
    #[oai(
        path = "/admin/users/:user_id",
        method = "delete",
        operation_id = "remove_user"
    )]
    async fn remove_user(
        &self,
        /// The user's id.
        user_id: Path<UserId>,
        /// The `ETag` of the user that you saw, to remove no other version.
        #[oai(name = "If-Match")]
        if_match: IfMatch,
        visitor: HeaderCredentials,
    ) -> Result<NoContent, ErrorResponse<DeleteStatuses>> {
        let is_wanted = |known: &UserAccount| matches_version(known, &if_match);
        self.administration
            .delete_user(&visitor.0, user_id.0, &is_wanted)
            .await?;
        Ok(NoContent)
    }

    /// Reset a user's password
    ///
    /// The user's sessions end at once; its API keys stay. Send `{}` to have a password made up: it is
    /// in this answer and in no other. It takes `administer_users` on the user.
    #[oai(
        path = "/admin/users/:user_id/password",
        method = "put",
        operation_id = "set_password"
    )]
    async fn set_password(
        &self,
        /// The user's id.
        user_id: Path<UserId>,
        // Before the visitor, who would read the body away.
        wish: Json<SetPasswordRequest>,
        visitor: HeaderCredentials,
    ) -> Result<JsonOk<SetPasswordResponse>, ErrorResponse<UpdateUnversionedStatuses>> {
        let given = wish.0.password.map(Secret::new);
        let made_up = self
            .administration
            .set_password(&visitor.0, user_id.0, given)
            .await?;
        Ok(JsonOk(SetPasswordResponse {
            password: made_up.map(|password| password.reveal().clone()),
        }))
    }
}
