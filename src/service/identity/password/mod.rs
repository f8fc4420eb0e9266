//! Password hashing and verification with Argon2id.
//!
//! A password is the same in any of the forms that devices give it (the module `forms`).
//!
//! The work runs on threads of its own, on all cores but one, at the lowest priority of the process.

mod error;
mod forms;
mod memory_pool;
mod phc;

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread;

use argon2::Params;
use tokio::sync::{Semaphore, oneshot};

use crate::domain::secret::Secret;
use crate::thread_priority;

use forms::PasswordForms;
use memory_pool::MemoryPool;

pub use error::{
    MAX_PASSWORD_LENGTH, MAX_TYPED_PASSWORD_LENGTH, MIN_PASSWORD_LENGTH, PasswordError,
};
pub use forms::PasswordMatch;
pub use phc::{MAX_HASH_LENGTH, check_hash};

/// How many checks per core may run or wait before further ones are rejected.
const MAX_CHECKS_PER_CORE: usize = 64;

/// More checks per core than this, running and waiting, are treated as a flood.
const FLOOD_CHECKS_PER_CORE: usize = 4;

/// Unambiguous letters and digits: 32, so that each carries five bits.
const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

/// The cost of hashing one new password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HashCost {
    /// Memory in KiB.
    pub memory_kib: u32,
    /// Passes over the memory.
    pub passes: u32,
    /// Lanes that the memory is divided into.
    pub lanes: u32,
}

impl HashCost {
    /// 19 MiB, two passes, one lane: OWASP's Password Storage Cheat Sheet, Argon2id.
    pub const OWASP: Self = Self {
        memory_kib: 19 * 1024,
        passes: 2,
        lanes: 1,
    };

    /// The minimum cost of Argon2: for tests that log in often.
    pub const MIN: Self = Self {
        memory_kib: 8,
        passes: 1,
        lanes: 1,
    };
}

/// Hashes and verifies passwords; clones share one bound on how many run and wait.
#[derive(Clone)]
pub struct Passwords {
    /// The cost of new hashes.
    params: Params,
    memory_pool: Arc<MemoryPool>,
    /// One permit for each running check.
    running_permits: Arc<Semaphore>,
    /// One permit for each check that runs or waits.
    queue_permits: Arc<Semaphore>,
    cores: usize,
}

impl Passwords {
    /// Hashes at [`HashCost::OWASP`].
    pub fn new() -> Result<Self, PasswordError> {
        Self::with_cost(HashCost::OWASP)
    }

    /// Hashes new passwords at `cost`; hashes made at another cost still verify.
    pub fn with_cost(cost: HashCost) -> Result<Self, PasswordError> {
        let params = Params::new(cost.memory_kib, cost.passes, cost.lanes, None)
            .map_err(PasswordError::failed)?;
        let all_cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let cores = all_cores.saturating_sub(1).max(1);
        Ok(Self {
            memory_pool: Arc::new(MemoryPool::new(params.block_count())),
            params,
            running_permits: Arc::new(Semaphore::new(cores)),
            queue_permits: Arc::new(Semaphore::new(cores.saturating_mul(MAX_CHECKS_PER_CORE))),
            cores,
        })
    }

    /// Gives the memory of checks that are over back to the system, until the next ones.
    pub fn free_memory(&self) {
        self.memory_pool.clear();
    }

    /// How many checks run at a time.
    pub fn cores(&self) -> usize {
        self.cores
    }

    /// Hashes the normal form of a new password with a fresh salt, into a PHC string.
    pub async fn hash(&self, password: &Secret<String>) -> Result<Secret<String>, PasswordError> {
        let normal = check_new_password(password)?;
        let (params, memory_pool) = (self.params.clone(), Arc::clone(&self.memory_pool));
        self.run_on_thread(move || {
            phc::new_hash(&params, normal.reveal(), &memory_pool).map(Secret::new)
        })
        .await
    }

    /// Whether `password` is the one that was hashed.
    ///
    /// Without a hash (an unknown account, or one without a password) the result is none, after the
    /// same work, so that the time does not tell which accounts exist. `costs` are those of all hashes that
    /// there may be, in PHC form: each check hashes once at each of them, whatever hash the account has, and
    /// twice if the password is not in its normal form ([`has_two_forms`]).
    pub async fn verify(
        &self,
        hash: Option<&Secret<String>>,
        password: &Secret<String>,
        costs: &[String],
    ) -> Result<PasswordMatch, PasswordError> {
        let forms = PasswordForms::new(password);
        if forms.count() == 0 {
            return Ok(PasswordMatch::None);
        }
        let hash = hash.cloned();
        let plan = phc::plan_check(hash.as_ref(), costs, &self.params)?;
        let memory_pool = Arc::clone(&self.memory_pool);
        self.run_on_thread(move || {
            let check = |form: Option<&Secret<String>>| match form {
                Some(form) => phc::run_check(&plan, hash.as_ref(), form.reveal(), &memory_pool),
                None => Ok(false),
            };
            // Each form is checked whatever the other gives: the time must not tell which one was right.
            let (is_normal, is_typed) =
                (check(forms.normal.as_ref())?, check(forms.typed.as_ref())?);
            Ok(match (is_normal, is_typed) {
                (true, _) => PasswordMatch::Normal,
                (false, true) => PasswordMatch::AsTyped,
                (false, false) => PasswordMatch::None,
            })
        })
        .await
    }

