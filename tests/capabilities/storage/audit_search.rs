//! Searching audit records, held against looking at each of them.

use std::collections::BTreeSet;

use cedargate::domain::action::Action;
use cedargate::domain::audit::{AuditRecord, Event, Outcome, RecordFilter};
use cedargate::domain::id::{DatasetId, RecordId, UserId};
use cedargate::storage::AuditOrder::{NewestFirst, OldestFirst};
use uuid::Uuid;

use crate::storage::{Place, record};

on_both! {
    a_search_finds_what_looking_at_each_record_finds,
    a_search_goes_on_in_either_order_where_it_was,
}

const FIRST: i64 = 1_700_000_000_000;
const MANY: i64 = 300;

/// Records in which each word and each of a few users and datasets comes with each other.
fn some_records() -> Vec<AuditRecord> {
    let user = |number: i64| UserId(Uuid::from_u128(number.unsigned_abs().into()));
    let mut records = Vec::new();
    for at in 0..MANY {
        let index = usize::try_from(at).unwrap();
        let mut record = record((FIRST + at).unsigned_abs());
        record.user_id = (at % 5 > 0).then(|| user(at % 5));
        record.dataset_id = (at % 7 > 0).then(|| DatasetId(user(at % 7).0));
        record.resource_user_id = (at % 3 == 0).then(|| user(at % 11));
        record.outcome = Outcome::ALL[index % Outcome::ALL.len()];
        record.event = Event::ALL[index / 2 % Event::ALL.len()];
        record.action = Action::ALL
            .get(index / 3 % (Action::ALL.len() + 1))
            .copied();
        records.push(record);
    }
    records
}

fn passes(filter: &RecordFilter, record: &AuditRecord) -> bool {
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

/// Filters of every member, alone and with others.
fn some_filters() -> Vec<RecordFilter> {
    let one = UserId(Uuid::from_u128(1));
    let mut filters = vec![RecordFilter::default()];
    filters.extend(Outcome::ALL.iter().map(|word| RecordFilter {
        outcome: Some(*word),
        ..RecordFilter::default()
    }));
    filters.extend(Event::ALL.iter().map(|word| RecordFilter {
        event: Some(*word),
        user_id: Some(one),
        ..RecordFilter::default()
    }));
    filters.extend(Action::ALL.iter().map(|word| RecordFilter {
        action: Some(*word),
        since: Some(FIRST + 40),
        ..RecordFilter::default()
    }));
    let spans = [
        (None, Some(FIRST)),
        (Some(FIRST + MANY), None),
        (Some(FIRST + 10), Some(FIRST + 12)),
        (Some(FIRST + 12), Some(FIRST + 10)),
        (Some(-5), Some(i64::MAX)),
        (None, Some(-5)),
    ];
    filters.extend(spans.map(|(since, until)| RecordFilter {
        since,
        until,
        ..RecordFilter::default()
    }));
    filters.push(RecordFilter {
        dataset_id: Some(DatasetId(one.0)),
        resource_user_id: Some(one),
        ..RecordFilter::default()
    });
    filters.push(RecordFilter {
        user_id: Some(one),
        dataset_id: Some(DatasetId(Uuid::from_u128(2))),
        outcome: Some(Outcome::Denied),
        until: Some(FIRST + 250),
        ..RecordFilter::default()
    });
    filters
}

async fn a_search_finds_what_looking_at_each_record_finds(place: Place) {
    let records = some_records();
    place.database.append_audit_records(&records).await.unwrap();
    let mut sizes = BTreeSet::new();
    for filter in some_filters() {
        let mut expected: Vec<RecordId> = Vec::new();
        expected.extend(
            records
                .iter()
                .filter(|record| passes(&filter, record))
                .map(|r| r.id),
        );
        for order in [OldestFirst(None), NewestFirst(None)] {
            let found = place
                .database
                .search_audit_records(&filter, order, 1000)
                .await;
            let found: Vec<RecordId> = found.unwrap().iter().map(|record| record.id).collect();
            assert_eq!(found, expected, "{filter:?}, {order:?}");
            expected.reverse();
        }
        sizes.insert(expected.len());
    }
    assert!(sizes.len() > 5, "the filters find alike: {sizes:?}");
}

async fn a_search_goes_on_in_either_order_where_it_was(place: Place) {
    let records = some_records();
    place.database.append_audit_records(&records).await.unwrap();
    let filter = RecordFilter {
        outcome: Some(Outcome::Refused),
        ..RecordFilter::default()
    };
    let mut expected = records.iter().filter(|record| passes(&filter, record));
    let mut after = None;
    loop {
        let order = OldestFirst(after);
        let page = place
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
        .filter(|record| passes(&filter, record));
    let mut before = None;
    loop {
        let order = NewestFirst(before);
        let page = place
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
