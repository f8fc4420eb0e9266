//! Errors of proving.

use std::path::PathBuf;

use crate::policy::error::BundleError;

/// Why nothing could be proved.
#[derive(Debug, thiserror::Error)]
pub enum ProveError {
    /// The invariants have errors.
    #[error(transparent)]
    Invariants(#[from] BundleError),
    /// There is no solver on this machine.
    #[error("the solver {program} is not installed", program = .program.display())]
    SolverNotFound {
        /// The program.
        program: PathBuf,
    },
    /// There is a solver, or may be one, and it could not be started.
    #[error("cannot start the solver {program}: {source}", program = .program.display())]
    SolverNotStarted {
        /// The program.
        program: PathBuf,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// The program is not the solver.
    #[error("{program} is not cvc5", program = .program.display())]
    UnknownSolver {
        /// The program.
        program: PathBuf,
    },
    /// More policies are still to be proved than there may be.
    #[error("{policies} policies are still to be proved")]
    TooManyNew {
        /// How many.
        policies: usize,
    },
    /// Nobody waits for the proof any more.
    #[error("the proof was given up")]
    GivenUp,
    /// Something failed that is not about the policies.
    #[error("the proof failed: {reason}")]
    Failed {
        /// The cause.
        reason: String,
    },
}

impl ProveError {
    pub(super) fn failed(error: &dyn std::error::Error) -> Self {
        Self::Failed {
            reason: error.to_string(),
        }
    }
}
