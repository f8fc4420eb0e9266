//! The forms of a password that are checked against a hash: its normal form, and as it was typed.
//!
//! New hashes are of the normal form ([`normalize_password`]). Hashes that are older, or come from another
//! program, may be of the password as it was typed then, so that text is tried too where it is another. Which
//! forms are tried depends on the text alone, and never on the account or its hash: the time tells nothing.

use crate::domain::normal_form::normalize_password;
use crate::domain::secret::Secret;

use super::error::{MAX_PASSWORD_LENGTH, MAX_TYPED_PASSWORD_LENGTH};

/// Whether a password is the one that was hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PasswordMatch {
    /// It is another.
    None,
    /// It is, in its normal form.
    Normal,
    /// It is, as it was typed: the hash is not of the normal form.
    AsTyped,
}

impl PasswordMatch {
    /// Whether it is the password, in any form.
    #[must_use]
    pub fn is_right(self) -> bool {
        self != Self::None
    }
}

/// The forms of one password, as far as they are not too long.
#[derive(Clone)]
pub(super) struct PasswordForms {
    /// The normal form.
    pub(super) normal: Option<Secret<String>>,
    /// As it was typed, if that is another text.
    pub(super) typed: Option<Secret<String>>,
}

impl PasswordForms {
    pub(super) fn new(password: &Secret<String>) -> Self {
        let typed = password.reveal();
        if typed.len() > MAX_TYPED_PASSWORD_LENGTH {
            return Self {
                normal: None,
                typed: None,
            };
        }
        let normal = Secret::new(normalize_password(typed));
        let is_short = |form: &Secret<String>| form.reveal().len() <= MAX_PASSWORD_LENGTH;
        let is_other = typed != normal.reveal();
        Self {
            typed: Some(password.clone()).filter(|typed| is_other && is_short(typed)),
            normal: Some(normal).filter(is_short),
        }
    }

    /// How often each cost is paid.
    pub(super) fn count(&self) -> u32 {
        u32::from(self.normal.is_some()) + u32::from(self.typed.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forms(typed: &str) -> (Option<String>, Option<String>) {
        let forms = PasswordForms::new(&Secret::new(typed.to_owned()));
        let text = |form: Option<Secret<String>>| form.map(|form| form.reveal().clone());
        (text(forms.normal), text(forms.typed))
    }

    #[test]
    fn a_password_in_normal_form_has_one_form() {
        for typed in ["", "correct horse", "Café au lait", " 🫠\t\r\n"] {
            assert_eq!(forms(typed), (Some(typed.to_owned()), None));
        }
        let typed = "Cafe\u{301}\u{a0}au\u{3000}lait";
        let normal = "Café au lait".to_owned();
        assert_eq!(forms(typed), (Some(normal), Some(typed.to_owned())));
    }

    #[test]
    fn the_longest_password_may_be_typed_decomposed() {
        let longest = "é".repeat(MAX_PASSWORD_LENGTH / 2);
        let decomposed = "e\u{301}".repeat(MAX_PASSWORD_LENGTH / 2);
        assert!(decomposed.len() > MAX_PASSWORD_LENGTH);
        assert_eq!(forms(&decomposed), (Some(longest.clone()), None));
        assert_eq!(forms(&format!("{longest}a")), (None, None));
        assert_eq!(forms(&"a".repeat(100_000)), (None, None));
    }
}
