//! The audit log, as administrators read it page by page or export it.
//!
//! Reading is recorded too, with the filter.

use std::fmt::Write;

use crate::domain::action::Action;
use crate::domain::audit::{AuditFilter, AuditRecord};
use crate::domain::id::RecordId;
use crate::domain::resource::Resource;
use crate::domain::rfc3339::format_millis;
use crate::service::audit_trail::AuditRecordPages;
use crate::service::error::ServiceError;
use crate::service::identity::request_context::RequestContext;
use crate::service::pagination::Page;
use crate::storage::AuditOrder;

use super::Administration;

impl Administration {
    /// Lists the newest records that pass `filter`, only those before `before`.
    ///
    /// Reading page after page returns each record that was there at the first page once; records that
    /// are appended meanwhile are newer and found by starting again.
    pub async fn list_audit_records(
        &self,
        request: &RequestContext,
        filter: &AuditFilter,
        before: Option<RecordId>,
        limit: u32,
    ) -> Result<Page<AuditRecord>, ServiceError> {
        self.audited(request, Action::ViewAudit, async |operation| {
            operation.set_summary(summarize("listed", filter));
            operation.authorize(Action::ViewAudit, &Resource::Server)?;
            let order = AuditOrder::NewestFirst(before);
            let _turn = operation.list_turn().await?;
            let read = async |limit| {
                let records = self.database.search_audit_records(filter, order, limit);
                records.await
            };
            Ok(Page::read(limit, read).await?)
        })
        .await
    }

    /// Exports all records that pass `filter` and were made before now, oldest first.
    pub async fn export_audit_records(
        &self,
        request: &RequestContext,
        filter: AuditFilter,
    ) -> Result<AuditRecordPages, ServiceError> {
        self.audited(request, Action::ViewAudit, async |operation| {
            operation.set_summary(summarize("exported", &filter));
            operation.authorize(Action::ViewAudit, &Resource::Server)?;
            // Bounded by now, because a busy server appends faster than a slow client reads.
            let now = self.clock.unix_millis().saturating_add(1);
            let filter = AuditFilter {
                until: Some(filter.until.map_or(now, |until| until.min(now))),
                ..filter
            };
            Ok(AuditRecordPages::new(self.database.clone(), filter))
        })
        .await
    }
}

/// Summarizes what was read, for auditors.
fn summarize(done: &str, filter: &AuditFilter) -> String {
    let conditions = [
        ("user_id", filter.user_id.map(|id| id.to_string())),
        ("dataset_id", filter.dataset_id.map(|id| id.to_string())),
        (
            "resource_user_id",
            filter.resource_user_id.map(|id| id.to_string()),
        ),
        ("outcome", filter.outcome.map(|outcome| outcome.to_string())),
        ("event", filter.event.map(|event| event.to_string())),
        ("action", filter.action.map(|action| action.to_string())),
        ("since", filter.since.map(format_millis)),
        ("until", filter.until.map(format_millis)),
    ];
    let mut summary = format!("audit records {done}");
    for (name, value) in conditions {
        if let Some(value) = value {
            // Writing to a String cannot fail.
            let _ = write!(summary, ", {name} {value}");
        }
    }
    summary
}
