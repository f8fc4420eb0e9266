//! The Cedar `context` of a request: client address, time, authentication and API key.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use cedar_policy::{
    Context as CedarContext, EntityId, EntityTypeName, EntityUid, RestrictedExpression,
};
use chrono::{DateTime, SecondsFormat};
use moka::sync::Cache;

use crate::domain::api_key::KeyScope;
use crate::domain::caller::{Authentication, DecisionContext};
use crate::domain::id::ApiKeyId;

use super::address::NETWORKS;
use super::cache_size::CacheSize;
use super::enumerations::ContextWords;
use super::networks::{NETWORK_TYPE, Networks};
use super::unknown_address::unknown_address;

/// The most bytes of cached contexts.
const MAX_CONTEXTS_SIZE: u64 = 16 * 1024 * 1024;
/// About how many bytes a context takes, and how many each dataset that its API key is restricted to.
const CONTEXT_SIZE: usize = 1600;
const KEY_DATASET_SIZE: usize = 500;

/// The seconds since 1970 UTC that Cedar's `datetime` can be: from the year 0 to the year 9999.
const CALENDAR: RangeInclusive<i64> = -62_167_219_200..=253_402_300_799;

/// A context could not be built.
#[derive(Debug, thiserror::Error)]
pub(super) enum ContextError {
    /// The time is outside the range of Cedar's `datetime`.
    #[error("the time {unix_seconds} (seconds since 1970) is outside the years 0 to 9999")]
    Time {
        /// The time in seconds since 1970 UTC.
        unix_seconds: i64,
    },
    /// Cedar does not accept the values.
    #[error("cannot build the context")]
    Context {
        /// The error of Cedar.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl ContextError {
    fn from_cedar(source: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Context {
            source: Box::new(source),
        }
    }
}

/// The key of a cached context. The scope of an API key never changes, so its id is enough.
type ContextKey = (Option<IpAddr>, Authentication, Option<ApiKeyId>);

/// The contexts of recent requests, one for each address, authentication and API key.
///
/// Building a context costs more than a decision, so `context.time` has whole seconds: the requests of
/// one address in one second share one context, and a new context reuses the cached parts (the address,
/// the second).
#[derive(Debug)]
pub(super) struct ContextCache {
    words: ContextWords,
    recent: Cache<ContextKey, Arc<CachedContext>>,
    current_time: ArcSwapOption<CachedTime>,
    networks: Arc<Networks>,
}

#[derive(Debug)]
struct CachedContext {
    second: i64,
    address: RestrictedExpression,
    networks: Option<RestrictedExpression>,
    key: Option<RestrictedExpression>,
    size: u32,
    context: CedarContext,
}

#[derive(Debug)]
struct CachedTime {
    second: i64,
    time: RestrictedExpression,
}

impl ContextCache {
    /// Contexts whose words are what a schema declares, with the networks of a bundle.
    pub(super) fn new(words: ContextWords, networks: Arc<Networks>, size: CacheSize) -> Self {
        Self {
            words,
            recent: Cache::builder()
                .max_capacity(size.bytes(MAX_CONTEXTS_SIZE))
                .weigher(|_, recent: &Arc<CachedContext>| recent.size)
                .build(),
            current_time: ArcSwapOption::empty(),
            networks,
        }
    }

    /// The context of a request.
    pub(super) fn context(&self, context: &DecisionContext) -> Result<CedarContext, ContextError> {
        let key_in_use = context.key.as_deref();
        let cache_key = (
            context.address,
            context.authentication,
            key_in_use.map(|key| key.id),
        );
        let second = context.unix_millis.div_euclid(1000);
        let (address, networks, key) = match self.recent.get(&cache_key) {
            Some(recent) if recent.second == second => return Ok(recent.context.clone()),
            Some(recent) => (
                recent.address.clone(),
                recent.networks.clone(),
                recent.key.clone(),
            ),
            None => (
                context.address.map_or_else(unknown_address, |address| {
                    RestrictedExpression::new_ip(to_cedar_ip(address))
                }),
                network_names(&self.networks, context.address)?,
                key_in_use
                    .map(|key| self.key_scope_record(&key.scope))
                    .transpose()?,
            ),
        };
        let time = self.time(second)?;
        let required = [
            ("address".to_owned(), address.clone()),
            ("time".to_owned(), time),
            (
                "authentication".to_owned(),
                self.words.authentication(context.authentication),
            ),
        ];
        let networks_pair = networks.clone().map(|names| (NETWORKS.to_owned(), names));
        let key_pair = key.clone().map(|key| ("key".to_owned(), key));
        let optional = networks_pair.into_iter().chain(key_pair);
        let built = CedarContext::from_pairs(required.into_iter().chain(optional))
            .map_err(ContextError::from_cedar)?;
        let datasets = key_in_use.and_then(|key| key.scope.datasets());
        let size = CONTEXT_SIZE + KEY_DATASET_SIZE * datasets.map_or(0, BTreeSet::len);
        let recent = CachedContext {
            second,
            address,
            networks,
            key,
            size: u32::try_from(size).unwrap_or(u32::MAX),
            context: built.clone(),
        };
        self.recent.insert(cache_key, Arc::new(recent));
        Ok(built)
    }

