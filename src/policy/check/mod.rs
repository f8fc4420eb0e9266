//! Checks of a policy folder: everything but running its cases and proving its invariants.
//!
//! A folder with problems is rejected; warnings have no consequence.
//!
//! - `own_names` finds names of own types that no file of entities has.
//! - `redundant` finds policies without effect beside another one.
//! - `unfilled` finds declarations of the schema that Cedargate never fills in.
//! - `unused` finds declarations of the schema that nothing uses.

mod own_names;
mod redundant;
mod unfilled;
mod unused;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use cedar_policy::Schema;
use serde::Serialize;

use crate::domain::decision::Revision;

use super::address;
use super::bundle::Bundle;
use super::cases::CaseFiles;
use super::error::BundleError;
use super::folder::PolicyFolder;
use super::mentions::EntityMentions;
use super::mentions::names::{CatalogLookup, CatalogNames};
use super::networks::Networks;
use super::prove::InvariantFiles;
use crate::domain::diagnostic::{SourceDiagnostic, sorted};

/// The most warnings about a valid bundle: more take long to locate, and nobody reads them.
const MAX_WARNINGS: usize = 1_000;

/// The result of a check.
#[derive(Debug, Serialize)]
pub struct PolicyCheck {
    /// The revision of the bundle, if it is valid.
    pub revision: Option<Revision>,
    /// The revision of the folder with its cases and invariants, if it could be read.
    pub folder_revision: Option<String>,
    /// The number of policies, templates, cases and invariants.
    pub counts: PolicyCounts,
    /// The errors, by file and position.
    pub problems: Vec<SourceDiagnostic>,
    /// The warnings, by file and position.
    pub warnings: Vec<SourceDiagnostic>,
    /// Whether the users, roles and datasets that the folder names were compared with the catalog.
    pub is_compared_with_catalog: bool,
    /// Every case, in the order of the files and of the cases in them; none where one has errors.
    #[serde(skip)]
    pub cases: Vec<NamedPlace>,
    /// Every invariant, by file and line; none where one has errors.
    #[serde(skip)]
    pub invariants: Vec<NamedPlace>,
    #[serde(skip)]
    mentions: Option<EntityMentions>,
}

/// A case or an invariant, and where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedPlace {
    /// The name of the case, or the `@id` of the invariant.
    pub name: String,
    /// Its file, relative to the folder.
    pub file: String,
    /// The line it starts on.
    pub line: usize,
    /// The `@reason` of an invariant.
    pub reason: Option<String>,
}

/// How many of each a folder has; `None` where they have errors.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct PolicyCounts {
    /// The policies, linked ones too.
    pub policies: Option<usize>,
    /// The templates.
    pub templates: Option<usize>,
    /// The cases.
    pub cases: Option<usize>,
    /// The invariants.
    pub invariants: Option<usize>,
}

impl PolicyCheck {
    /// Checks the schema, policies, links, case files and invariants of a folder.
    ///
    /// Fails if the folder or a file in it cannot be read; errors in their contents are in the result.
    pub fn run(folder: Result<PolicyFolder, BundleError>) -> Result<Self, BundleError> {
        let mut check = Self::empty();
        let Some(folder) = check.collect(folder)? else {
            return Ok(check.in_order());
        };
        let bundle = check.collect(folder.bundle())?;
        check.check_folder(&folder, bundle.as_ref())?;
        Ok(check.in_order())
    }

    /// Checks a folder whose bundle was built, or has problems, before.
    pub fn of_built(
        folder: &PolicyFolder,
        bundle: Result<&Bundle, &BundleError>,
    ) -> Result<Self, BundleError> {
        let mut check = Self::empty();
        if let Err(error) = bundle {
            check.problems.extend_from_slice(error.problems());
        }
        check.check_folder(folder, bundle.ok())?;
        Ok(check.in_order())
    }

    fn empty() -> Self {
        Self {
            revision: None,
            folder_revision: None,
            counts: PolicyCounts::default(),
            problems: Vec::new(),
            warnings: Vec::new(),
            is_compared_with_catalog: false,
            cases: Vec::new(),
            invariants: Vec::new(),
            mentions: None,
        }
    }

