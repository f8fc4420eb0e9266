//! Searching audit records, compared with filtering every record.

use std::collections::BTreeSet;

use strum::VariantArray;

use cedargate::domain::action::Action;
use cedargate::domain::audit::{AuditEvent, AuditFilter, AuditOutcome, AuditRecord};
use cedargate::domain::id::{DatasetId, RecordId, UserId};
use cedargate::storage::AuditOrder::{NewestFirst, OldestFirst};
use uuid::Uuid;

use crate::support::test_database::{TestDatabase, record};

on_both! {
    a_search_finds_what_filtering_every_record_finds,
    a_search_continues_after_an_id_in_either_order,
}

const FIRST_MILLIS: i64 = 1_700_000_000_000;
const RECORD_COUNT: i64 = 300;

/// Records with all combinations of events, outcomes, and a few users and datasets.
fn some_records() -> Vec<AuditRecord> {
    let user = |number: i64| UserId(Uuid::from_u128(number.unsigned_abs().into()));
    let mut records = Vec::new();
    for at in 0..RECORD_COUNT {
        let index = usize::try_from(at).unwrap();
        let mut record = record((FIRST_MILLIS + at).unsigned_abs());
        record.user_id = (at % 5 > 0).then(|| user(at % 5));
        record.dataset_id = (at % 7 > 0).then(|| DatasetId(user(at % 7).0));
        record.resource_user_id = (at % 3 == 0).then(|| user(at % 11));
        record.outcome = AuditOutcome::VARIANTS[index % AuditOutcome::VARIANTS.len()];
        record.event = AuditEvent::VARIANTS[index / 2 % AuditEvent::VARIANTS.len()];
        record.action = Action::VARIANTS
            .get(index / 3 % (Action::VARIANTS.len() + 1))
            .copied();
        records.push(record);
    }
    records
}

fn matches(filter: &AuditFilter, record: &AuditRecord) -> bool {
    filter.user_id.is_none_or(|id| record.user_id == Some(id))
        && filter
            .dataset_id
            .is_none_or(|id| record.dataset_id == Some(id))
        && filter
            .resource_user_id
            .is_none_or(|id| record.resource_user_id == Some(id))
        && filter.outcome.is_none_or(|word| record.outcome == word)
        && filter.event.is_none_or(|word| record.event == word)
        && filter.action.is_none_or(|word| record.action == Some(word))
        && filter.since.is_none_or(|since| record.unix_millis >= since)
        && filter.until.is_none_or(|until| record.unix_millis < until)
}

/// Filters with each member alone and with others.
fn some_filters() -> Vec<AuditFilter> {
    let one = UserId(Uuid::from_u128(1));
    let mut filters = vec![AuditFilter::default()];
    filters.extend(AuditOutcome::VARIANTS.iter().map(|word| AuditFilter {
        outcome: Some(*word),
        ..AuditFilter::default()
    }));
    filters.extend(AuditEvent::VARIANTS.iter().map(|word| AuditFilter {
        event: Some(*word),
        user_id: Some(one),
        ..AuditFilter::default()
    }));
    filters.extend(Action::VARIANTS.iter().map(|word| AuditFilter {
        action: Some(*word),
        since: Some(FIRST_MILLIS + 40),
        ..AuditFilter::default()
    }));
    let spans = [
        (None, Some(FIRST_MILLIS)),
        (Some(FIRST_MILLIS + RECORD_COUNT), None),
        (Some(FIRST_MILLIS + 10), Some(FIRST_MILLIS + 12)),
        (Some(FIRST_MILLIS + 12), Some(FIRST_MILLIS + 10)),
        (Some(-5), Some(i64::MAX)),
        (None, Some(-5)),
    ];
    filters.extend(spans.map(|(since, until)| AuditFilter {
        since,
        until,
        ..AuditFilter::default()
    }));
    filters.push(AuditFilter {
        dataset_id: Some(DatasetId(one.0)),
        resource_user_id: Some(one),
        ..AuditFilter::default()
    });
    filters.push(AuditFilter {
        user_id: Some(one),
        dataset_id: Some(DatasetId(Uuid::from_u128(2))),
        outcome: Some(AuditOutcome::Denied),
        until: Some(FIRST_MILLIS + 250),
        ..AuditFilter::default()
    });
    filters
}

async fn a_search_finds_what_filtering_every_record_finds(db: TestDatabase) {
    let records = some_records();
    db.database.append_audit_records(&records).await.unwrap();
    let mut sizes = BTreeSet::new();
    for filter in some_filters() {
        let mut expected: Vec<RecordId> = Vec::new();
        expected.extend(
            records
                .iter()
                .filter(|record| matches(&filter, record))
                .map(|r| r.id),
        );
        for order in [OldestFirst(None), NewestFirst(None)] {
            let found = db.database.search_audit_records(&filter, order, 1000).await;
            let found: Vec<RecordId> = found.unwrap().iter().map(|record| record.id).collect();
            assert_eq!(found, expected, "{filter:?}, {order:?}");
            expected.reverse();
        }
        sizes.insert(expected.len());
    }
    assert!(sizes.len() > 5, "the filters find alike: {sizes:?}");
}

async fn a_search_continues_after_an_id_in_either_order(db: TestDatabase) {
    let records = some_records();
    db.database.append_audit_records(&records).await.unwrap();
    let filter = AuditFilter {
        outcome: Some(AuditOutcome::Refused),
        ..AuditFilter::default()
    };
    let mut expected = records.iter().filter(|record| matches(&filter, record));
    let mut after = None;
    loop {
        let order = OldestFirst(after);
        let page = db
            .database
            .search_audit_records(&filter, order, 7)
            .await
            .unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.id);
        assert!(page.iter().eq(expected.by_ref().take(page.len())));
    }
    assert_eq!(expected.next(), None);

    let mut expected = records
        .iter()
        .rev()
        .filter(|record| matches(&filter, record));
    let mut before = None;
    loop {
        let order = NewestFirst(before);
        let page = db
            .database
            .search_audit_records(&filter, order, 7)
            .await
            .unwrap();
        let Some(last) = page.last() else { break };
        before = Some(last.id);
        assert!(page.iter().eq(expected.by_ref().take(page.len())));
    }
    assert_eq!(expected.next(), None);
}
