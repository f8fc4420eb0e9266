//! The cases of a draft: running them, and adding one from a decision or from a counterexample.
//!
//! A case has the attributes of its principal and its dataset. So one is made of those alone that the caller sees whole.

use std::sync::Arc;

use crate::domain::action::Action;
use crate::domain::id::DraftId;
use crate::policy::bundle::PolicyInfo;
use crate::policy::case_writer::{CaseWriterError, ExtendedCaseFile};
use crate::policy::cases::{CASES_SUFFIX, CaseReport};
use crate::policy::new_case::NewCase;
use crate::policy::uncovered::UncoveredPolicies;
use crate::policy::{Bundle, BundleError};
use crate::service::administration::Administration;
use crate::service::administration::explanations::ExplanationQuery;
use crate::service::administration::operation::AdminOperation;
use crate::service::error::ServiceError;
use crate::service::identity::request_context::RequestContext;
use crate::service::policies::drafts::{Draft, DraftEdit, laid_over};

use super::editing::{DraftView, MAX_ATTEMPTS, too_many_changes};
use super::opening::invalid_draft;

/// The longest name of a case, in characters.
pub const MAX_CASE_NAME_LENGTH: usize = 300;
/// The file of new cases that no policy determines.
const NEW_CASES: &str = "new.cases.json";
/// The file of counterexamples.
const FOUND_CASES: &str = "found.cases.json";

/// The results of the cases of a draft.
#[derive(Clone, Debug)]
pub struct DraftCases {
    /// The version of the draft.
    pub version: u64,
    /// The results.
    pub report: CaseReport,
    /// The policies that no case shows to take effect; of templates their own ids.
    pub uncovered_policies: Vec<String>,
}

/// A case to add.
#[derive(Clone, Debug)]
pub struct CaseInput {
    /// The case file; if omitted, the one beside the policy that determines the decision.
    pub file: Option<String>,
    /// The name of the case; if omitted, in words what it asks.
    pub name: Option<String>,
    /// What it asks.
    pub source: CaseSource,
}

/// What a new case asks.
#[derive(Clone, Debug)]
pub enum CaseSource {
    /// A decision on the catalog; and what to expect, if it is not what the draft decides.
    Decision(ExplanationQuery, Option<bool>),
    /// The counterexample to this invariant of the last proof of the draft.
    Counterexample(String),
}

/// A case that is in a file now.
#[derive(Clone, Debug)]
pub struct AddedCase {
    /// The draft with the case.
    pub draft: DraftView,
    /// The case file.
    pub file: String,
    /// The text of the file.
    pub text: String,
    /// The name of the case.
    pub name: String,
    /// Whether the file did not have it before.
    pub is_added: bool,
}

impl Administration {
    /// Runs the cases of a draft.
    pub async fn run_draft_cases(
        &self,
        request: &RequestContext,
        id: DraftId,
    ) -> Result<DraftCases, ServiceError> {
        self.audited(request, Action::ViewPolicies, async |operation| {
            operation.set_summary("ran the cases of a draft");
            let (draft, bundle) = self.valid_draft(&operation, id).await?;
            let version = draft.version;
            let run = move || run_cases(&draft, &bundle);
            let results = self.run_draft_work(&operation, run).await?;
            let (report, uncovered_policies) = results.map_err(|error| invalid_draft(&error))?;
            Ok(DraftCases {
                version,
                report,
                uncovered_policies,
            })
        })
        .await
    }

    /// Adds a case to a draft, unless it has it.
    pub async fn add_draft_case(
        &self,
        request: &RequestContext,
        id: DraftId,
        input: &CaseInput,
    ) -> Result<AddedCase, ServiceError> {
        input.check()?;
        self.audited(request, Action::ViewPolicies, async |operation| {
            operation.set_summary("added a case to a draft");
            if let CaseSource::Decision(query, _) = &input.source {
                operation.set_dataset(query.dataset_id);
            }
            for _ in 0..MAX_ATTEMPTS {
                let found = self.valid_draft(&operation, id).await?;
                match self.extend_draft(&operation, found, input).await {
                    // Another change came before this one.
                    Err(ServiceError::PreconditionFailed) => {}
                    added => return added,
                }
            }
            Err(too_many_changes())
        })
        .await
    }

    async fn new_draft_case(
        &self,
        operation: &AdminOperation,
        (draft, bundle): (&Draft, &Arc<Bundle>),
        input: &CaseInput,
    ) -> Result<NewCase, ServiceError> {
        let case = match &input.source {
            CaseSource::Decision(query, expected) => {
                self.case_of_decision(operation, bundle, query, *expected)
                    .await?
            }
            CaseSource::Counterexample(invariant) => case_of_counterexample(draft, invariant)?,
        };
        Ok(match &input.name {
            Some(name) => case.renamed(name),
            None => case,
        })
    }

    async fn case_of_decision(
        &self,
        operation: &AdminOperation,
        bundle: &Arc<Bundle>,
        query: &ExplanationQuery,
        expected: Option<bool>,
    ) -> Result<NewCase, ServiceError> {
        let question = self.find_seen_whole(operation, query).await?;
        let bundle = Arc::clone(bundle);
        let work = move || {
            let case = question.new_case(&bundle)?;
            let case = match expected {
                Some(is_permitted) => case.expecting(is_permitted),
                None => case,
            };
            let name = question.case_name(case.is_permitted());
            Ok(case.renamed(&name))
        };
        let made: Result<NewCase, String> = self.run_draft_work(operation, work).await?;
        made.map_err(|reason| no_case("principal", &reason))
    }

