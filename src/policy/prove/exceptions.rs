//! Exceptions: the policies that an invariant names with `@except`, to which it does not apply.
//!
//! An upper bound excepts permits: what they alone permit is no violation. A lower bound excepts forbids: what they
//! forbid need not be permitted. A name is that of a policy, a link or a template; a template stands for all its
//! links. Excepted is a policy as it is: editing it counts as changing the invariant (see [`crate::policy::safeguards`]),
//! but linking a template once more does not, for that is what a template is excepted for.

use std::collections::BTreeSet;

use cedar_policy::{PolicyId, PolicySet};
use serde::Serialize;

use crate::domain::diagnostic::SourceDiagnostic;
use crate::domain::suggest::closest;
use crate::policy::bundle::{Bundle, PolicyInfo};

/// The annotation.
pub(in crate::policy) const EXCEPT: &str = "except";

/// A policy or template that an invariant excepts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ExceptedPolicy {
    /// Its `@id`.
    pub policy: String,
    /// Its file, relative to the policy folder.
    pub file: String,
    /// Its `@reason`.
    pub reason: String,
    /// The number of links, if it is a template.
    pub links: Option<usize>,
}

/// The exceptions of an invariant in a bundle.
#[derive(Clone, Debug, Default)]
pub(in crate::policy) struct Exceptions {
    /// As they are named, those that there are.
    pub(super) named: Vec<ExceptedPolicy>,
    /// The ids of all policies that are left out.
    pub(super) policies: BTreeSet<String>,
    /// Names without an effect, and policies without a reason.
    pub(super) problems: Vec<SourceDiagnostic>,
    pub(super) warnings: Vec<SourceDiagnostic>,
}

/// The names in an `@except`, which are apart by commas.
pub(in crate::policy) fn excepted_names(annotation: &str) -> BTreeSet<String> {
    let names = annotation.split(',').map(str::trim);
    names
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect()
}

impl ExceptedPolicy {
    fn new(bundle: &Bundle, info: &PolicyInfo) -> Self {
        let is_template = bundle.policies.templates.contains_key(&info.id);
        let links = bundle.policies().values();
        let links = links.filter(|policy| policy.template.as_deref() == Some(&info.id));
        Self {
            policy: info.id.clone(),
            file: info.file.clone(),
            reason: info.reason.clone().unwrap_or_default(),
            links: is_template.then(|| links.count()),
        }
    }

    /// The policy with its reason, on one line.
    pub(super) fn describe(&self) -> String {
        let Self {
            policy,
            file,
            reason,
            links,
        } = self;
        match links {
            Some(1) => format!("`{policy}` ({file}, 1 link): {reason}"),
            Some(links) => format!("`{policy}` ({file}, {links} links): {reason}"),
            None => format!("`{policy}` ({file}): {reason}"),
        }
    }
}

/// The `@except` of an invariant.
pub(super) struct ExceptAnnotation<'a> {
    /// The `@id` of the invariant.
    pub(super) invariant: &'a str,
    /// The names.
    pub(super) names: &'a BTreeSet<String>,
    /// Whether it excepts permits, as an upper bound does; else forbids.
    pub(super) is_for_permits: bool,
    /// A diagnostic at its place, without a message.
    pub(super) place: &'a SourceDiagnostic,
}

impl ExceptAnnotation<'_> {
    fn problem(&self, message: String, help: &str) -> SourceDiagnostic {
        self.place.clone().with_message(message).with_help(help)
    }
}

impl Exceptions {
    /// What an annotation excepts in a bundle.
    pub(super) fn new(annotation: &ExceptAnnotation<'_>, bundle: &Bundle) -> Self {
        let mut found = Self::default();
        for name in annotation.names {
            found.add(annotation, name, bundle);
        }
        found
    }

    fn add(&mut self, annotation: &ExceptAnnotation<'_>, name: &str, bundle: &Bundle) {
        let invariant = annotation.invariant;
        let templates = &bundle.policies.templates;
        let Some(info) = bundle.policies().get(name).or_else(|| templates.get(name)) else {
            let message =
                format!("invariant `{invariant}` excepts `{name}`, but no policy has this @id");
            let all = bundle.policies().keys().chain(templates.keys());
            let help = match closest(name, all.map(String::as_str)) {
                Some(meant) => format!("did you mean {meant:?}?"),
                None => "remove it from @except, whose names are apart by commas".to_owned(),
            };
            let problem = annotation.problem(message, &help);
            return self.warnings.push(problem.into_warning());
        };
        if info.is_permit != annotation.is_for_permits {
            let message =
                format!("invariant `{invariant}` excepts `{name}`, which cannot violate it");
            let help = match annotation.is_for_permits {
                true => "an upper bound excepts permits only",
                false => "a lower bound excepts forbids only",
            };
            let problem = annotation.problem(message, help);
            return self.warnings.push(problem.into_warning());
        }
        if info.reason.as_deref().is_none_or(str::is_empty) {
            let message = format!("invariant `{invariant}` excepts `{name}`, which has no @reason");
            let help = "add @reason(\"...\") to the policy: auditors see why it is an exception";
            self.problems.push(annotation.problem(message, help));
        }
        self.named.push(ExceptedPolicy::new(bundle, info));
        let all = bundle.policies().values();
        let is_excepted =
            |policy: &&PolicyInfo| policy.id == name || policy.template.as_deref() == Some(name);
        self.policies
            .extend(all.filter(is_excepted).map(|policy| policy.id.clone()));
    }

    /// A set of policies without the excepted ones.
    pub(super) fn remove_from(&self, policies: &PolicySet) -> PolicySet {
        let mut remaining = policies.clone();
        for id in &self.policies {
            let id = PolicyId::new(id);
            // Each is either a static policy or a link.
            if remaining.remove_static(id.clone()).is_err() {
                remaining.unlink(id).ok();
            }
        }
        remaining
    }
}
