//! The policies that are known to be valid, so that an edit of one does not validate all others again.

use std::collections::BTreeSet;
use std::sync::Arc;

use cedar_policy::{Policy, ValidationResult};

use super::policy_id::id_text;
use super::proof_digest::{DigestBuilder, ProofDigest, context_digest, policy_digest};
use super::proof_memory::ProofMemory;
use super::sources::SourceFiles;
use super::validation::ValidationPurpose;

/// The policies that were validated before, against one schema and for one purpose, without any finding.
pub(super) struct KnownValid {
    memory: Arc<ProofMemory>,
    context: ProofDigest,
}

impl KnownValid {
    pub(super) fn new(
        sources: &SourceFiles,
        purpose: ValidationPurpose,
        memory: &Arc<ProofMemory>,
    ) -> Self {
        Self {
            memory: Arc::clone(memory),
            context: context_digest(sources, purpose.noun()),
        }
    }

    pub(super) fn contains(&self, policy: &Policy) -> bool {
        let question = self.question(policy);
        question.is_some_and(|question| self.memory.holds(&question))
    }

    /// Adds validated policies, without those about which there is something to say.
    pub(super) fn add<'p>(
        &self,
        policies: impl Iterator<Item = &'p Policy>,
        found: &BTreeSet<String>,
    ) {
        for policy in policies.filter(|policy| !found.contains(policy.id().as_ref() as &str)) {
            if let Some(question) = self.question(policy) {
                self.memory.add(question, Vec::new());
            }
        }
    }

    fn question(&self, policy: &Policy) -> Option<ProofDigest> {
        let policy = policy_digest(policy)?;
        let question = DigestBuilder::new("valid")
            .with(&self.context)
            .with(&policy);
        Some(question.finish())
    }
}

/// The policies about which the validator says anything.
pub(super) fn findings_of(result: &ValidationResult) -> BTreeSet<String> {
    let errors = result.validation_errors();
    let errors = errors.map(|error| id_text(error.policy_id()));
    let warnings = result.validation_warnings();
    errors
        .chain(warnings.map(|warning| id_text(warning.policy_id())))
        .collect()
}
