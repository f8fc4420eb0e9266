//! Enumerations: the words of Cedargate that a schema declares as enumerated entities, so that a misspelt one is an
//! error and not a policy that never matches.
//!
//! The rule: whatever Cedargate gives policies as one of a few words is an entity of an enumeration, never a
//! `String`. `context.authentication` and `context.key.actions` were texts once. A schema of that time keeps
//! working, with a warning that says what to write: refusing it would keep a server from starting after an upgrade.
//!
//! - `enumeration`: the words. `context_words`: those of the context, as a schema declares them.
//! - `advice`: what to write where a text is compared with one of them.

mod advice;
mod context_words;
mod enumeration;

pub(super) use advice::entity_advice;
pub(super) use context_words::ContextWords;
pub(super) use enumeration::Enumeration;

#[cfg(test)]
mod tests;
