//! Stored password hashes: PHC strings of Argon2id.

use std::collections::BTreeSet;

use argon2::password_hash::phc::{Output, ParamsString, PasswordHash, Salt};
use argon2::{Algorithm, Argon2, Params, Version};
use subtle::ConstantTimeEq;

use crate::domain::secret::Secret;

use super::error::PasswordError;
use super::memory_pool::MemoryPool;

/// The maximum length of a password hash, in bytes.
pub const MAX_HASH_LENGTH: usize = 512;

/// The maximum cost of a hash: memory in KiB, passes, lanes.
///
/// A login pays what the hash asks for, so a hash from a file may not ask for just anything.
const MAX_COST: (u32, u32, u32) = (256 * 1024, 16, 16);

/// The maximum work of an imported hash, in KiB of memory times passes: ten times that of a new hash, about
/// half a second.
const MAX_IMPORTED_WORK: u32 = 10 * 19 * 1024 * 2;

/// How many costs each check hashes at, at most: the highest of those that there are.
const MAX_COSTS: usize = 8;

/// Memory in KiB, passes and lanes, ordered by the work.
type Cost = (u32, u32, u32);

/// What one check does: the same for each account.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct CheckPlan {
    /// The costs to hash at once each.
    costs: BTreeSet<Cost>,
}

/// Checks that an imported hash can be verified at a bounded cost.
///
/// It must be a PHC string of Argon2id, version 19, with salt and hash, at most 256 MiB, 16 passes
/// and 16 lanes, and at most ten times the work of a new hash.
pub fn check_hash(hash: &Secret<String>) -> Result<(), PasswordError> {
    let (_, params) = parse_hash(hash.reveal())?;
    if params.m_cost().saturating_mul(params.t_cost()) > MAX_IMPORTED_WORK {
        return Err(unusable(
            "it is too costly: memory times passes must be at most 380 MiB",
        ));
    }
    Ok(())
}

/// Hashes `password` at the cost of `params` with a fresh salt, into a PHC string.
pub(super) fn new_hash(
    params: &Params,
    password: &str,
    memory_pool: &MemoryPool,
) -> Result<String, PasswordError> {
    let salt: [u8; Salt::RECOMMENDED_LENGTH] = rand::random();
    let mut computed = [0; Params::DEFAULT_OUTPUT_LEN];
    hash_into(params, password, &salt, &mut computed, memory_pool)?;
    let hash = PasswordHash {
        algorithm: Algorithm::Argon2id.ident(),
        version: Some(Version::V0x13.into()),
        params: ParamsString::try_from(params).map_err(PasswordError::failed)?,
        salt: Some(Salt::new(&salt).map_err(PasswordError::failed)?),
        hash: Some(Output::new(&computed).map_err(PasswordError::failed)?),
    };
    Ok(hash.to_string())
}

fn hash_into(
    params: &Params,
    password: &str,
    salt: &[u8],
    computed: &mut [u8],
    memory_pool: &MemoryPool,
) -> Result<(), PasswordError> {
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone());
    memory_pool
        .with_memory(params.block_count(), |blocks| {
            argon2.hash_password_into_with_memory(password.as_bytes(), salt, computed, blocks)
        })
        .map_err(PasswordError::failed)
}

fn unusable(reason: &str) -> PasswordError {
    PasswordError::UnusableHash {
        reason: reason.to_owned(),
    }
}

fn parse_hash(text: &str) -> Result<(PasswordHash, Params), PasswordError> {
    if text.len() > MAX_HASH_LENGTH {
        return Err(unusable("it is too long"));
    }
    if !text.starts_with("$argon2id$") {
        return Err(unusable("it must begin with $argon2id$"));
    }
    let hash = PasswordHash::new(text).map_err(|_| unusable("it is not a PHC string"))?;
    if hash.version != Some(Version::V0x13.into()) {
        return Err(unusable("its version must be v=19"));
    }
    if hash.salt.is_none() || hash.hash.is_none() {
        return Err(unusable("it lacks the salt or the hash"));
    }
    let params = Params::try_from(&hash).map_err(|_| unusable("its parameters are not valid"))?;
    if is_too_costly(cost_of(&params)) {
        return Err(unusable(
            "it is too costly: at most 256 MiB, 16 passes and 16 lanes",
        ));
    }
    Ok((hash, params))
}

fn cost_of(params: &Params) -> Cost {
    (params.m_cost(), params.t_cost(), params.p_cost())
}

fn is_too_costly((memory_kib, passes, lanes): Cost) -> bool {
    memory_kib > MAX_COST.0 || passes > MAX_COST.1 || lanes > MAX_COST.2
}

/// Parses the parameters of a PHC string: `m=19456,t=2,p=1`.
fn parse_cost(text: &str) -> Option<Cost> {
    let value = |name: &str| {
        let mut pairs = text.split(',').filter_map(|pair| pair.split_once('='));
        let found = pairs.find(|(found, _)| *found == name);
        found.and_then(|(_, value)| value.parse().ok())
    };
    let cost = (value("m")?, value("t")?, value("p")?);
    let is_valid = Params::new(cost.0, cost.1, cost.2, None).is_ok();
    (is_valid && !is_too_costly(cost)).then_some(cost)
}

