//! Template links: the values that fill the slots of templates, in the JSON of the Cedar command
//! line's `--template-linked` file, so that either tool reads them.

use std::ops::Range;
use std::sync::Arc;

use cedar_policy::{EntityUid, Policy, PolicyFromJsonError, PolicyToJsonError, SlotId};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::domain::diagnostic::SourceDiagnostic;
use crate::domain::error_chain::error_chain;

use super::json_span::{error_span, message_without_position, value_span};

/// A link of a template: a policy that is the template with its slots filled.
pub(super) struct TemplateLink {
    pub(super) template_id: SpannedText,
    /// The name of the policy.
    pub(super) name: SpannedText,
    pub(super) values: Vec<SlotValue>,
    /// The bytes of the link in its file.
    pub(super) span: Range<usize>,
}

/// A text with its bytes in the file.
pub(super) struct SpannedText {
    pub(super) text: String,
    pub(super) span: Range<usize>,
}

/// The entity that fills one slot.
pub(super) struct SlotValue {
    pub(super) slot: SlotId,
    pub(super) entity: EntityUid,
    pub(super) span: Range<usize>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LinkJson<'a> {
    #[serde(borrow)]
    template_id: &'a RawValue,
    #[serde(borrow)]
    link_id: &'a RawValue,
    #[serde(borrow)]
    args: LinkArgumentsJson<'a>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LinkArgumentsJson<'a> {
    #[serde(borrow, default, rename = "?principal")]
    principal: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "?resource")]
    resource: Option<&'a RawValue>,
}

/// Parses a file of links; returns the valid links and the problems of the others.
pub(super) fn parse(label: &str, text: &Arc<str>) -> (Vec<TemplateLink>, Vec<SourceDiagnostic>) {
    let parser = LinkParser { label, text };
    let values = match serde_json::from_str::<Vec<&RawValue>>(text) {
        Ok(values) => values,
        Err(error) => return (Vec::new(), vec![parser.json_problem(&error, 0, text)]),
    };
    let mut links = Vec::new();
    let mut problems = Vec::new();
    for value in values {
        match parser.parse_link(value) {
            Ok(link) => links.push(link),
            Err(problem) => problems.push(*problem),
        }
    }
    (links, problems)
}

struct LinkParser<'a> {
    label: &'a str,
    text: &'a Arc<str>,
}

impl LinkParser<'_> {
    fn parse_link(&self, value: &RawValue) -> Result<TemplateLink, Box<SourceDiagnostic>> {
        let span = value_span(value, self.text);
        let link: LinkJson<'_> = serde_json::from_str(value.get())
            .map_err(|error| self.json_problem(&error, span.start, value.get()))?;
        let slots = [
            (SlotId::principal(), link.args.principal),
            (SlotId::resource(), link.args.resource),
        ];
        Ok(TemplateLink {
            template_id: self.parse_text(link.template_id)?,
            name: self.parse_text(link.link_id)?,
            values: slots
                .into_iter()
                .filter_map(|(slot, value)| Some((slot, value?)))
                .map(|(slot, value)| self.parse_slot_value(slot, value))
                .collect::<Result<_, _>>()?,
            span,
        })
    }

    fn parse_slot_value(
        &self,
        slot: SlotId,
        value: &RawValue,
    ) -> Result<SlotValue, Box<SourceDiagnostic>> {
        let SpannedText { text, span } = self.parse_text(value)?;
        let entity = text.parse().map_err(|error| {
            let message = format!("{slot} is not a valid entity: {}", error_chain(&error));
            let problem = SourceDiagnostic::at_span(self.label, self.text, span.clone(), message);
            problem.with_help("write it as in a policy, for example \"Role::\\\"hydrology\\\"\"")
        })?;
        Ok(SlotValue { slot, entity, span })
    }

    fn parse_text(&self, value: &RawValue) -> Result<SpannedText, Box<SourceDiagnostic>> {
        let span = value_span(value, self.text);
        let text = serde_json::from_str(value.get())
            .map_err(|error| self.json_problem(&error, span.start, value.get()))?;
        Ok(SpannedText { text, span })
    }

    fn json_problem(
        &self,
        error: &serde_json::Error,
        start: usize,
        json: &str,
    ) -> SourceDiagnostic {
        let inside = error_span(error, json);
        let span = start + inside.start..start + inside.end;
        SourceDiagnostic::at_span(self.label, self.text, span, message_without_position(error))
            .with_help(
                "a link has a template_id, a link_id and args, which fill ?principal and ?resource",
            )
    }
}

/// A linked policy could not be converted into one without a template.
#[derive(Debug, thiserror::Error)]
pub(super) enum InstantiateError {
    /// The linked policy has no JSON form.
    #[error("cannot fill the slots of a template: {0}")]
    ToJson(#[from] Box<PolicyToJsonError>),
    /// Its JSON form is not a policy.
    #[error("a template with its slots filled is not a policy: {0}")]
    FromJson(#[from] Box<PolicyFromJsonError>),
}

/// The same policy without a template: a linked one with its slots filled. The validator and the
/// solver need it so.
pub(super) fn instantiate(policy: &Policy) -> Result<Policy, InstantiateError> {
    if policy.is_static() {
        return Ok(policy.clone());
    }
    let json = policy.to_json().map_err(Box::new)?;
    Ok(Policy::from_json(Some(policy.id().clone()), json).map_err(Box::new)?)
}
