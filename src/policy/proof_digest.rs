//! Digests: the SHA-256 of what was checked, under which the memory of proofs keeps the result.
//!
//! A digest is over everything that the result depends on: the policy and the invariant as they are written, the
//! schema, the request environment, the solver and this program. A digest that is known means that the same question
//! was answered before; a digest cannot be made to fit another question.

use cedar_policy::{Effect, EntityUid, Policy, SlotId};
use sha2::{Digest as _, Sha256};

use super::sources::{NETWORKS_FILE, SCHEMA_FILE, SourceFiles};

/// Everything of this program that a result depends on: the dependencies and the policy module, by their sources.
const PROGRAM: &str = env!("PROOF_PROGRAM");

/// The digest of a question.
pub(super) type ProofDigest = [u8; 32];

/// Builds a digest of fields that cannot run into each other.
pub(super) struct DigestBuilder(Sha256);

impl DigestBuilder {
    /// Digests of different `kind` never collide.
    pub(super) fn new(kind: &str) -> Self {
        Self(Sha256::new()).with(kind.as_bytes())
    }

    /// Adds a field.
    pub(super) fn with(mut self, field: &[u8]) -> Self {
        let length = u64::try_from(field.len()).unwrap_or(u64::MAX);
        self.0.update(length.to_le_bytes());
        self.0.update(field);
        self
    }

    pub(super) fn finish(self) -> ProofDigest {
        self.0.finalize().into()
    }
}

/// What all questions about a bundle have in common: this program, the schema, and the solver if it is asked.
pub(super) fn context_digest(sources: &SourceFiles, solver_version: &str) -> ProofDigest {
    let file = |name: &str| {
        let text = sources.text(name);
        text.map_or(&[][..], |text| text.as_bytes())
    };
    DigestBuilder::new("context")
        .with(env!("CARGO_PKG_VERSION").as_bytes())
        .with(PROGRAM.as_bytes())
        .with(solver_version.as_bytes())
        .with(file(SCHEMA_FILE))
        .with(file(NETWORKS_FILE))
        .finish()
}

/// A policy as it is written; for a link, its template and the values of the slots.
///
/// The text of a policy says all that its conditions mean, and reading it costs less than writing its syntax tree.
/// `None` if the text is not known: such a policy is checked anew each time.
pub(super) fn policy_digest(policy: &Policy) -> Option<ProofDigest> {
    let text = policy.as_ref().loc()?.snippet()?;
    let effect = match policy.effect() {
        Effect::Permit => "permit",
        Effect::Forbid => "forbid",
    };
    let mut digest = DigestBuilder::new("policy")
        .with(effect.as_bytes())
        .with(text.as_bytes());
    if let Some(values) = policy.template_links() {
        for slot in [SlotId::principal(), SlotId::resource()] {
            let value = values.get(&slot).map(EntityUid::to_string);
            digest = digest.with(value.unwrap_or_default().as_bytes());
        }
    }
    Some(digest.finish())
}
