//! Page tokens: where a search goes on, for any server and after a restart.
//!
//! A token has no secret: it is base64url of a version, the digest of what was searched, the limit and the position.
//! Whoever forges one names a position, and is answered what the policies say from there on.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::domain::access_question::{AskedAction, AskedEntity};
use crate::service::error::ServiceError;

use super::access_search::{AccessSearch, SearchKind};

/// The version of the form.
const VERSION: u8 = 1;
/// How many bytes of the digest are in a token.
const DIGEST_LENGTH: usize = 16;
/// How many results a page has if the request names no limit.
const DEFAULT_LIMIT: u32 = 100;
/// How many results a page has at most.
pub const MAX_SEARCH_LIMIT: u32 = 1000;

/// Where a search is: what it is about, how many results a page has, and after which candidate it goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PagePosition {
    digest: [u8; DIGEST_LENGTH],
    pub(super) limit: u32,
    /// The last candidate that was looked at; none at the start.
    pub(super) after: Option<String>,
}

impl PagePosition {
    /// Where the request says that the search is; fails if its token is of another one.
    pub(super) fn of_request(search: &AccessSearch) -> Result<Self, ServiceError> {
        let digest = digest(search);
        let limit = search.limit.map(|limit| {
            let limit = u32::try_from(limit).unwrap_or(MAX_SEARCH_LIMIT);
            limit.min(MAX_SEARCH_LIMIT)
        });
        // The end of a search has the empty token; so has a client that sends back whatever it got.
        let Some(token) = search.token.as_deref().filter(|token| !token.is_empty()) else {
            return Ok(Self {
                digest,
                limit: limit.unwrap_or(DEFAULT_LIMIT),
                after: None,
            });
        };
        let invalid = |detail| ServiceError::QuestionInvalid { detail };
        let position = Self::decode(token)
            .ok_or_else(|| invalid("`page.token`: this is no token of a search"))?;
        if position.digest != digest {
            return Err(invalid(
                "`page.token`: the token is of a search with other members",
            ));
        }
        if limit.is_some_and(|limit| limit != position.limit) {
            return Err(invalid(
                "`page.limit`: the token is of a search with another limit",
            ));
        }
        Ok(position)
    }

    fn decode(token: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        let (version, rest) = bytes.split_first()?;
        let (digest, rest) = rest.split_first_chunk::<DIGEST_LENGTH>()?;
        let (limit, position) = rest.split_first_chunk::<4>()?;
        let limit = u32::from_be_bytes(*limit);
        let after = std::str::from_utf8(position).ok()?;
        (*version == VERSION && limit <= MAX_SEARCH_LIMIT).then(|| Self {
            digest: *digest,
            limit,
            after: (!after.is_empty()).then(|| after.to_owned()),
        })
    }

    /// The token of this position.
    pub(super) fn encode(&self) -> String {
        let after = self.after.as_deref().unwrap_or_default().as_bytes();
        let mut bytes = Vec::with_capacity(1 + DIGEST_LENGTH + 4 + after.len());
        bytes.push(VERSION);
        bytes.extend(self.digest);
        bytes.extend(self.limit.to_be_bytes());
        bytes.extend(after);
        URL_SAFE_NO_PAD.encode(bytes)
    }
}

/// The digest of all members of a search but its page. The order of members of objects does not count.
fn digest(search: &AccessSearch) -> [u8; DIGEST_LENGTH] {
    let mut hasher = Sha256::new();
    let kind = match search.kind {
        SearchKind::Subjects => "subject",
        SearchKind::Resources => "resource",
        SearchKind::Actions => "action",
    };
    hash_text(&mut hasher, kind);
    hash_entity(&mut hasher, &search.subject);
    if let Some(AskedAction { name, properties }) = &search.action {
        hash_text(&mut hasher, name);
        hash_members(&mut hasher, properties);
    }
    hash_entity(&mut hasher, &search.resource);
    hash_members(&mut hasher, &search.context);
    let digest = hasher.finalize();
    let mut short = [0; DIGEST_LENGTH];
    for (to, from) in short.iter_mut().zip(digest) {
        *to = from;
    }
    short
}

