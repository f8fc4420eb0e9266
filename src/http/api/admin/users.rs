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
use crate::http::conditional::etag_response::{CreatedVersion, Versioned};
use crate::http::extract::credentials::ByHeader;
use crate::http::extract::if_match::IfMatch;
use crate::http::openapi::Tags;
use crate::http::reply::admin_statuses::{
    ChangeStatuses, CreateStatuses, ListStatuses, OneStatuses, RemoveStatuses, SetStatuses,
};
use crate::http::reply::responses::{Done, Granted, Refusal};
use crate::service::administration::Administration;
use crate::service::administration::users::KnownUser;
use crate::storage::UserFilter;

use super::user_request::{
    ChangedUser, NewPassword, NewUserBody, PasswordAnswer, UserAnswer, UserPage, is_version,
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
        visitor: ByHeader,
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
    ) -> Result<Granted<UserPage>, Refusal<ListStatuses>> {
        let filter = UserFilter {
            username: username.0,
            role: role.0,
        };
        let page = self
            .administration
            .list_users(&visitor.0, &filter, after.0, limit.0)
            .await?;
        Ok(Granted(page.into()))
    }

    /// Make a user
    ///
    /// It takes `administer_users` on the user as it would be.
    #[oai(path = "/admin/users", method = "post", operation_id = "create_user")]
    async fn create_user(
        &self,
        // Before the visitor, who would read the body away.
        wish: Json<NewUserBody>,
        visitor: ByHeader,
    ) -> Result<CreatedVersion<UserAnswer>, Refusal<CreateStatuses>> {
        let wish = wish.0.into_wish()?;
        let known = self.administration.create_user(&visitor.0, wish).await?;
        Ok(CreatedVersion {
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
        visitor: ByHeader,
    ) -> Result<Versioned<UserAnswer>, Refusal<OneStatuses>> {
        let known = self.administration.show_user(&visitor.0, user_id.0).await?;
        Ok(Versioned(known.into()))
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
        wish: Json<ChangedUser>,
        visitor: ByHeader,
    ) -> Result<Versioned<UserAnswer>, Refusal<ChangeStatuses>> {
        let is_wanted = |known: &KnownUser| is_version(known, &if_match);
        let known = self
            .administration
            .change_user(&visitor.0, user_id.0, is_wanted, |known| {
                wish.0.applied_to(known)
            })
            .await?;
        Ok(Versioned(known.into()))
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
        visitor: ByHeader,
    ) -> Result<Done, Refusal<RemoveStatuses>> {
        let is_wanted = |known: &KnownUser| is_version(known, &if_match);
        self.administration
            .remove_user(&visitor.0, user_id.0, is_wanted)
            .await?;
        Ok(Done)
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
        wish: Json<NewPassword>,
        visitor: ByHeader,
    ) -> Result<Granted<PasswordAnswer>, Refusal<SetStatuses>> {
        let given = wish.0.password.map(Secret::new);
        let made_up = self
            .administration
            .set_password(&visitor.0, user_id.0, given)
            .await?;
        Ok(Granted(PasswordAnswer {
            password: made_up.map(|password| password.reveal().clone()),
        }))
    }
}
