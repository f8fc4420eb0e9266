//! Making, changing and removing drafts.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::domain::action::Action;
use crate::domain::id::DraftId;
use crate::policy::file_name::check_file_name;
use crate::service::administration::Administration;
use crate::service::administration::operation::{AdminOperation, Precondition};
use crate::service::error::ServiceError;
use crate::service::identity::request_context::RequestContext;
use crate::service::policies::drafts::{
    Draft, DraftEdit, DraftEditError, DraftsError, Rebase, laid_over, rebased,
};
use crate::service::policies::patch::{FileChange, FileTexts};

use super::opening::run_during;
use super::origins::DraftOrigin;

/// How often a change is begun again because another one came before it.
pub(super) const MAX_ATTEMPTS: usize = 8;
/// The most files that the record of a change names.
const MAX_RECORDED_FILES: usize = 10;

/// The files of the next version of a draft, and its conflicts.
type EditedFiles = (FileTexts, BTreeSet<String>);

/// A version of a draft, as its author sees it.
#[derive(Clone, Debug)]
pub struct DraftView {
    /// The draft.
    pub draft: Arc<Draft>,
    /// Whether what it started from is still in force.
    pub is_current: bool,
    /// When it is dropped unless it is used before, in milliseconds since 1970 UTC.
    pub expires_at: i64,
}

/// A file of a draft or of what it started from.
#[derive(Clone, Debug)]
pub struct DraftFile {
    /// The version of the draft.
    pub version: u64,
    /// Its text; none if the draft removes it.
    pub text: Option<Arc<str>>,
    /// Its text in what the draft started from, if that has it.
    pub base_text: Option<Arc<str>>,
    /// What the draft does to it.
    pub change: FileChange,
}

impl Administration {
    /// Creates a draft of the caller with the files of `origin`, and an edit laid over them.
    pub async fn create_draft(
        &self,
        request: &RequestContext,
        origin: &DraftOrigin,
        edit: DraftEdit,
    ) -> Result<DraftView, ServiceError> {
        self.audited(request, Action::ViewPolicies, async |operation| {
            operation.set_summary("draft of the policies created");
            let owner = Self::authorize_drafts(&operation)?;
            let base = self.draft_base()?;
            // Nobody reads a folder out of turn: many at once would take much memory.
            let turn = self.draft_turn(&operation).await?;
            let (files, turn) = self.original_files(&base, origin, turn).await?;
            let (now, bundles) = (self.clock.unix_millis(), Arc::clone(&self.drafts.bundles));
            let work = move || {
                let files = with_shared_texts(base.files(), files);
                let files = laid_over(base.files(), &files, &edit)?;
                Ok(hashed(Draft::new(owner, now, base, files, bundles)))
            };
            let made: Result<Draft, DraftEditError> = run_during(turn, work).await?.0;
            let draft = self.drafts.insert(made?, now)?;
            operation.set_summary(format!("draft {} of the policies created", draft.id));
            self.draft_view(draft)
        })
        .await
    }

    /// Lists the drafts of the caller, in the order of their creation.
    pub async fn list_drafts(
        &self,
        request: &RequestContext,
    ) -> Result<Vec<DraftView>, ServiceError> {
        self.audited(request, Action::ViewPolicies, async |operation| {
            operation.set_summary("drafts of the policies listed");
            let owner = Self::authorize_drafts(&operation)?;
            let drafts = self.drafts.list(owner, self.clock.unix_millis());
            drafts.into_iter().map(|one| self.draft_view(one)).collect()
        })
        .await
    }

    /// Returns a draft of the caller.
    pub async fn get_draft(
        &self,
        request: &RequestContext,
        id: DraftId,
    ) -> Result<DraftView, ServiceError> {
        self.audited(request, Action::ViewPolicies, async |operation| {
            operation.set_summary(format!("draft {id} viewed"));
            self.draft_view(self.open_draft(&operation, id)?)
        })
        .await
    }

    /// Returns a file of a draft of the caller.
    pub async fn get_draft_file(
        &self,
        request: &RequestContext,
        id: DraftId,
        name: &str,
    ) -> Result<DraftFile, ServiceError> {
        self.audited(request, Action::ViewPolicies, async |operation| {
            operation.set_summary(format!("a file of draft {id} viewed"));
            let draft = self.open_draft(&operation, id)?;
            let text = draft.files().get(name).cloned();
            let base_text = draft.base().files().get(name).cloned();
            let change = FileChange::between(base_text.as_ref(), text.as_ref());
            Ok(DraftFile {
                version: draft.version,
                change: change.ok_or(ServiceError::NotFound {
                    what: "file in the draft",
                })?,
                text,
                base_text,
            })
        })
        .await
    }

