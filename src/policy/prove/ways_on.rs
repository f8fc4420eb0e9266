//! The ways on from a violated invariant: narrow the policy that violates it, or name it as an exception.
//!
//! What is told was proved first, see `way_search`.

use std::fmt::Write as _;

use serde::Serialize;

use crate::domain::text_position::line_at;
use crate::policy::Bundle;

/// What to do about a violated invariant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct WaysOn {
    /// The policies that violate it.
    pub policies: Vec<Culprit>,
    /// Whether further policies may violate it.
    pub may_be_more: bool,
    /// The annotation that makes them exceptions of the invariant.
    pub except: Option<String>,
    /// Whether it is violated because no policy permits what it wants.
    pub lacks_permit: bool,
}

/// A policy that violates an invariant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Culprit {
    /// Its `@id`.
    pub policy: String,
    /// The template that it is linked to.
    pub template: Option<String>,
    /// Its file, relative to the policy folder.
    pub file: String,
    /// The line where it begins.
    pub line: Option<usize>,
    /// The condition to add to it, with which it is proved to keep the invariant.
    pub condition: Option<String>,
    /// Whether it has a `@reason`, which an exception needs.
    pub has_reason: bool,
}

impl Culprit {
    pub(super) fn new(bundle: &Bundle, id: &str) -> Self {
        let info = bundle.policies().get(id);
        let location = bundle.policies.locations.get(id);
        let line = location.and_then(|location| {
            let text = bundle.file(&location.file)?;
            Some(line_at(text.as_ref(), location.span.start))
        });
        let reason = info.and_then(|info| info.reason.as_deref());
        Self {
            policy: id.to_owned(),
            template: info.and_then(|info| info.template.clone()),
            file: info.map_or_else(String::new, |info| info.file.clone()),
            line,
            condition: None,
            has_reason: reason.is_some_and(|reason| !reason.is_empty()),
        }
    }

    /// Its name and its place.
    fn describe(&self) -> String {
        let Self { policy, file, .. } = self;
        match self.line {
            Some(line) => format!("`{policy}` ({file}:{line})"),
            None => format!("`{policy}` ({file})"),
        }
    }
}

/// Policies that violate an invariant: one, or the links of one template, which are edited and excepted as one.
struct CulpritGroup<'a> {
    first: &'a Culprit,
    count: usize,
    /// The condition that each of them lacks, if that is the same one.
    condition: Option<&'a str>,
}

impl CulpritGroup<'_> {
    fn describe(&self) -> String {
        let described = self.first.describe();
        match (&self.first.template, self.count) {
            (None, _) => described,
            (Some(template), 1) => format!("{described}, a link of template `{template}`"),
            (Some(template), count) => {
                format!(
                    "{described} and {} more links of template `{template}`",
                    count - 1
                )
            }
        }
    }

    fn way(&self) -> String {
        let named = match &self.first.template {
            Some(template) => format!("template `{template}`"),
            None => format!("policy {}", self.first.describe()),
        };
        match self.condition {
            Some(condition) => format!("narrow {named}: add `{condition}`"),
            None => format!("narrow {named}"),
        }
    }
}

impl WaysOn {
    /// The `@id` of each policy that violates it.
    #[must_use]
    pub fn policy_ids(&self) -> Vec<String> {
        let policies = self.policies.iter();
        policies.map(|policy| policy.policy.clone()).collect()
    }

    /// The policies that violate the invariant, for the end of a sentence.
    pub(super) fn culprits(&self) -> String {
        let named: Vec<String> = self.groups().iter().map(CulpritGroup::describe).collect();
        let more = if self.may_be_more {
            " and perhaps others"
        } else {
            ""
        };
        match named.as_slice() {
            [] => String::new(),
            [one] => format!(" by policy {one}{more}"),
            several => format!(" by policies {}{more}", several.join(", ")),
        }
    }

    fn groups(&self) -> Vec<CulpritGroup<'_>> {
        let mut groups: Vec<CulpritGroup<'_>> = Vec::new();
        for policy in &self.policies {
            let is_same = |group: &&mut CulpritGroup<'_>| {
                policy.template.is_some() && group.first.template == policy.template
            };
            let condition = policy.condition.as_deref();
            if let Some(group) = groups.iter_mut().find(is_same) {
                group.count += 1;
                group.condition = group.condition.filter(|other| condition == Some(other));
            } else {
                groups.push(CulpritGroup {
                    first: policy,
                    count: 1,
                    condition,
                });
            }
        }
        groups
    }

    /// What to do, a line each; `place` is that of the invariant.
    pub(super) fn lines(&self, place: &str) -> Vec<String> {
        let mut lines: Vec<String> = self.groups().iter().map(CulpritGroup::way).collect();
        if self.lacks_permit {
            lines.push(
                "no policy permits it: add a permit, or take back the one that is gone".to_owned(),
            );
        }
        if let Some(except) = &self.except {
            let mut line =
                format!("or name the exception in the invariant: write `{except}` at {place}");
            let groups = self.groups().into_iter().map(|group| group.first);
            let without_reason: Vec<&str> = groups
                .filter(|policy| !policy.has_reason)
                .map(|policy| policy.template.as_ref().unwrap_or(&policy.policy).as_str())
                .collect();
            if !without_reason.is_empty() {
                write!(
                    line,
                    ", and give a @reason to {}",
                    without_reason.join(", ")
                )
                .ok();
            }
            lines.push(line);
        }
        lines
    }
}
