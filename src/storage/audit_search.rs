//! Search of audit records by user, dataset, outcome, event, action, request and time.
//!
//! Ids grow with time and each index is ordered by id behind its columns, so that a search walks one index
//! and never sorts. It stops after [`MAX_SCANNED_RECORDS`] entries, however few of them match. What nearly
//! all records have (`mint`, `download`, `evaluate`, `granted`, `read`) is in no index: a walk meets it at every step.

use std::fmt::Write;

use sqlx::AssertSqlSafe;
use uuid::Uuid;

use super::audit::AuditRow;
use super::audit_columns::COLUMNS;
use super::audit_filter::{Argument, Conditions, Index, Statement};
use super::database::{CALL_TIMEOUT, Database, on_either, run};
use super::error::StorageError;
use crate::domain::audit::{AuditFilter, AuditRecord};
use crate::domain::id::RecordId;

/// How many entries of an index one search walks at most.
pub const MAX_SCANNED_RECORDS: u32 = 20_000;

/// The order of records, and where to continue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuditOrder {
    /// Oldest first, only those after this one.
    OldestFirst(Option<RecordId>),
    /// Newest first, only those before this one.
    NewestFirst(Option<RecordId>),
}

/// The records that one search found.
#[derive(Clone, Debug, PartialEq)]
pub struct AuditSearchPage {
    /// The records.
    pub records: Vec<AuditRecord>,
    /// Where the search goes on; none if all matching records were found.
    pub next: Option<RecordId>,
}

impl Database {
    /// Lists at most `limit` records after `after`, ordered by id.
    pub async fn list_audit_records(
        &self,
        after: Option<RecordId>,
        limit: u32,
    ) -> Result<Vec<AuditRecord>, StorageError> {
        let order = AuditOrder::OldestFirst(after);
        let filter = AuditFilter::default();
        let page = self.search_audit_records(&filter, order, limit).await?;
        Ok(page.records)
    }

    /// Lists at most `limit` records that match `filter`, ordered by id.
    ///
    /// A page may be short, or empty, and still have a `next`: then the search stopped at its bound. Ids are
    /// generated before records are appended: during writes, a record may still appear among those already
    /// listed. A reader that lists newest first gets all records that existed when it began.
    pub async fn search_audit_records(
        &self,
        filter: &AuditFilter,
        order: AuditOrder,
        limit: u32,
    ) -> Result<AuditSearchPage, StorageError> {
        let nothing = AuditSearchPage {
            records: Vec::new(),
            next: None,
        };
        let Some(range) = IdRange::new(filter, order) else {
            return Ok(nothing);
        };
        let conditions = Conditions::new(filter);
        // The bound comes before the page: what is appended or pruned in between is not skipped.
        let (index, bound) = self.choose_index(&conditions, order, &range).await?;
        let statement = self.select_statement(&conditions, index, order);
        let range = bound.map_or_else(|| range, |bound| range.cut_at(order, bound));
        let operation = "read audit records";
        let rows: Vec<AuditRow> = run(CALL_TIMEOUT, operation, "audit_records", async {
            let mut reader = self.report_reader().await?;
            on_either!(&mut reader, connection => {
                let mut query = sqlx::query_as(AssertSqlSafe(statement.sql))
                    .bind(range.first)
                    .bind(range.last)
                    .bind(i64::from(limit));
                for argument in statement.arguments {
                    query = match argument {
                        Argument::Id(id) => query.bind(id),
                        Argument::Text(text) => query.bind(text),
                    };
                }
                query.fetch_all(&mut **connection).await
            })
        })
        .await?;
        let records: Result<Vec<_>, _> = rows.into_iter().map(AuditRow::into_record).collect();
        let records = records?;
        let is_full = records.len() >= limit as usize;
        let next = if is_full {
            records.last().map(|record| record.id)
        } else {
            bound
        };
        Ok(AuditSearchPage { records, next })
    }

