//! The audit records of decisions, newest first: what policies were needed for, in a bounded read.

use futures_util::TryStreamExt;
use sqlx::types::Json;
use uuid::Uuid;

use super::audit_search::{AuditOrder, IdRange};
use super::database::{CALL_TIMEOUT, Database, on_either, run};
use super::error::StorageError;
use super::rows::from_columns;
use crate::domain::action::Action;
use crate::domain::audit::{AuditEvent, AuditFilter, AuditOutcome};
use crate::domain::id::{DatasetId, UserId};

/// The most records that one read walks through, those of other events included.
pub const MAX_USAGE_RECORDS: u32 = 50_000;
/// The events that ask for data.
const ACCESS_EVENTS: [AuditEvent; 4] = [
    AuditEvent::Mint,
    AuditEvent::Download,
    AuditEvent::Verify,
    AuditEvent::Evaluate,
];
const TABLE: &str = "audit_records";
const OPERATION: &str = "read the records of decisions";

/// What a record says of a decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecisionRecord {
    /// When, in milliseconds since 1970 UTC.
    pub unix_millis: i64,
    /// Whether it is about access to data, and not about administration.
    pub is_access: bool,
    /// How it ended.
    pub outcome: AuditOutcome,
    /// Who asked: the user, or the service that asks about somebody else.
    pub user_id: Option<UserId>,
    /// The dataset.
    pub dataset_id: Option<DatasetId>,
    /// The action.
    pub action: Option<Action>,
    /// The policies that determined the decision.
    pub policies: Vec<String>,
    /// How many requests it stands for.
    pub requests: u64,
    /// Subject, action and resource of a service's question.
    pub asked: Option<[String; 3]>,
}

struct DecisionRow {
    unix_millis: i64,
    event: String,
    outcome: String,
    user_id: Option<Uuid>,
    dataset_id: Option<Uuid>,
    action: Option<String>,
    determining_policies: Json<Vec<String>>,
    requests: Option<i64>,
    asked_principal: Option<String>,
    asked_action: Option<String>,
    asked_resource: Option<String>,
}

from_columns!(DecisionRow {
    unix_millis,
    event,
    outcome,
    user_id,
    dataset_id,
    action,
    determining_policies,
    requests,
    asked_principal,
    asked_action,
    asked_resource,
});

impl DecisionRow {
    fn into_record(self) -> Result<DecisionRecord, StorageError> {
        let corrupt = |error: &dyn std::fmt::Display| StorageError::Corrupt {
            table: TABLE,
            detail: error.to_string(),
        };
        let asked = [self.asked_principal, self.asked_action, self.asked_resource];
        let event: AuditEvent = self.event.parse().map_err(|error| corrupt(&error))?;
        let is_question = event == AuditEvent::Evaluate;
        Ok(DecisionRecord {
            unix_millis: self.unix_millis,
            is_access: ACCESS_EVENTS.contains(&event),
            outcome: self.outcome.parse().map_err(|error| corrupt(&error))?,
            user_id: self.user_id.map(UserId),
            dataset_id: self.dataset_id.map(DatasetId),
            action: match self.action {
                Some(action) if !is_question => {
                    Some(action.parse().map_err(|error| corrupt(&error))?)
                }
                Some(_) | None => None,
            },
            policies: self.determining_policies.0,
            requests: self.requests.map_or(1, i64::unsigned_abs).max(1),
            asked: is_question.then(|| asked.map(Option::unwrap_or_default)),
        })
    }
}

impl Database {
    /// Calls `each` with the records of decisions from `since` on and before `until`, in milliseconds since 1970 UTC,
    /// newest first; whether there are older ones beyond [`MAX_USAGE_RECORDS`].
    pub async fn read_decision_records(
        &self,
        (since, until): (i64, i64),
        mut each: impl FnMut(DecisionRecord),
    ) -> Result<bool, StorageError> {
        const BOUND: &str = "SELECT id FROM audit_records WHERE id BETWEEN $1 AND $2
            ORDER BY id DESC LIMIT 1 OFFSET $3";
        // Nearly all records are of these events, which no index has.
        const RECORDS: &str =
            "SELECT unix_millis, event, outcome, user_id, dataset_id, action, determining_policies,
                requests, asked_principal, asked_action, asked_resource
            FROM audit_records WHERE id > $1 AND id <= $2
                AND (event IN ('mint', 'download', 'verify', 'evaluate') OR determining_policies <> '[]')
            ORDER BY id DESC LIMIT $3";
        let filter = AuditFilter {
            since: Some(since),
            until: Some(until),
            ..AuditFilter::default()
        };
        let Some(range) = IdRange::new(&filter, AuditOrder::NewestFirst(None)) else {
            return Ok(false);
        };
        let limit = i64::from(MAX_USAGE_RECORDS);
        let mut corrupt = None;
        let is_cut = run(CALL_TIMEOUT, OPERATION, TABLE, async {
            let mut reader = self.report_reader().await?;
            on_either!(&mut reader, connection => {
                let bound: Option<Uuid> = sqlx::query_scalar(BOUND)
                    .bind(range.first)
                    .bind(range.last)
                    .bind(limit)
                    .fetch_optional(&mut **connection)
                    .await?;
                let before_first = bound.or(range.first.as_u128().checked_sub(1).map(Uuid::from_u128));
                let records = sqlx::query_as(RECORDS)
                    .bind(before_first.unwrap_or(Uuid::nil()))
                    .bind(range.last)
                    .bind(limit);
                let mut records = records.fetch(&mut **connection);
                while let Some(row) = records.try_next().await? {
                    let row: DecisionRow = row;
                    match row.into_record() {
                        Ok(record) => each(record),
                        Err(error) => {
                            corrupt = Some(error);
                            break;
                        }
                    }
                }
                Ok(bound.is_some())
            })
        })
        .await?;
        corrupt.map_or(Ok(is_cut), Err)
    }
}
