//! Members of a question: read by name, with the path of what is wrong.
//!
//! An optional member that is null counts as absent.

use serde_json::{Map, Value};

use crate::domain::access_question::{AccessQuestion, AskedAction, AskedEntity};
use crate::http::extract::body_mismatch::describe;
use crate::policy::questions::MAX_ASKED_ID_LENGTH;

/// The longest name of a type or an action, in characters.
const MAX_NAME_LENGTH: usize = 256;

/// The members of an object, and where it is in the body.
pub(super) struct Members {
    pub(super) path: String,
    pub(super) members: Map<String, Value>,
}

impl Members {
    /// The members of a body.
    pub(super) fn of_body(members: Map<String, Value>) -> Self {
        Self {
            path: String::new(),
            members,
        }
    }

    /// The path of a member.
    fn path_of(&self, name: &str) -> String {
        if self.path.is_empty() {
            name.to_owned()
        } else {
            format!("{}.{name}", self.path)
        }
    }

    /// Takes a member, unless it is absent or null.
    pub(super) fn take(&mut self, name: &str) -> Option<Value> {
        self.members.remove(name).filter(|member| !member.is_null())
    }

    fn missing(&self, name: &str) -> String {
        format!("the field `{}` is missing", self.path_of(name))
    }

    /// Takes an object.
    pub(super) fn take_object(&mut self, name: &str) -> Result<Option<Self>, String> {
        let path = self.path_of(name);
        match self.take(name) {
            None => Ok(None),
            Some(Value::Object(members)) => Ok(Some(Self { path, members })),
            Some(other) => Err(expected(&path, "an object", &other)),
        }
    }

    /// Takes an object that has to be there.
    pub(super) fn require_object(&mut self, name: &str) -> Result<Self, String> {
        let found = self.take_object(name)?;
        found.ok_or_else(|| self.missing(name))
    }

    /// Takes a text.
    pub(super) fn take_text(&mut self, name: &str) -> Result<Option<String>, String> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(expected(&self.path_of(name), "a string", &other)),
        }
    }

    /// Takes a text that has to be there, of 1 to so many characters.
    fn require_text(&mut self, name: &str, max_length: usize) -> Result<String, String> {
        let text = self.take_text(name)?.ok_or_else(|| self.missing(name))?;
        // Counted only where there may be too many.
        if text.is_empty() || (text.len() > max_length && text.chars().count() > max_length) {
            let path = self.path_of(name);
            return Err(format!("`{path}`: expected 1 to {max_length} characters"));
        }
        Ok(text)
    }

    /// Takes a whole number that is not negative.
    pub(super) fn take_count(&mut self, name: &str) -> Result<Option<u64>, String> {
        let Some(value) = self.take(name) else {
            return Ok(None);
        };
        let count = value.as_u64();
        let path = self.path_of(name);
        count
            .map(Some)
            .ok_or_else(|| expected(&path, "a whole number from 0", &value))
    }

    fn take_members(&mut self, name: &str) -> Result<Map<String, Value>, String> {
        Ok(self
            .take_object(name)?
            .map(|object| object.members)
            .unwrap_or_default())
    }

    /// The entity that these members are.
    pub(super) fn into_entity(mut self) -> Result<AskedEntity, String> {
        Ok(AskedEntity {
            type_name: self.require_text("type", MAX_NAME_LENGTH)?,
            id: self.require_text("id", MAX_ASKED_ID_LENGTH)?,
            properties: self.take_members("properties")?,
        })
    }

    /// The entities of a type that these members are; an id is ignored.
    pub(super) fn into_searched(mut self) -> Result<AskedEntity, String> {
        Ok(AskedEntity {
            type_name: self.require_text("type", MAX_NAME_LENGTH)?,
            id: String::new(),
            properties: self.take_members("properties")?,
        })
    }

    /// The action that these members are.
    pub(super) fn into_action(mut self) -> Result<AskedAction, String> {
        Ok(AskedAction {
            name: self.require_text("name", MAX_NAME_LENGTH)?,
            properties: self.take_members("properties")?,
        })
    }

    /// Takes the context.
    pub(super) fn take_context(&mut self) -> Result<Map<String, Value>, String> {
        self.take_members("context")
    }

    /// The question that these members are.
    pub(super) fn into_question(mut self) -> Result<AccessQuestion, String> {
        Ok(AccessQuestion {
            subject: self.require_object("subject")?.into_entity()?,
            action: self.require_object("action")?.into_action()?,
            resource: self.require_object("resource")?.into_entity()?,
            context: self.take_context()?,
        })
    }
}

/// What is wrong with the kind of a value.
pub(super) fn expected(path: &str, what: &str, found: &Value) -> String {
    format!("`{path}`: expected {what}, found {}", describe(found))
}
