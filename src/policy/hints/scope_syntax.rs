//! Hints for the scope of a policy: entities without their type or quotation marks, and conditions in it.

use std::ops::Range;

use strum::VariantNames;

use crate::domain::action::Action;
use crate::domain::suggest::closest;

use super::rewrite::Replacement;
use super::source_scan::{bracketed, word_before};

/// The words for `permit` and `forbid` of other languages.
const EFFECTS: [(&str, &[&str]); 2] = [
    (
        "permit",
        &[
            "permit", "allow", "allows", "grant", "accept", "permits", "pass",
        ],
    ),
    (
        "forbid",
        &[
            "forbid", "deny", "denies", "reject", "block", "refuse", "forbids", "disallow",
        ],
    ),
];
/// The words for `when` and `unless` of other languages.
const CONDITIONS: [(&str, &[&str]); 2] = [
    (
        "when",
        &[
            "when",
            "if",
            "where",
            "with",
            "given",
            "condition",
            "and",
            "provided",
        ],
    ),
    ("unless", &["unless", "except", "ifnot", "without"]),
];
const VARIABLES: [&str; 3] = ["principal", "action", "resource"];

pub(super) fn candidates(text: &str, span: &Range<usize>, message: &str) -> Vec<Replacement> {
    let token = text.get(span.clone()).unwrap_or_default();
    let mut found = Vec::new();
    for (begin, words) in [
        ("invalid policy effect", EFFECTS),
        ("invalid policy condition", CONDITIONS),
    ] {
        if message.starts_with(begin) {
            let lower = token.to_ascii_lowercase();
            let meant = words
                .iter()
                .find(|(_, words)| words.contains(&lower.as_str()));
            let meant = meant.map(|(word, _)| *word);
            let meant = meant.or_else(|| closest(&lower, words.map(|(word, _)| word)));
            found.extend(meant.map(|word| replace(span.clone(), word)));
        }
    }
    if message.starts_with("expected an entity uid") {
        found.extend(entity(text, span, token));
    }
    found.extend(without_variables(text, span));
    found.extend(separator(text, span));
    found.extend(member(token, span, message));
    found
}

fn replace(span: Range<usize>, text: impl Into<String>) -> Replacement {
    Replacement {
        span,
        text: text.into(),
    }
}

/// `"admin"`, `read` and `User::ada` in a scope.
fn entity(text: &str, span: &Range<usize>, token: &str) -> Option<Replacement> {
    let bare = token.trim_matches('"');
    if let Some((kind, id)) = bare.rsplit_once("::") {
        return Some(replace(span.clone(), format!("{kind}::\"{id}\"")));
    }
    let is_word = bare
        .chars()
        .all(|letter| letter.is_alphanumeric() || matches!(letter, '_' | '-' | ' ' | '.' | '@'));
    if bare.is_empty() || !is_word {
        return None;
    }
    let (variable, operator) = constrained(text, span.start)?;
    let is_id = uuid::Uuid::try_parse(bare).is_ok();
    let kind = match (variable, operator) {
        ("action", _) => "Action",
        ("principal", "in") if !is_id => "Role",
        ("principal", _) if is_id => "User",
        ("resource", _) if is_id => "Dataset",
        _ => return None,
    };
    let id = if is_id || kind == "Action" {
        bare.to_ascii_lowercase()
    } else {
        bare.to_owned()
    };
    Some(replace(span.clone(), format!("{kind}::\"{id}\"")))
}

/// The variable and the operator that are last before a place in a scope.
fn constrained(text: &str, at: usize) -> Option<(&'static str, &'static str)> {
    let before = text.get(..at)?;
    let (start, variable) = VARIABLES
        .into_iter()
        .filter_map(|variable| Some((before.rfind(variable)?, variable)))
        .max()?;
    let between = before.get(start + variable.len()..)?.trim();
    let operator = if between.starts_with("==") {
        "=="
    } else {
        "in"
    };
    Some((variable, operator))
}

