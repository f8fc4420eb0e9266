//! Hints: what to write instead, for what Cedar's parser and validator refuse.
//!
//! Cedar says what is wrong; an author needs what to write. A hint is `write` with a text that takes the place of the
//! bytes that the problem is about, and it is offered only after it was tried: the file with it has no problem there.
//! Where no such text can be found, the help says what can be done. What is looked for is the kind of a mistake, by the
//! types of the schema, and not a list of mistakes: attributes and types of an author's own get the same hints.
//!
//! - `validation`: entry for the validator; finds candidates and tries them. `condition`: the part of a condition that a
//!   problem is in. `value_type`: the types of expressions. `literal`: texts as values of extension types.
//! - `meaning`: texts as entities, and other words for attributes. `rewrite`, `comparison`: parts in another form. `guard`: what
//!   must be tested before it is read. `advice`: what to do where nothing can be offered.
//! - `syntax`: entry for the parser. `scope_syntax`, `word_syntax`, `vocabulary`: scopes, words. `source_scan`: operands of a text that
//!   does not parse. `foreign`: files in other languages.

mod advice;
mod comparison;
mod condition;
mod foreign;
mod guard;
mod literal;
mod meaning;
mod rewrite;
mod scope_syntax;
mod source_scan;
mod syntax;
mod validation;
mod value_type;
mod vocabulary;
mod word_syntax;

#[cfg(test)]
mod tests;

pub(super) use literal::address_range;
pub(super) use syntax::with_hints;
pub(super) use validation::{PolicyPlace, help_for_unreachable, with_hint};