fn hash_entity(hasher: &mut Sha256, entity: &AskedEntity) {
    hash_text(hasher, &entity.type_name);
    hash_text(hasher, &entity.id);
    hash_members(hasher, &entity.properties);
}

/// With its length, so that no two sequences of texts are alike.
fn hash_text(hasher: &mut Sha256, text: &str) {
    hasher.update((text.len() as u64).to_be_bytes());
    hasher.update(text);
}

fn hash_members(hasher: &mut Sha256, members: &Map<String, Value>) {
    let mut sorted: Vec<_> = members.iter().collect();
    sorted.sort_unstable_by_key(|(name, _)| *name);
    hasher.update((sorted.len() as u64).to_be_bytes());
    for (name, value) in sorted {
        hash_text(hasher, name);
        hash_value(hasher, value);
    }
}

fn hash_value(hasher: &mut Sha256, value: &Value) {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => {
            hasher.update(b"v");
            hash_text(hasher, &value.to_string());
        }
        Value::String(text) => {
            hasher.update(b"s");
            hash_text(hasher, text);
        }
        Value::Array(values) => {
            hasher.update(b"a");
            hasher.update((values.len() as u64).to_be_bytes());
            for value in values {
                hash_value(hasher, value);
            }
        }
        Value::Object(members) => {
            hasher.update(b"o");
            hash_members(hasher, members);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn search(context: &Value, token: Option<String>, limit: Option<u64>) -> AccessSearch {
        let entity = |type_name: &str, id: &str| AskedEntity {
            type_name: type_name.to_owned(),
            id: id.to_owned(),
            properties: Map::new(),
        };
        AccessSearch {
            kind: SearchKind::Subjects,
            subject: entity("user", ""),
            action: Some(AskedAction {
                name: "read".to_owned(),
                properties: Map::new(),
            }),
            resource: entity("record", "1"),
            context: context.as_object().cloned().unwrap_or_default(),
            token,
            limit,
        }
    }

    #[test]
    fn a_token_is_for_the_search_that_it_came_from() {
        let context = json!({"a": 1, "b": {"c": [1, 2], "d": null}});
        let mut position = PagePosition::of_request(&search(&context, None, Some(7))).unwrap();
        position.after = Some("record-é".to_owned());
        let token = Some(position.encode());
        for (context, limit, is_valid) in [
            (context.clone(), None, true),
            (context.clone(), Some(7), true),
            (
                json!({"b": {"d": null, "c": [1, 2]}, "a": 1}),
                Some(7),
                true,
            ),
            (context.clone(), Some(8), false),
            (json!({"a": 1, "b": {"c": [2, 1], "d": null}}), None, false),
            (json!({}), None, false),
        ] {
            let found = PagePosition::of_request(&search(&context, token.clone(), limit));
            assert_eq!(found.is_ok(), is_valid, "{context} {limit:?}");
            if let Ok(found) = found {
                assert_eq!(found, position);
            }
        }
        let mut other = search(&context, token, None);
        other.kind = SearchKind::Resources;
        assert!(PagePosition::of_request(&other).is_err());
    }

    #[test]
    fn a_text_that_is_no_token_is_refused() {
        let context = json!({});
        let token = PagePosition::of_request(&search(&context, None, None))
            .unwrap()
            .encode();
        for text in [
            "x",
            "====",
            &token[..token.len() - 8],
            &format!("B{}", &token[1..]),
            &"A".repeat(10_000),
        ] {
            let search = search(&context, Some(text.to_owned()), None);
            assert!(PagePosition::of_request(&search).is_err(), "{text}");
        }
        let none = search(&context, Some(String::new()), Some(u64::MAX));
        let position = PagePosition::of_request(&none).unwrap();
        assert_eq!(position.limit, MAX_SEARCH_LIMIT);
        assert_eq!(position.after, None);
    }
}
