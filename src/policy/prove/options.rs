//! The options of a proof: how long it may take, how thorough it is, and what it gives way to.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::policy::proof_precedence::ProofPrecedence;

/// How a proof is made.
#[derive(Clone, Debug)]
pub struct ProofOptions {
    /// How long it may take; what is not known by then is unproven. A thorough proof takes up to 8 seconds more to look
    /// for what has no effect.
    pub time_limit: Duration,
    /// Whether to look for policies and invariants without effect too.
    pub is_thorough: bool,
    /// Whether the threads run with low priority.
    pub is_low_priority: bool,
    /// The invariants, by `@id`, that must not hold for any policies whatever.
    pub must_have_effect: BTreeSet<String>,
    /// Gives the proof up: within a second no solver runs for it any more.
    pub cancellation: CancellationToken,
    /// The proofs that it waits for before each question.
    pub gives_way_to: Option<Arc<ProofPrecedence>>,
}

impl ProofOptions {
    /// Proves the invariants alone, at the usual priority, within a time limit.
    #[must_use]
    pub fn within(time_limit: Duration) -> Self {
        Self {
            time_limit,
            is_thorough: false,
            is_low_priority: false,
            must_have_effect: BTreeSet::new(),
            cancellation: CancellationToken::new(),
            gives_way_to: None,
        }
    }
}
