//! The access matrix of a draft beside the policies in force.

use crate::domain::action::Action;
use crate::domain::id::DraftId;
use crate::service::administration::Administration;
use crate::service::error::ServiceError;
use crate::service::identity::request_context::RequestContext;
use crate::service::policies::review::asked_contexts::ContextScope;
use crate::service::policies::review::bundle_pair::BundlePair;
use crate::service::policies::review::matrix::{
    AccessMatrix, MatrixError, MatrixQuery, access_matrix,
};

impl Administration {
    /// Returns the access matrix of a draft with its version, over what the caller may see.
    pub async fn matrix_of_draft(
        &self,
        request: &RequestContext,
        id: DraftId,
        query: MatrixQuery,
    ) -> Result<(u64, AccessMatrix), ServiceError> {
        self.audited(request, Action::ViewPolicies, async |operation| {
            let action = query.action;
            operation.set_summary(format!("viewed who may {action} under a draft"));
            let (draft, bundle) = self.valid_draft(&operation, id).await?;
            let query = MatrixQuery {
                scope: ContextScope {
                    now: self.clock.unix_seconds(),
                    ..query.scope
                },
                ..query
            };
            let matrix = self
                .review_visible(&operation, move |authorizer, catalog, budget| {
                    let bundles = BundlePair {
                        from: authorizer.bundle(),
                        to: &bundle,
                    };
                    access_matrix(bundles, catalog, &query, budget)
                })
                .await?;
            Ok((draft.version, matrix))
        })
        .await
    }
}

impl From<MatrixError> for ServiceError {
    fn from(error: MatrixError) -> Self {
        match error {
            MatrixError::UnknownGroup => Self::NotFound {
                what: "group of the matrix",
            },
            MatrixError::Stopped(stopped) => stopped.into(),
        }
    }
}
