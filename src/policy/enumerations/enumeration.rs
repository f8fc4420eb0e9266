//! The enumerations: which expressions have words, and which words there are.

use cedar_policy_core::ast::{EntityUID, Expr, ExprKind, Var};
use strum::VariantNames;

use crate::domain::action::Action;
use crate::domain::caller::Authentication;
use crate::domain::dataset::{RecordStatus, Visibility};
use crate::domain::suggest::closest;
use crate::domain::text_enum::TextEnum;

/// Words that Cedargate gives policies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::policy) enum Enumeration {
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
    pub(super) const ALL: [Self; 4] = [
        Self::Authentication,
        Self::KeyAction,
        Self::Visibility,
        Self::RecordStatus,
    ];

    /// The entity type of the shipped schema.
    pub(in crate::policy) fn type_name(self) -> &'static str {
        match self {
            Self::Authentication => "Authentication",
            Self::KeyAction => "KeyAction",
            Self::Visibility => "Visibility",
            Self::RecordStatus => "RecordStatus",
        }
    }

    /// The words.
    pub(in crate::policy) fn words(self) -> Vec<&'static str> {
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
    pub(super) fn example(self) -> &'static str {
        match self {
            Self::Authentication => "api_key",
            Self::KeyAction => "read",
            Self::Visibility => "public",
            Self::RecordStatus => "published",
        }
    }

    /// The words that an expression has: itself, or as the elements of a set.
    pub(in crate::policy) fn of_expression(expression: &Expr) -> Option<Self> {
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
    pub(in crate::policy) fn word_of(self, entity: &EntityUID) -> Option<&str> {
        let is_of_type = entity.entity_type().to_string() == self.type_name();
        is_of_type.then(|| entity.eid().as_ref())
    }

    /// A word as it is written in a policy.
    pub(in crate::policy) fn entity_text(self, word: &str) -> String {
        format!("{}::{word:?}", self.type_name())
    }

    /// The word that a text is or is most likely a misspelling of.
    pub(super) fn closest_word(self, text: &str) -> Option<&'static str> {
        closest(&text.to_ascii_lowercase(), self.words())
    }

    /// What was meant by a text that is none of the words, in a sentence without its end.
    pub(in crate::policy) fn unknown_word(self, text: &str) -> Option<String> {
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
