//! Errors of the settings, each with the setting and the origin of its value.

use std::io;
use std::path::PathBuf;

use super::origin::Origin;
use super::path_pattern::PathPatternError;

/// Why the settings could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The working directory does not exist.
    #[error("cannot find the working directory: {source}")]
    NoWorkingDirectory {
        /// The error of the system.
        source: io::Error,
    },
    /// A `CEDARGATE_` variable is not Unicode text.
    #[error("the environment variable {variable} is not Unicode text")]
    NotUnicode {
        /// The name of the variable.
        variable: String,
    },
    /// The file that `CEDARGATE_CONFIG` names, or the one found, cannot be read.
    #[error("cannot read the settings file {}: {source}", path.display())]
    FileUnreadable {
        /// The file.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// The file is not valid TOML.
    #[error("{}, line {line}: {message}", path.display())]
    InvalidToml {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The message of the parser; never the line itself, which may hold a secret.
        message: String,
    },
    /// The file has an unknown key.
    #[error("{}: there is no setting {key:?}", path.display())]
    UnknownKey {
        /// The key.
        key: String,
        /// The file.
        path: PathBuf,
        /// The setting with the most similar name.
        similar: Option<String>,
    },
    /// The environment has an unknown `CEDARGATE_` variable.
    #[error("the environment variable {variable} is not a setting")]
    UnknownVariable {
        /// The variable.
        variable: String,
        /// The variable with the most similar name.
        similar: Option<String>,
    },
    /// A setting has a value of a wrong type, of a wrong form or out of bounds.
    #[error("the setting {setting} ({origin}) is {given}: expected {expected}")]
    InvalidValue {
        /// The name of the setting.
        setting: &'static str,
        /// Where its value came from.
        origin: Origin,
        /// The value, or a redaction.
        given: String,
        /// What it has to be.
        expected: String,
    },
    /// An empty variable would take back what the settings file lists.
    #[error("{variable} is set and empty, but {path} sets {setting}", path = path.display())]
    EmptyOverride {
        /// The variable.
        variable: String,
        /// The setting that it sets.
        setting: String,
        /// The settings file.
        path: PathBuf,
    },
    /// The file of a secret setting cannot be used.
    #[error("the setting {setting}: cannot use the file {}, which {named_in} names: {problem}", path.display())]
    SecretFile {
        /// The name of the setting.
        setting: &'static str,
        /// Where the file is named.
        named_in: Origin,
        /// The file.
        path: PathBuf,
        /// What is wrong with it; never what it holds.
        problem: String,
    },
    /// A secret setting is given in both forms in one place.
    #[error("the setting {setting} is given twice: {value_form} and {file_form}")]
    BothForms {
        /// The name of the setting.
        setting: &'static str,
        /// The key or variable of the value.
        value_form: String,
        /// The key or variable of the file.
        file_form: String,
    },
    /// The password of the database is given where it cannot be used.
    #[error("the setting database_password ({origin}) cannot be used: {problem}")]
    UnusablePassword {
        /// Where it came from.
        origin: Origin,
        /// Why not.
        problem: &'static str,
    },
    /// A path pattern cannot be used.
    #[error("the setting {setting} ({origin}): the pattern {pattern:?} {problem}")]
    UnusablePathPattern {
        /// The name of the setting.
        setting: &'static str,
        /// Where it came from.
        origin: Origin,
        /// The pattern.
        pattern: String,
        /// What is wrong with it.
        problem: PathPatternError,
    },
    /// A table of the setting `issuers` cannot be used.
    #[error("the setting issuers ({origin}), table {number}: {problem}")]
    InvalidIssuer {
        /// Where its value came from.
        origin: Origin,
        /// Which table it is, from 1.
        number: usize,
        /// What is wrong with it.
        problem: String,
    },
    /// A table of the setting `stores` cannot be used.
    #[error("the setting stores ({origin}), table {number}: {problem}")]
    InvalidStore {
        /// Where its value came from.
        origin: Origin,
        /// Which table it is, from 1.
        number: usize,
        /// What is wrong with it.
        problem: String,
    },
}

impl ConfigError {
    /// What to do about it, if the message does not say so.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::UnknownKey {
                similar: Some(similar),
                ..
            }
            | Self::UnknownVariable {
                similar: Some(similar),
                ..
            } => Some(format!("did you mean {similar}?")),
            Self::UnknownVariable { .. } => Some(
                "names that begin with CEDARGATE_ are reserved for settings: unset or rename it"
                    .into(),
            ),
            Self::EmptyOverride { setting, .. } => Some(format!(
                "unset the variable; for an empty {setting}, take it out of the settings file"
            )),
            Self::UnknownKey { .. } => Some("the operators' page lists all settings".into()),
            Self::FileUnreadable { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                Some("CEDARGATE_CONFIG names it: correct or unset that variable".into())
            }
            Self::BothForms { .. } => Some("keep one of the two".into()),
            Self::UnusablePathPattern { .. } => Some(
                "a pattern is the path of a URL with one {dataset_id}, such as /cogs/{dataset_id}.tif or \
                 /tiles/{dataset_id}/*"
                    .into(),
            ),
            _ => None,
        }
    }
}