/// Plans a check against `hash`, when hashes of all `costs` (in PHC form) and of `default` may exist.
pub(super) fn plan_check(
    hash: Option<&Secret<String>>,
    costs: &[String],
    default: &Params,
) -> Result<CheckPlan, PasswordError> {
    let mut by_work: Vec<Cost> = costs.iter().filter_map(|text| parse_cost(text)).collect();
    by_work.sort_by_key(|(memory_kib, passes, _)| {
        std::cmp::Reverse(u64::from(*memory_kib) * u64::from(*passes))
    });
    by_work.dedup();
    let mut costs: BTreeSet<Cost> = by_work.into_iter().take(MAX_COSTS).collect();
    costs.insert(cost_of(default));
    if let Some(hash) = hash {
        // Already there, unless it was stored a moment ago.
        let (_, params) = parse_hash(hash.reveal())?;
        costs.insert(cost_of(&params));
    }
    Ok(CheckPlan { costs })
}

/// Hashes `password` once at each cost of the plan; whether the one at the cost of `hash` gives `hash`.
pub(super) fn run_check(
    plan: &CheckPlan,
    hash: Option<&Secret<String>>,
    password: &str,
    memory_pool: &MemoryPool,
) -> Result<bool, PasswordError> {
    let expected = hash.map(|hash| parse_hash(hash.reveal())).transpose()?;
    let mut is_right = false;
    for cost in &plan.costs {
        let of_this_cost = expected
            .as_ref()
            .filter(|(_, params)| cost_of(params) == *cost);
        let (salt, stored) = match of_this_cost {
            Some((hash, _)) => match (&hash.salt, &hash.hash) {
                (Some(salt), Some(stored)) => (salt.as_ref(), Some(stored.as_bytes())),
                _ => return Err(PasswordError::failed("the hash is incomplete")),
            },
            None => (DUMMY_SALT, None),
        };
        let params = Params::new(cost.0, cost.1, cost.2, None).map_err(PasswordError::failed)?;
        let mut computed = vec![0; stored.map_or(Params::DEFAULT_OUTPUT_LEN, <[u8]>::len)];
        hash_into(&params, password, salt, &mut computed, memory_pool)?;
        if let Some(stored) = stored {
            is_right = computed.ct_eq(stored).into();
        }
    }
    Ok(is_right)
}

/// The salt of what is hashed for its work alone.
const DUMMY_SALT: &[u8] = b"sixteen bytes ..";

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> Secret<String> {
        Secret::new(text.to_owned())
    }

    #[test]
    fn hashes_of_another_kind_or_cost_are_rejected() {
        let rest = "c29tZXNhbHRzb21lc2FsdA$X1Z0VnI1bU1vU3B4b3VQbXVQbXVQbXVQbXVQbXVQbXU";
        let good = format!("$argon2id$v=19$m=19456,t=2,p=1${rest}");
        check_hash(&secret(&good)).unwrap();
        for (text, why) in [
            (String::from("hunter2"), "begin with"),
            (String::from("$2b$12$abcdefghijklmnopqrstuv"), "begin with"),
            (
                format!("$argon2i$v=19$m=19456,t=2,p=1${rest}"),
                "begin with",
            ),
            (format!("$argon2id$v=16$m=19456,t=2,p=1${rest}"), "v=19"),
            (
                format!("$argon2id$v=19$m=4194304,t=2,p=1${rest}"),
                "too costly",
            ),
            (
                format!("$argon2id$v=19$m=19456,t=99,p=1${rest}"),
                "too costly",
            ),
            (format!("$argon2id$v=19$m=65536,t=16,p=1${rest}"), "380 MiB"),
            (String::from("$argon2id$v=19$m=19456,t=2,p=1"), "lacks"),
            (format!("{good}{}", "A".repeat(MAX_HASH_LENGTH)), "too long"),
        ] {
            let error = check_hash(&secret(&text)).unwrap_err().to_string();
            assert!(error.contains(why), "{text}: {error}");
            assert!(!error.contains(rest), "{error}");
        }
    }

    #[test]
    fn each_account_costs_the_same_whatever_hash_it_has() {
        let rest = "c29tZXNhbHRzb21lc2FsdA$X1Z0VnI1bU1vU3B4b3VQbXVQbXVQbXVQbXVQbXVQbXU";
        let hash = |cost: &str| secret(&format!("$argon2id$v=19${cost}${rest}"));
        let costs = ["m=19456,t=2,p=1", "m=65536,t=3,p=4", "m=8,t=1,p=1"].map(str::to_owned);
        let default = Params::new(19456, 2, 1, None).unwrap();
        let plan = |hash: Option<&Secret<String>>| plan_check(hash, &costs, &default).unwrap();
        let unknown = plan(None);
        assert_eq!(unknown.costs.len(), 3);
        for cost in &costs {
            assert_eq!(plan(Some(&hash(cost))), unknown, "{cost}");
        }
        let none = plan_check(None, &["hash".to_owned()], &default).unwrap();
        assert_eq!(none.costs, BTreeSet::from([(19456, 2, 1)]));
    }

    #[test]
    fn a_check_hashes_at_no_more_than_the_eight_highest_costs_and_the_default() {
        let costs: Vec<String> = (1..=16).map(|t| format!("m=64,t={t},p=1")).collect();
        let default = Params::new(19456, 2, 1, None).unwrap();
        let plan = plan_check(None, &costs, &default).unwrap();
        assert_eq!(plan.costs.len(), 9);
        assert!(plan.costs.contains(&(64, 16, 1)) && !plan.costs.contains(&(64, 8, 1)));
    }
}
