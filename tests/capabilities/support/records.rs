//! The audit records of a server.

use cedargate::domain::audit::AuditFilter;
use cedargate::service::audit_reader::AuditRecordPages;
use serde_json::Value;

use super::server::Server;

/// All records, as `cedargate audit export` prints them, less those of applied catalog files: each server
/// begins with one.
pub(crate) async fn records(server: &Server) -> Vec<Value> {
    let mut records = Vec::new();
    let pages = AuditRecordPages::new(server.database().await, AuditFilter::default());
    let exporting = pages.for_each(|record| {
        records.push(serde_json::to_value(record)?);
        Ok::<_, serde_json::Error>(())
    });
    exporting.await.unwrap().unwrap();
    records.retain(|record: &Value| {
        let reason = record["reason"].as_str().unwrap_or_default();
        !reason.starts_with("applied the catalog file")
    });
    records
}
