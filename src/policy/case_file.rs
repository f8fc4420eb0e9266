//! Case files: questions with their expected answers, in the JSON of the Cedar command line's
//! `run-tests` (<https://docs.rs/cedar-policy-cli>), so that either tool runs them.
//!
//! A case that does not read, or does not fit the schema, is a problem with file and line. This
//! module refuses to know whether a case passes.

use std::ops::Range;
use std::sync::Arc;

use cedar_policy::{Context, Decision as CedarDecision, Entities, EntityUid, Request, Schema};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use super::diagnostic::{BundleDiagnostic, message_with_causes};
use super::entity_file;
use super::sources::SourceFiles;

/// How the name of a case file ends; `public.cases.json` stands beside `public.cedar`.
pub(super) const CASES_SUFFIX: &str = ".cases.json";

/// What a case expects or a bundle answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CaseDecision {
    /// The action is permitted.
    Allow,
    /// It is not.
    Deny,
}

impl CaseDecision {
    /// The word as it is written in case files.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
        }
    }
}

impl From<CedarDecision> for CaseDecision {
    fn from(decision: CedarDecision) -> Self {
        match decision {
            CedarDecision::Allow => Self::Allow,
            CedarDecision::Deny => Self::Deny,
        }
    }
}

/// One case, ready to be put to a bundle.
pub(super) struct Case {
    pub(super) name: String,
    pub(super) file: String,
    pub(super) line: usize,
    pub(super) request: Request,
    pub(super) entities: Entities,
    pub(super) decision: CaseDecision,
    pub(super) reason: Vec<String>,
    pub(super) num_errors: usize,
}

#[derive(Deserialize)]
struct CaseJson {
    name: Option<String>,
    request: CaseRequestJson,
    entities: Value,
    decision: CaseDecision,
    reason: Vec<String>,
    num_errors: usize,
}

#[derive(Deserialize)]
struct CaseRequestJson {
    principal: String,
    action: String,
    resource: String,
    context: Value,
}

/// Reads every case of every case file, or tells every problem of every file.
pub(super) fn parse_all(
    sources: &SourceFiles,
    schema: &Schema,
) -> Result<Vec<Case>, Vec<BundleDiagnostic>> {
    let mut cases = Vec::new();
    let mut problems = Vec::new();
    for (file, text) in sources.iter().filter(|(name, _)| is_case_file(name)) {
        let label = sources.label(file);
        match serde_json::from_str::<Vec<&RawValue>>(text) {
            Ok(written) => {
                for (index, written) in written.into_iter().enumerate() {
                    let place = CaseParser::new(written, index, file, text, &label);
                    match place.parse(written.get(), sources, schema) {
                        Ok(case) => cases.push(case),
                        Err(problem) => problems.push(*problem),
                    }
                }
            }
            Err(error) => {
                let span = error_span(&error, text);
                problems.push(BundleDiagnostic::at_span(
                    &label,
                    text,
                    span,
                    message_without_position(&error),
                ));
            }
        }
    }
    if problems.is_empty() {
        Ok(cases)
    } else {
        Err(problems)
    }
}

/// The widest line of a written case file that could be broken, in columns.
const MAX_LINE_WIDTH: usize = 100;

/// Cases as the text of a case file: what fits stands on one line.
pub(super) fn to_json_text(cases: &[&Value]) -> String {
    let all = Value::Array(cases.iter().map(|case| (*case).clone()).collect());
    let mut text = String::new();
    push_value(&mut text, &all, 0);
    text.push('\n');
    text
}

fn push_value(text: &mut String, value: &Value, indent: usize) {
    let inline = inline_text(value);
    // A case and what it consists of are always told apart by lines.
    let is_short = inline.chars().count() + 2 * indent <= MAX_LINE_WIDTH && indent > 1;
    let (open, close, parts): (_, _, Vec<(String, &Value)>) = match value {
        Value::Array(values) if !is_short => {
            let parts = values.iter().map(|value| (String::new(), value));
            ('[', ']', parts.collect())
        }
        Value::Object(members) if !is_short => {
            let name = |name: &String| format!("{}: ", Value::String(name.clone()));
            let parts = members.iter().map(|(key, value)| (name(key), value));
            ('{', '}', parts.collect())
        }
        _ => return text.push_str(&inline),
    };
    text.push(open);
    for (at, (name, part)) in parts.into_iter().enumerate() {
        text.push_str(if at == 0 { "\n" } else { ",\n" });
        text.push_str(&"  ".repeat(indent + 1));
        text.push_str(&name);
        push_value(text, part, indent + 1);
    }
    text.push('\n');
    text.push_str(&"  ".repeat(indent));
    text.push(close);
}

