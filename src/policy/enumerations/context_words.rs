//! The words of the context, as texts or as entities, as a schema declares them.

use cedar_policy::{EntityId, EntityTypeName, EntityUid, RestrictedExpression, Schema};
use cedar_policy_core::validator::types::{EntityKind, Type};
use serde_json::{Value, json};

use crate::domain::action::Action;
use crate::domain::caller::Authentication;
use crate::domain::diagnostic::SourceDiagnostic;
use crate::domain::text_enum::TextEnum;
use crate::policy::sources::{SCHEMA_FILE, SourceFiles};

use super::enumeration::Enumeration;

/// How a schema declares a word of the context.
#[derive(Clone, Debug, PartialEq, Eq)]
enum WordType {
    /// As a `String`, as the shipped schema once did.
    Text,
    /// As an entity of this type.
    Entity(EntityTypeName),
}

impl WordType {
    fn new(declared: Option<&Type>) -> Self {
        let declared = match declared {
            Some(Type::Set { element_type }) => element_type.as_deref(),
            other => other,
        };
        let name = match declared {
            Some(Type::Entity(EntityKind::Entity(names))) => names.get_single_entity(),
            _ => None,
        };
        name.map_or(Self::Text, |name| Self::Entity(name.clone().into()))
    }

    fn value(&self, word: &str) -> RestrictedExpression {
        match self {
            Self::Text => RestrictedExpression::new_string(word.to_owned()),
            Self::Entity(name) => RestrictedExpression::new_entity_uid(
                EntityUid::from_type_name_and_id(name.clone(), EntityId::new(word)),
            ),
        }
    }

    fn json(&self, word: &str) -> Value {
        match self {
            Self::Text => json!(word),
            Self::Entity(name) => json!({"__entity": {"type": name.to_string(), "id": word}}),
        }
    }
}

/// How a schema declares the words of the context.
#[derive(Clone, Debug)]
pub(in crate::policy) struct ContextWords {
    authentication: WordType,
    key_actions: WordType,
}

impl ContextWords {
    /// The words as the context of the action `read` has them; that the other actions have the same is for the
    /// check of the schema.
    pub(in crate::policy) fn new(schema: &Schema, read: &EntityUid) -> Self {
        let context = schema.as_ref().context_type(read.as_ref());
        let key = context.and_then(|context| attribute(context, "key"));
        let actions = key.and_then(|key| attribute(key, "actions"));
        Self {
            authentication: WordType::new(context.and_then(|of| attribute(of, "authentication"))),
            key_actions: WordType::new(actions),
        }
    }

    /// `context.authentication`.
    pub(in crate::policy) fn authentication(
        &self,
        authentication: Authentication,
    ) -> RestrictedExpression {
        self.authentication.value(authentication.as_str())
    }

    /// `context.authentication` in a case.
    pub(in crate::policy) fn authentication_json(&self, authentication: Authentication) -> Value {
        self.authentication.json(authentication.as_str())
    }

    /// An element of `context.key.actions`.
    pub(in crate::policy) fn key_action(&self, action: Action) -> RestrictedExpression {
        self.key_actions.value(action.as_str())
    }

    /// Puts entities in place of bare words in the context of a case. Fails with what is wrong with a word.
    pub(in crate::policy) fn complete_case_context(
        &self,
        context: &mut Value,
    ) -> Result<(), String> {
        if let Some(word) = context.get_mut("authentication") {
            complete_word(word, &self.authentication, Enumeration::Authentication)?;
        }
        let actions = context
            .pointer_mut("/key/actions")
            .and_then(Value::as_array_mut);
        for word in actions.into_iter().flatten() {
            complete_word(word, &self.key_actions, Enumeration::KeyAction)?;
        }
        Ok(())
    }

    /// A warning for each word that the schema declares as a text.
    pub(in crate::policy) fn warnings(&self, sources: &SourceFiles) -> Vec<SourceDiagnostic> {
        let declared = [
            (
                "authentication",
                &self.authentication,
                Enumeration::Authentication,
                "Authentication",
            ),
            (
                "actions",
                &self.key_actions,
                Enumeration::KeyAction,
                "Set<KeyAction>",
            ),
        ];
        let as_text = declared
            .into_iter()
            .filter(|(_, of_schema, ..)| **of_schema == WordType::Text);
        as_text
            .map(|(attribute, _, enumeration, shipped)| {
                let words: Vec<String> =
                    enumeration.words().iter().map(|word| format!("{word:?}")).collect();
                let name = enumeration.type_name();
                let example = enumeration.example();
                let message = format!(
                    "the schema declares the attribute `{attribute}` of the context as text, so that a \
                     misspelt word in a policy is no error"
                );
                let help = format!(
                    "add `entity {name} enum [{}];`, declare `{attribute}` as {shipped}, and write {} where \
                     policies have {example:?}",
                    words.join(", "),
                    enumeration.entity_text(example),
                );
                at_attribute(sources, attribute, message).with_help(help).into_warning()
            })
            .collect()
    }
}

fn complete_word(
    value: &mut Value,
    of_schema: &WordType,
    words: Enumeration,
) -> Result<(), String> {
    let Some(word) = value.as_str().map(str::to_owned) else {
        // A case for the shipped schema, beside a schema of texts.
        let entity = value.get("__entity").unwrap_or(value);
        let is_word = entity.get("type").and_then(Value::as_str) == Some(words.type_name());
        let word = entity.get("id").and_then(Value::as_str).map(str::to_owned);
        if let (WordType::Text, true, Some(word)) = (of_schema, is_word, word) {
            *value = json!(word);
        }
        return Ok(());
    };
    if let WordType::Entity(_) = of_schema {
        if let Some(meant) = words.unknown_word(&word) {
            return Err(format!("no {} is {word:?}: {meant}", words.type_name()));
        }
        *value = of_schema.json(&word);
    }
    Ok(())
}

fn attribute<'a>(of: &'a Type, name: &str) -> Option<&'a Type> {
    let Type::Record { attrs, .. } = of else {
        return None;
    };
    attrs.get_attr(name).map(|found| &*found.attr_type)
}

/// A diagnostic where the schema declares an attribute; without a place where it is not found.
fn at_attribute(sources: &SourceFiles, attribute: &str, message: String) -> SourceDiagnostic {
    let label = sources.label(SCHEMA_FILE);
    let found = sources.text(SCHEMA_FILE).and_then(|text| {
        let mut start = 0;
        for line in text.split_inclusive('\n') {
            let code = line.split("//").next().unwrap_or_default();
            let at = code.find(attribute).filter(|_| code.contains("String"));
            if let Some(at) = at {
                let start = start + at;
                return Some((text, start..start + attribute.len()));
            }
            start += line.len();
        }
        None
    });
    match found {
        Some((text, span)) => SourceDiagnostic::at_span(&label, text, span, message),
        None => SourceDiagnostic::for_file(&label, message),
    }
}
