//! The outcome of a command: an exit status, or an error with a hint.

use std::fmt::Display;
use std::io;

use serde::Serialize;

use crate::app::AppError;
use crate::domain::error_chain::error_chain;
use crate::domain::suggest::did_you_mean;
use crate::policy::BundleError;
use crate::service::error::ServiceError;
use crate::service::policies::reload::ActiveBundleError;
use crate::service::tokens::sealing_key_file::SealingKeyFileError;
use crate::storage::StorageError;

use super::print;

pub(super) type CommandResult = Result<ExitStatus, CommandError>;

/// How a command ended without an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ExitStatus {
    /// It succeeded.
    Success,
    /// It checked something, and the check failed.
    CheckFailed,
}

impl ExitStatus {
    pub(super) fn from_check(is_passed: bool) -> Self {
        if is_passed {
            Self::Success
        } else {
            Self::CheckFailed
        }
    }
}

/// Why a command failed, for a person.
#[derive(Debug)]
pub(super) struct CommandError {
    /// What went wrong; may have several lines.
    pub(super) message: String,
    /// What to do about it.
    pub(super) hint: Option<String>,
    /// 1 for a failure, 2 for wrong usage, 3 for a failed check.
    pub(super) exit_code: u8,
}

impl CommandError {
    pub(super) fn new(error: impl Display) -> Self {
        Self {
            message: error.to_string(),
            hint: None,
            exit_code: 1,
        }
    }

    /// Wrong usage.
    pub(super) fn usage(error: impl Display) -> Self {
        Self {
            exit_code: 2,
            ..Self::new(error)
        }
    }

    /// A check that failed, so that nothing was done.
    pub(super) fn check(error: impl Display) -> Self {
        Self {
            exit_code: 3,
            ..Self::new(error)
        }
    }

    pub(super) fn with_hint(self, hint: impl Into<String>) -> Self {
        Self {
            hint: Some(hint.into()),
            ..self
        }
    }

    /// Hints at the known name that `name` is most likely a misspelling of, or else gives `hint`.
    pub(super) fn with_suggestion<'a>(
        self,
        name: &str,
        known: impl IntoIterator<Item = &'a str>,
        hint: &str,
    ) -> Self {
        self.with_hint(did_you_mean(name, known).unwrap_or_else(|| hint.to_owned()))
    }
}

impl From<AppError> for CommandError {
    fn from(error: AppError) -> Self {
        match error {
            AppError::Bundle(bundle) => bundle.into(),
            AppError::Sealing(SealingKeyFileError::Exposed { ref path, .. }) => {
                let hint = format!("chmod 600 {}", path.display());
                Self::new(error).with_hint(hint)
            }
            AppError::Keys(_) => Self::new(error).with_hint(
                "the sealing key file does not fit the signing keys in the database: restore the \
                 file that they were created with, or set CEDARGATE_SEALING_KEY_FILE to it",
            ),
            AppError::OlderSchema { .. } => Self::new(error).with_hint(
                "cedargate migrate brings it up to date; replace the running servers first, or stop them",
            ),
            error => Self::new(error),
        }
    }
}

impl From<BundleError> for CommandError {
    fn from(error: BundleError) -> Self {
        let hint = match &error {
            BundleError::Unreadable { .. } => {
                "name the policy folder, or set CEDARGATE_POLICY_DIR to it"
            }
            BundleError::Invalid { .. } => "cedargate policy check checks the policies again",
        };
        Self::new(error.render(print::is_coloured()).trim_end()).with_hint(hint)
    }
}

impl From<ActiveBundleError> for CommandError {
    fn from(error: ActiveBundleError) -> Self {
        match error {
            ActiveBundleError::Invalid(error) => error.into(),
            ActiveBundleError::LastGood(error) => {
                Self::new(error).with_hint("name a policy folder")
            }
        }
    }
}

impl From<ServiceError> for CommandError {
    fn from(error: ServiceError) -> Self {
        let message = error_chain(&error);
        match error {
            ServiceError::Conflict {
                field: "is_disabled",
                ..
            } => Self::new(message)
                .with_hint("cedargate user add NAME --admin creates another admin"),
            _ => Self::new(message),
        }
    }
}

impl From<StorageError> for CommandError {
    fn from(error: StorageError) -> Self {
        Self::new(error)
    }
}

impl From<io::Error> for CommandError {
    fn from(error: io::Error) -> Self {
        Self::new(error)
    }
}

/// Prints the data of a command that succeeded.
pub(super) fn print_data(text: impl Display) -> CommandResult {
    print::data(text)
        .map_err(|error| CommandError::new(format!("cannot write to standard output: {error}")))?;
    Ok(ExitStatus::Success)
}

/// Prints the data of a command that succeeded, as JSON.
pub(super) fn print_json(data: &impl Serialize) -> CommandResult {
    print_data(serde_json::to_string_pretty(data).map_err(CommandError::new)?)
}
