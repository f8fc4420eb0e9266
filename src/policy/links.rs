//! Links: what fills the slots of templates, in the JSON of the Cedar command line's
//! `--template-linked` file, so that either tool reads them.
//!
//! This module refuses to know which templates there are.

use std::ops::Range;
use std::sync::Arc;

use cedar_policy::{EntityUid, Policy, PolicyFromJsonError, PolicyToJsonError, SlotId};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::case_file::{error_span, message_without_position};
use super::diagnostic::{BundleDiagnostic, message_with_causes};

/// One link: a policy that is a template with its slots filled.
pub(super) struct TemplateLink {
    pub(super) template_id: SpannedText,
    /// The name of the policy.
    pub(super) name: SpannedText,
    pub(super) values: Vec<SlotValue>,
    /// The bytes of the link in its file.
    pub(super) span: Range<usize>,
}

/// A text with its place in the file.
pub(super) struct SpannedText {
    pub(super) text: String,
    pub(super) span: Range<usize>,
}

/// What fills one slot.
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

/// Reads a file of links; those that do not read are problems.
pub(super) fn parse(label: &str, text: &Arc<str>) -> (Vec<TemplateLink>, Vec<BundleDiagnostic>) {
    let file = LinkParser { label, text };
    let written = match serde_json::from_str::<Vec<&RawValue>>(text) {
        Ok(written) => written,
        Err(error) => return (Vec::new(), vec![file.json_problem(&error, 0, text)]),
    };
    let mut links = Vec::new();
    let mut problems = Vec::new();
    for written in written {
        match file.parse_link(written) {
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
    fn parse_link(&self, written: &RawValue) -> Result<TemplateLink, Box<BundleDiagnostic>> {
        let span = self.span(written);
        let link: LinkJson<'_> = serde_json::from_str(written.get())
            .map_err(|error| self.json_problem(&error, span.start, written.get()))?;
        let slots = [
            (SlotId::principal(), link.args.principal),
            (SlotId::resource(), link.args.resource),
        ];
        Ok(TemplateLink {
            template_id: self.parse_text(link.template_id)?,
            name: self.parse_text(link.link_id)?,
            values: slots
                .into_iter()
                .filter_map(|(slot, written)| Some((slot, written?)))
                .map(|(slot, written)| self.parse_slot_value(slot, written))
                .collect::<Result<_, _>>()?,
            span,
        })
    }

    fn parse_slot_value(
        &self,
        slot: SlotId,
        written: &RawValue,
    ) -> Result<SlotValue, Box<BundleDiagnostic>> {
        let SpannedText { text, span } = self.parse_text(written)?;
        let entity = text.parse().map_err(|error| {
            let message = format!("{slot} is no entity: {}", message_with_causes(&error));
            let problem = BundleDiagnostic::at_span(self.label, self.text, span.clone(), message);
            problem.with_help("write it as policies do, as in \"Role::\\\"hydrology\\\"\"")
        })?;
        Ok(SlotValue { slot, entity, span })
    }

    fn parse_text(&self, written: &RawValue) -> Result<SpannedText, Box<BundleDiagnostic>> {
        let span = self.span(written);
        let text = serde_json::from_str(written.get())
            .map_err(|error| self.json_problem(&error, span.start, written.get()))?;
        Ok(SpannedText { text, span })
    }

    /// The raw value borrows from the text: the distance of their addresses is its place.
    fn span(&self, written: &RawValue) -> Range<usize> {
        let start = (written.get().as_ptr() as usize).saturating_sub(self.text.as_ptr() as usize);
        start..start + written.get().len()
    }

    fn json_problem(
        &self,
        error: &serde_json::Error,
        start: usize,
        json: &str,
    ) -> BundleDiagnostic {
        let inside = error_span(error, json);
        let span = start + inside.start..start + inside.end;
        BundleDiagnostic::at_span(self.label, self.text, span, message_without_position(error))
            .with_help(
                "a link has a template_id, a link_id and args, which fill ?principal and ?resource",
            )
    }
}

/// Why a linked policy cannot be written without its template.
#[derive(Debug, thiserror::Error)]
pub(super) enum InstantiateError {
    /// The template cannot be written with its slots filled.
    #[error("the slots of a template cannot be filled: {0}")]
    ToJson(#[from] Box<PolicyToJsonError>),
    /// What was written does not read.
    #[error("a template with its slots filled does not read: {0}")]
    FromJson(#[from] Box<PolicyFromJsonError>),
}

/// The same policy on its own: a linked one with its slots filled, for those who know no templates.
pub(super) fn instantiate(policy: &Policy) -> Result<Policy, InstantiateError> {
    if policy.is_static() {
        return Ok(policy.clone());
    }
    let json = policy.to_json().map_err(Box::new)?;
    Ok(Policy::from_json(Some(policy.id().clone()), json).map_err(Box::new)?)
}
