//! Passwords: hashing a new one and checking a given one, with Argon2id.
//!
//! Work happens on threads of its own, on all cores but one, and everything else goes before it.
//! This module refuses to know whose password it is and where hashes are kept.

mod memory;
mod phc;

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread;

use argon2::password_hash::PasswordHasher;
use argon2::{Algorithm, Argon2, Params, Version};
use tokio::sync::{Semaphore, oneshot};

use crate::domain::secret::Secret;
use crate::domain::thread_priority;

use memory::MemoryPool;
pub use phc::{MAX_HASH_LENGTH, check_hash};

/// The shortest new password, in characters.
pub const MIN_PASSWORD_LENGTH: usize = 8;

/// The longest password, in bytes.
pub const MAX_PASSWORD_LENGTH: usize = 1024;

/// How many checks may wait for each core before further ones are turned away.
const MAX_CHECKS_PER_CORE: usize = 64;

/// How many checks for each core, running and waiting, are no crowd yet.
const FLOOD_CHECKS_PER_CORE: usize = 4;

/// Letters and digits that nobody mistakes for one another: 32, so that each carries five bits.
const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

/// Why a password was not hashed or checked.
#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    /// A new password is shorter than [`MIN_PASSWORD_LENGTH`].
    #[error("a password must have at least {MIN_PASSWORD_LENGTH} characters")]
    TooShort,
    /// A new password is longer than [`MAX_PASSWORD_LENGTH`].
    #[error("a password must have at most {MAX_PASSWORD_LENGTH} bytes")]
    TooLong,
    /// A hash is not one that this program can check at a bounded price.
    #[error("not a usable password hash: {reason}")]
    UnusableHash {
        /// What is wrong with it, without the hash.
        reason: String,
    },
    /// Too many checks are waiting already.
    #[error("too many passwords are waiting to be checked")]
    Busy,
    /// The hash function or its thread failed.
    #[error("the password hash function failed: {reason}")]
    Failed {
        /// What the library says.
        reason: String,
    },
}

/// What hashing one new password costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HashCost {
    /// Memory in KiB.
    pub memory_kib: u32,
    /// Passes over the memory.
    pub passes: u32,
    /// Lanes that the memory is cut into.
    pub lanes: u32,
}

impl HashCost {
    /// 19 MiB, two passes, one lane: OWASP's Password Storage Cheat Sheet, Argon2id.
    pub const OWASP: Self = Self {
        memory_kib: 19 * 1024,
        passes: 2,
        lanes: 1,
    };

    /// As cheap as Argon2 can be: for tests that log in often.
    pub const MIN: Self = Self {
        memory_kib: 8,
        passes: 1,
        lanes: 1,
    };
}

/// Hashes and checks passwords; clones share one bound on how many run and wait.
#[derive(Clone)]
pub struct Passwords {
    argon2: Arc<Argon2<'static>>,
    memory_pool: Arc<MemoryPool>,
    /// One permit for each running check.
    running_permits: Arc<Semaphore>,
    /// One permit for each check that runs or waits.
    queue_permits: Arc<Semaphore>,
    /// The hash that an unknown account's password is checked against.
    dummy_hash: Arc<Secret<String>>,
    cores: usize,
}

impl std::fmt::Debug for Passwords {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Passwords").finish_non_exhaustive()
    }
}

impl Passwords {
    /// Hashes at [`HashCost::OWASP`]. It hashes once itself, so call it at start.
    pub fn new() -> Result<Self, PasswordError> {
        Self::with_cost(HashCost::OWASP)
    }

    /// Hashes new passwords at `cost`; hashes made at another cost are checked all the same.
    pub fn with_cost(cost: HashCost) -> Result<Self, PasswordError> {
        let params = Params::new(cost.memory_kib, cost.passes, cost.lanes, None)
            .map_err(|error| failed(&error))?;
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let nobody: [u8; 32] = rand::random();
        let hash_of_nobody = argon2
            .hash_password(&nobody)
            .map_err(|error| failed(&error))?
            .to_string();
        let all_cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let cores = all_cores.saturating_sub(1).max(1);
        Ok(Self {
            memory_pool: Arc::new(MemoryPool::new(argon2.params().block_count())),
            argon2: Arc::new(argon2),
            running_permits: Arc::new(Semaphore::new(cores)),
            queue_permits: Arc::new(Semaphore::new(cores.saturating_mul(MAX_CHECKS_PER_CORE))),
            dummy_hash: Arc::new(Secret::new(hash_of_nobody)),
            cores,
        })
    }

