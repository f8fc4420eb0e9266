//! External issuers: identity providers whose tokens are accepted as credentials, as configured.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::Serialize;
use serde_json::{Map, Value};
use strum::{Display, EnumString, IntoStaticStr, VariantArray, VariantNames};

use super::name::{ADMIN_ROLE, RoleName};
use super::text_enum::{TextEnum, UnknownVariant};

/// The most external issuers of one server.
pub const MAX_ISSUERS: usize = 16;

/// The longest path to a claim, in bytes.
pub const MAX_CLAIM_PATH_LENGTH: usize = 200;

/// The most dots of a path to a claim.
const MAX_CLAIM_PATH_DOTS: usize = 8;

/// An algorithm that an external issuer may sign with (RFC 7518 section 3.1, RFC 8037 section
/// 3.1): asymmetric ones only, because a shared secret would let us forge the issuer's tokens.
#[derive(Display, EnumString, IntoStaticStr, VariantArray, VariantNames)]
#[strum(serialize_all = "UPPERCASE")]
#[strum(parse_err_ty = UnknownVariant, parse_err_fn = UnknownVariant::new::<Self>)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    Rs384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    Rs512,
    /// RSASSA-PSS with SHA-256.
    Ps256,
    /// RSASSA-PSS with SHA-384.
    Ps384,
    /// RSASSA-PSS with SHA-512.
    Ps512,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// ECDSA on P-384 with SHA-384.
    Es384,
    /// ECDSA on P-521 with SHA-512.
    Es512,
    /// Ed25519 or Ed448.
    #[serde(rename = "EdDSA")]
    #[strum(serialize = "EdDSA")]
    EdDsa,
}

impl TextEnum for Algorithm {
    const NOUN: &'static str = "algorithm";
}

/// Which users of an external issuer become principals.
#[derive(Display, EnumString, IntoStaticStr, VariantNames)]
#[strum(serialize_all = "lowercase")]
#[strum(parse_err_ty = UnknownVariant, parse_err_fn = UnknownVariant::new::<Self>)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum UserProvisioning {
    /// All: a user is created with its first token.
    Create,
    /// Only users that the catalog has.
    Known,
}

impl TextEnum for UserProvisioning {
    const NOUN: &'static str = "word for principals";
}

/// The path to a claim in a token: member names, separated by dots.
///
/// A member whose own name has dots, as namespaced claims have, is found as well.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct ClaimPath(String);

/// Why a text is not a path to a claim.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is not a path to a claim: expected names with dots between them, such as \
     realm_access.roles, at most {MAX_CLAIM_PATH_LENGTH} bytes and {MAX_CLAIM_PATH_DOTS} dots"
)]
pub struct ClaimPathError {
    text: String,
}

impl ClaimPath {
    /// The path as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first name of the path.
    #[must_use]
    pub fn first_name(&self) -> &str {
        self.0.split('.').next().unwrap_or_default()
    }

    /// The value at the path in the claims of a token.
    #[must_use]
    pub fn find_in<'a>(&self, claims: &'a Map<String, Value>) -> Option<&'a Value> {
        find_claim(claims, &self.0)
    }
}

/// The value at a path; a member whose name is the rest of the path takes precedence.
fn find_claim<'a>(members: &'a Map<String, Value>, path: &str) -> Option<&'a Value> {
    members.get(path).or_else(|| {
        path.match_indices('.').find_map(|(dot, _)| {
            let (name, rest) = (path.get(..dot)?, path.get(dot + 1..)?);
            find_claim(members.get(name)?.as_object()?, rest)
        })
    })
}

impl FromStr for ClaimPath {
    type Err = ClaimPathError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_path = text.len() <= MAX_CLAIM_PATH_LENGTH
            && text.matches('.').count() <= MAX_CLAIM_PATH_DOTS
            && text.split('.').all(|name| !name.is_empty())
            && !text.chars().any(char::is_control);
        if is_path {
            Ok(Self(text.to_owned()))
        } else {
            Err(ClaimPathError {
                text: text.chars().take(MAX_CLAIM_PATH_LENGTH).collect(),
            })
        }
    }
}

