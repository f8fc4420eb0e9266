//! Policies: bundles of Cedar policies, and the decisions they make.
//!
//! The only module that uses Cedar. A [`Bundle`] is one validated policy folder; it decides whether a
//! principal may do an action on a resource, and names the determining policies. It does not know
//! HTTP, nor where users and datasets are stored.
//!
//! - [`bundle`]: loads and validates a folder. [`live`]: the bundle in force.
//! - [`attributes`]: the attributes that the author's schema declares, and their values in the catalog.
//! - [`edited_attributes`]: what an edit of the schema means for values that the catalog has.
//! - [`folder`]: everything in a policy folder, read once, for the bundle, its cases and its invariants.
//!   [`file_name`]: which files it may have.
//! - [`cases`]: the test cases beside the policies. [`case_failures`]: the failed ones by their causes. [`coverage`]:
//!   what they do not cover.
//! - [`mentions`]: the users, roles and datasets that a folder names. `reach`: what can never match.
//! - [`new_case`]: a decision as a case. [`case_writer`]: adds cases to a file.
//! - [`uncovered`]: the policies without a case.
//! - [`vocabulary`]: what policies of a schema can name, for an editor.
//! - [`check`]: all checks of a folder but running its cases and proving its invariants.
//! - [`prove`]: proofs for every possible request. [`proof_memory`]: what is known from before, under a `proof_digest` of
//!   everything that it depends on.
//! - [`effect`]: how two bundles differ, and why a policy has no effect.
//! - [`explain`]: which policies led to a decision, and how. [`entity_file`]: entities of a file to explain.
//! - [`safeguards`]: what an edit takes away from invariants and cases.
//! - [`references`]: the entities and attributes that policies refer to. [`context_literals`]: what they compare the
//!   context with, `attribute_literals` what attributes of the catalog add. `time_comparisons` and [`key_literals`] have
//!   what times and API keys are compared with.
//! - [`complexity`]: limits on the complexity of policies and schemas.
//! - [`mod@format`]: the layout of policy files.
//! - Cases: `case_file` parses them, `short_case` those that name entities of a `situation`, with
//!   `case_changes`; `case_entities` lays them over those of the bundle; `typed_json` reads the words in both.
//! - Parsing: `sources` are files that `source_reader` reads, `source_policy` parses one, `file_parser` is shared by `policies` and
//!   the invariants, `links` fills templates, `networks` reads the named networks, `case_file` and `json_span` parse
//!   JSON, `case_sources` reads one case file with what it names, `validation` runs
//!   Cedar's validator on what is not `known_valid`, `schema_check` tries the schema, `schema_names` has its names.
//! - Questions of other services (AuthZEN): [`access_types`] has their names, [`bundle_entities`] the entities of the author's
//!   own types, [`questions`] decides; `schema_text` finds declarations in the text of the schema.
//! - `enumerations`: which words are entities of an enumeration, and what to write for a text.
//! - `named_users`: the users that a forbid is about.
//! - `confusable`: which of the validator's warnings about characters are of use.
//! - `hints`: what to write instead of what the parser and the validator refuse.
//! - Deciding: `entities` and `context` build what Cedar evaluates, `cached_entities` says how large it is, `cache_size`
//!   how much is kept, `index` finds the policies that can
//!   match, `decide` evaluates them, `policy_id` has their ids, `combined_decision` combines the results of several sets.
//! - Explaining: `conditions` splits policies into parts, as `source_form` says how they are written,
//!   `values` lists what a part reads, `case_answer` evaluates cases, `caught_case` says which policy caught one that
//!   failed.

pub mod access_types;
mod address;
mod attribute_literals;
pub mod attributes;
pub mod bundle;
pub mod bundle_entities;
mod cache_size;
mod cached_entities;
pub mod case_failures;
pub mod case_writer;
pub mod cases;
pub mod check;
pub mod complexity;
pub mod context_literals;
pub mod coverage;
pub mod edited_attributes;
pub mod effect;
pub mod entity_file;
pub mod explain;
pub mod file_name;
pub mod folder;
pub mod format;
pub mod key_literals;
pub mod live;
pub mod mentions;
pub mod new_case;
pub mod proof_memory;
pub mod proof_precedence;
pub mod proof_progress;
pub mod prove;
pub mod questions;
pub mod references;
pub mod safeguards;
pub mod uncovered;
pub mod vocabulary;

mod case_answer;
mod case_changes;
mod case_entities;
mod case_file;
mod case_result;
mod case_sources;
mod caught_case;
mod combined_decision;
mod conditions;
mod confusable;
mod context;
mod decide;
mod decision_classes;
mod entities;
mod entity_conversion;
mod enumerations;
mod error;
mod file_parser;
mod hints;
mod index;
mod json_span;
mod known_valid;
mod links;
mod literal_values;
mod named_users;
mod networks;
mod pair_traits;
mod part_value;
mod policies;
mod policy_id;
mod proof_digest;
mod reach;
mod schema_check;
mod schema_names;
mod schema_text;
mod short_case;
mod situation;
mod source_form;
mod source_policy;
mod source_reader;
mod sources;
mod time_comparisons;
mod typed_json;
mod unknown_address;
mod validation;
mod values;

pub use bundle::Bundle;
pub use error::BundleError;
pub use live::LiveBundle;

#[cfg(test)]
mod tests;