    fn time(&self, second: i64) -> Result<RestrictedExpression, ContextError> {
        if let Some(now) = &*self.current_time.load()
            && now.second == second
        {
            return Ok(now.time.clone());
        }
        let time = datetime(second)?;
        let now = CachedTime {
            second,
            time: time.clone(),
        };
        self.current_time.store(Some(Arc::new(now)));
        Ok(time)
    }

    /// The scope of a key as `context.key`: a record of the actions and datasets it is restricted to.
    fn key_scope_record(&self, limit: &KeyScope) -> Result<RestrictedExpression, ContextError> {
        let actions = limit.actions().map(|all| {
            let words = all.iter().map(|action| self.words.key_action(*action));
            RestrictedExpression::new_set(words)
        });
        let datasets = limit.datasets().map(|all| {
            let ids = all.iter().map(ToString::to_string);
            RestrictedExpression::new_set(ids.map(RestrictedExpression::new_string))
        });
        let fields = [("actions", actions), ("datasets", datasets)];
        let fields = fields
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value?)));
        RestrictedExpression::new_record(fields).map_err(ContextError::from_cedar)
    }
}

/// The networks that an address is in as `context.networks`; `None` if the bundle has none. Of an unknown address
/// the value decides nothing, see `unknown_address`.
pub(super) fn network_names(
    networks: &Networks,
    address: Option<IpAddr>,
) -> Result<Option<RestrictedExpression>, ContextError> {
    if networks.is_empty() {
        return Ok(None);
    }
    let kind: EntityTypeName = NETWORK_TYPE.parse().map_err(ContextError::from_cedar)?;
    let uid = |name: &str| {
        let id = EntityId::new(name);
        RestrictedExpression::new_entity_uid(EntityUid::from_type_name_and_id(kind.clone(), id))
    };
    let names = address
        .into_iter()
        .flat_map(|address| networks.containing(address));
    Ok(Some(RestrictedExpression::new_set(names.map(uid))))
}

/// A time of whole seconds as Cedar's `datetime`.
pub(super) fn datetime(unix_seconds: i64) -> Result<RestrictedExpression, ContextError> {
    let time = DateTime::from_timestamp(unix_seconds, 0)
        // RFC 3339 has four digits for the year; chrono goes on with a sign and more digits.
        .filter(|_| CALENDAR.contains(&unix_seconds))
        .ok_or(ContextError::Time { unix_seconds })?;
    let time = time.to_rfc3339_opts(SecondsFormat::Secs, true);
    Ok(RestrictedExpression::new_datetime(time))
}

/// Whether the time of a request is one that its context can have.
pub(super) fn has_time(context: &DecisionContext) -> bool {
    CALENDAR.contains(&context.unix_millis.div_euclid(1000))
}

/// An address as text for Cedar's `ip()`.
///
/// A dual-stack socket reports IPv4 clients as `::ffff:192.0.2.7`. Cedar rejects that form, and policies
/// mean the IPv4 address, so it is unwrapped (RFC 4291 section 2.5.5.2).
pub(super) fn to_cedar_ip(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        // Group by group: Cedar rejects dots in IPv6 addresses.
        IpAddr::V6(address) => address
            .segments()
            .map(|group| format!("{group:x}"))
            .join(":"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::tests::fixtures::bundle;

    const NOON: i64 = 1_772_366_400;

    fn contexts() -> ContextCache {
        let policy = "@id(\"a\") permit (principal, action, resource);";
        bundle(policy).unwrap().context_cache
    }

    fn context(address: &str, second: i64) -> Result<CedarContext, ContextError> {
        contexts().context(&DecisionContext {
            address: Some(address.parse().unwrap()),
            unix_millis: second * 1000,
            authentication: Authentication::None,
            key: None,
        })
    }

    #[test]
    fn every_kind_of_address_has_a_context() {
        for (address, expected) in [
            ("192.0.2.7", "192.0.2.7"),
            ("::ffff:192.0.2.7", "192.0.2.7"),
            ("::1", "0:0:0:0:0:0:0:1"),
            ("::192.0.2.7", "0:0:0:0:0:0:c000:207"),
            ("2001:db8::7", "2001:db8:0:0:0:0:0:7"),
        ] {
            assert_eq!(to_cedar_ip(address.parse().unwrap()), expected);
            assert!(context(address, NOON).is_ok(), "{address}");
        }
    }

    #[test]
    fn times_beyond_the_calendar_are_rejected() {
        assert!(context("::1", 0).is_ok());
        assert!(context("::1", i64::MAX / 1000).is_err());
        assert!(context("::1", i64::MIN / 1000).is_err());
        assert!(context("::1", 253_402_300_799).is_ok());
        assert!(context("::1", 253_402_300_800).is_err());
        assert!(context("::1", -62_167_219_200).is_ok());
        assert!(context("::1", -62_167_219_201).is_err());
    }

    #[test]
    fn the_next_second_has_a_context_of_its_own() {
        let contexts = contexts();
        let at = |unix_millis| {
            let context = DecisionContext {
                address: Some("192.0.2.7".parse().unwrap()),
                unix_millis,
                authentication: Authentication::Password,
                key: None,
            };
            contexts.context(&context).unwrap()
        };
        let first = at(NOON * 1000);
        assert_eq!(first, at(NOON * 1000 + 999));
        assert_ne!(first, at(NOON * 1000 + 1000));
        assert_eq!(first, at(NOON * 1000));
    }
}
