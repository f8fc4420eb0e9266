//! What policies read of `context.key`, and the literals that they compare it with.

use std::collections::BTreeSet;

use cedar_policy_core::ast::{BinaryOp, Expr, ExprKind, Literal, Var};

use crate::domain::id::DatasetId;

use super::literal_values::push_all;

/// The type of the words of `context.key.actions`.
const ACTION_TYPE: &str = "KeyAction";

/// What some policies read of `context.key`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is read, or not, without the others"
)]
pub struct KeyLiterals {
    /// Whether it is read at all.
    pub is_read: bool,
    /// Whether the actions are read that a key is restricted to.
    pub reads_actions: bool,
    /// Whether the datasets are read that a key is restricted to.
    pub reads_datasets: bool,
    /// The words for actions.
    pub actions: Vec<String>,
    /// The datasets whose ids are compared with, also those in the catalog.
    pub datasets: BTreeSet<DatasetId>,
    /// The comparisons of the datasets, each as it is written.
    pub comparisons: Vec<String>,
    /// Whether the datasets of a key are compared as a whole, so that others beside those that are named count.
    pub compares_whole: bool,
}

impl KeyLiterals {
    /// Whatever there is to read.
    pub(super) const EVERYTHING: Self = Self {
        is_read: true,
        reads_actions: true,
        reads_datasets: true,
        actions: Vec::new(),
        datasets: BTreeSet::new(),
        comparisons: Vec::new(),
        compares_whole: true,
    };

    pub(super) fn of_condition(condition: &Expr) -> Self {
        let mut found = Self::default();
        let (mut keys, mut parts) = (0, 0);
        let (mut texts, mut words) = (Vec::new(), Vec::new());
        for expression in condition.subexpressions() {
            found.is_read |= asks_for_key(expression);
            keys += usize::from(is_key(expression));
            if let Some(part) = part_of_key(expression) {
                parts += usize::from(!asks_for_key(expression));
                found.reads_actions |= part == "actions";
                found.reads_datasets |= part == "datasets";
            }
            match expression.expr_kind() {
                ExprKind::Lit(Literal::String(text)) => texts.push(text.as_str()),
                ExprKind::Lit(Literal::EntityUID(uid)) => {
                    if uid.entity_type().to_string().ends_with(ACTION_TYPE) {
                        words.push(AsRef::<str>::as_ref(uid.eid()).to_owned());
                    }
                }
                _ => found.add_comparison(expression),
            }
        }
        // The key as a whole: `context.key == context.key`.
        if keys > parts {
            (found.reads_actions, found.reads_datasets) = (true, true);
            found.compares_whole = true;
        }
        found.is_read |= keys > 0;
        if found.reads_actions {
            found.actions = words;
        }
        if found.reads_datasets {
            found.datasets = texts.into_iter().filter_map(dataset_of).collect();
        }
        found
    }

    /// Notes a comparison of the datasets of a key.
    fn add_comparison(&mut self, expression: &Expr) {
        let has_datasets = |operand: &Expr| {
            let mut parts = operand.subexpressions();
            parts.any(|part| part_of_key(part) == Some("datasets"))
        };
        let (is_whole, operands) = match expression.expr_kind() {
            ExprKind::BinaryApp { op, arg1, arg2 } => match op {
                BinaryOp::Contains | BinaryOp::ContainsAny => (false, [arg1, arg2]),
                BinaryOp::ContainsAll => (has_datasets(arg2), [arg1, arg2]),
                _ => (true, [arg1, arg2]),
            },
            _ => return,
        };
        if operands.iter().any(|operand| has_datasets(operand)) {
            self.compares_whole |= is_whole;
            self.comparisons.push(expression.to_string());
        }
    }

    /// Adds others; whether something is left out because there is too much.
    pub(super) fn add(&mut self, others: Self) -> bool {
        self.is_read |= others.is_read;
        self.reads_actions |= others.reads_actions;
        self.reads_datasets |= others.reads_datasets;
        self.compares_whole |= others.compares_whole;
        self.datasets.extend(others.datasets);
        push_all(&mut self.actions, others.actions)
            | push_all(&mut self.comparisons, others.comparisons)
    }