/// `permit (User::"ada", Action::"read", Dataset::"...")`.
fn without_variables(text: &str, span: &Range<usize>) -> Option<Replacement> {
    let open = text.get(..span.start)?.rfind('(')?;
    let (_, effect) = word_before(text, open);
    let is_scope = matches!(effect, "permit" | "forbid");
    let inside = bracketed(text, open).filter(|_| is_scope)?;
    let scope = text.get(inside.start + 1..inside.end - 1)?;
    let parts: Vec<&str> = scope.split(',').map(str::trim).collect();
    let [principal, action, resource] = parts.as_slice() else {
        return None;
    };
    let named = |variable: &str, part: &str| {
        let is_named = part.starts_with(variable);
        if is_named {
            part.to_owned()
        } else {
            format!("{variable} == {part}")
        }
    };
    let [one, two, three] = [
        ("principal", principal),
        ("action", action),
        ("resource", resource),
    ]
    .map(|(variable, part)| named(variable, part));
    let written = format!("({one}, {two}, {three})");
    (written != format!("({scope})")).then(|| replace(inside, written))
}

/// `User."ada"`.
fn separator(text: &str, span: &Range<usize>) -> Option<Replacement> {
    let before = text.get(..span.start)?.strip_suffix('.')?;
    let (start, kind) = word_before(before, before.len());
    let id = text.get(span.clone()).filter(|id| id.starts_with('"'))?;
    let is_type = kind.starts_with(|letter: char| letter.is_ascii_uppercase());
    is_type.then(|| replace(start..span.end, format!("{kind}::{id}")))
}

/// `Visibility.public`.
fn member(token: &str, span: &Range<usize>, message: &str) -> Option<Replacement> {
    let (kind, word) = token
        .split_once('.')
        .filter(|_| message.starts_with("invalid member access"))?;
    let is_type = kind.len() > 1 && kind.starts_with(|letter: char| letter.is_ascii_uppercase());
    let is_word = word
        .chars()
        .all(|letter| letter.is_alphanumeric() || letter == '_');
    (is_type && is_word).then(|| replace(span.clone(), format!("{kind}::\"{word}\"")))
}

pub(super) fn advice(text: &str, span: &Range<usize>, message: &str) -> Option<String> {
    let token = text.get(span.clone()).unwrap_or_default();
    if message.contains("found literal") || message.contains("found name") {
        let (variable, _) = constrained(text, span.start)?;
        let word = token.trim_matches('"');
        return match variable {
            "principal" => Some(format!(
                "a user is named by its id, User::\"...\" (`cedargate user list` shows the ids); by its name, write \
                 `principal is User` here and `when {{ principal.username == {word:?} }}` after the scope; a role is \
                 `principal in Role::\"...\"`"
            )),
            "resource" => Some(format!(
                "a dataset is named by its id, Dataset::\"...\" (`cedargate dataset list` shows the ids); by its \
                 title, write `resource` here and `when {{ resource.title == {word:?} }}` after the scope"
            )),
            _ => {
                let actions = Action::VARIANTS.join(", ");
                Some(format!(
                    "an action is written Action::\"read\"; there are {actions}"
                ))
            }
        };
    }
    if message.starts_with("expected single entity uid") {
        let (variable, operator) = constrained(text, span.start)?;
        return Some(format!(
            "a scope takes one: write `{variable}` here and `when {{ {variable} {operator} {token} }}` after the scope"
        ));
    }
    let open = text.get(..span.start)?.rfind('(')?;
    let (_, effect) = word_before(text, open);
    if matches!(effect, "permit" | "forbid") && message.contains("unexpected token `.`") {
        return Some(
            "a scope has no attributes: end it with `)` after the variable, and write what must hold of attributes \
             as `when { ... }` after it"
                .to_owned(),
        );
    }
    if message.starts_with("invalid policy effect") {
        return Some("a policy begins with `permit` or `forbid`, after its annotations".to_owned());
    }
    None
}