    /// Lays an edit over the files of a draft of the caller, in the version that `precondition` admits.
    pub async fn change_draft(
        &self,
        request: &RequestContext,
        id: DraftId,
        edit: DraftEdit,
        precondition: Precondition<'_, u64>,
    ) -> Result<DraftView, ServiceError> {
        self.audited(request, Action::ViewPolicies, async |operation| {
            operation.set_summary(format!("draft {id} changed: {}", file_list(&edit)));
            let edit = Arc::new(edit);
            self.next_version(&operation, id, precondition, move |draft| {
                let files = laid_over(draft.base().files(), draft.files(), &edit)?;
                // Whoever writes a file has decided about it, even if it stays as it is.
                let mut conflicts = draft.conflicts().clone();
                conflicts.retain(|name| !edit.contains_key(name));
                Ok((files, conflicts))
            })
            .await
        })
        .await
    }

    /// Moves a draft of the caller upon what is in force now.
    pub async fn rebase_draft(
        &self,
        request: &RequestContext,
        id: DraftId,
    ) -> Result<DraftView, ServiceError> {
        self.audited(request, Action::ViewPolicies, async |operation| {
            operation.set_summary(format!("draft {id} rebased on what is in force"));
            for _ in 0..MAX_ATTEMPTS {
                let draft = self.open_draft(&operation, id)?;
                let base = self.draft_base()?;
                if draft.base().folder_revision() == base.folder_revision() {
                    return self.draft_view(draft);
                }
                let rebase = move || {
                    let Rebase { files, conflicts } = rebased(&draft, base.files())?;
                    Ok(hashed(draft.next(Some(base), files, conflicts)))
                };
                let next: Result<_, DraftEditError> =
                    self.run_draft_work(&operation, rebase).await?;
                match self.drafts.replace(next?, self.clock.unix_millis()) {
                    Err(DraftsError::Changed) => {}
                    kept => return self.draft_view(kept?),
                }
            }
            Err(too_many_changes())
        })
        .await
    }

    /// Removes a draft of the caller.
    pub async fn delete_draft(
        &self,
        request: &RequestContext,
        id: DraftId,
    ) -> Result<(), ServiceError> {
        self.audited(request, Action::ViewPolicies, async |operation| {
            operation.set_summary(format!("draft {id} removed"));
            let owner = Self::authorize_drafts(&operation)?;
            Ok(self.drafts.remove(owner, id)?)
        })
        .await
    }

    /// Puts the next version of a draft in place, with the files and conflicts that `edit` makes of those it has; the same
    /// version if these are the same.
    pub(super) async fn next_version(
        &self,
        operation: &AdminOperation,
        id: DraftId,
        precondition: Precondition<'_, u64>,
        edit: impl Fn(&Draft) -> Result<EditedFiles, DraftEditError> + Clone + Send + 'static,
    ) -> Result<DraftView, ServiceError> {
        for _ in 0..MAX_ATTEMPTS {
            let draft = self.open_draft(operation, id)?;
            precondition(&draft.version)?;
            let (before, edit) = (Arc::clone(&draft), edit.clone());
            let work = move || {
                let (files, conflicts) = edit(&before)?;
                let is_changed = files != *before.files() || conflicts != *before.conflicts();
                Ok(is_changed.then(|| hashed(before.next(None, files, conflicts))))
            };
            let made: Result<Option<Draft>, DraftEditError> =
                self.run_draft_work(operation, work).await?;
            let Some(next) = made? else {
                return self.draft_view(draft);
            };
            match self.drafts.replace(next, self.clock.unix_millis()) {
                Err(DraftsError::Changed) => {}
                kept => return self.draft_view(kept?),
            }
        }
        Err(too_many_changes())
    }

    pub(super) fn draft_view(&self, draft: Arc<Draft>) -> Result<DraftView, ServiceError> {
        let expires_at = self.drafts.expires_at(draft.id);
        Ok(DraftView {
            is_current: self.is_current(&draft)?,
            expires_at: expires_at.unwrap_or_else(|| self.clock.unix_millis()),
            draft,
        })
    }
}

/// A draft whose folder revision is known, so that nothing waits for it where it is shown.
fn hashed(draft: Draft) -> Draft {
    draft.folder_revision();
    draft
}

/// The files, with the texts of `base` where they are the same.
fn with_shared_texts(base: &FileTexts, files: FileTexts) -> FileTexts {
    let share = |(name, text): (String, Arc<str>)| {
        let known = base.get(&name).filter(|known| **known == text);
        let text = known.map_or(text, Arc::clone);
        (name, text)
    };
    files.into_iter().map(share).collect()
}

fn file_list(edit: &DraftEdit) -> String {
    list_of(edit.keys())
}

/// The names, in quotes; so many of them at most that a record or a message has room for it.
pub(super) fn list_of<'a>(names: impl Iterator<Item = &'a String>) -> String {
    let mut known = names.filter(|name| check_file_name(name).is_ok());
    let first = known.by_ref().take(MAX_RECORDED_FILES);
    let mut names: Vec<String> = first.map(|name| format!("{name:?}")).collect();
    let more = known.count();
    if more > 0 {
        names.push(format!("and {more} more"));
    }
    names.join(", ")
}

pub(super) fn too_many_changes() -> ServiceError {
    let detail =
        "the draft is being changed by other requests all the time: read it again and retry";
    ServiceError::conflict("draft", detail)
}
