//! Users as bodies: how a user is written in answers, and read from what one is to be like.
//!
//! This module refuses to know operations, and who may administer whom.

use std::collections::{BTreeMap, BTreeSet};

use poem_openapi::Object;
use poem_openapi::types::Example;

use crate::domain::id::UserId;
use crate::domain::name::{RoleName, Username};
use crate::domain::principal::{Tags as Claims, User};
use crate::domain::secret::Secret;
use crate::http::extract::if_match::IfMatch;
use crate::http::extract::parameter::RawName;
use crate::service::administration::user_input::NewUser;
use crate::service::administration::users::UserAccount;
use crate::service::error::ServiceError;
use crate::service::pagination::Page;

/// Claims as they are written: each a name and its values.
type ClaimsJson = BTreeMap<String, Vec<String>>;

/// A user.
#[derive(Object)]
#[oai(rename = "UserAnswer")]
pub struct UserResponse {
    /// The id: the `sub` of the user's tokens, and what policies name.
    pub id: UserId,
    /// The name the user signs in with.
    pub username: Username,
    /// The outside issuer that the user comes from; left out for users of this catalog.
    #[oai(skip_serializing_if_is_none)]
    pub issuer: Option<String>,
    /// The roles that the user is a member of, in alphabetical order.
    pub roles: Vec<RoleName>,
    /// The user's claims, which policies see as its tags.
    pub claims: ClaimsJson,
    /// Whether all credentials of the user are invalid.
    pub is_disabled: bool,
    /// Whether the user has a password; without one it cannot sign in with a password.
    pub has_password: bool,
}

/// Some users, in the order of their ids.
#[derive(Object)]
pub struct UserPage {
    /// The users.
    pub items: Vec<UserResponse>,
    /// The `after` of the next page; left out on the last one.
    #[oai(skip_serializing_if_is_none)]
    pub next: Option<UserId>,
}

/// What a new user is to be like.
#[derive(Object)]
#[oai(deny_unknown_fields, example)]
#[oai(rename = "NewUserBody")]
pub struct CreateUserRequest {
    /// The name the user signs in with: letters a to z, digits and `. _ - @`.
    pub username: RawName,
    /// The outside issuer that the user comes from: the first subject of this name whose token it signs
    /// is this user from then on; left out, the user is one of this catalog.
    #[oai(validator(max_length = 2048), skip_serializing_if_is_none)]
    pub issuer: Option<String>,
    /// The roles that the user is a member of; left out, none.
    #[oai(default)]
    pub roles: Vec<RawName>,
    /// The user's claims, which policies see as its tags; left out, none.
    #[oai(default)]
    pub claims: ClaimsJson,
    /// Whether all credentials of the user are invalid; left out, no.
    #[oai(default)]
    pub is_disabled: bool,
    /// The password, from 8 characters to 1024 bytes; left out, the user has none.
    pub password: Option<String>,
}

/// What a user is to be like from now on.
#[derive(Object)]
#[oai(deny_unknown_fields, example)]
#[oai(rename = "ChangedUser")]
pub struct UpdateUserRequest {
    /// The name the user signs in with: letters a to z, digits and `. _ - @`.
    pub username: RawName,
    /// All roles that the user is a member of.
    pub roles: Vec<RawName>,
    /// Whether all credentials of the user are invalid.
    pub is_disabled: bool,
    /// All claims of the user; left out, they stay.
    #[oai(skip_serializing_if_is_none)]
    pub claims: Option<ClaimsJson>,
    /// May be sent back as it was read; it cannot be changed.
    #[oai(skip_serializing_if_is_none)]
    pub id: Option<UserId>,
    /// May be sent back as it was read; it cannot be changed.
    #[oai(skip_serializing_if_is_none)]
    pub issuer: Option<String>,
    /// May be sent back as it was read; it is changed with a password.
    #[oai(skip_serializing_if_is_none)]
    pub has_password: Option<bool>,
}

/// A new password.
#[derive(Object)]
#[oai(deny_unknown_fields)]
#[oai(rename = "NewPassword")]
pub struct SetPasswordRequest {
    /// The password, from 8 characters to 1024 bytes; left out, one is made up.
    pub password: Option<String>,
}

/// What became of a password.
#[derive(Object)]
#[oai(rename = "PasswordAnswer")]
pub struct SetPasswordResponse {
    /// The password, if it was made up: it is shown this once.
    #[oai(skip_serializing_if_is_none)]
    pub password: Option<String>,
}

impl Example for CreateUserRequest {
    fn example() -> Self {
        Self {
            username: RawName("mo".to_owned()),
            issuer: None,
            roles: vec![RawName("hydrology".to_owned())],
            claims: ClaimsJson::new(),
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
            id: None,
            issuer: None,
            has_password: None,
        }
    }
}

impl From<UserAccount> for UserResponse {
    fn from(known: UserAccount) -> Self {
        let user = &known.user;
        let claims = user.claims.iter();
        Self {
            id: user.id,
            username: user.username.clone(),
            issuer: user.issuer.clone(),
            roles: user.roles.iter().cloned().collect(),
            claims: claims
                .map(|(name, values)| (name.clone(), values.iter().cloned().collect()))
                .collect(),
            is_disabled: user.is_disabled,
            has_password: known.has_password,
        }
    }
}

impl From<Page<UserAccount>> for UserPage {
    fn from(page: Page<UserAccount>) -> Self {
        Self {
            next: page.next_cursor(|known| known.user.id),
            items: page.items.into_iter().map(UserResponse::from).collect(),
        }
    }
}

fn parse_roles(roles: &[RawName]) -> Result<BTreeSet<RoleName>, ServiceError> {
    roles.iter().map(|role| role.parse_field("roles")).collect()
}

fn into_claims(claims: ClaimsJson) -> Claims {
    let claims = claims.into_iter();
    claims
        .map(|(name, values)| (name, values.into_iter().collect()))
        .collect()
}

impl CreateUserRequest {
    /// The user as it is wished; an error when a name is none.
    pub(crate) fn into_new_user(self) -> Result<NewUser, ServiceError> {
        Ok(NewUser {
            username: self.username.parse_field("username")?,
            issuer: self.issuer,
            roles: parse_roles(&self.roles)?,
            claims: into_claims(self.claims),
            is_disabled: self.is_disabled,
            password: self.password.map(Secret::new),
        })
    }
}

impl UpdateUserRequest {
    /// The user as it is wished, where `known` is what it is.
    pub(crate) fn apply_to(&self, known: &UserAccount) -> Result<User, ServiceError> {
        let user = &known.user;
        let is_same_issuer = self.issuer.is_none() || self.issuer == user.issuer;
        for (field, is_same) in [
            ("id", self.id.is_none_or(|id| id == user.id)),
            ("issuer", is_same_issuer),
            (
                "has_password",
                self.has_password
                    .is_none_or(|has| has == known.has_password),
            ),
        ] {
            if !is_same {
                return Err(ServiceError::Invalid {
                    field,
                    detail: "it cannot be changed here: send it back as it is, or leave it out"
                        .to_owned(),
                });
            }
        }
        let claims = self.claims.clone().map(into_claims);
        Ok(User {
            username: self.username.parse_field("username")?,
            roles: parse_roles(&self.roles)?,
            is_disabled: self.is_disabled,
            claims: claims.unwrap_or_else(|| user.claims.clone()),
            ..(**user).clone()
        })
    }
}

/// Says whether a user is the version that an `If-Match` names; without the header it is.
pub(crate) fn matches_version(known: &UserAccount, if_match: &IfMatch) -> bool {
    if_match.matches(&UserResponse::from(known.clone()))
}