    /// Checks everything of a folder but whether there is a bundle, without which the schema may be valid.
    fn check_folder(
        &mut self,
        folder: &PolicyFolder,
        bundle: Option<&Bundle>,
    ) -> Result<(), BundleError> {
        self.folder_revision = Some(folder.fingerprint());
        let cases = self.collect(folder.cases())?;
        let invariants = self.collect(folder.invariants())?;
        if let Some(bundle) = bundle {
            self.check_bundle(folder, bundle);
        }
        let schema = bundle.map_or_else(|| folder.schema(), |bundle| Some(bundle.schema.clone()));
        if let Some(schema) = schema {
            self.check_cases((&schema, &folder.networks()), cases)?;
            self.check_invariants((bundle, &schema), invariants)?;
        }
        Ok(())
    }

    fn in_order(self) -> Self {
        Self {
            problems: sorted_and_deduplicated(self.problems),
            warnings: sorted_and_deduplicated(self.warnings),
            ..self
        }
    }

    /// What the policies and invariants name, to be looked up in the catalog.
    #[must_use]
    pub fn catalog_lookup(&self) -> CatalogLookup {
        let mentions = self.mentions.as_ref();
        mentions.map(EntityMentions::lookup).unwrap_or_default()
    }

    /// Adds what the catalog does not have, and what it suggests instead of what cannot exist.
    pub fn compare_with_catalog(&mut self, names: &CatalogNames) {
        let Some(mentions) = &self.mentions else {
            return;
        };
        self.is_compared_with_catalog = true;
        let known = mentions.warnings(None);
        let known: BTreeSet<_> = known.iter().map(SourceDiagnostic::sort_key).collect();
        self.warnings
            .retain(|warning| !known.contains(&warning.sort_key()));
        self.warnings.extend(mentions.warnings(Some(names)));
        self.warnings = sorted_and_deduplicated(std::mem::take(&mut self.warnings));
    }

    /// Whether there are no problems.
    #[must_use]
    pub fn is_passed(&self) -> bool {
        self.problems.is_empty()
    }

    /// A line about a folder without problems.
    #[must_use]
    pub fn summary(&self) -> Option<String> {
        let revision = self.revision.as_ref().filter(|_| self.is_passed())?;
        let counted = |count: Option<usize>, noun: &str| {
            let count = count.unwrap_or_default();
            let plural = if count == 1 { "" } else { "s" };
            format!("{count} {noun}{plural}")
        };
        let PolicyCounts {
            policies,
            templates,
            cases,
            invariants,
        } = self.counts;
        let policies = policies.unwrap_or_default();
        let (templates, cases) = (counted(templates, "template"), counted(cases, "case"));
        let invariants = counted(invariants, "invariant");
        Some(format!(
            "{policies} policies are valid, with {templates}, {cases} and {invariants}; \
             revision {revision}"
        ))
    }

    /// The value, or `None` with its problems added. What cannot be read ends the check.
    fn collect<T>(&mut self, result: Result<T, BundleError>) -> Result<Option<T>, BundleError> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(BundleError::Invalid { problems }) => {
                self.problems.extend(problems);
                Ok(None)
            }
            Err(error @ BundleError::Unreadable { .. }) => Err(error),
        }
    }

    /// Adds what a valid bundle has, and what it warns of.
    fn check_bundle(&mut self, folder: &PolicyFolder, bundle: &Bundle) {
        self.revision = Some(bundle.revision().clone());
        self.counts.policies = Some(bundle.policies().len());
        self.counts.templates = Some(bundle.policies.templates.len());
        self.warnings.extend_from_slice(bundle.warnings());
        self.warnings.extend(bundle_warnings(bundle));
        self.warnings.extend(address_warning(bundle));
        let mentions = EntityMentions::of_folder(folder, bundle);
        self.warnings.extend(mentions.warnings(None));
        self.mentions = Some(mentions);
    }

    fn check_cases(
        &mut self,
        (schema, networks): (&Schema, &Networks),
        cases: Option<CaseFiles>,
    ) -> Result<(), BundleError> {
        if let Some(cases) = cases {
            let parsed = self.collect(cases.parse(schema, networks))?;
            self.counts.cases = parsed.as_ref().map(Vec::len);
            let parsed = parsed.into_iter().flatten();
            self.cases = parsed
                .map(|case| NamedPlace {
                    name: case.name,
                    file: case.file,
                    line: case.line,
                    reason: None,
                })
                .collect();
        }
        Ok(())
    }

    /// Checks the invariants; what they except is known only of a valid bundle.
    fn check_invariants(
        &mut self,
        (bundle, schema): (Option<&Bundle>, &Schema),
        invariants: Option<InvariantFiles>,
    ) -> Result<(), BundleError> {
        let Some(invariants) = invariants else {
            return Ok(());
        };
        let valid = match bundle {
            Some(bundle) => invariants.parse_for(bundle),
            None => invariants.parse(schema),
        };
        if let Some(valid) = self.collect(valid)? {
            self.counts.invariants = Some(valid.invariants.len());
            let parsed = valid.invariants.into_iter();
            self.invariants = parsed
                .map(|invariant| NamedPlace {
                    name: invariant.id,
                    file: invariant.file,
                    line: invariant.line,
                    reason: Some(invariant.reason),
                })
                .collect();
            self.warnings.extend(valid.warnings);
        }
        Ok(())
    }
}

