//! Access: the one question that mint and download both ask.
//!
//! May this caller read this dataset, and if not, what may it be told? Because there is one place
//! that asks, a token that was minted opens, and a share that was withdrawn closes both doors.
//! This module refuses to know tokens and spans.

use std::sync::Arc;

use crate::domain::action::Action;
use crate::domain::audit::{AuditRecord, Outcome};
use crate::domain::caller::Caller;
use crate::domain::clock::Clock;
use crate::domain::dataset::{Dataset, StoredFile};
use crate::domain::decision::Decision;
use crate::domain::id::DatasetId;
use crate::files::FileStore;
use crate::policy::Bundle;

use super::error::ServiceError;
use super::facts::Facts;

/// What a caller who may read gets to read.
#[derive(Clone, Debug)]
pub struct Readable {
    /// The dataset.
    pub dataset: Arc<Dataset>,
    /// Its file.
    pub file: StoredFile,
    /// The decision that permitted it.
    pub decision: Decision,
}

/// Asks whether callers may read datasets.
pub struct Access {
    /// The users and datasets.
    pub facts: Arc<Facts>,
    /// The policies in force.
    pub bundle: Arc<Bundle>,
    /// The files.
    pub files: FileStore,
    /// The time.
    pub clock: Clock,
}

impl Access {
    /// Decides whether `caller` may read the dataset, and writes into `record` what was decided.
    ///
    /// A caller who may not even discover the dataset is told that there is none.
    pub async fn read(
        &self,
        caller: &Caller,
        dataset_id: DatasetId,
        record: &mut AuditRecord,
    ) -> Result<Readable, ServiceError> {
        record.user_id = caller.principal.user_id();
        record.authentication = caller.authentication;
        record.key_id = caller.key.as_ref().map(|key| key.id);
        record.dataset_id = Some(dataset_id);
        record.action = Some(Action::Read);
        let Some(dataset) = self.facts.dataset(dataset_id).await? else {
            record.reason = Some("there is no such dataset".to_owned());
            return Err(ServiceError::DatasetNotFound);
        };
        let decision = self.decide(caller, Action::Read, &dataset);
        record
            .determining_policies
            .clone_from(&decision.determining_policies);
        record.errors.clone_from(&decision.errors);
        record.revision = Some(decision.revision.clone());
        if !decision.is_permitted {
            record.outcome = Outcome::Denied;
            record.reason = overreach(caller, Action::Read, dataset_id).map(str::to_owned);
            return Err(self.denial(caller, &dataset, record));
        }
        match dataset.file.clone() {
            Some(file) if self.files.contains(&file).await? => Ok(Readable {
                dataset,
                file,
                decision,
            }),
            Some(file) => {
                tracing::error!(%dataset_id, sha256 = file.sha256, "the file store lost a file");
                record.reason = Some("the file is missing from the file store".to_owned());
                Err(ServiceError::FileNotFound { dataset_id })
            }
            None => {
                record.reason = Some("the dataset has no file".to_owned());
                Err(ServiceError::FileNotFound { dataset_id })
            }
        }
    }

    /// What a caller who may not read is told: policy decides that too, by `discover`.
    fn denial(
        &self,
        caller: &Caller,
        dataset: &Arc<Dataset>,
        record: &mut AuditRecord,
    ) -> ServiceError {
        let discovery = self.decide(caller, Action::Discover, dataset);
        record.errors.extend(discovery.errors);
        let (reason, denial) = match (discovery.is_permitted, caller.principal.is_anonymous()) {
            (true, true) => (
                "the caller may discover the dataset and not read it; it did not sign in",
                ServiceError::CredentialMissing {
                    detail: "this dataset is not for everyone: sign in and try again".to_owned(),
                },
            ),
            (true, false) => (
                "the caller may discover the dataset and not read it",
                ServiceError::ReadDenied,
            ),
            (false, _) => (
                "the caller may not discover the dataset, and was told that there is none",
                ServiceError::DatasetNotFound,
            ),
        };
        record.reason.get_or_insert_with(|| reason.to_owned());
        denial
    }

    /// Asks the policies, and then the limit of the caller's API key: what lies beyond it is denied
    /// whatever the policies say. No policy determined that, and the record says so.
    pub(super) fn decide(
        &self,
        caller: &Caller,
        action: Action,
        dataset: &Arc<Dataset>,
    ) -> Decision {
        let context = caller.context(self.clock.unix_millis());
        let mut decision = self
            .bundle
            .decide(&caller.principal, action, dataset, &context);
        for error in &decision.errors {
            metrics::counter!("cedargate_policy_evaluation_errors_total").increment(1);
            tracing::error!(
                error,
                %action,
                dataset_id = %dataset.id,
                revision = %decision.revision,
                "a policy could not be evaluated; the action is denied"
            );
        }
        if overreach(caller, action, dataset.id).is_some() {
            decision.is_permitted = false;
            decision.determining_policies.clear();
        }
        decision
    }
}

/// Why an action with a dataset lies beyond the caller's API key, if it does.
fn overreach(caller: &Caller, action: Action, dataset_id: DatasetId) -> Option<&'static str> {
    let key = caller.key.as_ref()?;
    key.limit.overreach(action, dataset_id)
}
