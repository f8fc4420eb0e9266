//! The audit records of a server.

use cedargate::service::audit_trail::AuditTrail;
use serde_json::Value;

use super::server::Server;

/// All records, as `cedargate audit export` prints them, less those of applied catalog files: each server
/// begins with one.
pub(crate) async fn records(server: &Server) -> Vec<Value> {
    let mut records = Vec::new();
    AuditTrail::export(&server.database().await, |record| {
        records.push(serde_json::to_value(record)?);
        Ok::<_, serde_json::Error>(())
    })
    .await
    .unwrap()
    .unwrap();
    records.retain(|record| {
        let reason = record["reason"].as_str().unwrap_or_default();
        !reason.starts_with("applied the catalog file")
    });
    records
}
