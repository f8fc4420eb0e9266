//! Adds cases to the text of a case file.
//!
//! What is in the file stays byte for byte; new cases follow at its end. A case that asks what one in the file
//! asks, however it is written, is not added again, and not at all if the one in the file expects something else.

use std::collections::BTreeSet;
use std::path::Path;

use cedar_policy::Context;
use serde_json::Value;

use super::bundle::Bundle;
use super::case_file::{self, Case};
use super::case_sources;
use super::error::BundleError;
use super::folder::PolicyFolder;
use super::new_case::NewCase;
use super::sources::{MAX_FILE_SIZE, SourceFiles};

/// What becomes of new cases in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExtendedCaseFile {
    /// The new text of the file; the old one if nothing is added.
    pub text: String,
    /// The names of the cases that are added.
    pub added: Vec<String>,
    /// The names of the cases in the file that ask and expect the same.
    pub present: Vec<String>,
}

/// Cases cannot be added to a file.
#[derive(Debug, thiserror::Error)]
pub enum CaseWriterError {
    /// What is in the file is not valid.
    #[error(transparent)]
    Invalid(#[from] BundleError),
    /// A case in the file asks the same and expects something else.
    #[error("{file}:{line}: the case {name:?} asks the same and expects {expected}, not {decided}")]
    Contradiction {
        /// The file.
        file: String,
        /// The line of the case in it.
        line: usize,
        /// Its name.
        name: String,
        /// What it expects.
        expected: String,
        /// What the new case expects.
        decided: String,
    },
    /// A new case does not fit the schema.
    #[error("{name:?} cannot be written as a case: {reason}")]
    NoCase {
        /// The name of the case.
        name: String,
        /// Why.
        reason: String,
    },
    /// The file would be too large to be read.
    #[error("{file} would have {size} bytes; the limit is {MAX_FILE_SIZE}")]
    TooLarge {
        /// The file.
        file: String,
        /// Its size with the new cases, in bytes.
        size: usize,
    },
}

/// The text of a case file with new cases; `None` stands for a file that is not there.
///
/// Names are made unique, so that a failing case can be told from the others. Fails if the file has problems.
pub fn extend_case_file(
    bundle: &Bundle,
    file: &Path,
    new: &[NewCase],
) -> Result<ExtendedCaseFile, CaseWriterError> {
    let sources = case_sources::read_with_what_it_names(file)?;
    extend(bundle, &sources, &file.display().to_string(), new)
}

impl PolicyFolder {
    /// The text of one of its case files with new cases, as [`extend_case_file`] for a file on disk.
    pub fn extend_cases(
        &self,
        bundle: &Bundle,
        file: &str,
        new: &[NewCase],
    ) -> Result<ExtendedCaseFile, CaseWriterError> {
        extend(bundle, &self.sources_of_cases(file), file, new)
    }
}

/// Adds cases to the one case file of some sources.
fn extend(
    bundle: &Bundle,
    sources: &SourceFiles,
    file: &str,
    new: &[NewCase],
) -> Result<ExtendedCaseFile, CaseWriterError> {
    let mut cases = case_file::parse_all(sources, &bundle.schema, &bundle.networks)
        .map_err(|problems| BundleError::Invalid { problems })?;
    let text = sources
        .iter()
        .find(|(name, _)| case_file::is_case_file(name));
    let text = text.map_or("", |(_, text)| text);
    let mut names: BTreeSet<String> = cases.iter().map(|case| case.name.clone()).collect();
    let (mut added, mut present) = (Vec::new(), Vec::new());
    for new in new {
        let case = new
            .parse(bundle)
            .map_err(|reason| CaseWriterError::NoCase {
                name: new.name().to_owned(),
                reason,
            })?;
        match cases.iter().find(|known| asks_the_same(known, &case)) {
            Some(known) if expects(known) == expects(&case) => present.push(known.name.clone()),
            Some(known) => {
                return Err(CaseWriterError::Contradiction {
                    file: file.to_owned(),
                    line: known.line,
                    name: known.name.clone(),
                    expected: in_words(known),
                    decided: in_words(&case),
                });
            }
            None => {
                let name = unique(new.name(), &names);
                names.insert(name.clone());
                added.push(new.clone().renamed(&name));
                cases.push(case);
            }
        }
    }
    let values: Vec<&Value> = added.iter().map(NewCase::json).collect();
    let text = if values.is_empty() {
        text.to_owned()
    } else {
        appended(text, &values)
    };
    if text.len() as u64 > MAX_FILE_SIZE {
        return Err(CaseWriterError::TooLarge {
            file: file.to_owned(),
            size: text.len(),
        });
    }
    Ok(ExtendedCaseFile {
        text,
        added: added.iter().map(|case| case.name().to_owned()).collect(),
        present,
    })
}

/// Whether two cases ask the same, whatever they expect.
fn asks_the_same(one: &Case, other: &Case) -> bool {
    let (a, b) = (&one.request, &other.request);
    let context = |of: &Case| {
        let context = of.request.context().map(Context::to_json_value);
        context.and_then(Result::ok)
    };
    (a.principal(), a.action(), a.resource()) == (b.principal(), b.action(), b.resource())
        && context(one) == context(other)
        && one.entities == other.entities
}

/// What a case expects; the order of the reasons does not count.
fn expects(case: &Case) -> (&str, BTreeSet<&str>, usize) {
    let reason = case.reason.iter().map(String::as_str).collect();
    (case.decision.as_str(), reason, case.num_errors)
}

fn in_words(case: &Case) -> String {
    let (decision, reason, num_errors) = expects(case);
    let mut words = decision.to_owned();
    if !reason.is_empty() {
        let reason: Vec<&str> = reason.into_iter().collect();
        words.extend([" by ", &reason.join(", ")]);
    }
    if num_errors > 0 {
        words.extend([format!(" with {num_errors} errors")]);
    }
    words
}

/// The name, or the name with the first number that makes it unique.
fn unique(name: &str, taken: &BTreeSet<String>) -> String {
    let numbered = (2..).map(|number: usize| format!("{name} ({number})"));
    let mut names = std::iter::once(name.to_owned()).chain(numbered);
    names
        .find(|name| !taken.contains(name))
        .unwrap_or_else(|| name.to_owned())
}

/// The text of a JSON list with more elements at its end; an empty text stands for an empty list.
fn appended(text: &str, values: &[&Value]) -> String {
    let new = case_file::to_json_text(values);
    let head = text.trim_end().strip_suffix(']').map(str::trim_end);
    match head {
        Some(head) if head.trim_start() != "[" => {
            let new = new.strip_prefix('[').unwrap_or(&new);
            format!("{head},{new}")
        }
        _ => new,
    }
}
