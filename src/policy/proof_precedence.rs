//! Precedence among proofs: those of drafts wait while the policy gate proves.

use std::sync::Arc;

use tokio::sync::watch;

/// Which proofs go first. Shared by all proofs of a process.
#[derive(Debug, Default)]
pub struct ProofPrecedence {
    first: watch::Sender<usize>,
}

/// A proof that goes first, until it is dropped.
#[derive(Debug)]
pub struct FirstProof(Arc<ProofPrecedence>);

impl ProofPrecedence {
    /// A proof begins that others wait for.
    #[must_use]
    pub fn go_first(self: &Arc<Self>) -> FirstProof {
        self.first.send_modify(|count| *count += 1);
        FirstProof(Arc::clone(self))
    }

    /// Waits until no proof goes first.
    pub(super) async fn wait(&self) {
        let mut first = self.first.subscribe();
        // The sender is there as long as this is.
        drop(first.wait_for(|count| *count == 0).await);
    }
}

impl Drop for FirstProof {
    fn drop(&mut self) {
        let first = &self.0.first;
        first.send_modify(|count| *count = count.saturating_sub(1));
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn the_others_wait_until_the_last_one_that_goes_first_is_over() {
        let precedence = Arc::new(ProofPrecedence::default());
        let is_free = || precedence.wait().now_or_never().is_some();
        assert!(is_free());
        let (one, other) = (precedence.go_first(), precedence.go_first());
        drop(one);
        assert!(!is_free());
        drop(other);
        assert!(is_free());
    }
}