    /// Whether so many checks wait that it may be a flood, which must not hold up minting. A few must
    /// not stall on a busy machine, as idle threads do.
    fn is_flooded(&self) -> bool {
        let permits = self.cores.saturating_mul(MAX_CHECKS_PER_CORE);
        let taken = permits.saturating_sub(self.queue_permits.available_permits());
        taken > self.cores.saturating_mul(FLOOD_CHECKS_PER_CORE)
    }

    async fn run_on_thread<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, PasswordError> + Send + 'static,
    ) -> Result<T, PasswordError> {
        let queue_permit = Arc::clone(&self.queue_permits)
            .try_acquire_owned()
            .map_err(|_| PasswordError::Busy)?;
        let running_permit = Arc::clone(&self.running_permits)
            .acquire_owned()
            .await
            .map_err(PasswordError::failed)?;
        // A thread of its own for each check, since a thread cannot raise its priority again. The
        // permits go along: a caller who goes away does not stop the work, nor free its core.
        let (sender, result) = oneshot::channel();
        let is_flooded = self.is_flooded();
        let check = move || {
            let _permits = (queue_permit, running_permit);
            if is_flooded {
                thread_priority::set_idle_priority();
            } else {
                thread_priority::set_low_priority();
            }
            let _ = sender.send(work());
        };
        thread::Builder::new()
            .name("password".to_owned())
            .spawn(check)
            .map_err(PasswordError::failed)?;
        result.await.map_err(PasswordError::failed)?
    }
}

/// Checks that a new password has an acceptable length, and gives its normal form.
///
/// Length is the one rule, at least eight: NIST SP 800-63B revision 3, section 5.1.1.2, which also asks for a
/// normal form before hashing.
pub fn check_new_password(password: &Secret<String>) -> Result<Secret<String>, PasswordError> {
    let normal = PasswordForms::new(password).normal;
    let normal = normal.ok_or(PasswordError::TooLong)?;
    if normal.reveal().chars().count() < MIN_PASSWORD_LENGTH {
        return Err(PasswordError::TooShort);
    }
    Ok(normal)
}

/// Whether checking a password costs twice as much as others, because it is not in its normal form.
#[must_use]
pub fn has_two_forms(password: &Secret<String>) -> bool {
    PasswordForms::new(password).count() > 1
}

/// Generates a random password: eighty bits in four groups of four.
#[must_use]
pub fn random_password() -> Secret<String> {
    let random: [u8; 16] = rand::random();
    let mut password = String::new();
    for (index, byte) in random.into_iter().enumerate() {
        if index > 0 && index % 4 == 0 {
            password.push('-');
        }
        let letter = ALPHABET.get(usize::from(byte % 32));
        password.extend(letter.copied().map(char::from));
    }
    Secret::new(password)
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
                .verify(hash, &secret("correct horse"), &[])
                .await
                .unwrap()
                .is_right()
        );
        assert!(
            !passwords
                .verify(hash, &secret("correct horsf"), &[])
                .await
                .unwrap()
                .is_right()
        );
        assert!(
            !passwords
                .verify(hash, &secret(""), &[])
                .await
                .unwrap()
                .is_right()
        );
    }

    #[tokio::test]
    async fn a_password_verifies_in_any_form_and_an_older_hash_as_it_was_typed() {
        let passwords = cheap();
        let (composed, decomposed) = (secret("Café au lait"), secret("Cafe\u{301}\u{a0}au lait"));
        for set in [&composed, &decomposed] {
            let hash = passwords.hash(set).await.unwrap();
            for typed in [&composed, &decomposed] {
                let found = passwords.verify(Some(&hash), typed, &[]).await.unwrap();
                assert_eq!(found, PasswordMatch::Normal);
            }
        }
        let (params, memory_pool) = (&passwords.params, &passwords.memory_pool);
        let older = phc::new_hash(params, decomposed.reveal(), memory_pool);
        let older = Secret::new(older.unwrap());
        for (typed, expected) in [
            (&decomposed, PasswordMatch::AsTyped),
            (&composed, PasswordMatch::None),
        ] {
            let found = passwords.verify(Some(&older), typed, &[]).await.unwrap();
            assert_eq!(found, expected);
        }
        assert!(has_two_forms(&decomposed) && !has_two_forms(&composed));
    }

    #[tokio::test]
    async fn an_unknown_account_never_verifies() {
        let passwords = cheap();
        assert!(
            !passwords
                .verify(None, &secret("anything at all"), &[])
                .await
                .unwrap()
                .is_right()
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
                .verify(Some(&hash), &secret("correct horse"), &[])
                .await
                .unwrap()
                .is_right()
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
            assert!(
                passwords
                    .verify(hash, &right, &[])
                    .await
                    .unwrap()
                    .is_right()
            );
            let wrong = secret("correct horsf");
            assert!(
                !passwords
                    .verify(hash, &wrong, &[])
                    .await
                    .unwrap()
                    .is_right()
            );
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
        assert!(!passwords.verify(None, &long, &[]).await.unwrap().is_right());
    }

    #[tokio::test]
    async fn checks_beyond_the_queue_are_rejected() {
        let passwords = cheap();
        let all = u32::try_from(passwords.cores() * MAX_CHECKS_PER_CORE).unwrap();
        let held = passwords.queue_permits.acquire_many(all).await.unwrap();
        let result = passwords.verify(None, &secret("anything"), &[]).await;
        assert!(matches!(result, Err(PasswordError::Busy)));
        drop(held);
        assert!(
            !passwords
                .verify(None, &secret("anything"), &[])
                .await
                .unwrap()
                .is_right()
        );
    }
}