fn inline_text(value: &Value) -> String {
    match value {
        Value::Array(values) => {
            let parts: Vec<String> = values.iter().map(inline_text).collect();
            format!("[{}]", parts.join(", "))
        }
        Value::Object(members) => {
            let named = |(name, value): (&String, &Value)| {
                format!("{}: {}", Value::String(name.clone()), inline_text(value))
            };
            let parts: Vec<String> = members.iter().map(named).collect();
            format!("{{{}}}", parts.join(", "))
        }
        other => other.to_string(),
    }
}

/// Whether a file holds cases.
pub(super) fn is_case_file(name: &str) -> bool {
    name.ends_with(CASES_SUFFIX)
}

/// Where one case stands.
struct CaseParser<'a> {
    index: usize,
    file: &'a str,
    label: &'a str,
    text: &'a Arc<str>,
    start: usize,
    line: usize,
}

impl<'a> CaseParser<'a> {
    fn new(
        written: &RawValue,
        index: usize,
        file: &'a str,
        text: &'a Arc<str>,
        label: &'a str,
    ) -> Self {
        let start = entity_file::value_start(written, text).start;
        let before = text.get(..start).unwrap_or_default();
        Self {
            index,
            file,
            label,
            text,
            start,
            line: before.bytes().filter(|byte| *byte == b'\n').count() + 1,
        }
    }

    fn problem(&self, what: &str, error: &dyn std::error::Error) -> Box<BundleDiagnostic> {
        let message = format!(
            "case {}: {what}: {}",
            self.index + 1,
            message_with_causes(error)
        );
        let span = self.start..self.start + 1;
        Box::new(BundleDiagnostic::at_span(
            self.label, self.text, span, message,
        ))
    }

    fn parse(
        &self,
        json: &str,
        sources: &SourceFiles,
        schema: &Schema,
    ) -> Result<Case, Box<BundleDiagnostic>> {
        let written: CaseJson = serde_json::from_str(json).map_err(|error| {
            let inside = error_span(&error, json);
            let span = self.start + inside.start..self.start + inside.end;
            let message = format!(
                "case {}: {}",
                self.index + 1,
                message_without_position(&error)
            );
            BundleDiagnostic::at_span(self.label, self.text, span, message)
        })?;
        let uid = |what: &str, text: &str| {
            text.parse::<EntityUid>()
                .map_err(|error| self.problem(what, &error))
        };
        let action = uid("action", &written.request.action)?;
        let context = Context::from_json_value(written.request.context, Some((schema, &action)))
            .map_err(|error| self.problem("context", &error))?;
        let request = Request::new(
            uid("principal", &written.request.principal)?,
            action,
            uid("resource", &written.request.resource)?,
            context,
            Some(schema),
        )
        .map_err(|error| self.problem("request", &error))?;
        let entities = match written.entities {
            Value::String(path) => self.parse_entity_file(&path, sources, schema)?,
            entities => Entities::from_json_value(entities, Some(schema))
                .map_err(|error| self.problem("entities", &error))?,
        };
        Ok(Case {
            name: written
                .name
                .unwrap_or_else(|| format!("case {}", self.index + 1)),
            file: self.file.to_owned(),
            line: self.line,
            request,
            entities,
            decision: written.decision,
            reason: written.reason,
            num_errors: written.num_errors,
        })
    }

    /// The entities of a file beside or below the case file.
    fn parse_entity_file(
        &self,
        path: &str,
        sources: &SourceFiles,
        schema: &Schema,
    ) -> Result<Entities, Box<BundleDiagnostic>> {
        let folder = self.file.rsplit_once('/').map_or("", |(folder, _)| folder);
        let path = path.strip_prefix("./").unwrap_or(path);
        let name = if folder.is_empty() {
            path.to_owned()
        } else {
            format!("{folder}/{path}")
        };
        let Some(text) = sources.text(&name) else {
            let span = self.start..self.start + 1;
            let message = format!("case {}: there is no file {name:?}", self.index + 1);
            let problem = BundleDiagnostic::at_span(self.label, self.text, span, message);
            let help = "name a .json file beside the case file or below it";
            return Err(Box::new(problem.with_help(help)));
        };
        entity_file::parse(&sources.label(&name), text, schema).map_err(|problems| {
            let first = problems.into_iter().next();
            Box::new(
                first.unwrap_or_else(|| BundleDiagnostic::for_file(&name, "it has no entities")),
            )
        })
    }
}

/// The byte at which reading stopped.
pub(super) fn error_span(error: &serde_json::Error, text: &str) -> Range<usize> {
    let line_start: usize = text
        .split_inclusive('\n')
        .take(error.line().saturating_sub(1))
        .map(str::len)
        .sum();
    let at = (line_start + error.column().saturating_sub(1)).min(text.len());
    // A span must not cut a character in two.
    let start = text.floor_char_boundary(at);
    let end = text.ceil_char_boundary((start + 1).min(text.len()));
    start..end
}

/// What is wrong without "at line 3 column 5", which the problem tells itself.
pub(super) fn message_without_position(error: &serde_json::Error) -> String {
    let message = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    message.strip_suffix(&place).unwrap_or(&message).to_owned()
}
