//! The audit records of a server.

use cedargate::domain::audit::AuditFilter;
use cedargate::service::audit_reader::AuditRecordPages;
use serde_json::Value;

use super::server::Server;

/// All records, as `cedargate audit export` prints them, less those that each server begins with: of an
/// applied catalog file and of signing keys.
pub(crate) async fn records(server: &Server) -> Vec<Value> {
    let mut records = Vec::new();
    let pages = AuditRecordPages::new(server.database().await, AuditFilter::default());
    let exporting = pages.for_each(|record| {
        records.push(serde_json::to_value(record)?);
        Ok::<_, serde_json::Error>(())
    });
    exporting.await.unwrap().unwrap();
    records.retain(|record| !is_of_start(record));
    records
}

/// Whether a record is one of those that each server begins with: of an applied catalog file and of signing keys.
pub(crate) fn is_of_start(record: &Value) -> bool {
    let reason = record["reason"].as_str().unwrap_or_default();
    let event = record["event"].as_str().unwrap_or_default();
    reason.starts_with("applied the catalog file") || event.starts_with("key_")
}
