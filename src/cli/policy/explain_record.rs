//! Explains what was decided about a request, from its audit record.
//!
//! The record has who asked, for what, when, from where and how, and which policies decided. The users, roles and
//! datasets of then are not kept, and of the policies only those in force: the explanation says so.

use std::sync::Arc;

use crate::cli::outcome::CommandError;
use crate::domain::action::Action;
use crate::domain::audit::{AuditEvent, AuditFilter, AuditOutcome, AuditRecord};
use crate::domain::caller::DecisionContext;
use crate::domain::client_address::AssumedAddress;
use crate::domain::dataset::Dataset;
use crate::domain::id::{RecordId, UserId};
use crate::domain::principal::Principal;
use crate::domain::principal_name::PrincipalName;
use crate::domain::resource::Resource;
use crate::domain::rfc3339;
use crate::policy::Bundle;
use crate::policy::explain::ValueVisibility;
use crate::policy::new_case::NewCase;
use crate::service::policies::review::context::{AssumedCaller, ReviewContext};
use crate::service::policies::review::explanation::{ExplanationReport, explain_in};
use crate::storage::{AuditOrder, Database};

/// The most records of one request that are looked at.
const MAX_RECORDS: u32 = 100;

/// The question that an audit record answers.
pub(super) struct RecordedQuestion {
    principal: Principal,
    action: Action,
    dataset: Arc<Dataset>,
    context: DecisionContext,
    record: AuditRecord,
    notes: Vec<String>,
}

/// Finds the record of a request about a dataset, or the record with an id.
pub(super) async fn find_record(
    database: &Database,
    request_id: Option<&str>,
    id: Option<RecordId>,
) -> Result<AuditRecord, CommandError> {
    let (found, what) = match (request_id, id) {
        (Some(request_id), _) => {
            let filter = AuditFilter {
                request_id: Some(request_id.to_owned()),
                ..AuditFilter::default()
            };
            let order = AuditOrder::NewestFirst(None);
            let page = database
                .search_audit_records(&filter, order, MAX_RECORDS)
                .await?;
            (page.records, format!("request {request_id}"))
        }
        (None, Some(id)) => {
            let before = RecordId(uuid::Uuid::from_u128(id.0.as_u128().saturating_sub(1)));
            let records = database.list_audit_records(Some(before), 1).await?;
            let is_it = |record: &AuditRecord| record.id == id;
            (
                records.into_iter().filter(is_it).collect(),
                format!("id {id}"),
            )
        }
        (None, None) => (Vec::new(), "that id".to_owned()),
    };
    if found.is_empty() {
        return Err(
            CommandError::new(format!("there is no audit record of {what}")).with_hint(
                "answers have the id in X-Request-Id; cedargate audit export has all records, unless they are pruned",
            ),
        );
    }
    let about_dataset =
        |record: &AuditRecord| action_of(record).is_some() && record.dataset_id.is_some();
    let is_of_service = found
        .iter()
        .any(|record| record.event == AuditEvent::Evaluate);
    found.into_iter().find(about_dataset).ok_or_else(|| {
        let hint = if is_of_service {
            "what a service said of its own types is not on record: ask POST /access/v1/evaluation again"
        } else {
            "read, discover and administer of a dataset can be explained"
        };
        CommandError::new(format!(
            "the audit record of {what} is not about an action on a dataset"
        ))
        .with_hint(hint)
    })
}

/// Whom a record is about: whoever asked, or the subject that a service asked about.
#[derive(Clone, Copy)]
enum RecordedPrincipal {
    Anonymous,
    User(UserId),
}

impl RecordedPrincipal {
    fn of(record: &AuditRecord) -> Option<Self> {
        if record.event != AuditEvent::Evaluate {
            return Some(record.user_id.map_or(Self::Anonymous, Self::User));
        }
        match record.asked_principal.as_deref()?.parse().ok()? {
            PrincipalName::Anonymous => Some(Self::Anonymous),
            PrincipalName::Id(id) => Some(Self::User(id)),
            PrincipalName::Username(_) => None,
        }
    }
}

/// The action that a service asked about, if it is one of Cedargate's on a user and a dataset.
fn asked_action(record: &AuditRecord) -> Option<Action> {
    RecordedPrincipal::of(record)?;
    let name = record.asked_action.as_deref()?;
    let name = name.strip_prefix("Action::\"")?.strip_suffix('"')?;
    let action = name.parse().ok()?;
    Some(action).filter(|it| Action::DATASET_ACTIONS.contains(it))
}

/// The action on a dataset that a record is about.
fn action_of(record: &AuditRecord) -> Option<Action> {
    match (record.event, record.action) {
        (AuditEvent::Evaluate, _) => asked_action(record),
        (_, Some(action)) => Some(action).filter(|it| Action::DATASET_ACTIONS.contains(it)),
        (AuditEvent::Mint | AuditEvent::Download | AuditEvent::Verify, None) => Some(Action::Read),
        (_, None) => None,
    }
}

