//! The conformance set: good and bad download tokens with the verdict that a verifier must come to.
//!
//! The cases are data (`cases.json`): each says how a token differs from a good one. A [`TokenForge`] makes
//! their tokens, and so makes what no other code here can: tokens that are wrong.

mod case;
mod damage;
mod forge;
mod forged_keys;
mod json_text;

pub use case::{CaseKind, ConformanceCase, ConformanceCases, Verdict};
pub use forge::{ConformanceToken, ForgedParties, TokenForge};

#[cfg(test)]
mod tests;
