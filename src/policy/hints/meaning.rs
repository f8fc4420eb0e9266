//! Meanings: the value of a type that an author's text stands for, and what other words for attributes stand for.

use cedar_policy_core::ast::EntityType;
use uuid::Uuid;

use crate::domain::suggest::closest;

use super::value_type::{ExpressionType, TypeReader};

/// Words for the roles of a user, in other products and languages.
const ROLE_WORDS: [&str; 14] = [
    "role",
    "roles",
    "rolename",
    "group",
    "groups",
    "groupname",
    "team",
    "teams",
    "memberof",
    "memberships",
    "parents",
    "parent",
    "isadmin",
    "admin",
];
/// Words for the id of an entity.
const ID_WORDS: [&str; 11] = [
    "id",
    "uid",
    "uuid",
    "eid",
    "sub",
    "subject",
    "key",
    "identifier",
    "userid",
    "datasetid",
    "entityid",
];
/// Words for an attribute, by the variable that has it.
const SYNONYMS: [(&str, &str, &[&str]); 12] = [
    (
        "principal",
        "username",
        &[
            "name",
            "user",
            "login",
            "loginname",
            "username",
            "email",
            "mail",
            "displayname",
            "account",
            "preferredusername",
        ],
    ),
    (
        "principal",
        "issuer",
        &["iss", "provider", "idp", "identityprovider"],
    ),
    (
        "resource",
        "title",
        &["name", "label", "displayname", "datasetname"],
    ),
    (
        "resource",
        "visibility",
        &[
            "access",
            "accesslevel",
            "public",
            "ispublic",
            "private",
            "isprivate",
            "classification",
        ],
    ),
    (
        "resource",
        "record_status",
        &[
            "status",
            "state",
            "published",
            "ispublished",
            "draft",
            "isdraft",
            "recordstatus",
        ],
    ),
    (
        "resource",
        "owner",
        &["ownerid", "createdby", "creator", "author"],
    ),
    (
        "resource",
        "reader_users",
        &[
            "readers",
            "users",
            "sharedwith",
            "sharedwithusers",
            "viewers",
            "readerusers",
            "allowedusers",
        ],
    ),
    (
        "resource",
        "reader_roles",
        &[
            "groups",
            "roles",
            "readergroups",
            "sharedwithroles",
            "readerroles",
            "allowedroles",
        ],
    ),
    (
        "context",
        "networks",
        &["network", "net", "zone", "zones", "location"],
    ),
    (
        "context",
        "address",
        &[
            "ip",
            "ipaddress",
            "sourceip",
            "clientip",
            "remoteaddr",
            "remoteip",
            "clientaddress",
            "addr",
            "srcip",
            "host",
        ],
    ),
    (
        "context",
        "time",
        &[
            "now",
            "date",
            "datetime",
            "timestamp",
            "currenttime",
            "requesttime",
            "today",
            "currentdate",
        ],
    ),
    (
        "context",
        "authentication",
        &[
            "auth",
            "authn",
            "authmethod",
            "authenticated",
            "isauthenticated",
            "mfa",
            "method",
        ],
    ),
];

/// Whether a word stands for the roles of a user.
pub(super) fn is_role_word(word: &str) -> bool {
    ROLE_WORDS.contains(&plain(word).as_str())
}

/// Whether a word stands for the id of an entity.
pub(super) fn is_id_word(word: &str) -> bool {
    ID_WORDS.contains(&plain(word).as_str())
}

/// The attribute that another word for it stands for.
pub(super) fn attribute_meant(variable: &str, word: &str) -> Option<&'static str> {
    let plain = plain(word);
    let mut synonyms = SYNONYMS.iter();
    let found =
        synonyms.find(|(owner, _, words)| *owner == variable && words.contains(&plain.as_str()));
    found.map(|(_, attribute, _)| *attribute)
}

/// Small letters without what joins words.
fn plain(word: &str) -> String {
    let letters = word.chars().filter(|letter| !matches!(letter, '_' | '-'));
    letters.collect::<String>().to_ascii_lowercase()
}

/// `Role::"hydrology"`.
pub(super) fn uid(kind: impl std::fmt::Display, id: &str) -> String {
    format!("{kind}::{id:?}")
}

impl TypeReader<'_> {
    /// How a value of a type is written that a text stands for.
    pub(super) fn value_of(&self, text: &str, kind: &ExpressionType<'_>) -> Option<String> {
        match kind {
            ExpressionType::Extension(literal) => literal.of_text(text),
            ExpressionType::Entity(name) => self.entity_of(text, name),
            ExpressionType::Number => text.parse::<i64>().ok().map(|number| number.to_string()),
            _ => None,
        }
    }

    /// The entity of a type that a text stands for. People and datasets are named by ids alone.
    fn entity_of(&self, text: &str, name: &EntityType) -> Option<String> {
        if let Some(words) = self.words(name) {
            let lower = text.to_ascii_lowercase();
            return closest(&lower, words).map(|word| uid(name, word));
        }
        match name.to_string().as_str() {
            "User" | "Dataset" => {
                let id = Uuid::try_parse(text.trim()).ok()?;
                Some(uid(name, &id.to_string()))
            }
            "Action" => {
                let lower = text.to_ascii_lowercase();
                closest(&lower, self.actions()).map(|action| uid(name, action))
            }
            _ => Some(uid(name, text)),
        }
    }
}