    /// How many run at a time.
    pub fn cores(&self) -> usize {
        self.cores
    }

    /// Hashes a new password with a fresh salt, into a PHC string.
    pub async fn hash(&self, password: &Secret<String>) -> Result<Secret<String>, PasswordError> {
        check_new_password(password)?;
        let argon2 = Arc::clone(&self.argon2);
        let password = password.clone();
        self.run_on_thread(move || {
            let hash = argon2
                .hash_password(password.reveal().as_bytes())
                .map_err(|error| failed(&error))?;
            Ok(Secret::new(hash.to_string()))
        })
        .await
    }

    /// Whether `password` is the one that was hashed.
    ///
    /// Without a hash (an unknown account, or one without a password) the answer is no, after the
    /// same work, so that the time does not tell which accounts exist.
    pub async fn verify(
        &self,
        hash: Option<&Secret<String>>,
        password: &Secret<String>,
    ) -> Result<bool, PasswordError> {
        if password.reveal().len() > MAX_PASSWORD_LENGTH {
            return Ok(false);
        }
        let is_known = hash.is_some();
        let hash = hash.unwrap_or(&self.dummy_hash).clone();
        let memory = Arc::clone(&self.memory_pool);
        let password = password.clone();
        self.run_on_thread(move || {
            let is_right = phc::verify_hash(hash.reveal(), password.reveal(), &memory)?;
            Ok(is_right && is_known)
        })
        .await
    }

    /// Whether so many wait that it may be a flood, which must not hold up minting. A few must not stand
    /// still on a machine that is busy, as idle threads do.
    fn is_flooded(&self) -> bool {
        let places = self.cores.saturating_mul(MAX_CHECKS_PER_CORE);
        let taken = places.saturating_sub(self.queue_permits.available_permits());
        taken > self.cores.saturating_mul(FLOOD_CHECKS_PER_CORE)
    }

    async fn run_on_thread<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, PasswordError> + Send + 'static,
    ) -> Result<T, PasswordError> {
        let place = Arc::clone(&self.queue_permits)
            .try_acquire_owned()
            .map_err(|_| PasswordError::Busy)?;
        let turn = Arc::clone(&self.running_permits)
            .acquire_owned()
            .await
            .map_err(|error| failed(&error))?;
        // A thread of its own for each check, since a thread cannot take back its lower priority. The
        // permits go along: a caller who goes away does not stop the work, nor free its core.
        let (done, worked) = oneshot::channel();
        let is_crowd = self.is_flooded();
        let check = move || {
            let _held = (place, turn);
            if is_crowd {
                thread_priority::set_idle_priority();
            } else {
                thread_priority::set_low_priority();
            }
            let _ = done.send(work());
        };
        thread::Builder::new()
            .name("password".to_owned())
            .spawn(check)
            .map_err(|error| failed(&error))?;
        worked.await.map_err(|error| failed(&error))?
    }
}

/// Checks that a new password has an acceptable length.
///
/// Length is the one rule, at least eight: NIST SP 800-63B revision 3, section 5.1.1.2.
pub fn check_new_password(password: &Secret<String>) -> Result<(), PasswordError> {
    let password = password.reveal();
    if password.len() > MAX_PASSWORD_LENGTH {
        return Err(PasswordError::TooLong);
    }
    if password.chars().count() < MIN_PASSWORD_LENGTH {
        return Err(PasswordError::TooShort);
    }
    Ok(())
}

/// Makes up a password: eighty random bits in four groups of four.
#[must_use]
pub fn random_password() -> Secret<String> {
    let random: [u8; 16] = rand::random();
    let mut password = String::new();
    for (at, byte) in random.into_iter().enumerate() {
        if at > 0 && at % 4 == 0 {
            password.push('-');
        }
        let letter = ALPHABET.get(usize::from(byte % 32));
        password.extend(letter.copied().map(char::from));
    }
    Secret::new(password)
}

