//! The totals of audit records that stand for many requests: one statement for a group of them.

use uuid::Uuid;

use super::audit_columns::saturate;
use super::database::{CALL_TIMEOUT, Database, Either, run};
use super::error::StorageError;
use crate::domain::id::RecordId;

/// What the requests of one record amount to by now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordTotals {
    /// The record.
    pub id: RecordId,
    /// How many requests it stands for.
    pub requests: u64,
    /// How many bytes were sent for them.
    pub bytes: u64,
}

// A record that has no bytes is of requests that have none.
const SQLITE: &str = "UPDATE audit_records
    SET requests = total.requests, bytes = CASE WHEN audit_records.bytes IS NULL THEN NULL ELSE total.bytes END
    FROM (SELECT unhex(value ->> 0) AS id, value ->> 1 AS requests, value ->> 2 AS bytes
        FROM json_each($1)) AS total
    WHERE audit_records.id = total.id
        AND (audit_records.requests < total.requests OR audit_records.bytes < total.bytes)";
const POSTGRES: &str = "UPDATE audit_records
    SET requests = total.requests, bytes = CASE WHEN audit_records.bytes IS NULL THEN NULL ELSE total.bytes END
    FROM unnest($1::uuid[], $2::bigint[], $3::bigint[]) AS total (id, requests, bytes)
    WHERE audit_records.id = total.id
        AND (audit_records.requests < total.requests OR audit_records.bytes < total.bytes)";

impl Database {
    /// Writes the totals of records with one statement. Totals only grow, so that they may be written again if
    /// the response was lost.
    pub async fn write_record_totals(&self, totals: &[RecordTotals]) -> Result<(), StorageError> {
        if totals.is_empty() {
            return Ok(());
        }
        let operation = "write the totals of audit records";
        run(CALL_TIMEOUT, operation, "audit_records", async {
            let mut appender = self.appender().await?;
            match &mut appender {
                Either::Sqlite(lease) => {
                    let query = sqlx::query(SQLITE).bind(json(totals)?);
                    query.execute(&mut **lease).await.map(drop)?;
                }
                Either::Postgres(lease) => {
                    let ids: Vec<Uuid> = totals.iter().map(|total| total.id.0).collect();
                    let requests: Vec<i64> = totals
                        .iter()
                        .map(|total| saturate(total.requests))
                        .collect();
                    let bytes: Vec<i64> =
                        totals.iter().map(|total| saturate(total.bytes)).collect();
                    let query = sqlx::query(POSTGRES).bind(ids).bind(requests).bind(bytes);
                    query.execute(&mut **lease).await.map(drop)?;
                }
            }
            self.make_appended_durable(appender).await
        })
        .await
    }
}

/// An array of arrays: id in hexadecimal digits, requests, bytes.
fn json(totals: &[RecordTotals]) -> Result<String, sqlx::Error> {
    let rows: Vec<_> = totals
        .iter()
        .map(|total| {
            let (requests, bytes) = (saturate(total.requests), saturate(total.bytes));
            (total.id.0.simple(), requests, bytes)
        })
        .collect();
    serde_json::to_string(&rows).map_err(|error| sqlx::Error::Encode(error.into()))
}
