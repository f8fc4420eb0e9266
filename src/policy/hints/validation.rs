//! Hints for what Cedar's validator refuses: the part of the condition as it was most likely meant.
//!
//! What is offered has been tried: the policy with it is valid in that part.

use std::ops::Range;
use std::sync::Arc;

use cedar_policy::{PolicySet, Schema, ValidationError, ValidationWarning};
use cedar_policy_core::ast::{BinaryOp, Expr, ExprKind, Template, Var};
use miette::Diagnostic;

use crate::domain::diagnostic::SourceDiagnostic;
use crate::policy::complexity;
use crate::policy::reach::{RequestTypes, ScopeTypes};
use crate::policy::validation::{HintedProblem, ValidationPurpose, validate};

use super::advice::{advice, unknown_attribute};
use super::condition::{BooleanPart, part_at};
use super::guard::guards;
use super::rewrite::{Replacement, literals, renamed, reshaped};
use super::value_type::TypeReader;

/// The most candidates that are tried for one problem: each is parsed and validated.
const MAX_CANDIDATES: usize = 24;
/// The types of administrative resources, which have none of a dataset's attributes.
const ADMINISTRATIVE_TYPES: [&str; 3] = ["Role", "Server", "User"];
/// The help for a policy that is meant for datasets and does not say so.
const DATASET_SCOPE_HELP: &str = "the scope also covers administrative actions on users, roles and the server: \
    name its actions, or write `resource is Dataset`";
const DATASET_GUARD: &str = "resource is Dataset && ";

/// Where a policy is written, and what it is validated for.
pub(in crate::policy) struct PolicyPlace<'a> {
    pub(in crate::policy) text: &'a Arc<str>,
    pub(in crate::policy) span: &'a Range<usize>,
    pub(in crate::policy) purpose: ValidationPurpose,
}

/// A problem of validation with what to write instead, if that is known.
pub(in crate::policy) fn with_hint(
    schema: &Schema,
    request_types: &RequestTypes,
    policy: &Template,
    place: &PolicyPlace<'_>,
    (error, problem): (&ValidationError, SourceDiagnostic),
) -> HintedProblem {
    let Some(part) = part_of(policy, problem.span().as_ref()) else {
        return problem.into();
    };
    let scope = ScopeTypes::new(request_types, policy);
    let types = TypeReader::new(schema.as_ref(), request_types, &scope);
    let found = first_solution(schema, &types, &part, place);
    let text = place.text.get(part.span.clone()).unwrap_or_default();
    let is_of_resource = reads_resource(part.expression);
    if is_of_resource && is_about_administration(error) {
        let found = found.as_ref().map(|found| &found.replacement);
        return problem
            .with_help(dataset_scope_help(found, &part, place))
            .into();
    }
    match found {
        Some(found) if is_told_by_cedar(&problem, text, &found.replacement) => HintedProblem {
            is_all: found.is_all,
            problem,
        },
        Some(Solution {
            replacement,
            is_all,
        }) => HintedProblem {
            problem: problem
                .with_span(&replacement.span)
                .with_help(format!("write `{}`", replacement.text)),
            is_all,
        },
        None => match advice(&types, &part, error) {
            Some(help) => problem.with_help(help).into(),
            None => problem.into(),
        },
    }
}

/// What to write instead of a part that is valid and never true.
pub(in crate::policy) fn help_for_unreachable(
    schema: &Schema,
    request_types: &RequestTypes,
    policy: &Template,
    place: &PolicyPlace<'_>,
    span: &Range<usize>,
) -> Option<String> {
    let part = part_of(policy, Some(span))?;
    let scope = ScopeTypes::new(request_types, policy);
    let types = TypeReader::new(schema.as_ref(), request_types, &scope);
    let found = first_solution(schema, &types, &part, place);
    let found = found.map(|found| found.replacement);
    match found.filter(|found| found.span == *span) {
        Some(found) => Some(format!("write `{}`", found.text)),
        None => unknown_attribute(&types, part.expression),
    }
}

