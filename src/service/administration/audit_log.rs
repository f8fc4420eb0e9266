//! The audit log, as administrators read it page by page or export it.
//!
//! Reading is recorded too, with the filter.

use std::fmt::Write;

use crate::domain::action::Action;
use crate::domain::audit::{AuditEvent, AuditFilter, AuditOutcome, AuditRecord};
use crate::domain::id::RecordId;
use crate::domain::resource::Resource;
use crate::domain::rfc3339::format_millis;
use crate::service::audit_trail::AuditRecordPages;
use crate::service::error::ServiceError;
use crate::service::identity::request_context::RequestContext;
use crate::service::pagination::Page;
use crate::storage::AuditOrder;

use super::Administration;
use super::operation::AdminOperation;
use super::policies::{RELOAD_REFUSED, WHERE_DETAILS_ARE};

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
            let read = async |limit| {
                let records = self.database.search_audit_records(filter, order, limit);
                records.await
            };
            let mut page = Page::read(limit, read).await?;
            if let Some(redact) = redaction(&operation) {
                page.items.iter_mut().for_each(redact);
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
            let pages = AuditRecordPages::new(self.database.clone(), filter);
            Ok(pages.redacted(redaction(&operation)))
        })
        .await
    }
}

/// What is done to each record for a caller who may not see the policies.
fn redaction(operation: &AdminOperation) -> Option<fn(&mut AuditRecord)> {
    let may_view = operation.is_permitted(Action::ViewPolicies, &Resource::Server);
    (!may_view).then_some(withhold_policy_texts)
}

/// Leaves only the kind of reason for which an edit of the policies was refused: the rest quotes the files.
fn withhold_policy_texts(record: &mut AuditRecord) {
    let is_reload =
        record.event == AuditEvent::PolicyReload || record.action == Some(Action::ReloadPolicies);
    if !is_reload || record.outcome != AuditOutcome::Refused {
        return;
    }
    let Some(reason) = &record.reason else {
        return;
    };
    // The kinds of reasons contain no colon.
    let (start, rest) = match reason.strip_prefix(RELOAD_REFUSED) {
        Some(rest) => (RELOAD_REFUSED, rest),
        None => ("", reason.as_str()),
    };
    if let Some((kind, _)) = rest.split_once(": ") {
        record.reason = Some(format!("{start}{kind}; {WHERE_DETAILS_ARE}"));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::clock::Clock;

    fn withheld(event: AuditEvent, action: Option<Action>, reason: &str) -> String {
        let context = RequestContext::local();
        let mut record = context.open_record(event, &Clock::fixed_at(0));
        record.action = action;
        record.reason = Some(reason.to_owned());
        withhold_policy_texts(&mut record);
        record.reason.unwrap_or_default()
    }

    #[test]
    fn the_reason_of_a_refused_edit_is_reduced_to_its_kind() {
        let reload = AuditEvent::PolicyReload;
        for (event, action, reason, kind) in [
            (
                reload,
                None,
                "it is not valid: a.cedar:1: x: y",
                "it is not valid",
            ),
            (
                reload,
                None,
                "at the start, an invariant is violated: x: y",
                "at the start, an invariant is violated",
            ),
            (
                AuditEvent::Administer,
                Some(Action::ReloadPolicies),
                "policies not reloaded: its cases are not met: a: b",
                "policies not reloaded: its cases are not met",
            ),
        ] {
            let expected = format!("{kind}; {WHERE_DETAILS_ARE}");
            assert_eq!(withheld(event, action, reason), expected);
        }
        let other = "username: there is no such user: x";
        assert_eq!(withheld(AuditEvent::Administer, None, other), other);
    }
}
