//! The effect of a draft: what it changes for whom, beside the policies in force.

use crate::domain::action::Action;
use crate::domain::client_address::AssumedAddress;
use crate::domain::id::DraftId;
use crate::service::administration::Administration;
use crate::service::error::ServiceError;
use crate::service::identity::request_context::RequestContext;
use crate::service::policies::review::asked_contexts::ContextScope;
use crate::service::policies::review::bundle_pair::BundlePair;
use crate::service::policies::review::comparison::{
    BundleComparison, ComparisonLimits, compare_within,
};

/// The most groups of changes that are listed, and of each the most users and datasets.
const LISTED: ComparisonLimits = ComparisonLimits {
    groups: 100,
    users: 20,
    datasets: 20,
};

impl Administration {
    /// Returns what a draft changes with its version, over what the caller may see; at one address, or one time in
    /// seconds since 1970 UTC, if that is given.
    pub async fn effect_of_draft(
        &self,
        request: &RequestContext,
        id: DraftId,
        (address, time): (Option<AssumedAddress>, Option<i64>),
    ) -> Result<(u64, BundleComparison), ServiceError> {
        self.audited(request, Action::ViewPolicies, async |operation| {
            operation.set_summary("viewed what a draft changes");
            let (draft, bundle) = self.valid_draft(&operation, id).await?;
            let in_force = self.reloader()?.folder_in_force();
            let (folder, now) = (draft.folder(), self.clock.unix_seconds());
            let comparison = self
                .review_visible(&operation, move |authorizer, catalog, budget| {
                    let from = authorizer.bundle();
                    let literals = in_force.folder.invariant_literals(from);
                    let scope = ContextScope {
                        address,
                        time,
                        authentication: None,
                        now,
                        literals: literals.and(folder.invariant_literals(&bundle)),
                    };
                    let bundles = BundlePair { from, to: &bundle };
                    let keep_on = |decided, _| budget.check(decided);
                    compare_within(bundles, &catalog.compared, &scope, LISTED, keep_on)
                })
                .await?;
            Ok((draft.version, comparison))
        })
        .await
    }
}
