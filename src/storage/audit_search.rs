//! Search of audit records by user, resource, outcome, event, action and time.
//!
//! Each filter has an index, and ids grow with time, so that neither a filter nor a time range scans the
//! whole log. Only the values of nearly all records (`granted`, `read`) have none: a scan finds them at
//! every step anyway.

use std::fmt::Write;
use std::sync::Arc;

use sqlx::AssertSqlSafe;
use uuid::Uuid;

use super::audit::{AuditRow, COLUMNS};
use super::database::{CALL_TIMEOUT, Database, on_either, run};
use super::error::StorageError;
use crate::domain::action::Action;
use crate::domain::audit::{AuditFilter, AuditOutcome, AuditRecord};
use crate::domain::id::RecordId;

/// The order of records, and where to continue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuditOrder {
    /// Oldest first, only those after this one.
    OldestFirst(Option<RecordId>),
    /// Newest first, only those before this one.
    NewestFirst(Option<RecordId>),
}

impl Database {
    /// Lists at most `limit` records after `after`, ordered by id.
    pub async fn list_audit_records(
        &self,
        after: Option<RecordId>,
        limit: u32,
    ) -> Result<Vec<AuditRecord>, StorageError> {
        let order = AuditOrder::OldestFirst(after);
        self.search_audit_records(&AuditFilter::default(), order, limit)
            .await
    }

    /// Lists at most `limit` records that match `filter`, ordered by id.
    ///
    /// Ids are generated before records are appended: during writes, a record may still appear among those
    /// already listed. A reader that lists newest first gets all records that existed when it began.
    pub async fn search_audit_records(
        &self,
        filter: &AuditFilter,
        order: AuditOrder,
        limit: u32,
    ) -> Result<Vec<AuditRecord>, StorageError> {
        let Some(span) = IdRange::new(filter, order) else {
            return Ok(Vec::new());
        };
        let sql: Arc<str> = select_statement(filter, order).into();
        let operation = "read audit records";
        let rows: Vec<AuditRow> = run(CALL_TIMEOUT, operation, "audit_records", async {
            let mut reader = self.report_reader().await?;
            on_either!(&mut reader, connection => {
                let mut query = sqlx::query_as(AssertSqlSafe(sql))
                    .bind(span.first)
                    .bind(span.last)
                    .bind(i64::from(limit));
                for id in filter_ids(filter) {
                    query = query.bind(id);
                }
                query.fetch_all(&mut **connection).await
            })
        })
        .await?;
        rows.into_iter().map(AuditRow::into_record).collect()
    }
}

/// A range of ids, both ends included.
struct IdRange {
    first: Uuid,
    last: Uuid,
}

impl IdRange {
    /// The range of a filter's times and of the order's position; `None` if it is empty.
    fn new(filter: &AuditFilter, order: AuditOrder) -> Option<Self> {
        let lowest = |unix_millis: i64| {
            let unix_millis = u64::try_from(unix_millis).unwrap_or_default();
            RecordId::min_at(unix_millis).0.as_u128()
        };
        let mut first = filter.since.map_or(0, lowest);
        let mut last = match filter.until {
            Some(until) => lowest(until).checked_sub(1)?,
            None => u128::MAX,
        };
        match order {
            AuditOrder::OldestFirst(Some(after)) => {
                first = first.max(after.0.as_u128().checked_add(1)?);
            }
            AuditOrder::NewestFirst(Some(before)) => {
                last = last.min(before.0.as_u128().checked_sub(1)?);
            }
            AuditOrder::OldestFirst(None) | AuditOrder::NewestFirst(None) => {}
        }
        (first <= last).then(|| Self {
            first: Uuid::from_u128(first),
            last: Uuid::from_u128(last),
        })
    }
}

/// The ids of a filter, in the order of their parameters.
fn filter_ids(filter: &AuditFilter) -> impl Iterator<Item = Uuid> {
    [
        filter.user_id.map(|id| id.0),
        filter.dataset_id.map(|id| id.0),
        filter.resource_user_id.map(|id| id.0),
    ]
    .into_iter()
    .flatten()
}

