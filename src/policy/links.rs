//! Links: what fills the slots of templates, in the JSON of the Cedar command line's
//! `--template-linked` file, so that either tool reads them.
//!
//! This module refuses to know which templates there are.

use std::ops::Range;
use std::sync::Arc;

use cedar_policy::{EntityUid, Policy, PolicyFromJsonError, PolicyToJsonError, SlotId};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::case_file::{plain, span_of};
use super::diagnostic::{Problem, with_causes};

/// One link: a policy that is a template with its slots filled.
pub(super) struct Link {
    pub(super) template_id: Text,
    /// The name of the policy.
    pub(super) name: Text,
    pub(super) values: Vec<Value>,
    /// The bytes of the link in its file.
    pub(super) span: Range<usize>,
}

/// A text with its place in the file.
pub(super) struct Text {
    pub(super) text: String,
    pub(super) span: Range<usize>,
}

/// What fills one slot.
pub(super) struct Value {
    pub(super) slot: SlotId,
    pub(super) entity: EntityUid,
    pub(super) span: Range<usize>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenLink<'a> {
    #[serde(borrow)]
    template_id: &'a RawValue,
    #[serde(borrow)]
    link_id: &'a RawValue,
    #[serde(borrow)]
    args: WrittenArguments<'a>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenArguments<'a> {
    #[serde(borrow, default, rename = "?principal")]
    principal: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "?resource")]
    resource: Option<&'a RawValue>,
}

/// Reads a file of links; those that do not read are problems.
pub(super) fn read(label: &str, text: &Arc<str>) -> (Vec<Link>, Vec<Problem>) {
    let file = File { label, text };
    let written = match serde_json::from_str::<Vec<&RawValue>>(text) {
        Ok(written) => written,
        Err(error) => return (Vec::new(), vec![file.unreadable(&error, 0, text)]),
    };
    let mut links = Vec::new();
    let mut problems = Vec::new();
    for written in written {
        match file.link(written) {
            Ok(link) => links.push(link),
            Err(problem) => problems.push(*problem),
        }
    }
    (links, problems)
}

struct File<'a> {
    label: &'a str,
    text: &'a Arc<str>,
}

impl File<'_> {
    fn link(&self, written: &RawValue) -> Result<Link, Box<Problem>> {
        let span = self.span(written);
        let link: WrittenLink<'_> = serde_json::from_str(written.get())
            .map_err(|error| self.unreadable(&error, span.start, written.get()))?;
        let slots = [
            (SlotId::principal(), link.args.principal),
            (SlotId::resource(), link.args.resource),
        ];
        Ok(Link {
            template_id: self.read_text(link.template_id)?,
            name: self.read_text(link.link_id)?,
            values: slots
                .into_iter()
                .filter_map(|(slot, written)| Some((slot, written?)))
                .map(|(slot, written)| self.value(slot, written))
                .collect::<Result<_, _>>()?,
            span,
        })
    }

    fn value(&self, slot: SlotId, written: &RawValue) -> Result<Value, Box<Problem>> {
        let Text { text, span } = self.read_text(written)?;
        let entity = text.parse().map_err(|error| {
            let message = format!("{slot} is no entity: {}", with_causes(&error));
            let problem = Problem::at(self.label, self.text, span.clone(), message);
            problem.with_help("write it as policies do, as in \"Role::\\\"hydrology\\\"\"")
        })?;
        Ok(Value { slot, entity, span })
    }

    fn read_text(&self, written: &RawValue) -> Result<Text, Box<Problem>> {
        let span = self.span(written);
        let text = serde_json::from_str(written.get())
            .map_err(|error| self.unreadable(&error, span.start, written.get()))?;
        Ok(Text { text, span })
    }

    /// The raw value borrows from the text: the distance of their addresses is its place.
    fn span(&self, written: &RawValue) -> Range<usize> {
        let start = (written.get().as_ptr() as usize).saturating_sub(self.text.as_ptr() as usize);
        start..start + written.get().len()
    }

    fn unreadable(&self, error: &serde_json::Error, start: usize, json: &str) -> Problem {
        let inside = span_of(error, json);
        let span = start + inside.start..start + inside.end;
        Problem::at(self.label, self.text, span, plain(error)).with_help(
            "a link has a template_id, a link_id and args, which fill ?principal and ?resource",
        )
    }
}

/// Why a linked policy cannot be written without its template.
#[derive(Debug, thiserror::Error)]
pub(super) enum InstantiateError {
    /// The template cannot be written with its slots filled.
    #[error("the slots of a template cannot be filled: {0}")]
    Fill(#[from] Box<PolicyToJsonError>),
    /// What was written does not read.
    #[error("a template with its slots filled does not read: {0}")]
    Read(#[from] Box<PolicyFromJsonError>),
}

/// The same policy on its own: a linked one with its slots filled, for those who know no templates.
pub(super) fn instantiate(policy: &Policy) -> Result<Policy, InstantiateError> {
    if policy.is_static() {
        return Ok(policy.clone());
    }
    let json = policy.to_json().map_err(Box::new)?;
    Ok(Policy::from_json(Some(policy.id().clone()), json).map_err(Box::new)?)
}
