//! Format: the layout of policy files, as Cedar's own formatter has it.
//!
//! The formatter compares what it wrote with what it read, so nothing but the layout changes;
//! comments and annotations stay. It knows policies only, so the schema is left as it is. This
//! module refuses to know why somebody wants files in order.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use cedar_policy_formatter::{Config, policies_str_to_pretty};

use super::diagnostic::{BundleDiagnostic, BundleError, sorted};
use super::source_policy;
use super::sources::{SourceFiles, is_policy_file};
use crate::atomic_file::atomic_replace;

/// The widest line, in columns.
pub const MAX_LINE_WIDTH: usize = 80;
/// How far a nested line is indented, in columns.
pub const INDENT_WIDTH: isize = 2;

/// The policy files of a folder, its invariants included, and what they look like in order.
#[derive(Debug)]
pub struct FormattedPolicies {
    folder: PathBuf,
    /// How many files there are.
    count: usize,
    /// The files that are out of order, with the text they should have.
    changes: Vec<(String, String)>,
}

/// Why a file could not be put in order.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {path}: {source}", path = .path.display())]
pub struct FormatWriteError {
    /// The file.
    pub path: PathBuf,
    /// What the operating system says.
    pub source: std::io::Error,
}

impl FormattedPolicies {
    /// Reads every `.cedar` file of a folder and of its folder `invariants`.
    ///
    /// Fails with every file that does not parse.
    pub fn load(folder: &Path) -> Result<Self, BundleError> {
        let policies = SourceFiles::read(folder, is_policy_file)?;
        let invariants = SourceFiles::read_invariants(folder)?;
        let mut layout = Self {
            folder: folder.to_owned(),
            count: 0,
            changes: Vec::new(),
        };
        let mut problems = Vec::new();
        for sources in [&policies, &invariants] {
            problems.extend_from_slice(sources.problems());
            for (name, text) in sources.policies() {
                layout.count += 1;
                match format_text(&sources.label(name), text) {
                    Ok(ordered) if ordered == **text => {}
                    Ok(ordered) => layout.changes.push((name.to_owned(), ordered)),
                    Err(found) => problems.extend(found),
                }
            }
        }
        if problems.is_empty() {
            return Ok(layout);
        }
        Err(BundleError::Invalid {
            problems: sorted(problems),
        })
    }

    /// How many policy files there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }

    /// The files that are out of order, relative to the folder.
    pub fn unformatted(&self) -> impl Iterator<Item = &str> {
        self.changes.iter().map(|(name, _)| name.as_str())
    }

    /// Writes the files that are out of order, each of them whole or not at all.
    pub fn write(&self) -> Result<(), FormatWriteError> {
        for (name, text) in &self.changes {
            let path = self.folder.join(name);
            atomic_replace(&path, text.as_bytes())
                .map_err(|source| FormatWriteError { path, source })?;
        }
        Ok(())
    }
}

fn format_text(label: &str, text: &Arc<str>) -> Result<String, Vec<BundleDiagnostic>> {
    // Cedar's parser tells every problem with its place, the formatter only that there is one.
    let parsed = source_policy::parse(label, text)?;
    if parsed.policies().next().is_none() && parsed.templates().next().is_none() {
        // There is nothing to lay out, and the formatter loses comments that no policy follows.
        return Ok(text.as_ref().to_owned());
    }
    let config = Config {
        line_width: MAX_LINE_WIDTH,
        indent_width: INDENT_WIDTH,
    };
    policies_str_to_pretty(text, &config)
        .map_err(|report| vec![BundleDiagnostic::for_file(label, format!("{report:#}"))])
}
