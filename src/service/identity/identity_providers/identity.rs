//! External identities: what a verified external token says about its subject, mapped to this server's
//! roles and tags.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::domain::issuer::{ClaimPath, ExternalIssuer};
use crate::domain::memory_size::{size_of_tags, size_of_text};
use crate::domain::name::{RoleName, Username};
use crate::domain::principal::Tags;
use crate::token::{EXTERNAL_TOKEN_LEEWAY, ExternalClaims};

/// The subject of an external token.
#[derive(Clone, Debug, PartialEq)]
pub struct ExternalIdentity {
    /// The SHA-256 of the token.
    pub token_digest: [u8; 32],
    /// The subject: its id at the issuer.
    pub subject: String,
    /// The user name for a new user; nothing if the token has no valid one.
    pub username: Option<Username>,
    /// Whether the token says that the user name is verified, as configured for its issuer.
    pub is_name_verified: bool,
    /// Its roles, including roles that the catalog does not have.
    pub roles: BTreeSet<RoleName>,
    /// Its tags.
    pub claims: Tags,
    /// When the token was issued, in seconds since 1970 UTC.
    pub issued_at: i64,
    /// The first second in which the token is expired, leeway aside, since 1970 UTC.
    pub expires_at: i64,
}

impl ExternalIdentity {
    /// About how many bytes of memory it takes in a cache.
    pub(super) fn cached_size(&self) -> u32 {
        let names = self.roles.iter().map(RoleName::as_str);
        let names = names.chain(self.username.as_ref().map(Username::as_str));
        let texts: usize = names.chain([self.subject.as_str()]).map(size_of_text).sum();
        let size = 2 * size_of::<Self>() + texts + size_of_tags(&self.claims);
        u32::try_from(size).unwrap_or(u32::MAX)
    }

    /// Whether its token was issued by `now` and has not expired, as far as clocks may differ.
    pub(super) fn is_valid_at(&self, now: i64) -> bool {
        now < self.expires_at.saturating_add(EXTERNAL_TOKEN_LEEWAY)
            && self.issued_at <= now.saturating_add(EXTERNAL_TOKEN_LEEWAY)
    }

    /// Maps claims as configured for their issuer.
    ///
    /// A configured claim that is missing gives nothing; one of an unexpected type is an error,
    /// whose text may be shown: a policy that forbids by a tag must not be circumvented that way.
    pub(super) fn from_claims(
        claims: ExternalClaims,
        issuer: &ExternalIssuer,
        token_digest: [u8; 32],
    ) -> Result<Self, &'static str> {
        let members = &claims.members;
        let username = find_claim(members, issuer.username_claim.as_str())
            .and_then(Value::as_str)
            .and_then(|name| name.to_ascii_lowercase().parse().ok());
        let role_values = match issuer.roles_claim.as_ref() {
            Some(path) => role_values(members, path)?,
            None => BTreeSet::new(),
        };
        let mut tags = Tags::new();
        for (tag, path) in &issuer.claims {
            let values = tag_values(members, path)?;
            if !values.is_empty() {
                tags.insert(tag.clone(), values);
            }
        }
        Ok(Self {
            token_digest,
            username,
            is_name_verified: issuer
                .verified_claim
                .as_ref()
                .and_then(|path| find_claim(members, path.as_str()))
                .is_some_and(is_true),
            roles: role_values
                .iter()
                .filter_map(|value| map_role(value, issuer))
                .collect(),
            claims: tags,
            issued_at: claims.issued_at,
            expires_at: claims.expires_at,
            subject: claims.subject,
        })
    }
}

/// The role for a value of the roles claim.
fn map_role(value: &str, issuer: &ExternalIssuer) -> Option<RoleName> {
    let role = if issuer.roles.is_empty() {
        value.parse().ok()
    } else {
        issuer.roles.get(value).cloned()
    };
    role.filter(|role| issuer.can_give(role))
}

/// The values of the roles claim: a list of strings, or one string separated by spaces, like OAuth 2.0
/// scopes.
fn role_values(
    members: &Map<String, Value>,
    path: &ClaimPath,
) -> Result<BTreeSet<String>, &'static str> {
    const INVALID: &str = "the roles claim of the token is neither a string nor a list of strings";
    match find_claim(members, path.as_str()) {
        None | Some(Value::Null) => Ok(BTreeSet::new()),
        Some(Value::String(text)) => {
            // A value in a list may contain spaces; a string that is one value as a whole counts too.
            let whole = std::iter::once(text.as_str());
            Ok(whole
                .chain(text.split_ascii_whitespace())
                .map(str::to_owned)
                .collect())
        }
        Some(Value::Array(values)) => values
            .iter()
            .map(|value| value.as_str().map(str::to_owned).ok_or(INVALID))
            .collect(),
        Some(_) => Err(INVALID),
    }
}

/// Whether a claim is true; some providers write it as a string.
fn is_true(value: &Value) -> bool {
    matches!(value, Value::Bool(true)) || value.as_str() == Some("true")
}

/// One value or a list of values: strings, numbers, true and false.
fn tag_values(
    members: &Map<String, Value>,
    path: &ClaimPath,
) -> Result<BTreeSet<String>, &'static str> {
    match find_claim(members, path.as_str()) {
        None | Some(Value::Null) => Ok(BTreeSet::new()),
        Some(Value::Array(values)) => values.iter().map(tag_value).collect(),
        Some(value) => tag_value(value).map(|value| BTreeSet::from([value])),
    }
}