/// Whether Cedar's own help says it: another name in the place of one.
fn is_told_by_cedar(problem: &SourceDiagnostic, text: &str, found: &Replacement) -> bool {
    let between = |text: &'_ str, before: &str, after: &str| {
        let (_, rest) = text.split_once(before)?;
        Some(rest.split_once(after)?.0.to_owned())
    };
    let meant = between(problem.help().unwrap_or_default(), "did you mean `", "`?");
    let written = between(problem.message(), "attribute `", "`");
    let renamed = written
        .zip(meant)
        .map(|(written, meant)| text.replace(&written, &meant));
    renamed.as_deref() == Some(&*found.text)
}

fn part_of<'a>(policy: &'a Template, span: Option<&Range<usize>>) -> Option<BooleanPart<'a>> {
    part_at(policy.non_scope_constraints()?, span?)
}

fn first_solution(
    schema: &Schema,
    types: &TypeReader<'_>,
    part: &BooleanPart<'_>,
    place: &PolicyPlace<'_>,
) -> Option<Solution> {
    let candidates = candidates(types, part, place).into_iter();
    let mut tried = candidates.take(MAX_CANDIDATES);
    tried.find_map(|candidate| {
        let is_all = try_out(schema, place, &candidate.applied)?;
        let replacement = candidate.shown;
        Some(Solution {
            replacement,
            is_all,
        })
    })
}

/// A candidate that was tried.
struct Solution {
    replacement: Replacement,
    is_all: bool,
}

fn reads_resource(part: &Expr) -> bool {
    let mut inside = part.subexpressions();
    inside.any(|one| matches!(one.expr_kind(), ExprKind::Var(Var::Resource)))
}

/// Whether an error is about an attribute of something else than a dataset.
fn is_about_administration(error: &ValidationError) -> bool {
    let message = error.to_string();
    let mut names = ADMINISTRATIVE_TYPES.iter();
    names.any(|name| message.contains(&format!("on entity type `{name}`")))
}

/// The help for a policy that is meant for datasets, and what else to write if that alone is not enough.
fn dataset_scope_help(
    found: Option<&Replacement>,
    part: &BooleanPart<'_>,
    place: &PolicyPlace<'_>,
) -> String {
    let text = place.text.get(part.span.clone()).unwrap_or_default();
    let written = found.map(|found| found.text.as_str()).unwrap_or_default();
    let written = written
        .trim_start_matches('(')
        .strip_prefix(DATASET_GUARD)
        .filter(|rest| *rest != text);
    match written {
        Some(rest) => format!("{DATASET_SCOPE_HELP}; then write `{rest}`"),
        None => DATASET_SCOPE_HELP.to_owned(),
    }
}

/// A way to write a part.
struct Candidate {
    /// What is told: the smallest text that changes.
    shown: Replacement,
    /// What is tried: the whole part.
    applied: Replacement,
}

fn candidates(
    types: &TypeReader<'_>,
    part: &BooleanPart<'_>,
    place: &PolicyPlace<'_>,
) -> Vec<Candidate> {
    let Some(text) = place.text.get(part.span.clone()) else {
        return Vec::new();
    };
    let part = &BooleanPart {
        is_operand: part.is_operand && !is_bracketed(place.text, &part.span),
        ..part.clone()
    };
    let edits = literals(types, part.expression);
    let mut shapes: Vec<String> = Vec::new();
    if !edits.is_empty() {
        shapes.push(applied(text, part.span.start, &edits));
    }
    shapes.extend(reshaped(types, part));
    shapes.extend(renamed(types, part.expression, text));
    let mut found: Vec<Candidate> = Vec::new();
    if let ([edit], Some(first)) = (edits.as_slice(), shapes.first()) {
        let applied = Replacement {
            span: part.span.clone(),
            text: first.clone(),
        };
        found.push(Candidate {
            shown: edit.clone(),
            applied,
        });
    }
    let guard = guards(types, part.expression);
    for shape in shapes.iter().map(String::as_str).chain([text]) {
        if shape != text {
            found.push(whole(part, shape.to_owned()));
        }
        found.extend(guarded(part, &guard, shape));
    }
    for shape in &shapes {
        // In another form it may compare other types, and need other guards.
        if let Some((refined, guard)) = refined(types, shape) {
            found.push(whole(part, refined.clone()));
            found.extend(guarded(part, &guard, &refined));
        }
        if types.has_principal("Anonymous") && types.has_principal("User") {
            found.extend(guarded(part, &["principal is User".to_owned()], shape));
        }
    }
    found
}

