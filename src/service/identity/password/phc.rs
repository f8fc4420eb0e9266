//! Stored password hashes: PHC strings of Argon2id.

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, Version};
use subtle::ConstantTimeEq;

use crate::domain::secret::Secret;

use super::error::PasswordError;
use super::memory_pool::MemoryPool;

/// The maximum length of a password hash, in bytes.
pub const MAX_HASH_LENGTH: usize = 512;

/// The maximum cost of an imported hash: memory in KiB, passes, lanes.
///
/// A login pays what the hash asks for, so a hash from a file may not ask for just anything.
const MAX_COST: (u32, u32, u32) = (256 * 1024, 16, 16);

/// Checks that an imported hash can be verified at a bounded cost.
///
/// It must be a PHC string of Argon2id, version 19, with salt and hash, at most 256 MiB, 16 passes
/// and 16 lanes.
pub fn check_hash(hash: &Secret<String>) -> Result<(), PasswordError> {
    parse_hash(hash.reveal()).map(|_| ())
}

fn parse_hash(text: &str) -> Result<PasswordHash, PasswordError> {
    let unusable = |reason: &str| PasswordError::UnusableHash {
        reason: reason.to_owned(),
    };
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
    let cost = Params::try_from(&hash).map_err(|_| unusable("its parameters are not valid"))?;
    let (memory_kib, passes, lanes) = MAX_COST;
    if cost.m_cost() > memory_kib || cost.t_cost() > passes || cost.p_cost() > lanes {
        return Err(unusable(
            "it is too costly: at most 256 MiB, 16 passes and 16 lanes",
        ));
    }
    Ok(hash)
}

/// Whether `hash` is a hash of `password`.
pub(super) fn verify_hash(
    hash: &str,
    password: &str,
    memory_pool: &MemoryPool,
) -> Result<bool, PasswordError> {
    let hash = parse_hash(hash)?;
    let params = Params::try_from(&hash).map_err(PasswordError::failed)?;
    let (Some(salt), Some(expected)) = (&hash.salt, &hash.hash) else {
        return Err(PasswordError::failed("the hash is incomplete"));
    };
    let mut computed = vec![0; expected.as_bytes().len()];
    memory_pool
        .with_memory(params.block_count(), |blocks| {
            Argon2::new(Algorithm::Argon2id, Version::V0x13, params).hash_password_into_with_memory(
                password.as_bytes(),
                salt.as_ref(),
                &mut computed,
                blocks,
            )
        })
        .map_err(PasswordError::failed)?;
    Ok(computed.ct_eq(expected.as_bytes()).into())
}

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
            (String::from("$argon2id$v=19$m=19456,t=2,p=1"), "lacks"),
            (format!("{good}{}", "A".repeat(MAX_HASH_LENGTH)), "too long"),
        ] {
            let error = check_hash(&secret(&text)).unwrap_err().to_string();
            assert!(error.contains(why), "{text}: {error}");
            assert!(!error.contains(rest), "{error}");
        }
    }
}
