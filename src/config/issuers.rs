//! Parses and checks the tables of the setting `issuers`: external identity providers.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use figment::value::Value;
use serde::Deserialize;

use super::address;
use super::error::ConfigError;
use super::setting::Setting;
use super::settings_reader::SettingsReader;
use crate::domain::issuer::{Algorithm, ClaimPath, ExternalIssuer, MAX_ISSUERS, UserProvisioning};

/// The most mapped roles, and the most mapped claims, of one issuer.
const MAX_MAPPINGS: usize = 256;

/// The longest issuer, audience, claim value of a role and key of a tag, in bytes.
const MAX_TEXT_LENGTH: usize = 255;

/// The algorithms that are accepted if a table does not say.
const DEFAULT_ALGORITHMS: [Algorithm; 2] = [Algorithm::Rs256, Algorithm::Es256];

/// The claim of the user name if a table does not say (`OpenID` Connect Core section 5.1).
const DEFAULT_USERNAME_CLAIM: &str = "preferred_username";

/// Claims that never say who a token is for: what RFC 7519 section 4.1 and RFC 9068 register for something
/// else, and what users can choose themselves (`OpenID` Connect Core section 5.1, Entra ID). With one of these as
/// the audience, whoever chooses the right name would be let in with a token for another service.
const NOT_AUDIENCE_CLAIMS: [&str; 43] = [
    "acr",
    "act",
    "address",
    "amr",
    "auth_time",
    "birthdate",
    "cnf",
    "email",
    "email_verified",
    "entitlements",
    "exp",
    "family_name",
    "gender",
    "given_name",
    "groups",
    "iat",
    "iss",
    "jti",
    "locale",
    "middle_name",
    "name",
    "nbf",
    "nickname",
    "nonce",
    "phone_number",
    "phone_number_verified",
    "picture",
    "preferred_username",
    "profile",
    "realm_access",
    "roles",
    "scope",
    "scp",
    "sub",
    "token_use",
    "typ",
    "unique_name",
    "updated_at",
    "upn",
    "username",
    "website",
    "wids",
    "zoneinfo",
];

/// One table as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct IssuerTable {
    issuer: String,
    audience: String,
    audience_claim: Option<String>,
    algorithms: Option<Vec<String>>,
    jwks_file: Option<String>,
    username_claim: Option<String>,
    verified_claim: Option<String>,
    roles_claim: Option<String>,
    #[serde(default)]
    roles: BTreeMap<String, String>,
    #[serde(default)]
    claims: BTreeMap<String, String>,
    principals: Option<String>,
}

/// Reads all external issuers; `own` is the issuer of this server, whose tokens must never be taken for
/// external ones.
pub(super) fn read_issuers(
    reader: &mut SettingsReader,
    setting: &Setting,
    own: &str,
) -> Result<Vec<ExternalIssuer>, ConfigError> {
    let origin = reader.origin(setting);
    let invalid = |number, problem| ConfigError::InvalidIssuer {
        origin: origin.clone(),
        number,
        problem,
    };
    let tables: Vec<Value> = reader.tables(setting)?;
    if tables.len() > MAX_ISSUERS {
        let problem = format!("there may be at most {MAX_ISSUERS}");
        return Err(invalid(tables.len(), problem));
    }
    let mut issuers: Vec<ExternalIssuer> = Vec::new();
    for (number, table) in (1..).zip(&tables) {
        let issuer = table
            .deserialize::<IssuerTable>()
            .map_err(|error| error.to_string())
            .and_then(|table| table.into_issuer(|path| reader.resolve_path(path)))
            .map_err(|problem| invalid(number, problem))?;
        if issuers.iter().any(|other| other.issuer == issuer.issuer) {
            let problem = format!("{} is the issuer of another table", issuer.issuer);
            return Err(invalid(number, problem));
        }
        if issuer.issuer == own {
            return Err(invalid(
                number,
                format!("{own} is the issuer of this server"),
            ));
        }
        issuers.push(issuer);
    }
    let shown = if issuers.is_empty() {
        String::new()
    } else {
        serde_json::to_string(&issuers).unwrap_or_default()
    };
    reader.record(setting, shown);
    Ok(issuers)
}