/// The statement of a filter. Names of enum variants are written into it and not bound, because a partial
/// index is used only if its condition is in the statement.
fn select_statement(filter: &AuditFilter, order: AuditOrder) -> String {
    let mut sql = format!("SELECT {COLUMNS} FROM audit_records WHERE id BETWEEN $1 AND $2");
    let columns = [
        filter.user_id.map(|_| "user_id"),
        filter.dataset_id.map(|_| "dataset_id"),
        filter.resource_user_id.map(|_| "resource_user_id"),
    ];
    // Writing to a String cannot fail.
    for (parameter, column) in (4..).zip(columns.into_iter().flatten()) {
        let _ = write!(sql, " AND {column} = ${parameter}");
    }
    if let Some(outcome) = filter.outcome {
        let _ = write!(sql, " AND outcome = '{outcome}'");
        if outcome != AuditOutcome::Granted {
            sql.push_str(" AND outcome <> 'granted'");
        }
    }
    if let Some(event) = filter.event {
        let _ = write!(sql, " AND event = '{event}'");
    }
    if let Some(action) = filter.action {
        let _ = write!(sql, " AND action = '{action}'");
        if action != Action::Read {
            sql.push_str(" AND action <> 'read'");
        }
    }
    sql.push_str(match order {
        AuditOrder::OldestFirst(_) => " ORDER BY id LIMIT $3",
        AuditOrder::NewestFirst(_) => " ORDER BY id DESC LIMIT $3",
    });
    sql
}

#[cfg(test)]
mod tests {
    use sqlx::Row;

    use super::*;
    use crate::domain::audit::AuditEvent;
    use crate::domain::id::{DatasetId, UserId};

    /// How SQLite would find the records of a filter.
    async fn plan(database: &Database, filter: &AuditFilter) -> String {
        let sql = select_statement(filter, AuditOrder::NewestFirst(None));
        let reader = database.reader().await.unwrap();
        let crate::storage::database::Either::Sqlite(mut reader) = reader else {
            panic!("not SQLite")
        };
        let sql = format!("EXPLAIN QUERY PLAN {sql}");
        let rows = sqlx::query(AssertSqlSafe(sql))
            .fetch_all(&mut *reader)
            .await;
        let lines: Vec<String> = rows.unwrap().iter().map(|row| row.get("detail")).collect();
        lines.join("; ")
    }

    #[tokio::test]
    async fn every_filter_has_an_index_and_none_sorts() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("cedargate.db").display());
        let database = Database::open(&url, 1).await.unwrap();
        database.migrate().await.unwrap();
        let user = Some(UserId::random());
        let of = |change: fn(&mut AuditFilter)| {
            let mut filter = AuditFilter::default();
            change(&mut filter);
            filter
        };
        let by_user = AuditFilter {
            user_id: user,
            ..AuditFilter::default()
        };
        let by_resource_user = AuditFilter {
            resource_user_id: user,
            ..AuditFilter::default()
        };
        for (filter, index) in [
            (of(|_| ()), "PRIMARY KEY"),
            (by_user, "audit_records_by_user"),
            (
                of(|filter| filter.dataset_id = Some(DatasetId(Uuid::nil()))),
                "audit_records_by_dataset",
            ),
            (by_resource_user, "audit_records_by_resource_user"),
            (
                of(|filter| filter.outcome = Some(AuditOutcome::Denied)),
                "audit_records_by_outcome",
            ),
            (
                of(|filter| filter.event = Some(AuditEvent::Mint)),
                "audit_records_by_event",
            ),
            (
                of(|filter| filter.action = Some(Action::ViewAudit)),
                "audit_records_by_action",
            ),
        ] {
            let plan = plan(&database, &filter).await;
            let is_searched = plan.starts_with("SEARCH audit_records USING");
            assert!(is_searched && plan.contains(index), "{plan}");
            assert!(!plan.contains("TEMP B-TREE"), "{plan}");
        }
    }
}