impl RecordedQuestion {
    /// Loads whom and what a record is about, as the catalog has them now.
    pub(super) async fn load(
        database: &Database,
        record: &AuditRecord,
    ) -> Result<Self, CommandError> {
        let gone = |what: String| {
            CommandError::new(format!(
                "{what} of the audit record {} is no longer there",
                record.id
            ))
            .with_hint("what users and datasets were is not kept")
        };
        let principal = match RecordedPrincipal::of(record) {
            None | Some(RecordedPrincipal::Anonymous) => Principal::Anonymous,
            Some(RecordedPrincipal::User(id)) => match database.find_user(id).await? {
                Some(user) => Principal::User(Arc::new(user)),
                None => return Err(gone(format!("the user {id}"))),
            },
        };
        let (Some(dataset_id), Some(action)) = (record.dataset_id, action_of(record)) else {
            return Err(gone("the dataset".to_owned()));
        };
        let Some(dataset) = database.find_dataset(dataset_id).await? else {
            return Err(gone(format!("the dataset {dataset_id}")));
        };
        if record.event == AuditEvent::Evaluate {
            return Ok(Self::of_service(
                principal,
                action,
                Arc::new(dataset),
                record,
            ));
        }
        let mut notes = Vec::new();
        let key = match record.key_id {
            None => None,
            Some(id) => database.find_api_key_by_id(id).await?.map(Arc::new),
        };
        if let Some(id) = record.key_id.filter(|_| key.is_none()) {
            notes.push(format!(
                "The API key {id} is no longer there: asked without its limits."
            ));
        }
        let context = DecisionContext {
            address: record.address,
            unix_millis: record.unix_millis,
            authentication: record.authentication,
            key,
        };
        Ok(Self {
            principal,
            action,
            dataset: Arc::new(dataset),
            context,
            record: record.clone(),
            notes,
        })
    }

    /// A question that a service asked: the circumstances that it named are not on record.
    fn of_service(
        principal: Principal,
        action: Action,
        dataset: Arc<Dataset>,
        record: &AuditRecord,
    ) -> Self {
        let circumstances = ReviewContext {
            address: AssumedAddress(None),
            unix_millis: record.unix_millis,
            caller: AssumedCaller::default(),
        };
        let note = "A service asked; the circumstances that it named are not on record: explained at an unknown \
                    address, signed in as usual.";
        Self {
            context: circumstances.for_principal(&principal),
            principal,
            action,
            dataset,
            record: record.clone(),
            notes: vec![note.to_owned()],
        }
    }

    /// The explanation, with what was decided then and what is no longer known.
    pub(super) fn explain(&self, bundle: &Bundle) -> ExplanationReport {
        let report = explain_in(
            bundle,
            (&self.principal, self.action, &self.dataset),
            &self.context,
            ValueVisibility::ALL,
        );
        let mut notes = vec![self.decided()];
        notes.extend(self.notes.iter().cloned());
        notes.push(match &self.record.revision {
            Some(then) if *then == report.revision => {
                "Explained under the same revision of the policies.".to_owned()
            }
            Some(_) => format!(
                "The policies of then are not kept, only those in force: explained under revision {}.",
                report.revision
            ),
            None => format!("No policy was asked then: explained under revision {}.", report.revision),
        });
        notes.push(
            "Users, roles and datasets are as they are now; what they were then is not kept."
                .to_owned(),
        );
        let was_permitted = self.record.outcome == AuditOutcome::Granted;
        if was_permitted != report.is_permitted && self.record.outcome != AuditOutcome::Refused {
            notes.push(
                "The decision would be another one now: the policies or the catalog have changed."
                    .to_owned(),
            );
        }
        notes.push(String::new());
        ExplanationReport { notes, ..report }
    }

    /// The case that asks this and expects the answer of a bundle; or, in words, why there is none.
    pub(super) fn new_case(&self, bundle: &Bundle) -> Result<NewCase, String> {
        let resource = Resource::Dataset(Arc::clone(&self.dataset));
        bundle.new_case("", &self.principal, self.action, &resource, &self.context)
    }

    /// What the record says, in one line.
    fn decided(&self) -> String {
        let record = &self.record;
        let by = match record.determining_policies.as_slice() {
            [] => "no policy".to_owned(),
            policies => policies.join(", "),
        };
        let mut text = format!(
            "Record {}: {} at {} was {} by {by}",
            record.id,
            record.event,
            rfc3339::format_seconds(record.unix_millis.div_euclid(1000)),
            record.outcome,
        );
        if let Some(revision) = &record.revision {
            text.extend([" under revision ", &revision.0]);
        }
        if let Some(reason) = &record.reason {
            text.extend([": ", reason]);
        }
        text
    }
}
