//! Request and response bodies of the users admin API.

use std::collections::BTreeSet;

use poem_openapi::Object;
use poem_openapi::types::Example;

use crate::domain::id::UserId;
use crate::domain::name::{RoleName, Username};
use crate::domain::principal::User;
use crate::domain::secret::Secret;
use crate::http::api::attributes::AttributesJson;
use crate::http::api::tags::{TagsJson, tags_from_json, tags_to_json};
use crate::http::extract::parameter::RawName;
use crate::service::administration::user_input::NewUser;
use crate::service::administration::users::UserAccount;
use crate::service::error::ServiceError;
use crate::service::pagination::Page;

/// A user.
#[derive(Object)]
#[oai(rename = "UserAnswer")]
pub struct UserResponse {
    /// The user id: the `sub` of the user's tokens, and the entity id in policies.
    pub id: UserId,
    /// The login name.
    pub username: Username,
    /// The name to show, as the external identity provider sent it in the newest token; absent for local
    /// users.
    #[oai(skip_serializing_if_is_none)]
    pub display_name: Option<String>,
    /// The external identity provider that the user comes from; absent for local users.
    #[oai(skip_serializing_if_is_none)]
    pub issuer: Option<String>,
    /// The roles of the user, in alphabetical order.
    pub roles: Vec<RoleName>,
    /// The user's claims, which policies see as tags.
    pub claims: TagsJson,
    /// Attributes that the schema of the policies declares, by name.
    pub attributes: AttributesJson,
    /// Whether all credentials of the user are invalid.
    pub is_disabled: bool,
    /// Whether the user has a password and can log in with it.
    pub has_password: bool,
}

/// A page of users, ordered by id.
#[derive(Object)]
pub struct UserPage {
    /// The users.
    pub items: Vec<UserResponse>,
    /// The `after` value of the next page, which may follow a page that is not full; absent on the
    /// last page.
    #[oai(skip_serializing_if_is_none)]
    pub next: Option<UserId>,
}

/// A new user.
#[derive(Object)]
#[oai(deny_unknown_fields, example)]
#[oai(rename = "NewUserBody")]
pub struct CreateUserRequest {
    /// The login name: letters of one script, digits and `. _ - @`; it is stored in lower case (RFC 8265).
    pub username: RawName,
    /// The external identity provider that the user comes from. If omitted, the user is a local one.
    #[oai(validator(max_length = 2048), skip_serializing_if_is_none)]
    pub issuer: Option<String>,
    /// The `sub` of the user's tokens at the identity provider. If omitted, the first subject whose
    /// token shows this name, and shows that it is verified, is linked to this user.
    #[oai(validator(max_length = 255), skip_serializing_if_is_none)]
    pub subject: Option<String>,
    /// The roles of the user. If omitted, none.
    #[oai(default)]
    pub roles: Vec<RawName>,
    /// The user's claims, which policies see as tags. If omitted, none.
    #[oai(default)]
    pub claims: TagsJson,
    /// Attributes that the schema of the policies in force declares, by name: a string, number, boolean, list or
    /// object as their type asks for. If omitted, none.
    #[oai(default)]
    pub attributes: AttributesJson,
    /// Whether all credentials of the user are invalid. If omitted, false.
    #[oai(default)]
    pub is_disabled: bool,
    /// The password, from 8 characters to 1024 bytes. If omitted, the user has none.
    pub password: Option<String>,
}

/// The new state of a user.
#[derive(Object)]
#[oai(deny_unknown_fields, example)]
#[oai(rename = "ChangedUser")]
pub struct UpdateUserRequest {
    /// The login name: letters of one script, digits and `. _ - @`; it is stored in lower case (RFC 8265).
    pub username: RawName,
    /// All roles of the user.
    pub roles: Vec<RawName>,
    /// Whether all credentials of the user are invalid.
    pub is_disabled: bool,
    /// All claims of the user. If omitted, they are unchanged.
    #[oai(skip_serializing_if_is_none)]
    pub claims: Option<TagsJson>,
    /// All attributes of the user that the schema of the policies declares. If omitted, they are unchanged.
    #[oai(skip_serializing_if_is_none)]
    pub attributes: Option<AttributesJson>,
    /// Optional; must equal the current value, which cannot be changed.
    #[oai(skip_serializing_if_is_none)]
    pub id: Option<UserId>,
    /// Optional; must equal the current value, which cannot be changed.
    #[oai(skip_serializing_if_is_none)]
    pub issuer: Option<String>,
    /// Optional; must equal the current value, which changes only with tokens of the identity provider.
    #[oai(skip_serializing_if_is_none)]
    pub display_name: Option<String>,
    /// Optional; must equal the current value, which changes only with the password.
    #[oai(skip_serializing_if_is_none)]
    pub has_password: Option<bool>,
}