    /// The index in which a search comes furthest, and where it has to stop; none if it reaches the end.
    ///
    /// No statistics are asked: they are missing or old when they matter.
    async fn choose_index(
        &self,
        conditions: &Conditions<'_>,
        order: AuditOrder,
        range: &IdRange,
    ) -> Result<(Option<&'static Index>, Option<RecordId>), StorageError> {
        let candidates = conditions.indexes();
        if let [index] = candidates[..]
            && conditions.is_covered_by(Some(index))
        {
            return Ok((Some(index), None));
        }
        if candidates.is_empty() {
            if conditions.is_covered_by(None) {
                return Ok((None, None));
            }
            let bound = self.find_bound(conditions, None, order, range).await?;
            return Ok((None, bound));
        }
        let mut best: Option<(&'static Index, RecordId)> = None;
        for index in candidates {
            let bound = self
                .find_bound(conditions, Some(index), order, range)
                .await?;
            let Some(bound) = bound else {
                return Ok((Some(index), None));
            };
            let is_further = best.is_none_or(|(_, other)| match order {
                AuditOrder::OldestFirst(_) => bound > other,
                AuditOrder::NewestFirst(_) => bound < other,
            });
            if is_further {
                best = Some((index, bound));
            }
        }
        Ok((best.map(|(index, _)| index), best.map(|(_, bound)| bound)))
    }

    /// The last entry of an index that a search may walk to; none if it holds fewer.
    async fn find_bound(
        &self,
        conditions: &Conditions<'_>,
        index: Option<&'static Index>,
        order: AuditOrder,
        range: &IdRange,
    ) -> Result<Option<RecordId>, StorageError> {
        let statement = self.bound_statement(conditions, index, order);
        let operation = "search audit records";
        let bound: Option<Uuid> = run(CALL_TIMEOUT, operation, "audit_records", async {
            let mut reader = self.report_reader().await?;
            on_either!(&mut reader, connection => {
                let mut query = sqlx::query_scalar(AssertSqlSafe(statement.sql))
                    .bind(range.first)
                    .bind(range.last)
                    .bind(i64::from(MAX_SCANNED_RECORDS - 1));
                for argument in statement.arguments {
                    query = match argument {
                        Argument::Id(id) => query.bind(id),
                        Argument::Text(text) => query.bind(text),
                    };
                }
                query.fetch_optional(&mut **connection).await
            })
        })
        .await?;
        Ok(bound.map(RecordId))
    }

    /// The records that match all conditions.
    ///
    /// SQLite is told which index to walk. For PostgreSQL the walk is a query of its own, with a limit, so
    /// that the other conditions cannot lead it to another index.
    fn select_statement<'a>(
        &self,
        conditions: &Conditions<'a>,
        index: Option<&'static Index>,
        order: AuditOrder,
    ) -> Statement<'a> {
        let sort = sort_clause(order);
        let table = self.table(index);
        let is_covered = conditions.is_covered_by(index);
        if is_covered || matches!(self, Self::Sqlite(_)) {
            let sql = format!("SELECT {COLUMNS} FROM {table} WHERE id BETWEEN $1 AND $2");
            let mut statement = Statement::new(sql);
            statement.push_walked(conditions, index);
            statement.push_others(conditions, index);
            statement.sql += sort;
            statement.sql += " LIMIT $3";
            return statement;
        }
        // More than the bound, for records that are appended within it meanwhile.
        let walk_limit = 2 * MAX_SCANNED_RECORDS;
        let sql =
            format!("SELECT {COLUMNS} FROM (SELECT * FROM {table} WHERE id BETWEEN $1 AND $2");
        let mut statement = Statement::new(sql);
        statement.push_walked(conditions, index);
        statement.sql += sort;
        // Writing to a String cannot fail.
        let _ = write!(statement.sql, " LIMIT {walk_limit}) AS walked WHERE TRUE");
        statement.push_others(conditions, index);
        statement.sql += sort;
        statement.sql += " LIMIT $3";
        statement
    }

    /// The entry of an index that so many others precede.
    fn bound_statement<'a>(
        &self,
        conditions: &Conditions<'a>,
        index: Option<&'static Index>,
        order: AuditOrder,
    ) -> Statement<'a> {
        let table = self.table(index);
        let sql = format!("SELECT id FROM {table} WHERE id BETWEEN $1 AND $2");
        let mut statement = Statement::new(sql);
        statement.push_walked(conditions, index);
        statement.sql += sort_clause(order);
        statement.sql += " LIMIT 1 OFFSET $3";
        statement
    }

    fn table(&self, index: Option<&'static Index>) -> String {
        match (self, index) {
            (Self::Sqlite(_), Some(index)) => format!("audit_records INDEXED BY {}", index.name),
            _ => "audit_records".to_owned(),
        }
    }
}

fn sort_clause(order: AuditOrder) -> &'static str {
    match order {
        AuditOrder::OldestFirst(_) => " ORDER BY id",
        AuditOrder::NewestFirst(_) => " ORDER BY id DESC",
    }
}

/// A range of ids, both ends included.
#[derive(Clone, Copy, Debug)]
pub(super) struct IdRange {
    pub(super) first: Uuid,
    pub(super) last: Uuid,
}

impl IdRange {
    /// The range of a filter's times and of the order's position; `None` if it is empty.
    pub(super) fn new(filter: &AuditFilter, order: AuditOrder) -> Option<Self> {
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

    /// The part of the range that a search walks before it comes to `bound`, and `bound`.
    fn cut_at(self, order: AuditOrder, bound: RecordId) -> Self {
        match order {
            AuditOrder::OldestFirst(_) => Self {
                last: bound.0,
                ..self
            },
            AuditOrder::NewestFirst(_) => Self {
                first: bound.0,
                ..self
            },
        }
    }
}

#[cfg(test)]
mod tests;