impl IssuerTable {
    fn into_issuer(
        self,
        rooted: impl Fn(&Path) -> std::path::PathBuf,
    ) -> Result<ExternalIssuer, String> {
        let is_fetched = self.jwks_file.is_none();
        if self.issuer.len() > MAX_TEXT_LENGTH
            || !address::is_external_issuer(&self.issuer, is_fetched)
        {
            return Err(format!(
                "issuer {:?} is not an https URL without query, fragment and password (http is for \
                 loopback, or with a jwks_file)",
                self.issuer
            ));
        }
        check_text("audience", &self.audience)?;
        if self.roles.len() > MAX_MAPPINGS || self.claims.len() > MAX_MAPPINGS {
            return Err(format!(
                "it may map at most {MAX_MAPPINGS} roles and claims"
            ));
        }
        let mut roles = BTreeMap::new();
        for (word, role) in self.roles {
            check_text("a word in roles", &word)?;
            roles.insert(word, parse("roles", &role)?);
        }
        let mut claims = BTreeMap::new();
        for (tag, path) in self.claims {
            check_text("a tag in claims", &tag)?;
            claims.insert(tag, parse("claims", &path)?);
        }
        let username_claim = self.username_claim.as_deref();
        Ok(ExternalIssuer {
            issuer: self.issuer,
            audience: self.audience,
            audience_claim: self
                .audience_claim
                .map(|path| parse_audience_claim(&path))
                .transpose()?,
            algorithms: parse_algorithms(self.algorithms)?,
            jwks_file: self.jwks_file.map(|file| rooted(Path::new(&file))),
            username_claim: parse(
                "username_claim",
                username_claim.unwrap_or(DEFAULT_USERNAME_CLAIM),
            )?,
            verified_claim: self
                .verified_claim
                .map(|path| parse("verified_claim", &path))
                .transpose()?,
            roles_claim: self
                .roles_claim
                .map(|path| parse("roles_claim", &path))
                .transpose()?,
            roles,
            claims,
            principals: self
                .principals
                .map_or(Ok(UserProvisioning::Create), |word| {
                    parse("principals", &word)
                })?,
        })
    }
}

fn parse_audience_claim(path: &str) -> Result<ClaimPath, String> {
    let claim: ClaimPath = parse("audience_claim", path)?;
    if NOT_AUDIENCE_CLAIMS.contains(&claim.first_name()) {
        return Err(format!(
            "audience_claim: {path} does not say who a token is for: expected the claim of the audience or of \
             the client, such as client_id or azp"
        ));
    }
    Ok(claim)
}

fn parse_algorithms(given: Option<Vec<String>>) -> Result<Vec<Algorithm>, String> {
    let Some(given) = given else {
        return Ok(DEFAULT_ALGORITHMS.to_vec());
    };
    let read: Result<BTreeSet<Algorithm>, String> =
        given.iter().map(|word| parse("algorithms", word)).collect();
    let read = read?;
    if read.is_empty() {
        return Err("algorithms is empty, so no token could ever be accepted".to_owned());
    }
    Ok(read.into_iter().collect())
}

fn parse<T: std::str::FromStr<Err: std::fmt::Display>>(key: &str, text: &str) -> Result<T, String> {
    text.parse().map_err(|error| format!("{key}: {error}"))
}

fn check_text(what: &str, text: &str) -> Result<(), String> {
    let is_blank = text.trim().is_empty() || text.chars().any(char::is_control);
    if is_blank || text.len() > MAX_TEXT_LENGTH {
        return Err(format!(
            "{what} must have 1 to {MAX_TEXT_LENGTH} bytes and no control characters"
        ));
    }
    Ok(())
}
