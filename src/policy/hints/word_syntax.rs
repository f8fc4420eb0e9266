//! Hints for words that are no variable, function or method of Cedar.

use std::ops::Range;

use strum::VariantNames;

use crate::domain::dataset::{RecordStatus, Visibility};
use crate::domain::suggest::closest;

use super::rewrite::Replacement;
use super::source_scan::{operand_start, word_before};
use super::vocabulary::{FUNCTIONS, METHODS, NOT_COUNTED, VARIABLES, is_no_value};

pub(super) fn candidates(text: &str, span: &Range<usize>, message: &str) -> Vec<Replacement> {
    let token = text.get(span.clone()).unwrap_or_default();
    if message.starts_with("invalid variable") {
        return variable(text, span, token);
    }
    if message.starts_with("invalid member access") {
        let found = VARIABLES.iter().find(|(path, _)| {
            let rest = token.strip_prefix(path);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        });
        return found
            .map(|(path, variable)| replace(span.start..span.start + path.len(), *variable))
            .into_iter()
            .collect();
    }
    if message.ends_with("is not a valid function")
        || message.ends_with("is a method, not a function")
    {
        return function(span, token);
    }
    if message.starts_with("this identifier is reserved") {
        let lower = token.to_ascii_lowercase();
        let mut methods = METHODS.iter();
        let meant = methods.find(|(_, words)| words.contains(&lower.as_str()));
        return meant
            .map(|(method, _)| replace(span.clone(), *method))
            .into_iter()
            .collect();
    }
    if message.ends_with("is not a valid method") {
        return method(span, token);
    }
    Vec::new()
}

fn replace(span: Range<usize>, text: impl Into<String>) -> Replacement {
    Replacement {
        span,
        text: text.into(),
    }
}

fn variable(text: &str, span: &Range<usize>, token: &str) -> Vec<Replacement> {
    let lower = token.to_ascii_lowercase();
    if is_no_value(token) {
        return no_value(text, span).into_iter().collect();
    }
    let mut found = Vec::new();
    if matches!(lower.as_str(), "true" | "false") {
        found.push(replace(span.clone(), lower.clone()));
    }
    if matches!(lower.as_str(), "now" | "today") {
        found.push(replace(span.clone(), "context.time"));
    }
    if matches!(token, "Anonymous" | "User" | "Dataset" | "Role" | "Server") {
        let start = operand_start(text, span.start);
        let left = text.get(start..span.start).unwrap_or_default().trim_end();
        if let Some(left) = left.strip_suffix("==") {
            found.push(replace(
                start..span.end,
                format!("{} is {token}", left.trim_end()),
            ));
        } else if let Some(left) = left.strip_suffix("!=") {
            found.push(replace(
                start..span.end,
                format!("!({} is {token})", left.trim_end()),
            ));
        }
    }
    for (kind, words) in [
        ("Visibility", Visibility::VARIANTS),
        ("RecordStatus", RecordStatus::VARIANTS),
    ] {
        if let Some(word) = words.iter().find(|word| **word == lower) {
            found.push(replace(span.clone(), format!("{kind}::\"{word}\"")));
        }
    }
    let known = ["principal", "action", "resource", "context"];
    let meant = VARIABLES
        .iter()
        .find(|(word, _)| *word == lower)
        .map(|(_, variable)| *variable);
    found.extend(
        meant
            .or_else(|| closest(&lower, known))
            .map(|name| replace(span.clone(), name)),
    );
    let (_, before) = word_before(text, span.start);
    // A word where a value is compared with is a text without its quotation marks.
    if !matches!(before, "is" | "has") {
        found.push(replace(span.clone(), format!("\"{token}\"")));
    }
    found
}

/// `x == null`: Cedar asks whether there is an attribute, and who did not sign in is Anonymous.
pub(super) fn no_value(text: &str, span: &Range<usize>) -> Option<Replacement> {
    if !is_no_value(text.get(span.clone())?) {
        return None;
    }
    let start = operand_start(text, span.start);
    let left = text.get(start..span.start)?.trim();
    let (value, is_equal) = if let Some(value) = left.strip_suffix("==") {
        (value, true)
    } else if let Some(value) = left.strip_suffix("!=") {
        (value, false)
    } else if let Some(value) = left
        .strip_suffix(" is not")
        .or_else(|| left.strip_suffix(" IS NOT"))
    {
        (value, false)
    } else {
        let value = left
            .strip_suffix(" is")
            .or_else(|| left.strip_suffix(" IS"))?;
        (value, true)
    };
    let value = value.trim();
    let written = match value.rsplit_once('.') {
        Some((base, attribute)) if is_equal => format!("!({base} has {attribute})"),
        Some((base, attribute)) => format!("{base} has {attribute}"),
        None if value == "principal" && is_equal => "principal is Anonymous".to_owned(),
        None if value == "principal" => "principal is User".to_owned(),
        None => return None,
    };
    Some(replace(start..span.end, written))
}

