//! External identities: what a verified external token says about its subject, mapped to this server's
//! names, roles and tags.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::domain::issuer::{ClaimPath, ExternalIssuer};
use crate::domain::memory_size::{size_of_tags, size_of_text};
use crate::domain::name::{RoleName, Username};
use crate::domain::principal::Tags;
use crate::domain::token_refusal::{TokenCheck, TokenRefusal, name_type, quote_untrusted};
use crate::token::{ExternalClaims, NumericDate, RefusedToken};

use super::claimed_names::ClaimedNames;

/// The subject of an external token.
#[derive(Clone, Debug, PartialEq)]
pub struct ExternalIdentity {
    /// The SHA-256 of the token.
    pub token_digest: [u8; 32],
    /// The subject: its id at the issuer.
    pub subject: String,
    /// Its names.
    pub names: ClaimedNames,
    /// Whether the token says that the user name is verified, as configured for its issuer.
    pub is_name_verified: bool,
    /// Its roles, including roles that the catalog does not have.
    pub roles: BTreeSet<RoleName>,
    /// Its tags.
    pub claims: Tags,
    /// When the token was issued.
    pub issued_at: NumericDate,
    /// When the token expires, leeway aside.
    pub expires_at: NumericDate,
}

impl ExternalIdentity {
    /// About how many bytes of memory it takes in a cache.
    pub(super) fn cached_size(&self) -> u32 {
        let names = self.roles.iter().map(RoleName::as_str);
        let names = names.chain(self.names.claimed.as_ref().map(Username::as_str));
        let names = names.chain(self.names.display_name.as_deref());
        let names = names.chain(self.names.derived.as_ref().map(Username::as_str));
        let names = names.chain([self.subject.as_str()]);
        let texts: usize = names.map(size_of_text).sum();
        let size = 2 * size_of::<Self>() + texts + size_of_tags(&self.claims);
        u32::try_from(size).unwrap_or(u32::MAX)
    }

    /// Checks that its token was issued by now and has not expired, as far as clocks may differ.
    pub(super) fn check_times(&self, now_millis: i64) -> Result<(), RefusedToken> {
        ExternalClaims::check_times(self.issued_at, self.expires_at, now_millis)
    }

    /// Maps claims as configured for their issuer.
    ///
    /// A configured claim that is missing gives nothing; one of an unexpected type, or one that the token
    /// only refers to, is refused: a policy that forbids by a tag must not be circumvented that way.
    pub(super) fn from_claims(
        claims: ExternalClaims,
        issuer: &ExternalIssuer,
        token_digest: [u8; 32],
    ) -> Result<Self, TokenRefusal> {
        let members = &claims.members;
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
            names: ClaimedNames::from_claims(members, &issuer.username_claim, &claims.subject),
            is_name_verified: issuer
                .verified_claim
                .as_ref()
                .and_then(|path| path.find_in(members))
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

/// The role for a value of the roles claim. A value that only folds to the name of a role gives none: at its
/// provider it may be another group.
fn map_role(value: &str, issuer: &ExternalIssuer) -> Option<RoleName> {
    let role = if issuer.roles.is_empty() {
        RoleName::parse_canonical(value)
    } else {
        issuer.roles.get(value).cloned()
    };
    role.filter(|role| issuer.can_give(role))
}

/// The claim at a path, if the token has it and it is not null.
///
/// A provider whose user is in too many groups may send a reference in the claim's place, and it would look as
/// if the user were in none (`OpenID` Connect Core section 5.6.2; Entra ID beyond 200 groups).
fn find_mapped<'a>(
    members: &'a Map<String, Value>,
    path: &ClaimPath,
) -> Result<Option<&'a Value>, TokenRefusal> {
    let found = path.find_in(members).filter(|value| !value.is_null());
    let is_elsewhere = || {
        let names = members.get("_claim_names").and_then(Value::as_object);
        let is_named = |name: &str| names.is_some_and(|names| names.contains_key(name));
        let has_groups = members.get("hasgroups").is_some_and(is_true);
        is_named(path.as_str())
            || is_named(path.first_name())
            || (has_groups && path.as_str() == "groups")
    };
    if found.is_none() && is_elsewhere() {
        let expected = format!("the values of {}", quote_untrusted(path.as_str()));
        let got = "a reference to another place (_claim_names or hasgroups)";
        let refusal = TokenRefusal::new(TokenCheck::Claims, expected, got);
        return Err(refusal.with_hint(
            "let the provider send only the groups or roles that it assigns to this server",
        ));
    }
    Ok(found)
}

