//! Batches of download tokens: one mint for each of several datasets.
//!
//! The caller is authenticated once and counted once for all of them, and one snapshot of the policies decides
//! about all. Each dataset has a record of its own; the records of a batch are written together.

use futures_util::future::join_all;
use futures_util::{StreamExt, stream};

use crate::domain::audit::{AuditEvent, AuditRecord};
use crate::domain::caller::Caller;
use crate::domain::decision::Decision;
use crate::domain::id::DatasetId;
use crate::service::access::decisions::Authorizer;
use crate::service::audit_trail::is_undecided;
use crate::service::error::ServiceError;
use crate::service::identity::request_context::RequestContext;

use super::download_token::{DownloadToken, DownloadTokens};

/// How many datasets of one batch are looked up at a time, where the files are far away.
const MAX_CONCURRENT_LOOKUPS: usize = 8;

/// What becomes of one dataset of a batch.
pub type BatchResult = Result<DownloadToken, ServiceError>;

impl DownloadTokens {
    /// Issues a token for each of several datasets, in their order; each is what [`DownloadTokens::issue`] would
    /// give for it alone. Every dataset counts against the rate limit, also one that is named twice.
    ///
    /// Those beyond the limit are refused each for itself. The batch as a whole fails if the credential is not
    /// good, if the limit allows none of them, or if for none of them could anything be decided.
    pub async fn issue_each(
        &self,
        request: &RequestContext,
        dataset_ids: &[DatasetId],
    ) -> Result<Vec<BatchResult>, ServiceError> {
        let caller = match self.authenticator.authenticate(request).await {
            Ok(caller) => caller,
            Err(error) => {
                let record = request.open_record(AuditEvent::Mint, &self.clock);
                return self.audit.close_record(record, Err(error)).await;
            }
        };
        let minted = self.mint_each(request, &caller, dataset_ids).await?;
        // They are all waiting when the writer comes, so it writes them in one transaction.
        let closing = minted
            .into_iter()
            .map(|(record, result)| self.audit.close_record(record, result));
        require_any(join_all(closing).await)
    }

    async fn mint_each(
        &self,
        request: &RequestContext,
        caller: &Caller,
        dataset_ids: &[DatasetId],
    ) -> Result<Vec<(AuditRecord, BatchResult)>, ServiceError> {
        let count = u32::try_from(dataset_ids.len()).unwrap_or(u32::MAX);
        let counted = self.rate_limits.check_mints(caller, count);
        counted.check(0)?;
        let authorizer = self.access.authorizer(caller)?;
        let deciding: Vec<_> = (0_u32..)
            .zip(dataset_ids)
            .map(|(index, dataset_id)| {
                let allowed = counted.check(index);
                self.authorize_one(request, &authorizer, *dataset_id, allowed)
            })
            .collect();
        let decided: Vec<_> = stream::iter(deciding)
            .buffered(MAX_CONCURRENT_LOOKUPS)
            .collect()
            .await;
        // Signed when all are decided, so that the lives of the tokens begin together, and now.
        let mut minted = Vec::with_capacity(decided.len());
        for (dataset_id, (mut record, decision)) in dataset_ids.iter().zip(decided) {
            let result = match decision {
                Ok(decision) => {
                    // Other requests need not wait until a whole batch is signed.
                    tokio::task::yield_now().await;
                    self.sign(caller, *dataset_id, &decision, &mut record)
                }
                Err(error) => Err(error),
            };
            minted.push((record, result));
        }
        Ok(minted)
    }

    async fn authorize_one(
        &self,
        request: &RequestContext,
        authorizer: &Authorizer,
        dataset_id: DatasetId,
        allowed: Result<(), ServiceError>,
    ) -> (AuditRecord, Result<Decision, ServiceError>) {
        let mut record = request.open_record(AuditEvent::Mint, &self.clock);
        record.dataset_id = Some(dataset_id);
        if let Err(error) = allowed {
            return (record, Err(error));
        }
        tokio::task::yield_now().await;
        let decision = self
            .access
            .authorize_token(authorizer, dataset_id, &mut record)
            .await;
        (record, decision)
    }
}

/// Passes the results on if anything was decided, or else the first error.
fn require_any(mut results: Vec<BatchResult>) -> Result<Vec<BatchResult>, ServiceError> {
    let is_undecided = |result: &BatchResult| result.as_ref().is_err_and(is_undecided);
    if results.iter().all(is_undecided)
        && let Some(Err(error)) = results.drain(..).next()
    {
        return Err(error);
    }
    Ok(results)
}