    /// Adds the dataset whose id is a text of the catalog that policies read, if it is one.
    pub fn add_text(&mut self, text: &str) {
        self.datasets.extend(dataset_of(text));
    }
}

/// The dataset that a text names as a key does.
fn dataset_of(text: &str) -> Option<DatasetId> {
    // Reading takes longer than looking at the length.
    (text.len() == uuid::fmt::Hyphenated::LENGTH).then_some(())?;
    text.parse().ok().map(DatasetId)
}

/// `context.key`.
fn is_key(expression: &Expr) -> bool {
    matches!(expression.expr_kind(), ExprKind::GetAttr { expr, attr }
        if attr == "key" && is_context(expr))
}

/// `context has key`, also with a part of it.
fn asks_for_key(expression: &Expr) -> bool {
    match expression.expr_kind() {
        ExprKind::HasAttr { expr, attr } => attr == "key" && is_context(expr),
        ExprKind::ExtHasAttr { expr, attrs } => attrs.first() == "key" && is_context(expr),
        _ => false,
    }
}

/// The part of the key that an expression reads or asks for.
fn part_of_key(expression: &Expr) -> Option<&str> {
    match expression.expr_kind() {
        ExprKind::GetAttr { expr, attr } | ExprKind::HasAttr { expr, attr } => {
            is_key(expr).then_some(attr.as_str())
        }
        ExprKind::ExtHasAttr { expr, attrs } if is_key(expr) => Some(attrs.first().as_str()),
        ExprKind::ExtHasAttr { attrs, .. } if asks_for_key(expression) => {
            attrs.iter().nth(1).map(cedar_policy::pst::SmolStr::as_str)
        }
        _ => None,
    }
}

fn is_context(expression: &Expr) -> bool {
    matches!(expression.expr_kind(), ExprKind::Var(Var::Context))
}

#[cfg(test)]
mod tests {
    use cedar_policy::Policy;

    use super::*;

    const ID: &str = "00000000-0000-0000-0000-000000000003";

    fn key(condition: &str) -> KeyLiterals {
        let text = format!("permit (principal, action, resource) when {{ {condition} }};");
        let policy = Policy::parse(None, text).unwrap();
        KeyLiterals::of_condition(&policy.as_ref().condition())
    }

    #[test]
    fn what_is_read_of_a_key_is_found() {
        let found = key(
            r#"context has key && context.key has actions && context.key.actions == [KeyAction::"read"]"#,
        );
        assert!(found.is_read && found.reads_actions && !found.reads_datasets);
        assert_eq!(found.actions, ["read"]);
        let found = key("context has key.datasets");
        assert!(found.is_read && found.reads_datasets && !found.reads_actions);
        let found = key("context has key");
        assert!(found.is_read && !found.reads_datasets && !found.reads_actions);
        let found = key("context.key == context.key");
        assert!(found.reads_datasets && found.reads_actions && found.compares_whole);
        assert_eq!(key(r#"Role::"read" == principal"#), KeyLiterals::default());
    }

    #[test]
    fn a_comparison_of_datasets_is_about_some_of_them_or_about_all() {
        for (condition, is_whole) in [
            (format!("context.key.datasets.contains(\"{ID}\")"), false),
            (
                format!("context.key.datasets.containsAll([\"{ID}\"])"),
                false,
            ),
            (
                format!("[\"{ID}\"].containsAny(context.key.datasets)"),
                false,
            ),
            (
                format!("[\"{ID}\"].containsAll(context.key.datasets)"),
                true,
            ),
            (format!("context.key.datasets == [\"{ID}\"]"), true),
        ] {
            let found = key(&condition);
            assert_eq!(found.compares_whole, is_whole, "{condition}");
            assert_eq!(found.comparisons.len(), 1, "{condition}");
            assert_eq!(found.datasets.len(), 1, "{condition}");
        }
    }
}
