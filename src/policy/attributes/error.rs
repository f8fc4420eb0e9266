//! Errors of attributes: which one, what its type is, what was given, and a value that would work.

use std::fmt;

use serde_json::Value;

use crate::domain::attributes::AttributeOwner;

/// The longest value that an error quotes, in characters.
const MAX_QUOTED_LENGTH: usize = 64;

/// How many errors of one dataset or user are shown at once.
const MAX_SHOWN_ERRORS: usize = 10;

/// A value that an attribute cannot have, or an attribute that there is not, or is not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttributeError {
    /// Where: the name of the attribute, and within it `[0]` for a member of a list and `.name` for one of an
    /// object.
    path: String,
    /// What is wrong.
    message: String,
    /// The value that was found in place of an expected one.
    found: Option<FoundValue>,
    /// What to do about it.
    help: Option<String>,
}

impl AttributeError {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self {
            path: String::new(),
            message: message.into(),
            found: None,
            help: None,
        }
    }

    /// The error of a value that is not what was expected.
    pub(in crate::policy) fn expected(expectation: &str, found: &Value) -> Self {
        Self {
            found: Some(FoundValue::new(found)),
            ..Self::new(format!("expected {expectation}"))
        }
    }

    /// The error of an attribute that an edit drops, or renames, although policies in force read it.
    pub(in crate::policy) fn dropped(name: &str, new_name: Option<&str>) -> Self {
        let renamed = new_name.map_or_else(String::new, |new| format!(" (is it \"{new}\" now?)"));
        let message = "policies in force read it, and the edited schema does not declare it";
        Self::new(format!("{message}{renamed}")).within(name)
    }

    /// The error of a value that somebody gave before, for logs and for those who may not see it: it is not quoted.
    pub(in crate::policy) fn of_stored(self) -> Self {
        let found = self.found.map(FoundValue::without_value);
        Self {
            help: self.help.filter(|_| found.is_none()),
            found,
            ..self
        }
    }

    pub(super) fn with_help(self, help: impl Into<String>) -> Self {
        Self {
            help: Some(help.into()),
            ..self
        }
    }

    /// The error of a value within another one.
    pub(in crate::policy) fn within(self, part: &str) -> Self {
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
        let found = self.found.as_ref();
        let found = found.map_or_else(String::new, |found| format!(", found {}", found.0));
        if self.path.is_empty() {
            format!("{}{found}", self.message)
        } else {
            format!("`{}`: {}{found}", self.path, self.message)
        }
    }

    /// What is wrong and what to do about it, whichever attribute it is.
    fn what(&self) -> String {
        let nameless = Self {
            path: String::new(),
            ..self.clone()
        };
        nameless.to_string()
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

/// Everything that is wrong with the attributes of a dataset or a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttributeErrors(pub Vec<AttributeError>);

impl From<AttributeError> for AttributeErrors {
    fn from(error: AttributeError) -> Self {
        Self(vec![error])
    }
}

impl fmt::Display for AttributeErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Attributes with the same error share a sentence.
        let mut groups: Vec<(Vec<&str>, String)> = Vec::new();
        for error in &self.0 {
            let (path, what) = (error.path.as_str(), error.what());
            match groups.iter_mut().find(|(_, known)| *known == what) {
                Some((paths, _)) => paths.push(path),
                None => groups.push((vec![path], what)),
            }
        }
        let shown = groups.iter().take(MAX_SHOWN_ERRORS);
        let mut texts: Vec<String> = shown
            .map(|(paths, what)| {
                let paths = paths.iter().filter(|path| !path.is_empty());
                let paths: Vec<_> = paths.map(|path| format!("`{path}`")).collect();
                let colon = if paths.is_empty() { "" } else { ": " };
                format!("{}{colon}{what}", paths.join(", "))
            })
            .collect();
        let more = groups.len().saturating_sub(MAX_SHOWN_ERRORS);
        texts.extend((more > 0).then(|| format!("and {more} more")));
        f.write_str(&texts.join("; "))
    }
}

impl std::error::Error for AttributeErrors {}

/// A value that was found, shortened, and without its value.
#[derive(Clone, Debug, PartialEq, Eq)]
struct FoundValue(String, &'static str);

impl FoundValue {
    fn new(value: &Value) -> Self {
        match value {
            Value::Null => Self("null".to_owned(), "null"),
            Value::Bool(value) => Self(value.to_string(), "a boolean"),
            Value::Number(number) => Self(format!("the number {number}"), "a number"),
            Value::String(text) => {
                let quoted: String = text.chars().take(MAX_QUOTED_LENGTH).collect();
                let dots = if quoted.len() < text.len() { "..." } else { "" };
                let quoted = Value::String(quoted);
                Self(format!("the string {quoted}{dots}"), "a string")
            }
            Value::Array(_) => Self("a list".to_owned(), "a list"),
            Value::Object(_) => Self("an object".to_owned(), "an object"),
        }
    }

    fn without_value(self) -> Self {
        Self(self.1.to_owned(), self.1)
    }
}
