//! Explanations of a decision in force beside that of a draft.
//!
//! An author writes the policies of a draft, and so could ask anything about a user or a dataset by what they decide. So
//! both must be seen whole: `view_users` on the user and `administer` on the dataset, by the policies in force.

use crate::domain::action::Action;
use crate::domain::id::DraftId;
use crate::policy::Bundle;
use crate::policy::explain::ValueVisibility;
use crate::service::administration::Administration;
use crate::service::administration::explanations::ExplanationQuery;
use crate::service::administration::operation::AdminOperation;
use crate::service::error::ServiceError;
use crate::service::identity::request_context::RequestContext;
use crate::service::policies::review::explanation::{DecisionQuery, ExplanationReport, explain};

/// A decision, in force and under a draft.
#[derive(Clone, Debug)]
pub struct ComparedExplanation {
    /// The version of the draft.
    pub version: u64,
    /// What the policies in force decide.
    pub in_force: ExplanationReport,
    /// What the draft decides.
    pub draft: ExplanationReport,
}

impl Administration {
    /// Returns what the policies in force and those of a draft decide, and why.
    pub async fn explain_draft_decision(
        &self,
        request: &RequestContext,
        id: DraftId,
        query: &ExplanationQuery,
    ) -> Result<ComparedExplanation, ServiceError> {
        self.audited(request, Action::ViewPolicies, async |operation| {
            operation.set_dataset(query.dataset_id);
            let (action, principal) = (query.action, &query.principal);
            operation.set_summary(format!(
                "explained the decision on {action} by {principal} under a draft"
            ));
            let (draft, bundle) = self.valid_draft(&operation, id).await?;
            let question = self.find_seen_whole(&operation, query).await?;
            let in_force = operation.bundle()?;
            let explain_both = move || {
                let explain = |by: &Bundle| explain(by, &question, ValueVisibility::ALL);
                (explain(&in_force), explain(&bundle))
            };
            let explained = self.run_draft_work(&operation, explain_both).await?;
            let (mut in_force, mut by_draft) = explained;
            self.add_visible_names(&mut in_force, &operation).await?;
            self.add_visible_names(&mut by_draft, &operation).await?;
            Ok(ComparedExplanation {
                version: draft.version,
                in_force,
                draft: by_draft,
            })
        })
        .await
    }

    /// Finds the principal and the dataset of a query, which the caller must see whole.
    pub(super) async fn find_seen_whole(
        &self,
        operation: &AdminOperation,
        query: &ExplanationQuery,
    ) -> Result<DecisionQuery, ServiceError> {
        let (question, visibility) = self.find_explained(operation, query).await?;
        let missing = if !visibility.shows_principal {
            Action::ViewUsers
        } else if !visibility.shows_resource {
            Action::Administer
        } else {
            return Ok(question);
        };
        Err(ServiceError::AdministrationDenied { action: missing })
    }
}
