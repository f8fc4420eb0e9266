//! Cedar: bundles of policies, and the decisions they make.
//!
//! The only module that knows Cedar. A [`Bundle`] is one validated policy folder; it answers
//! whether a principal may do something to a resource, and which policies say so. It refuses to
//! know who asks over which protocol, where facts are stored, and what an answer is used for.
//!
//! - [`bundle`]: loads and validates a folder, whole or not at all.
//! - [`folder`]: everything in a policy folder, read once, for the bundle, its cases and its invariants.
//! - [`diagnostic`]: what is wrong with a folder, with file, line and span.
//! - [`cases`]: the cases that stand beside the policies, and running them.
//! - [`check`]: all there is to say about a folder, short of running its cases and proving.
//! - [`coverage`]: what the cases leave untried.
//! - [`entity_file`]: entities to ask about that need not be in any catalog.
//! - [`explain`]: why a bundle answers as it does.
//! - [`complexity`]: how deep policies and schemas may go.
//! - [`prove`]: what holds for every possible request, not only for those of the cases.
//! - [`mod@format`]: how policy files are laid out.
//! - [`live`]: the bundle in force.
//! - [`references`]: what policies speak of.
//! - `sources` reads files, `source_policy` and `links` read what stands in them, `policies` and `validation`
//!   check it, `schema_check` tries the schema, `schema_names` speaks Cedar's names, `entities` and `context` prepare what a decision
//!   looks at, `index` picks the policies that can matter, `decide` asks Cedar, `combined_decision` puts together
//!   what it says, `conditions` takes policies apart and `values` reads what their parts looked at.

pub mod bundle;
pub mod cases;
pub mod check;
pub mod complexity;
pub mod coverage;
pub mod diagnostic;
pub mod entity_file;
pub mod explain;
pub mod folder;
pub mod format;
pub mod live;
pub mod prove;
pub mod references;

mod case_file;
mod combined_decision;
mod conditions;
mod context;
mod decide;
mod entities;
mod index;
mod links;
mod policies;
mod schema_check;
mod schema_names;
mod source_policy;
mod sources;
mod validation;
mod values;

pub use bundle::Bundle;
pub use diagnostic::{BundleDiagnostic, BundleError};
pub use live::LiveBundle;

#[cfg(test)]
mod tests;
