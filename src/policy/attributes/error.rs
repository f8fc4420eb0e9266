//! Errors of attributes: which one, what its type is, what was given, and a value that would work.

use std::fmt;

use serde_json::Value;

use crate::domain::attributes::AttributeOwner;

/// The longest value that an error quotes, in characters.
const MAX_QUOTED_LENGTH: usize = 64;

/// A value that an attribute cannot have, or an attribute that there is not, or is not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttributeError {
    /// Where: the name of the attribute, and within it `[0]` for a member of a list and `.name` for one of an
    /// object.
    path: String,
    /// What is wrong.
    message: String,
    /// What to do about it.
    help: Option<String>,
}

impl AttributeError {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self {
            path: String::new(),
            message: message.into(),
            help: None,
        }
    }

    pub(super) fn with_help(self, help: impl Into<String>) -> Self {
        Self {
            help: Some(help.into()),
            ..self
        }
    }

    /// The error of a value within another one.
    pub(super) fn within(self, part: &str) -> Self {
        Self {
            path: format!("{part}{}", self.path),
            ..self
        }
    }

    /// An attribute of too many.
    pub(super) fn of_all(owner: AttributeOwner, message: impl fmt::Display) -> Self {
        Self::new(format!("the attributes of a {owner} {message}"))
    }

    /// The name of the attribute; empty if the error is about all of them.
    #[must_use]
    pub fn attribute(&self) -> &str {
        let end = self.path.find(['.', '[']);
        self.path
            .get(..end.unwrap_or(self.path.len()))
            .unwrap_or("")
    }

    /// Which attribute, and what is wrong with it.
    #[must_use]
    pub fn message(&self) -> String {
        if self.path.is_empty() {
            self.message.clone()
        } else {
            format!("`{}`: {}", self.path, self.message)
        }
    }

    /// What to do about it, if that does not go without saying.
    #[must_use]
    pub fn help(&self) -> Option<&str> {
        self.help.as_deref()
    }
}

impl fmt::Display for AttributeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message())?;
        self.help.iter().try_for_each(|help| write!(f, "; {help}"))
    }
}

impl std::error::Error for AttributeError {}

/// A value that was found, shortened.
pub(super) fn describe_value(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(number) => format!("the number {number}"),
        Value::String(text) => {
            let quoted: String = text.chars().take(MAX_QUOTED_LENGTH).collect();
            let dots = if quoted.len() < text.len() { "..." } else { "" };
            format!("the string {}{dots}", Value::String(quoted))
        }
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    }
}
