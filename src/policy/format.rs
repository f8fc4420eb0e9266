//! Formatting of policy files with Cedar's own formatter.
//!
//! Only the layout changes; comments and annotations stay, as the formatter verifies. It supports
//! policies only, so the schema is left as it is. A file whose lines all end in CRLF keeps that; other files
//! get LF. A byte order mark does not make a file unformatted, and is gone when the file is written.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use cedar_policy_formatter::{Config, policies_str_to_pretty};

use crate::atomic_file::atomic_replace;
use crate::domain::diagnostic::{SourceDiagnostic, sorted};

use super::error::BundleError;
use super::source_policy;
use super::sources::{SourceFiles, is_policy_file};

/// The widest line, in columns.
const MAX_LINE_WIDTH: usize = 80;
/// The indentation of a nested line, in columns.
const INDENT_WIDTH: isize = 2;

/// The formatted policy files of a folder, with its invariants.
#[derive(Debug)]
pub struct FormattedPolicies {
    folder: PathBuf,
    /// The number of policy files.
    count: usize,
    /// The files that are not formatted, each with its formatted text.
    changes: Vec<(String, String)>,
}

/// A formatted file could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {path}: {source}", path = .path.display())]
pub struct FormatWriteError {
    /// The file.
    pub path: PathBuf,
    /// The error of the operating system.
    pub source: std::io::Error,
}

impl FormattedPolicies {
    /// Formats every `.cedar` file of a folder and of its folder `invariants`, in memory.
    ///
    /// Fails with every file that does not parse.
    pub fn load(folder: &Path) -> Result<Self, BundleError> {
        let policies = SourceFiles::read(folder, is_policy_file)?;
        let invariants = SourceFiles::read_invariants(folder)?;
        let mut files = Self {
            folder: folder.to_owned(),
            count: 0,
            changes: Vec::new(),
        };
        let mut problems = Vec::new();
        for sources in [&policies, &invariants] {
            problems.extend_from_slice(sources.problems());
            for (name, text) in sources.policies() {
                files.count += 1;
                match format_text(&sources.label(name), text) {
                    Ok(formatted) if formatted == **text => {}
                    Ok(formatted) => files.changes.push((name.to_owned(), formatted)),
                    Err(found) => problems.extend(found),
                }
            }
        }
        if problems.is_empty() {
            return Ok(files);
        }
        Err(BundleError::Invalid {
            problems: sorted(problems),
        })
    }

    /// The number of policy files.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }

    /// The files that are not formatted, relative to the folder.
    pub fn unformatted(&self) -> impl Iterator<Item = &str> {
        self.changes.iter().map(|(name, _)| name.as_str())
    }

    /// Writes the files that are not formatted, each of them atomically.
    pub fn write(&self) -> Result<(), FormatWriteError> {
        for (name, text) in &self.changes {
            let path = self.folder.join(name);
            atomic_replace(&path, text.as_bytes())
                .map_err(|source| FormatWriteError { path, source })?;
        }
        Ok(())
    }
}

/// Whether a file of this name can be formatted: not the schema, and nothing that is no policy.
#[must_use]
pub fn is_formattable(name: &str) -> bool {
    is_policy_file(name)
}

/// The text of one policy file, formatted; messages have it as `label`. Fails with its problems if it does not parse.
pub fn format_text(label: &str, text: &Arc<str>) -> Result<String, Vec<SourceDiagnostic>> {
    // Cedar's parser reports every problem with its location, the formatter only the first message.
    let parsed = source_policy::parse(label, text)?;
    if parsed.policies().next().is_none() && parsed.templates().next().is_none() {
        // The formatter loses comments that no policy follows.
        return Ok(text.as_ref().to_owned());
    }
    let config = Config {
        line_width: MAX_LINE_WIDTH,
        indent_width: INDENT_WIDTH,
    };
    let format = |text: &str| {
        policies_str_to_pretty(text, &config)
            .map_err(|report| vec![SourceDiagnostic::for_file(label, format!("{report:#}"))])
    };
    if has_only_crlf(text) {
        return Ok(format(&text.replace("\r\n", "\n"))?.replace('\n', "\r\n"));
    }
    format(text)
}

/// Whether every line ends in CRLF: such a file keeps it.
fn has_only_crlf(text: &str) -> bool {
    let ends = text.matches('\n').count();
    ends > 0 && text.matches("\r\n").count() == ends
}
