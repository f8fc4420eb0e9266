//! The audit log: reading it, page by page or all of it.
//!
//! Who reads is on record too, with what was asked for. This module refuses to know how records are
//! written and shown.

use std::fmt::Write;

use crate::domain::action::Action;
use crate::domain::audit::{AuditRecord, RecordFilter};
use crate::domain::id::RecordId;
use crate::domain::resource::Resource;
use crate::service::identity::request_context::Visitor;
use crate::storage::AuditOrder;

use super::super::audit_trail::RecordPages;
use super::super::error::ServiceError;
use super::{Administration, Errand};

/// The most records of one page.
const LONGEST_PAGE: u32 = 100;

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
        visitor: &Visitor,
        filter: &RecordFilter,
        before: Option<RecordId>,
        limit: u32,
    ) -> Result<AuditPage, ServiceError> {
        let mut errand = self.begin(visitor, Action::ViewAudit).await?;
        let answer = self
            .read_audit_page(&mut errand, filter, before, limit)
            .await;
        self.end(errand, answer).await
    }

    /// All records that pass `filter` and were made before now, oldest first.
    pub async fn export_audit_records(
        &self,
        visitor: &Visitor,
        filter: RecordFilter,
    ) -> Result<RecordPages, ServiceError> {
        let mut errand = self.begin(visitor, Action::ViewAudit).await?;
        errand.note(told("exported", &filter));
        // It ends at its beginning: a busy server makes records faster than a slow client reads them.
        let now = self.clock.unix_millis().saturating_add(1);
        let filter = RecordFilter {
            until: Some(filter.until.map_or(now, |until| until.min(now))),
            ..filter
        };
        let answer = errand
            .require(Action::ViewAudit, &Resource::Server)
            .map(|()| RecordPages::of(self.database.clone(), filter));
        self.end(errand, answer).await
    }

    async fn read_audit_page(
        &self,
        errand: &mut Errand,
        filter: &RecordFilter,
        before: Option<RecordId>,
        limit: u32,
    ) -> Result<AuditPage, ServiceError> {
        errand.note(told("listed", filter));
        errand.require(Action::ViewAudit, &Resource::Server)?;
        let limit = limit.clamp(1, LONGEST_PAGE);
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
fn told(done: &str, filter: &RecordFilter) -> String {
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
        ("since", filter.since.map(rfc_3339)),
        ("until", filter.until.map(rfc_3339)),
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

fn rfc_3339(unix_millis: i64) -> String {
    chrono::DateTime::from_timestamp_millis(unix_millis)
        .unwrap_or_default()
        .to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
}