fn wrong_type(path: &ClaimPath, expected: &str, got: &str) -> TokenRefusal {
    let expected = format!("{} is {expected}", quote_untrusted(path.as_str()));
    TokenRefusal::new(TokenCheck::Claims, expected, got)
}

/// The values of the roles claim: a list of strings, or one string separated by spaces, like OAuth 2.0
/// scopes.
fn role_values(
    members: &Map<String, Value>,
    path: &ClaimPath,
) -> Result<BTreeSet<String>, TokenRefusal> {
    const EXPECTED: &str = "a string or a list of strings";
    match find_mapped(members, path)? {
        None => Ok(BTreeSet::new()),
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
            .map(|value| {
                let text = value.as_str().map(str::to_owned);
                text.ok_or_else(|| {
                    let got = format!("a list with {}", name_type(Some(value)));
                    wrong_type(path, EXPECTED, &got)
                })
            })
            .collect(),
        other => Err(wrong_type(path, EXPECTED, name_type(other))),
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
) -> Result<BTreeSet<String>, TokenRefusal> {
    match find_mapped(members, path)? {
        None => Ok(BTreeSet::new()),
        Some(Value::Array(values)) => values.iter().map(|value| tag_value(value, path)).collect(),
        Some(value) => tag_value(value, path).map(|value| BTreeSet::from([value])),
    }
}

fn tag_value(value: &Value, path: &ClaimPath) -> Result<String, TokenRefusal> {
    const EXPECTED: &str = "a string, a number, a boolean or a list of these";
    match value {
        Value::String(text) if text.contains('\0') => {
            Err(wrong_type(path, "text without NUL", "a text with NUL"))
        }
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(value) => Ok(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => {
            let got = format!("{} in it", name_type(Some(value)));
            Err(wrong_type(path, EXPECTED, &got))
        }
    }
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
            audience_claim: None,
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

    fn map(issuer: &ExternalIssuer, members: Value) -> Result<ExternalIdentity, TokenRefusal> {
        let Value::Object(members) = members else {
            panic!("no object")
        };
        let claims = ExternalClaims {
            subject: "7".to_owned(),
            issued_at: NumericDate::from_unix_seconds(1),
            expires_at: NumericDate::from_unix_seconds(2),
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
        assert_eq!(identity.names.derived.unwrap().as_str(), "ada");
        assert_eq!(identity.roles, ["hydrology".parse().unwrap()].into());
        let tags = [(
            "group".to_owned(),
            ["a", "7", "true"].map(String::from).into(),
        )];
        assert_eq!(identity.claims, tags.into());
    }

    #[test]
    fn missing_claims_are_left_empty() {
        let identity = map(&issuer(), json!({"realm_access": null})).unwrap();
        assert_eq!(identity.names.claimed, None);
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

    #[test]
    fn a_claim_that_is_only_referred_to_is_refused_and_not_taken_for_none() {
        let mut issuer = issuer();
        issuer.roles_claim = Some("groups".parse().unwrap());
        for elsewhere in [
            json!({"_claim_names": {"groups": "src1"}, "_claim_sources": {"src1": {}}}),
            json!({"hasgroups": true}),
            json!({"groups": null, "hasgroups": "true"}),
            json!({"_claim_names": {"org": "src1"}}),
        ] {
            let refusal = map(&issuer, elsewhere.clone()).unwrap_err();
            assert_eq!(refusal.check, TokenCheck::Claims, "{elsewhere}");
        }
        for here in [
            json!({"groups": [], "hasgroups": true}),
            json!({"_claim_names": {"other": "src1"}}),
            json!({"hasgroups": false}),
        ] {
            assert!(map(&issuer, here).unwrap().roles.is_empty());
        }
    }

    #[test]
    fn a_role_is_given_by_exactly_its_name() {
        assert_eq!(
            roles(&issuer(), &json!(["Hydrology", "ｈydrology", " hydrology"])),
            [""; 0]
        );
    }
}
