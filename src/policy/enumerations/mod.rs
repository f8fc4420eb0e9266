//! Enumerations: the words of Cedargate that a schema declares as enumerated entities, so that a misspelt one is an
//! error and not a policy that never matches.
//!
//! The rule: whatever Cedargate gives policies as one of a few words is an entity of an enumeration, never a
//! `String`. `context.authentication` and `context.key.actions` were texts once. A schema of that time keeps
//! working, with a warning that says what to write: refusing it would keep a server from starting after an upgrade.
//!
//! - `advice`: what to write where a text is compared with one of them.

mod advice;

use cedar_policy::{EntityId, EntityTypeName, EntityUid, RestrictedExpression, Schema};
use cedar_policy_core::ast::{EntityUID, Expr, ExprKind, Var};
use cedar_policy_core::validator::types::{EntityKind, Type};
use serde_json::{Value, json};
use strum::VariantNames;

use crate::domain::action::Action;
use crate::domain::caller::Authentication;
use crate::domain::dataset::{RecordStatus, Visibility};
use crate::domain::diagnostic::SourceDiagnostic;
use crate::domain::suggest::closest;
use crate::domain::text_enum::TextEnum;

use super::sources::{SCHEMA_FILE, SourceFiles};

pub(super) use advice::entity_advice;

/// Words that Cedargate gives policies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Enumeration {
    /// `context.authentication`.
    Authentication,
    /// The elements of `context.key.actions`.
    KeyAction,
    /// `resource.visibility`.
    Visibility,
    /// `resource.record_status`.
    RecordStatus,
}

impl Enumeration {
    const ALL: [Self; 4] = [
        Self::Authentication,
        Self::KeyAction,
        Self::Visibility,
        Self::RecordStatus,
    ];

    /// The entity type of the shipped schema.
    pub(super) fn type_name(self) -> &'static str {
        match self {
            Self::Authentication => "Authentication",
            Self::KeyAction => "KeyAction",
            Self::Visibility => "Visibility",
            Self::RecordStatus => "RecordStatus",
        }
    }

    /// The words.
    pub(super) fn words(self) -> Vec<&'static str> {
        match self {
            Self::Authentication => {
                let words = Authentication::VARIANTS.iter().copied();
                let on_the_command_line = Authentication::CommandLine.as_str();
                words.filter(|word| *word != on_the_command_line).collect()
            }
            Self::KeyAction => Action::VARIANTS.to_vec(),
            Self::Visibility => Visibility::VARIANTS.to_vec(),
            Self::RecordStatus => RecordStatus::VARIANTS.to_vec(),
        }
    }

    /// The word in advice.
    fn example(self) -> &'static str {
        match self {
            Self::Authentication => "api_key",
            Self::KeyAction => "read",
            Self::Visibility => "public",
            Self::RecordStatus => "published",
        }
    }

    /// The words that an expression has: itself, or as the elements of a set.
    pub(super) fn of_expression(expression: &Expr) -> Option<Self> {
        let (expr, attr) = match expression.expr_kind() {
            ExprKind::GetAttr { expr, attr } => (expr, attr),
            ExprKind::Set(elements) => return elements.iter().find_map(Self::of_expression),
            _ => return None,
        };
        let is = |part: &Expr, variable: Var| matches!(part.expr_kind(), ExprKind::Var(found) if *found == variable);
        let is_key = |part: &Expr| matches!(part.expr_kind(), ExprKind::GetAttr { expr, attr } if attr == "key" && is(expr, Var::Context));
        match attr.as_str() {
            "authentication" if is(expr, Var::Context) => Some(Self::Authentication),
            "actions" if is_key(expr) => Some(Self::KeyAction),
            "visibility" if is(expr, Var::Resource) => Some(Self::Visibility),
            "record_status" if is(expr, Var::Resource) => Some(Self::RecordStatus),
            _ => None,
        }
    }

    /// The word of one of its entities.
    pub(super) fn word_of(self, entity: &EntityUID) -> Option<&str> {
        let is_of_type = entity.entity_type().to_string() == self.type_name();
        is_of_type.then(|| entity.eid().as_ref())
    }

    /// A word as it is written in a policy.
    pub(super) fn entity_text(self, word: &str) -> String {
        format!("{}::{word:?}", self.type_name())
    }

    /// The word that a text is or is most likely a misspelling of.
    fn closest_word(self, text: &str) -> Option<&'static str> {
        closest(&text.to_ascii_lowercase(), self.words())
    }

    /// What was meant by a text that is none of the words, in a sentence without its end.
    pub(super) fn unknown_word(self, text: &str) -> Option<String> {
        let words = self.words();
        if words.contains(&text) {
            return None;
        }
        Some(match self.closest_word(text) {
            Some(meant) => format!("did you mean {meant:?}?"),
            None => format!("it is one of {}", words.join(", ")),
        })
    }
}

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
pub(super) struct ContextWords {
    authentication: WordType,
    key_actions: WordType,
}

impl ContextWords {
    /// The words as the context of the action `read` has them; that the other actions have the same is for the
    /// check of the schema.
    pub(super) fn new(schema: &Schema, read: &EntityUid) -> Self {
        let context = schema.as_ref().context_type(read.as_ref());
        let key = context.and_then(|context| attribute(context, "key"));
        let actions = key.and_then(|key| attribute(key, "actions"));
        Self {
            authentication: WordType::new(context.and_then(|of| attribute(of, "authentication"))),
            key_actions: WordType::new(actions),
        }
    }

    /// `context.authentication`.
    pub(super) fn authentication(&self, authentication: Authentication) -> RestrictedExpression {
        self.authentication.value(authentication.as_str())
    }

    /// `context.authentication` in a case.
    pub(super) fn authentication_json(&self, authentication: Authentication) -> Value {
        self.authentication.json(authentication.as_str())
    }

    /// An element of `context.key.actions`.
    pub(super) fn key_action(&self, action: Action) -> RestrictedExpression {
        self.key_actions.value(action.as_str())
    }

    /// Puts entities in place of bare words in the context of a case. Fails with what is wrong with a word.
    pub(super) fn complete_case_context(&self, context: &mut Value) -> Result<(), String> {
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
    pub(super) fn warnings(&self, sources: &SourceFiles) -> Vec<SourceDiagnostic> {
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

#[cfg(test)]
mod tests;