fn failed(error: &dyn std::fmt::Display) -> PasswordError {
    PasswordError::Failed {
        reason: error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> Secret<String> {
        Secret::new(text.to_owned())
    }

    fn cheap() -> Passwords {
        Passwords::with_cost(HashCost::MIN).unwrap()
    }

    #[test]
    fn more_than_a_few_checks_are_a_flood() {
        let passwords = Passwords::with_cost(HashCost::MIN).unwrap();
        let few = u32::try_from(passwords.cores * FLOOD_CHECKS_PER_CORE).unwrap();
        let _taken = passwords.queue_permits.try_acquire_many(few).unwrap();
        assert!(!passwords.is_flooded());
        let _one_more = passwords.queue_permits.try_acquire().unwrap();
        assert!(passwords.is_flooded());
    }

    #[tokio::test]
    async fn the_right_password_verifies_and_another_does_not() {
        let passwords = cheap();
        let hash = passwords.hash(&secret("correct horse")).await.unwrap();
        let hash = Some(&hash);
        assert!(
            passwords
                .verify(hash, &secret("correct horse"))
                .await
                .unwrap()
        );
        assert!(
            !passwords
                .verify(hash, &secret("correct horsf"))
                .await
                .unwrap()
        );
        assert!(!passwords.verify(hash, &secret("")).await.unwrap());
    }

    #[tokio::test]
    async fn an_unknown_account_never_verifies() {
        let passwords = cheap();
        assert!(
            !passwords
                .verify(None, &secret("anything at all"))
                .await
                .unwrap()
        );
    }

    #[tokio::test]
    async fn two_hashes_of_one_password_differ() {
        let passwords = cheap();
        let password = secret("correct horse");
        let first = passwords.hash(&password).await.unwrap();
        assert!(first != passwords.hash(&password).await.unwrap());
    }

    #[tokio::test]
    async fn new_passwords_are_hashed_as_owasp_advises() {
        let hash = Passwords::new()
            .unwrap()
            .hash(&secret("correct horse"))
            .await
            .unwrap();
        let start = "$argon2id$v=19$m=19456,t=2,p=1$";
        assert!(hash.reveal().starts_with(start), "{}", hash.reveal());
        assert!(
            cheap()
                .verify(Some(&hash), &secret("correct horse"))
                .await
                .unwrap()
        );
    }

    #[tokio::test]
    async fn reused_memory_gives_the_same_results() {
        let passwords = Passwords::new().unwrap();
        let cheap = cheap();
        let right = secret("correct horse");
        let hashes = [
            passwords.hash(&right).await.unwrap(),
            cheap.hash(&right).await.unwrap(),
        ];
        for hash in hashes.iter().chain(&hashes) {
            let hash = Some(hash);
            assert!(passwords.verify(hash, &right).await.unwrap());
            let wrong = secret("correct horsf");
            assert!(!passwords.verify(hash, &wrong).await.unwrap());
        }
    }

    #[tokio::test]
    async fn short_and_overlong_passwords_are_rejected() {
        let passwords = cheap();
        let short = passwords.hash(&secret("7 chars")).await;
        assert!(matches!(short, Err(PasswordError::TooShort)));
        let long = secret(&"a".repeat(MAX_PASSWORD_LENGTH + 1));
        let hashed = passwords.hash(&long).await;
        assert!(matches!(hashed, Err(PasswordError::TooLong)));
        assert!(!passwords.verify(None, &long).await.unwrap());
    }

    #[tokio::test]
    async fn checks_beyond_the_queue_are_rejected() {
        let passwords = cheap();
        let all = u32::try_from(passwords.cores() * MAX_CHECKS_PER_CORE).unwrap();
        let held = passwords.queue_permits.acquire_many(all).await.unwrap();
        let answer = passwords.verify(None, &secret("anything")).await;
        assert!(matches!(answer, Err(PasswordError::Busy)));
        drop(held);
        assert!(!passwords.verify(None, &secret("anything")).await.unwrap());
    }
}