/// Whether a part stands alone between round brackets.
fn is_bracketed(text: &str, span: &Range<usize>) -> bool {
    let before = text.get(..span.start).unwrap_or_default().trim_end();
    let after = text.get(span.end..).unwrap_or_default().trim_start();
    before.ends_with('(') && after.starts_with(')')
}

/// A part behind what must be tested before. What is not equal to something is also what has no such value.
fn guarded(part: &BooleanPart<'_>, guards: &[String], shape: &str) -> Option<Candidate> {
    if guards.is_empty() {
        return None;
    }
    let guards = guards.join(" && ");
    let inner = shape
        .strip_prefix("!(")
        .and_then(|shape| shape.strip_suffix(')'));
    let text = match inner {
        Some(inner) => format!("!({guards} && {inner})"),
        None if part.is_opposite && is_equality(part.expression) && shape.contains("!=") => {
            format!("!({guards} && {})", shape.replacen("!=", "==", 1))
        }
        None => format!("{guards} && {shape}"),
    };
    Some(whole(part, text))
}

fn is_equality(part: &Expr) -> bool {
    matches!(
        part.expr_kind(),
        ExprKind::BinaryApp {
            op: BinaryOp::Eq,
            ..
        }
    )
}

/// A part in another form with its literals as they are meant there, and the guards that it needs.
fn refined(types: &TypeReader<'_>, shape: &str) -> Option<(String, Vec<String>)> {
    const BEFORE: &str = "permit (principal, action, resource) when { ";
    let parsed: PolicySet = format!("{BEFORE}{shape} }};").parse().ok()?;
    let policy = parsed.policies().next()?;
    let condition = policy.as_ref().template().non_scope_constraints()?;
    let written = applied(shape, BEFORE.len(), &literals(types, condition));
    let guards = guards(types, condition);
    (written != shape || !guards.is_empty()).then_some((written, guards))
}

fn whole(part: &BooleanPart<'_>, text: String) -> Candidate {
    let needs_parentheses = part.is_operand && !text.starts_with(['(', '!']);
    let text = if needs_parentheses {
        format!("({text})")
    } else {
        text
    };
    let shown = Replacement {
        span: part.span.clone(),
        text,
    };
    Candidate {
        applied: shown.clone(),
        shown,
    }
}

/// A text that begins at a byte of its file, with replacements that do not overlap.
fn applied(text: &str, start: usize, edits: &[Replacement]) -> String {
    let mut written = text.to_owned();
    for edit in edits.iter().rev() {
        let (Some(from), Some(to)) = (
            edit.span.start.checked_sub(start),
            edit.span.end.checked_sub(start),
        ) else {
            continue;
        };
        if written.get(from..to).is_some() {
            written.replace_range(from..to, &edit.text);
        }
    }
    written
}

/// Whether a policy is valid as a whole with a replacement; `None` if it is not valid in that part.
fn try_out(schema: &Schema, place: &PolicyPlace<'_>, edit: &Replacement) -> Option<bool> {
    let start = place.span.start;
    let text = place.text.get(place.span.clone())?;
    let text: Arc<str> = applied(text, start, std::slice::from_ref(edit)).into();
    if complexity::check("", &text).is_some() {
        return None;
    }
    let set = text.parse::<PolicySet>().ok()?;
    let result = validate(&set, schema, place.purpose).ok()?;
    let from = edit.span.start.saturating_sub(start);
    let within = from..from + edit.text.len();
    let touches = |error: &dyn Diagnostic| {
        let labels = error.labels().into_iter().flatten();
        let mut spans = labels.map(|label| label.offset()..label.offset() + label.len());
        spans.any(|span| span.start < within.end && within.start < span.end)
    };
    let has_error = result.validation_errors().any(|error| touches(error));
    // A part that is valid and never true is no help.
    let is_pointless = result
        .validation_warnings()
        .any(|warning| matches!(warning, ValidationWarning::ImpossiblePolicy(_)));
    (!has_error && !is_pointless).then(|| result.validation_errors().next().is_none())
}
