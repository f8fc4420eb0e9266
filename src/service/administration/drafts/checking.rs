//! Checking and formatting drafts, and their patches.
//!
//! What a draft names is compared with the catalog as far as the caller may see that. Ids cannot be guessed, names can:
//! whether there is a user or a role of some name is told to those alone who may list users.

use std::sync::Arc;

use crate::domain::action::Action;
use crate::domain::diagnostic::SourceDiagnostic;
use crate::domain::id::DraftId;
use crate::domain::principal::User;
use crate::domain::resource::Resource;
use crate::policy::check::PolicyCheck;
use crate::policy::folder::is_invariant_file;
use crate::policy::format::{format_text, is_formattable};
use crate::policy::mentions::names::{CatalogLookup, CatalogNames};
use crate::policy::{Bundle, BundleError};
use crate::service::administration::operation::{AdminOperation, no_policies_in_force};
use crate::service::administration::{AdminAccess, Administration};
use crate::service::error::ServiceError;
use crate::service::identity::request_context::RequestContext;
use crate::service::policies::drafts::Draft;
use crate::service::policies::patch::FileChange;
use crate::service::policies::review::catalog_names::find_named;

/// The longest place of the policy folder in a repository, in bytes.
const MAX_PREFIX_LENGTH: usize = 1024;

/// What is wrong with a version of a draft, and what is in it.
#[derive(Debug)]
pub struct DraftCheck {
    /// The version.
    pub draft: Arc<Draft>,
    /// Its bundle, if it is valid.
    pub bundle: Option<Arc<Bundle>>,
    /// Its problems and warnings.
    pub check: PolicyCheck,
    /// Whether it has no problems. An edit that only loses invariants or cases has none, but warnings.
    pub is_valid: bool,
}

impl Administration {
    /// Checks a draft of the caller, as `cedargate policy check` checks a folder.
    pub async fn check_draft(
        &self,
        request: &RequestContext,
        id: DraftId,
    ) -> Result<DraftCheck, ServiceError> {
        self.audited(request, Action::ViewPolicies, async |operation| {
            operation.set_summary(format!("draft {id} checked"));
            let draft = self.open_draft(&operation, id)?;
            let reloader = Arc::clone(self.reloader()?);
            let checked = Arc::clone(&draft);
            let may_lose_safeguards = !self.is_current(&draft)? || changes_safeguards(&draft);
            let work = move || {
                let (folder, built) = (checked.folder(), checked.bundle());
                let bundle = match &built {
                    Ok(bundle) => Ok(&**bundle),
                    Err(error) => Err(&**error),
                };
                let check = PolicyCheck::of_built(&folder, bundle)?;
                let label = folder.label();
                let changes = if may_lose_safeguards {
                    reloader.review_edit(folder).problems(&label)
                } else {
                    Vec::new()
                };
                Ok((check, built.ok(), changes))
            };
            let result: Result<_, BundleError> = self.run_draft_work(&operation, work).await?;
            let unread = |error| ServiceError::internal("checking a draft", error);
            let (mut check, bundle, changes) = result.map_err(unread)?;
            let is_valid = check.is_passed();
            let lookup = check.catalog_lookup();
            if !lookup.is_empty() {
                let names = self.visible_names(&operation, lookup).await?;
                check.compare_with_catalog(&names);
            }
            let changes = changes.into_iter();
            check
                .warnings
                .extend(changes.map(SourceDiagnostic::into_warning));
            Ok(DraftCheck {
                draft,
                bundle,
                check,
                is_valid,
            })
        })
        .await
    }

