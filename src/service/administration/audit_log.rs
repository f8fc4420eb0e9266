//! The audit log, as administrators read it page by page or export it.
//!
//! Reading is recorded too, with the filter.

use std::fmt::Write;

use crate::domain::action::Action;
use crate::domain::audit::AuditFilter;
use crate::domain::id::RecordId;
use crate::domain::resource::Resource;
use crate::domain::rfc3339::format_millis;
use crate::service::audit_reader::AuditExport;
use crate::service::error::ServiceError;
use crate::service::identity::request_context::RequestContext;
use crate::service::pagination::MAX_PAGE_SIZE;
use crate::storage::AuditSearchPage;

use super::audit_redaction::redaction;
use super::operation::no_policies_in_force;
use super::{AdminAccess, AdminDependencies, Administration};

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
    ) -> Result<AuditSearchPage, ServiceError> {
        self.audited(request, Action::ViewAudit, async |operation| {
            operation.set_summary(summarize("listed", filter));
            operation.authorize(Action::ViewAudit, &Resource::Server)?;
            let reader = &self.policies_access()?.audit.reader;
            let limit = limit.clamp(1, MAX_PAGE_SIZE);
            let mut page = reader
                .search(operation.user_id(), filter, before, limit)
                .await?;
            if let Some(redact) = redaction(&operation) {
                page.records.iter_mut().for_each(redact);
            }
            Ok(page)
        })
        .await
    }

    /// Exports all records that pass `filter` and were made before now, oldest first.
    pub async fn export_audit_records(
        &self,
        request: &RequestContext,
        filter: AuditFilter,
    ) -> Result<AuditExport, ServiceError> {
        self.audited(request, Action::ViewAudit, async |operation| {
            operation.set_summary(summarize("exported", &filter));
            operation.authorize(Action::ViewAudit, &Resource::Server)?;
            // Bounded by now, because a busy server appends faster than a slow client reads.
            let now = self.clock.unix_millis().saturating_add(1);
            let filter = AuditFilter {
                until: Some(filter.until.map_or(now, |until| until.min(now))),
                ..filter
            };
            let reader = &self.policies_access()?.audit.reader;
            let export = reader.export(operation.user_id(), filter)?;
            Ok(export.redacted(redaction(&operation)))
        })
        .await
    }

    /// Where the audit log is read from; only callers of the server read it here.
    pub(super) fn policies_access(&self) -> Result<&AdminDependencies, ServiceError> {
        match &self.access {
            AdminAccess::Policies(dependencies) => Ok(dependencies),
            AdminAccess::Local => Err(no_policies_in_force()),
        }
    }
}

/// How many characters of a filter's text are recorded.
const MAX_QUOTED_LENGTH: usize = 64;

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
        ("username", filter.username.as_deref().map(quote)),
        ("request_id", filter.request_id.as_deref().map(quote)),
        (
            "client_request_id",
            filter.client_request_id.as_deref().map(quote),
        ),
        (
            "asked_principal",
            filter.asked_principal.as_deref().map(quote),
        ),
        (
            "asked_resource",
            filter.asked_resource.as_deref().map(quote),
        ),
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

/// A text that a caller sent, for a record: short, and on one line.
fn quote(text: &str) -> String {
    let cut: String = text.chars().take(MAX_QUOTED_LENGTH).collect();
    format!("{cut:?}")
}
