//! The audit log: reading it, page by page or all of it.
//!
//! Who reads is on record too, with what was asked for. This module refuses to know how records are
//! written and shown.

use std::fmt::Write;

use crate::domain::action::Action;
use crate::domain::audit::{AuditFilter, AuditRecord};
use crate::domain::id::RecordId;
use crate::domain::resource::Resource;
use crate::domain::rfc3339;
use crate::service::identity::request_context::RequestContext;
use crate::storage::AuditOrder;

use super::super::audit_trail::AuditRecordPages;
use super::super::error::ServiceError;
use super::{AdminOperation, Administration};

/// The most records of one page.
const MAX_PAGE_SIZE: u32 = 100;

/// Some of the records, newest first.
#[derive(Clone, Debug)]
pub struct AuditPage {
    /// The records.
    pub records: Vec<AuditRecord>,
    /// Where the next page begins; none when there is no older record.
    pub next: Option<RecordId>,
}

impl Administration {
    /// The newest records that pass `filter`, only those before `before`.
    ///
    /// Going on from page to page gives each record that was there at the first page once; what is
    /// appended meanwhile is newer than where the reader is, and is found by beginning again.
    pub async fn list_audit_records(
        &self,
        visitor: &RequestContext,
        filter: &AuditFilter,
        before: Option<RecordId>,
        limit: u32,
    ) -> Result<AuditPage, ServiceError> {
        let mut errand = self.begin(visitor, Action::ViewAudit).await?;
        let answer = self
            .load_audit_page(&mut errand, filter, before, limit)
            .await;
        self.end(errand, answer).await
    }

    /// All records that pass `filter` and were made before now, oldest first.
    pub async fn export_audit_records(
        &self,
        visitor: &RequestContext,
        filter: AuditFilter,
    ) -> Result<AuditRecordPages, ServiceError> {
        let mut errand = self.begin(visitor, Action::ViewAudit).await?;
        errand.set_summary(summarize_filter("exported", &filter));
        // It ends at its beginning: a busy server makes records faster than a slow client reads them.
        let now = self.clock.unix_millis().saturating_add(1);
        let filter = AuditFilter {
            until: Some(filter.until.map_or(now, |until| until.min(now))),
            ..filter
        };
        let answer = errand
            .require(Action::ViewAudit, &Resource::Server)
            .map(|()| AuditRecordPages::new(self.database.clone(), filter));
        self.end(errand, answer).await
    }

    async fn load_audit_page(
        &self,
        errand: &mut AdminOperation,
        filter: &AuditFilter,
        before: Option<RecordId>,
        limit: u32,
    ) -> Result<AuditPage, ServiceError> {
        errand.set_summary(summarize_filter("listed", filter));
        errand.require(Action::ViewAudit, &Resource::Server)?;
        let limit = limit.clamp(1, MAX_PAGE_SIZE);
        let order = AuditOrder::NewestFirst(before);
        let mut records = self
            .database
            .search_audit_records(filter, order, limit + 1)
            .await?;
        let has_more = records.len() > limit as usize;
        records.truncate(limit as usize);
        let next = records.last().filter(|_| has_more).map(|last| last.id);
        Ok(AuditPage { records, next })
    }
}

/// What was asked for, for auditors.
fn summarize_filter(done: &str, filter: &AuditFilter) -> String {
    let mut told = format!("audit records {done}");
    let ids = [
        ("user_id", filter.user_id.map(|id| id.to_string())),
        ("dataset_id", filter.dataset_id.map(|id| id.to_string())),
        (
            "resource_user_id",
            filter.resource_user_id.map(|id| id.to_string()),
        ),
        ("outcome", filter.outcome.map(|word| word.to_string())),
        ("event", filter.event.map(|word| word.to_string())),
        ("action", filter.action.map(|word| word.to_string())),
        ("since", filter.since.map(rfc3339::format_millis)),
        ("until", filter.until.map(rfc3339::format_millis)),
    ];
    for (name, value) in ids
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
    {
        // Writing to a String cannot fail.
        let _ = write!(told, ", {name} {value}");
    }
    told
}