fn function(span: &Range<usize>, token: &str) -> Vec<Replacement> {
    let Some(name) = token.split('(').next() else {
        return Vec::new();
    };
    let end = span.start + name.trim_end().len();
    let lower = name.trim().to_ascii_lowercase();
    if lower == "not" {
        return vec![replace(span.start..end, "!")];
    }
    if lower.contains("now") || lower == "today" || lower == "current_timestamp" {
        return vec![replace(span.clone(), "context.time")];
    }
    let meant = FUNCTIONS
        .iter()
        .find(|(_, words)| words.contains(&plain(&lower).as_str()));
    let as_method = METHODS
        .iter()
        .find(|(_, words)| words.contains(&plain(&lower).as_str()));
    let mut found: Vec<Replacement> = Vec::new();
    found.extend(meant.map(|(function, _)| replace(span.start..end, *function)));
    if let Some((method, _)) = as_method
        && let Some(arguments) = token
            .get(name.len()..)
            .and_then(|rest| rest.strip_prefix('(')?.strip_suffix(')'))
        && let Some((receiver, argument)) = arguments.split_once(',')
    {
        found.push(replace(
            span.clone(),
            format!("{}.{method}({})", receiver.trim(), argument.trim()),
        ));
    }
    found
}

fn method(span: &Range<usize>, token: &str) -> Vec<Replacement> {
    let Some((receiver, name, arguments)) = call(token) else {
        return Vec::new();
    };
    let lower = plain(&name.to_ascii_lowercase());
    let pattern = |before: &str, after: &str| {
        let inside = arguments.strip_prefix('"')?.strip_suffix('"')?;
        Some(replace(
            span.clone(),
            format!("{receiver} like \"{before}{inside}{after}\""),
        ))
    };
    let as_pattern = match lower.as_str() {
        "startswith" | "hasprefix" | "beginswith" => pattern("", "*"),
        "endswith" | "hassuffix" => pattern("*", ""),
        "containsstring" | "indexof" | "substring" => pattern("*", "*"),
        "equals" | "equal" | "eq" | "is" => {
            Some(replace(span.clone(), format!("{receiver} == {arguments}")))
        }
        _ => None,
    };
    let names = METHODS.map(|(name, _)| name);
    let meant = METHODS
        .iter()
        .find(|(_, words)| words.contains(&lower.as_str()))
        .map(|(name, _)| *name);
    let meant = meant.or_else(|| closest(name, names));
    let renamed =
        meant.map(|method| replace(span.clone(), format!("{receiver}.{method}({arguments})")));
    as_pattern.into_iter().chain(renamed).collect()
}

/// `receiver.name(arguments)`, by the last call.
fn call(token: &str) -> Option<(&str, &str, &str)> {
    let inside = token.strip_suffix(')')?;
    let mut depth = 0_usize;
    let open = inside
        .char_indices()
        .rev()
        .find_map(|(index, letter)| match letter {
            ')' => {
                depth += 1;
                None
            }
            '(' if depth == 0 => Some(index),
            '(' => {
                depth -= 1;
                None
            }
            _ => None,
        })?;
    let (before, arguments) = inside.split_at_checked(open)?;
    let (receiver, name) = before.rsplit_once('.')?;
    Some((receiver, name, arguments.strip_prefix('(')?))
}

fn plain(word: &str) -> String {
    word.chars().filter(|letter| *letter != '_').collect()
}

pub(super) fn advice(text: &str, span: &Range<usize>, message: &str) -> Option<String> {
    let token = text.get(span.clone()).unwrap_or_default();
    if message.ends_with("is not a valid method") {
        let (_, name, _) = call(token)?;
        let lower = plain(&name.to_ascii_lowercase());
        return Some(match lower.as_str() {
            "size" | "length" | "len" | "count" => NOT_COUNTED.to_owned(),
            "hour" | "hours" | "gethours" | "gethour" | "minute" | "getminutes" => {
                "the time of the day, UTC, is `context.time.toTime()`: compare it as in \
                 `context.time.toTime() >= duration(\"22h\")`"
                    .to_owned()
            }
            "weekday" | "dayofweek" | "getday" | "month" | "year" | "getfullyear" => {
                "there are no weekdays, months or years: compare `context.time` with `datetime(\"2027-01-31\")`"
                    .to_owned()
            }
            "matches" | "match" | "regex" | "test" | "matchesregex" => {
                "there are no regular expressions: write `like \"x*\"`, where `*` stands for any text".to_owned()
            }
            "tolower" | "tolowercase" | "lower" | "toupper" | "touppercase" | "upper" | "trim" => {
                "a text is compared as it is kept, and user and role names are kept in lower case: leave the \
                 method out"
                    .to_owned()
            }
            _ => format!("the methods are {}", METHODS.map(|(name, _)| name).join(", ")),
        });
    }
    if message.ends_with("is not a valid function") {
        let functions = FUNCTIONS.map(|(name, _)| name).join(", ");
        return Some(format!(
            "the functions are {functions}; the time now is `context.time`"
        ));
    }
    if message.starts_with("invalid member access") || message.starts_with("invalid variable") {
        return Some(
            "the variables are `principal`, `action`, `resource` and `context`; a text stands in double quotation \
             marks"
                .to_owned(),
        );
    }
    None
}
