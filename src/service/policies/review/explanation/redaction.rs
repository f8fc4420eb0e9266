//! Withholding: what of an explanation is not for whoever asked for it.
//!
//! Who may ask what the policies say need not be one who may see users, or a dataset whole. What the
//! policies answer and which of their parts hold is told to all who may ask. What tells more of the
//! principal or the dataset takes the right to see it: the values that those parts saw, which are
//! passed over where they are read, and what is passed over here. This module refuses to know who may
//! see what.

use crate::policy::explain::ValueVisibility;

use super::ExplanationReport;

/// What of an explanation is withheld.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Redaction {
    /// Whether what is of the principal is: its values, its name, and how it authenticates.
    pub is_principal_redacted: bool,
    /// Whether what is of the dataset is: its values, and what follows from whether it has a file.
    pub is_dataset_redacted: bool,
    /// How many texts of errors are: they repeat values.
    pub redacted_errors: usize,
}

impl ExplanationReport {
    /// The explanation without what is out of sight.
    #[must_use]
    pub(crate) fn redact(self, sight: ValueVisibility) -> Self {
        let is_told = sight.is_unrestricted();
        Self {
            username: self.username.filter(|_| sight.shows_principal),
            authentication: self.authentication.filter(|_| sight.shows_principal),
            mint: self.mint.filter(|_| sight.shows_resource),
            redaction: Redaction {
                is_principal_redacted: !sight.shows_principal,
                is_dataset_redacted: !sight.shows_resource,
                redacted_errors: if is_told { 0 } else { self.errors.len() },
            },
            errors: if is_told { self.errors } else { Vec::new() },
            ..self
        }
    }
}