    /// Makes a case and writes it into a file of this version of a draft; a failed precondition if there is a newer one.
    async fn extend_draft(
        &self,
        operation: &AdminOperation,
        (draft, bundle): (Arc<Draft>, Arc<Bundle>),
        input: &CaseInput,
    ) -> Result<AddedCase, ServiceError> {
        let case = self.new_draft_case(operation, (&draft, &bundle), input);
        let case = case.await?;
        let file = input.file(&case, &bundle);
        let (extended, name) = (Arc::clone(&draft), file.clone());
        let extend = move || {
            let cases = std::slice::from_ref(&case);
            extended.folder().extend_cases(&bundle, &name, cases)
        };
        let extended = self.run_draft_work(operation, extend).await?;
        let ExtendedCaseFile {
            text,
            added,
            present,
        } = extended.map_err(writer_error)?;
        let is_added = !added.is_empty();
        let edit = Arc::new(DraftEdit::from([(file.clone(), Some(text.clone()))]));
        let is_newest = |version: &u64| {
            let is_same = *version == draft.version;
            is_same
                .then_some(())
                .ok_or(ServiceError::PreconditionFailed)
        };
        let write = move |draft: &Draft| {
            let files = if is_added {
                laid_over(draft.base().files(), draft.files(), &edit)?
            } else {
                draft.files().clone()
            };
            // Another case says nothing of what a conflict is about.
            Ok((files, draft.conflicts().clone()))
        };
        let next = self.next_version(operation, draft.id, &is_newest, write);
        Ok(AddedCase {
            draft: next.await?,
            name: added.into_iter().chain(present).next().unwrap_or_default(),
            file,
            text,
            is_added,
        })
    }
}

impl CaseInput {
    fn check(&self) -> Result<(), ServiceError> {
        if let Some(file) = &self.file {
            let stem = file.strip_suffix(CASES_SUFFIX);
            if stem.is_none_or(|stem| stem.is_empty() || stem.ends_with('/')) {
                let detail = format!("the name of a case file ends in {CASES_SUFFIX}");
                return Err(ServiceError::invalid("file", detail));
            }
        }
        let Some(name) = &self.name else {
            return Ok(());
        };
        let length = name.chars().count();
        if length == 0 || length > MAX_CASE_NAME_LENGTH {
            let detail = format!("a case has a name of 1 to {MAX_CASE_NAME_LENGTH} characters");
            return Err(ServiceError::invalid("name", detail));
        }
        if name.chars().any(char::is_control) {
            let detail = "the name of a case has no control characters";
            return Err(ServiceError::invalid("name", detail));
        }
        Ok(())
    }

    /// The file that the case goes to: beside the first policy that determines it, where it covers that policy.
    fn file(&self, case: &NewCase, bundle: &Bundle) -> String {
        if let Some(file) = &self.file {
            return file.clone();
        }
        if matches!(self.source, CaseSource::Counterexample(_)) {
            return FOUND_CASES.to_owned();
        }
        let policy = case.first_reason().and_then(|id| bundle.policies().get(id));
        let beside = policy.and_then(PolicyInfo::case_file);
        beside.unwrap_or_else(|| NEW_CASES.to_owned())
    }
}

/// The results of the cases, and the policies without one. Blocks.
fn run_cases(draft: &Draft, bundle: &Bundle) -> Result<(CaseReport, Vec<String>), BundleError> {
    let report = draft.folder().cases()?.run(bundle)?;
    let uncovered = UncoveredPolicies::find(bundle, Some(&report));
    let ids = uncovered.ids().map(str::to_owned).collect();
    Ok((report, ids))
}

fn case_of_counterexample(draft: &Draft, invariant: &str) -> Result<NewCase, ServiceError> {
    let Some((_, proof)) = draft.last_proof() else {
        let detail = "the draft was not proved yet: prove it first";
        return Err(ServiceError::conflict("invariant", detail));
    };
    let proved = proof.invariants.iter().find(|one| one.id == invariant);
    let example = proved.and_then(|proved| proved.counterexamples.first());
    let Some(example) = example else {
        let detail = "the last proof of the draft has no counterexample to this invariant";
        return Err(ServiceError::conflict("invariant", detail));
    };
    NewCase::of_counterexample(example).map_err(|reason| no_case("invariant", &reason))
}

fn no_case(field: &'static str, reason: &str) -> ServiceError {
    ServiceError::conflict(field, format!("there is no case to save: {reason}"))
}

fn writer_error(error: CaseWriterError) -> ServiceError {
    match error {
        CaseWriterError::Invalid(error) => invalid_draft(&error),
        CaseWriterError::Contradiction { .. } | CaseWriterError::TooLarge { .. } => {
            ServiceError::conflict("file", error.to_string())
        }
        CaseWriterError::NoCase { .. } => ServiceError::conflict("name", error.to_string()),
    }
}