    /// Returns the formatted text of a policy file of a draft of the caller.
    pub async fn format_draft_file(
        &self,
        request: &RequestContext,
        id: DraftId,
        name: &str,
    ) -> Result<String, ServiceError> {
        self.audited(request, Action::ViewPolicies, async |operation| {
            operation.set_summary(format!("a file of draft {id} formatted"));
            let draft = self.open_draft(&operation, id)?;
            let text = draft.files().get(name).cloned();
            let text = text.ok_or(ServiceError::NotFound {
                what: "file in the draft",
            })?;
            if !is_formattable(name) {
                let detail = "only files that end in .cedar are formatted";
                return Err(ServiceError::invalid("file", detail));
            }
            let label = name.to_owned();
            let format = move || format_text(&label, &text);
            let formatted = self.run_draft_work(&operation, format).await?;
            formatted.map_err(|problems| {
                let first = problems.first().map(ToString::to_string);
                ServiceError::conflict("file", first.unwrap_or_default())
            })
        })
        .await
    }

    /// Returns the patch from what a draft of the caller started from, for a repository in which the policy folder is at
    /// `prefix`.
    pub async fn get_draft_patch(
        &self,
        request: &RequestContext,
        id: DraftId,
        prefix: &str,
    ) -> Result<String, ServiceError> {
        let prefix = parse_prefix(prefix)?;
        self.audited(request, Action::ViewPolicies, async |operation| {
            operation.set_summary(format!("patch of draft {id} viewed"));
            let draft = self.open_draft(&operation, id)?;
            let diff = move || draft.edit().patch(&prefix);
            self.run_draft_work(&operation, diff).await
        })
        .await
    }

    /// What the catalog has of what a draft names, as far as the caller may know it.
    async fn visible_names(
        &self,
        operation: &AdminOperation,
        mut lookup: CatalogLookup,
    ) -> Result<CatalogNames, ServiceError> {
        let AdminAccess::Policies(dependencies) = &self.access else {
            return Err(no_policies_in_force());
        };
        let may_list = operation.is_permitted(Action::ViewUsers, &Resource::Server);
        if !may_list {
            lookup.usernames.clear();
            lookup.roles.clear();
        }
        let mut names = find_named(&self.database, lookup).await?;
        names.is_redacted = true;
        if !may_list {
            names.roles = None;
        }
        let mut users = Vec::new();
        for id in names.usernames.values() {
            users.extend(dependencies.catalog_cache.user(*id).await?);
        }
        let turn = operation.list_turn().await?;
        let resource_of = |user: &Arc<User>| Resource::User(Arc::clone(user));
        let visible = operation
            .filter_permitted(turn, Action::ViewUsers, users, resource_of)
            .await?;
        // For the caller there are no others.
        names
            .usernames
            .retain(|_, id| visible.iter().any(|user| user.id == *id));
        Ok(names)
    }
}

/// Whether a draft changes any other file than those of policies: what guards them, or the schema that says what that means.
fn changes_safeguards(draft: &Draft) -> bool {
    let is_policy = |name: &str| is_formattable(name) && !is_invariant_file(name);
    let mut changes = draft.edit().changes();
    changes.any(|(name, change)| change != FileChange::Unchanged && !is_policy(name))
}

/// The place of the policy folder in a repository, without slashes around it.
fn parse_prefix(prefix: &str) -> Result<String, ServiceError> {
    let prefix = prefix.trim_matches('/');
    let is_bad = |part: &str| matches!(part, "" | "." | ".." | ".git");
    let is_named = prefix.is_empty() || !prefix.split('/').any(is_bad);
    if prefix.len() > MAX_PREFIX_LENGTH || prefix.contains(char::is_control) || !is_named {
        let detail = "write the path of the policy folder in the repository, such as `policies`";
        return Err(ServiceError::invalid("prefix", detail));
    }
    Ok(prefix.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_stays_within_the_repository() {
        for (prefix, parsed) in [("policies", "policies"), ("/a/b c/", "a/b c"), ("", "")] {
            assert_eq!(parse_prefix(prefix).unwrap(), parsed);
        }
        for prefix in ["..", "a/../b", "a//b", "./a", "a\n+++ b", ".git"] {
            assert!(parse_prefix(prefix).is_err(), "{prefix:?}");
        }
        assert!(parse_prefix(&"a".repeat(MAX_PREFIX_LENGTH + 1)).is_err());
    }
}