fn tag_value(value: &Value) -> Result<String, &'static str> {
    match value {
        Value::String(text) if text.contains('\0') => {
            Err("a claim of the token that is mapped to a tag contains a NUL character")
        }
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(value) => Ok(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => Err(
            "a claim of the token that is mapped to a tag is neither a value nor a list of values",
        ),
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::issuer::{Algorithm, UserProvisioning};

    fn issuer() -> ExternalIssuer {
        ExternalIssuer {
            issuer: "https://id.example".to_owned(),
            audience: "maps".to_owned(),
            algorithms: vec![Algorithm::Es256],
            jwks_file: None,
            username_claim: "preferred_username".parse().unwrap(),
            verified_claim: None,
            roles_claim: Some("realm_access.roles".parse().unwrap()),
            roles: std::collections::BTreeMap::new(),
            claims: [("group".to_owned(), "org.groups".parse().unwrap())].into(),
            principals: UserProvisioning::Create,
        }
    }

    fn map(issuer: &ExternalIssuer, members: Value) -> Result<ExternalIdentity, &'static str> {
        let Value::Object(members) = members else {
            panic!("no object")
        };
        let claims = ExternalClaims {
            subject: "7".to_owned(),
            issued_at: 1,
            expires_at: 2,
            members,
        };
        ExternalIdentity::from_claims(claims, issuer, [0; 32])
    }

    fn roles(issuer: &ExternalIssuer, given: &Value) -> Vec<String> {
        let identity = map(issuer, json!({"realm_access": {"roles": given}})).unwrap();
        identity.roles.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn names_roles_and_tags_are_found_by_their_paths() {
        let members = json!({
            "preferred_username": "Ada",
            "realm_access": {"roles": ["hydrology", "No Role"]},
            "org": {"groups": ["a", 7, true]},
        });
        let identity = map(&issuer(), members).unwrap();
        assert_eq!(identity.username.unwrap().as_str(), "ada");
        assert_eq!(identity.roles, ["hydrology".parse().unwrap()].into());
        let tags = [(
            "group".to_owned(),
            ["a", "7", "true"].map(String::from).into(),
        )];
        assert_eq!(identity.claims, tags.into());
    }

    #[test]
    fn a_member_with_dots_in_its_name_is_found() {
        let members = json!({"https://example.org/roles": {"a.b": {"c": 1}}});
        let members = members.as_object().unwrap();
        assert_eq!(
            find_claim(members, "https://example.org/roles.a.b.c"),
            Some(&json!(1))
        );
        assert_eq!(find_claim(members, "https://example.org/roles.a"), None);
    }

    #[test]
    fn missing_claims_are_left_empty() {
        let identity = map(&issuer(), json!({"realm_access": null})).unwrap();
        assert_eq!(identity.username, None);
        assert!(identity.roles.is_empty() && identity.claims.is_empty());
    }

    #[test]
    fn a_name_is_verified_by_the_configured_claim_alone() {
        let mut issuer = issuer();
        let is_verified = |issuer: &ExternalIssuer, members: Value| {
            map(issuer, members).unwrap().is_name_verified
        };
        assert!(!is_verified(&issuer, json!({"email_verified": true})));
        issuer.verified_claim = Some("email_verified".parse().unwrap());
        for (value, expected) in [
            (json!(true), true),
            (json!("true"), true),
            (json!(false), false),
            (json!("yes"), false),
            (json!(1), false),
            (json!([true]), false),
            (json!(null), false),
        ] {
            let members = json!({"email_verified": value});
            assert_eq!(is_verified(&issuer, members), expected, "{value}");
        }
        assert!(!is_verified(&issuer, json!({})));
    }

    #[test]
    fn the_admin_role_is_given_by_a_mapping_alone() {
        let mut issuer = issuer();
        assert_eq!(
            roles(&issuer, &json!(["admin", "hydrology"])),
            ["hydrology"]
        );
        issuer.roles = [("gis-admins".to_owned(), "admin".parse().unwrap())].into();
        assert_eq!(roles(&issuer, &json!(["admin", "hydrology"])), [""; 0]);
        assert_eq!(roles(&issuer, &json!(["gis-admins"])), ["admin"]);
    }

    #[test]
    fn roles_may_be_a_list_or_a_space_separated_string() {
        let mut issuer = issuer();
        assert_eq!(roles(&issuer, &json!("a b")), ["a", "b"]);
        issuer.roles = [("Two Words".to_owned(), "both".parse().unwrap())].into();
        assert_eq!(roles(&issuer, &json!("Two Words")), ["both"]);
        assert_eq!(roles(&issuer, &json!(["Two Words"])), ["both"]);
    }

    #[test]
    fn claims_of_unexpected_types_are_rejected() {
        for given in [json!(7), json!({}), json!([1]), json!(true)] {
            assert!(map(&issuer(), json!({"realm_access": {"roles": given}})).is_err());
        }
        for given in [json!({}), json!([[]]), json!([null])] {
            assert!(map(&issuer(), json!({"org": {"groups": given}})).is_err());
        }
    }
}