/// A new password.
#[derive(Object)]
#[oai(deny_unknown_fields)]
#[oai(rename = "NewPassword")]
pub struct SetPasswordRequest {
    /// The password, from 8 characters to 1024 bytes. If omitted, a random password is generated.
    pub password: Option<String>,
}

/// The result of setting a password.
#[derive(Object)]
#[oai(rename = "PasswordAnswer")]
pub struct SetPasswordResponse {
    /// The generated password, returned only here; absent if the request gave one.
    #[oai(skip_serializing_if_is_none)]
    pub password: Option<String>,
}

impl Example for CreateUserRequest {
    fn example() -> Self {
        Self {
            username: RawName("mo".to_owned()),
            issuer: None,
            subject: None,
            roles: vec![RawName("hydrology".to_owned())],
            claims: TagsJson::new(),
            attributes: AttributesJson::default(),
            is_disabled: false,
            password: Some("at least eight characters".to_owned()),
        }
    }
}

impl Example for UpdateUserRequest {
    fn example() -> Self {
        Self {
            username: RawName("mo".to_owned()),
            roles: vec![RawName("hydrology".to_owned())],
            is_disabled: true,
            claims: None,
            attributes: None,
            id: None,
            issuer: None,
            display_name: None,
            has_password: None,
        }
    }
}

impl From<UserAccount> for UserResponse {
    fn from(account: UserAccount) -> Self {
        let user = &account.user;
        Self {
            id: user.id,
            username: user.username.clone(),
            display_name: user.display_name.clone(),
            issuer: user.issuer.clone(),
            roles: user.roles.iter().cloned().collect(),
            claims: tags_to_json(user.claims.clone()),
            attributes: AttributesJson(user.attributes.clone()),
            is_disabled: user.is_disabled,
            has_password: account.has_password,
        }
    }
}

impl From<Page<UserAccount>> for UserPage {
    fn from(page: Page<UserAccount>) -> Self {
        Self {
            next: page.next_id(|account| account.user.id.0).map(UserId),
            items: page.items.into_iter().map(UserResponse::from).collect(),
        }
    }
}

fn parse_roles(roles: &[RawName]) -> Result<BTreeSet<RoleName>, ServiceError> {
    roles.iter().map(|role| role.parse_field("roles")).collect()
}

impl CreateUserRequest {
    /// Converts the request; fails if a name is invalid.
    pub(crate) fn into_new_user(self) -> Result<NewUser, ServiceError> {
        Ok(NewUser {
            username: self.username.parse_field("username")?,
            issuer: self.issuer,
            subject: self.subject,
            roles: parse_roles(&self.roles)?,
            claims: tags_from_json(self.claims),
            attributes: self.attributes.0,
            is_disabled: self.is_disabled,
            password: self.password.map(Secret::new),
        })
    }
}

impl UpdateUserRequest {
    /// The user after this update of `account`.
    pub(crate) fn apply_to(&self, account: &UserAccount) -> Result<User, ServiceError> {
        let user = &account.user;
        let is_same_issuer = self.issuer.is_none() || self.issuer == user.issuer;
        let is_same_display_name =
            self.display_name.is_none() || self.display_name == user.display_name;
        for (field, is_same) in [
            ("id", self.id.is_none_or(|id| id == user.id)),
            ("issuer", is_same_issuer),
            ("display_name", is_same_display_name),
            (
                "has_password",
                self.has_password
                    .is_none_or(|has| has == account.has_password),
            ),
        ] {
            if !is_same {
                return Err(ServiceError::Invalid {
                    field,
                    detail: "cannot be changed here: send the current value or omit it".to_owned(),
                });
            }
        }
        let claims = self.claims.clone().map(tags_from_json);
        let attributes = self.attributes.clone().map(|attributes| attributes.0);
        Ok(User {
            username: self.username.parse_field("username")?,
            roles: parse_roles(&self.roles)?,
            is_disabled: self.is_disabled,
            claims: claims.unwrap_or_else(|| user.claims.clone()),
            attributes: attributes.unwrap_or_else(|| user.attributes.clone()),
            ..(**user).clone()
        })
    }
}
