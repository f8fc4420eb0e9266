//! What to write where a policy compares a text with an enumeration: the whole comparison, as Cedar takes it.

use std::ops::Range;

use cedar_policy_core::ast::{BinaryOp, Expr, ExprKind, Literal, Pattern, Template};
use cedar_policy_core::parser::Loc;

use super::enumeration::Enumeration;

/// How to write the comparison of a text with an enumeration that the bytes `span` of a policy are in or hold;
/// none if there is no such comparison.
pub(in crate::policy) fn entity_advice(policy: &Template, span: &Range<usize>) -> Option<String> {
    let condition = policy.non_scope_constraints()?;
    let misspelt = condition
        .subexpressions()
        .find_map(|part| misspelt_entity(part, span));
    if misspelt.is_some() {
        return misspelt;
    }
    let comparisons = condition.subexpressions().filter_map(TextComparison::new);
    let touching = comparisons.filter(|comparison| {
        let found = comparison.span();
        found.start <= span.start && span.end <= found.end
    });
    touching
        .min_by_key(|comparison| comparison.span().len())
        .map(|comparison| comparison.advice())
}

/// The entity that was meant by one with a misspelt word, at these bytes of a policy.
fn misspelt_entity(part: &Expr, span: &Range<usize>) -> Option<String> {
    let ExprKind::Lit(Literal::EntityUID(uid)) = part.expr_kind() else {
        return None;
    };
    let location = part.source_loc()?;
    if location.start() != span.start || location.end() != span.end {
        return None;
    }
    let of_type = |words: &&Enumeration| words.word_of(uid).is_some();
    let words = Enumeration::ALL.iter().find(of_type)?;
    let word = words.word_of(uid)?;
    let meant = words.closest_word(word).filter(|meant| *meant != word)?;
    Some(format!("write `{}`", words.entity_text(meant)))
}

/// A comparison of one or more texts with an expression that has words of an enumeration.
struct TextComparison<'a> {
    location: &'a Loc,
    words: Enumeration,
    form: Form<'a>,
}

enum Form<'a> {
    /// `==`, `contains` and the like: the texts where they stand.
    Texts(Vec<(&'a str, &'a Loc)>),
    /// `like`: the expression and the pattern.
    Like(&'a Expr, &'a Pattern),
}

impl<'a> TextComparison<'a> {
    fn new(expression: &'a Expr) -> Option<Self> {
        let location = expression.source_loc()?;
        let (words, form) = match expression.expr_kind() {
            ExprKind::BinaryApp {
                op:
                    BinaryOp::Eq
                    | BinaryOp::In
                    | BinaryOp::Contains
                    | BinaryOp::ContainsAll
                    | BinaryOp::ContainsAny,
                arg1,
                arg2,
            } => {
                let sides = [(arg1, arg2), (arg2, arg1)];
                let (words, texts) = sides.into_iter().find_map(|(of_words, texts)| {
                    Some((Enumeration::of_expression(of_words)?, texts))
                })?;
                let texts = texts_of(texts, words);
                if texts.is_empty() {
                    return None;
                }
                (words, Form::Texts(texts))
            }
            ExprKind::Like { expr, pattern } => {
                (Enumeration::of_expression(expr)?, Form::Like(expr, pattern))
            }
            _ => return None,
        };
        Some(Self {
            location,
            words,
            form,
        })
    }

    fn span(&self) -> Range<usize> {
        self.location.start()..self.location.end()
    }

    fn advice(&self) -> String {
        match &self.form {
            Form::Texts(texts) => self.with_entities(texts),
            Form::Like(expression, pattern) => self.with_list(expression, pattern),
        }
    }

    /// The comparison with an entity in place of each text; a misspelt one is told.
    fn with_entities(&self, texts: &[(&str, &Loc)]) -> String {
        let mut written = self.location.snippet().unwrap_or_default().to_owned();
        let mut unknown = Vec::new();
        let mut is_written = true;
        // From the last one on, so that the places of the others stay.
        for (text, location) in texts.iter().rev() {
            let start = location.start().saturating_sub(self.location.start());
            let end = location.end().saturating_sub(self.location.start());
            if written.get(start..end).is_some() {
                let meant = self.words.closest_word(text);
                is_written &= meant.is_some();
                let entity = self.words.entity_text(meant.unwrap_or(text));
                written.replace_range(start..end, &entity);
            }
            if let Some(meant) = self.words.unknown_word(text) {
                unknown.push(format!("{text:?} is not one of its words, {meant}"));
            }
        }
        unknown.reverse();
        match (is_written, unknown.as_slice()) {
            (true, []) => format!("write `{written}`"),
            (true, _) => format!("write `{written}`: {}", unknown.join("; ")),
            (false, _) => {
                let name = self.words.type_name();
                format!(
                    "write `{name}::\"...\"` with a word that it has: {}",
                    unknown.join("; ")
                )
            }
        }
    }

    /// The words that a pattern matches, as a list.
    fn with_list(&self, expression: &Expr, pattern: &Pattern) -> String {
        let source = expression.source_loc().and_then(Loc::snippet);
        let value = source.map_or_else(|| expression.to_string(), str::to_owned);
        let words = self.words.words().into_iter();
        let matched: Vec<String> = words
            .filter(|word| pattern.wildcard_match(word))
            .map(|word| self.words.entity_text(word))
            .collect();
        match matched.as_slice() {
            [] => format!(
                "no word matches: it is one of {}",
                self.words.words().join(", ")
            ),
            [one] => format!("write `{value} == {one}`"),
            several => format!("write `[{}].contains({value})`", several.join(", ")),
        }
    }
}

/// The texts of an expression: itself, or the elements of a set. An action is taken for the word of one.
fn texts_of(expression: &Expr, words: Enumeration) -> Vec<(&str, &Loc)> {
    let elements: Vec<&Expr> = match expression.expr_kind() {
        ExprKind::Set(elements) => elements.iter().collect(),
        _ => vec![expression],
    };
    elements
        .into_iter()
        .filter_map(|element| match element.expr_kind() {
            ExprKind::Lit(Literal::String(text)) => Some((text.as_str(), element.source_loc()?)),
            ExprKind::Lit(Literal::EntityUID(uid))
                if words == Enumeration::KeyAction && uid.entity_type().to_string() == "Action" =>
            {
                Some((uid.eid().as_ref(), element.source_loc()?))
            }
            _ => None,
        })
        .collect()
}