/// Sorts problems; the same file may have been read more than once.
fn sorted_and_deduplicated(problems: Vec<SourceDiagnostic>) -> Vec<SourceDiagnostic> {
    let mut problems = sorted(problems);
    problems.dedup_by_key(|problem| problem.sort_key());
    problems
}

/// Says once that an address grants nothing to web pages of foreign origins.
fn address_warning(bundle: &Bundle) -> Option<SourceDiagnostic> {
    let (_, info) = bundle.policies_with_info().find(|(policy, _)| {
        address::may_be_anonymous(policy) && address::reads_address(&policy.as_ref().condition())
    })?;
    let message = format!(
        "policy `{}` reads context.address; to an anonymous web page of an origin that is not in \
         allowed_origins, the policies grant only what they also grant at the address ::",
        info.id
    );
    let help = "any page that somebody at the address visits could use the address otherwise; list \
                the origins of your own pages in allowed_origins";
    Some(bundle.warning_at_policy(&info.id, message).with_help(help))
}

/// The warnings about a valid bundle.
fn bundle_warnings(bundle: &Bundle) -> Vec<SourceDiagnostic> {
    let mut warnings = missing_reasons(bundle);
    warnings.extend(unlinked_templates(bundle));
    warnings.extend(own_names::warnings(bundle));
    warnings.extend(redundant::warnings(bundle));
    warnings.extend(unused::warnings(bundle));
    warnings.extend(unfilled::warnings(bundle));
    let count = warnings.len();
    if count > MAX_WARNINGS {
        warnings = sorted(warnings);
        warnings.truncate(MAX_WARNINGS);
        let message = format!("{} more warnings are not listed", count - MAX_WARNINGS);
        let rest = SourceDiagnostic::for_file(&bundle.sources.label(""), message);
        warnings.push(rest.into_warning());
    }
    warnings
}

/// Permits without `@reason`, which auditors need. Linked policies have that of their template.
fn missing_reasons(bundle: &Bundle) -> Vec<SourceDiagnostic> {
    let policies = bundle.policies.info.values();
    policies
        .filter(|policy| policy.template.is_none())
        .chain(bundle.policies.templates.values())
        .filter(|policy| policy.is_permit)
        .filter(|policy| policy.reason.as_deref().is_none_or(str::is_empty))
        .map(|policy| {
            let message = format!("permit `{}` has no @reason", policy.id);
            bundle
                .warning_at_policy(&policy.id, message)
                .with_help("add @reason(\"...\"): auditors see it with each decision")
        })
        .collect()
}

fn unlinked_templates(bundle: &Bundle) -> Vec<SourceDiagnostic> {
    let policies = bundle.policies.info.values();
    let linked: BTreeSet<&String> = policies.filter_map(|p| p.template.as_ref()).collect();
    let templates = bundle.policies.templates.values();
    templates
        .filter(|template| !linked.contains(&template.id))
        .map(|template| {
            let message = format!("template `{}` is never linked", template.id);
            bundle
                .warning_at_policy(&template.id, message)
                .with_help("link it in a file that ends in .links.json, or remove it")
        })
        .collect()
}