impl fmt::Display for ClaimPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One external issuer, as configured; it serialises in the form of the settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ExternalIssuer {
    /// The `iss` of its tokens, compared byte for byte; its discovery document is found below it.
    pub issuer: String,
    /// The value that the audience of its tokens must be or contain.
    pub audience: String,
    /// The claim with the audience; without it, `aud`. The one that is set decides alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audience_claim: Option<ClaimPath>,
    /// The algorithms that its tokens may be signed with.
    pub algorithms: Vec<Algorithm>,
    /// A file with its key set; nothing is fetched then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwks_file: Option<PathBuf>,
    /// The claim with the name of a new user.
    pub username_claim: ClaimPath,
    /// The claim that says, by being true, that the user name is verified; only then is a user that was
    /// prepared for the name bound to the token's subject.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verified_claim: Option<ClaimPath>,
    /// The claim with the user's roles; without it, users have no roles.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub roles_claim: Option<ClaimPath>,
    /// Values of the roles claim, and the roles they stand for. If there are any, other values are ignored;
    /// if there are none, a value stands for the role of that name, except for the admin role.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub roles: BTreeMap<String, RoleName>,
    /// Tags of the user, and the claims they are filled from.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub claims: BTreeMap<String, ClaimPath>,
    /// Which users become principals.
    pub principals: UserProvisioning,
}

/// The issuers whose tokens can make somebody an admin.
pub fn admin_issuers<'a>(issuers: impl Iterator<Item = &'a ExternalIssuer>) -> Vec<String> {
    let can_give_admin = |issuer: &&ExternalIssuer| {
        let mut mapped = issuer.roles.values();
        issuer.roles_claim.is_some() && mapped.any(|role| role.as_str() == ADMIN_ROLE)
    };
    let found = issuers.filter(can_give_admin);
    found.map(|issuer| issuer.issuer.clone()).collect()
}

impl ExternalIssuer {
    /// Whether its tokens can make somebody a member of a role. Nobody becomes an administrator by accident:
    /// the admin role comes from a value that is mapped to it, and never from its own name alone.
    #[must_use]
    pub fn can_give(&self, role: &RoleName) -> bool {
        let is_mapped = || self.roles.values().any(|mapped| mapped == role);
        let is_named = self.roles.is_empty() && role.as_str() != ADMIN_ROLE;
        self.roles_claim.is_some() && (is_named || is_mapped())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_names_with_dots_between() {
        for path in ["roles", "realm_access.roles", "https://example.org/roles"] {
            assert_eq!(path.parse::<ClaimPath>().unwrap().as_str(), path);
        }
        let long = "a".repeat(MAX_CLAIM_PATH_LENGTH + 1);
        let deep = ["a"; MAX_CLAIM_PATH_DOTS + 2].join(".");
        for path in ["", ".", "a.", ".a", "a..b", "a\nb", &long, &deep] {
            assert!(path.parse::<ClaimPath>().is_err(), "{path:?}");
        }
    }

    #[test]
    fn a_member_with_dots_in_its_name_is_found() {
        let members = serde_json::json!({"https://example.org/roles": {"a.b": {"c": 1}}});
        let members = members.as_object().unwrap();
        let find = |path: &str| path.parse::<ClaimPath>().unwrap().find_in(members).cloned();
        assert_eq!(find("https://example.org/roles.a.b.c"), Some(1.into()));
        assert_eq!(find("https://example.org/roles.a"), None);
    }

    #[test]
    fn symmetric_algorithms_and_none_are_unknown() {
        for word in ["HS256", "HS512", "none", "rs256", ""] {
            assert!(word.parse::<Algorithm>().is_err(), "{word}");
        }
    }
}
