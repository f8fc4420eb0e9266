//! Searching audit records, compared with filtering every record.

use std::collections::BTreeSet;

use strum::VariantArray;

use cedargate::domain::action::Action;
use cedargate::domain::audit::{AuditEvent, AuditFilter, AuditOutcome, AuditRecord};
use cedargate::domain::id::{DatasetId, RecordId, UserId};
use cedargate::storage::AuditOrder::{NewestFirst, OldestFirst};
use cedargate::storage::{Database, MAX_SCANNED_RECORDS};
use uuid::Uuid;

use crate::support::test_database::{TestDatabase, record};

on_both! {
    a_search_stops_after_its_bound_and_continues_until_it_has_found_all,
    no_combination_of_filters_reads_the_whole_table,
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
        record.username = (at % 6 == 0).then(|| format!("user-{}", at % 4));
        record.jti = (at % 4 < 3).then(|| RecordId(user(at % 13).0));
        record.request_id = Some(format!("request-{}", at % 50));
        record.client_request_id = (at % 4 == 0).then(|| format!("trace-{}", at % 9));
        record.asked_principal = (at % 9 == 0).then(|| format!("User::\"{}\"", at % 4));
        record.asked_resource = (at % 8 == 0).then(|| format!("Todo::\"{}\"", at % 3));
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
        && filter
            .username
            .as_ref()
            .is_none_or(|name| record.username.as_ref() == Some(name))
        && filter.jti.is_none_or(|id| record.jti == Some(id))
        && filter
            .request_id
            .as_ref()
            .is_none_or(|id| record.request_id.as_ref() == Some(id))
        && filter
            .client_request_id
            .as_ref()
            .is_none_or(|id| record.client_request_id.as_ref() == Some(id))
        && filter
            .asked_principal
            .as_ref()
            .is_none_or(|name| record.asked_principal.as_ref() == Some(name))
        && filter
            .asked_resource
            .as_ref()
            .is_none_or(|name| record.asked_resource.as_ref() == Some(name))
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
        asked_principal: Some("User::\"1\"".to_owned()),
        ..AuditFilter::default()
    });
    filters.push(AuditFilter {
        asked_principal: Some("User::\"2\"".to_owned()),
        asked_resource: Some("Todo::\"0\"".to_owned()),
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
            let found: Vec<RecordId> = found
                .unwrap()
                .records
                .iter()
                .map(|record| record.id)
                .collect();
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
            .unwrap()
            .records;
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
            .unwrap()
            .records;
        let Some(last) = page.last() else { break };
        before = Some(last.id);
        assert!(page.iter().eq(expected.by_ref().take(page.len())));
    }
    assert_eq!(expected.next(), None);
}

/// So many granted mints of one user for one dataset, a millisecond apart.
async fn append_mints(db: &TestDatabase, user_id: UserId, dataset_id: DatasetId, count: u64) {
    let first = FIRST_MILLIS.unsigned_abs();
    for start in (0..count).step_by(5000) {
        let records: Vec<AuditRecord> = (start..count.min(start + 5000))
            .map(|at| AuditRecord {
                user_id: Some(user_id),
                dataset_id: Some(dataset_id),
                resource_user_id: None,
                username: None,
                ..record(first + at)
            })
            .collect();
        db.database.append_audit_records(&records).await.unwrap();
    }
}

async fn a_search_stops_after_its_bound_and_continues_until_it_has_found_all(db: TestDatabase) {
    let (user_id, dataset_id) = (UserId::random(), DatasetId::random());
    let count = u64::from(MAX_SCANNED_RECORDS) + 500;
    let rare = |millis: i64| AuditRecord {
        user_id: Some(user_id),
        event: AuditEvent::Download,
        ..record(millis.unsigned_abs())
    };
    let (oldest, newest) = (
        rare(FIRST_MILLIS - 1),
        rare(FIRST_MILLIS + count.cast_signed()),
    );
    append_mints(&db, user_id, dataset_id, count).await;
    let rare = [oldest.clone(), newest.clone()];
    db.database.append_audit_records(&rare).await.unwrap();
    let filter = AuditFilter {
        user_id: Some(user_id),
        event: Some(AuditEvent::Download),
        ..AuditFilter::default()
    };
    for (is_newest_first, expected) in [(true, [&newest, &oldest]), (false, [&oldest, &newest])] {
        let (mut found, mut pages, mut next) = (Vec::new(), 0, None);
        loop {
            let order = if is_newest_first {
                NewestFirst(next)
            } else {
                OldestFirst(next)
            };
            let page = db.database.search_audit_records(&filter, order, 10).await;
            let page = page.unwrap();
            found.extend(page.records);
            pages += 1;
            next = page.next;
            if next.is_none() {
                break;
            }
        }
        assert!(found.iter().eq(expected), "newest first: {is_newest_first}");
        assert_eq!(pages, 2, "newest first: {is_newest_first}");
    }
    // The search walks whichever index has fewer entries: all of this other dataset's are within the bound.
    let other = AuditFilter {
        dataset_id: newest.dataset_id,
        ..filter
    };
    let page = db
        .database
        .search_audit_records(&other, NewestFirst(None), 10);
    let page = page.await.unwrap();
    assert_eq!((page.records, page.next), (vec![newest], None));
}

async fn no_combination_of_filters_reads_the_whole_table(db: TestDatabase) {
    let (user_id, dataset_id) = (UserId::random(), DatasetId::random());
    append_mints(&db, user_id, dataset_id, 6000).await;
    db.execute("ANALYZE").await;
    // A connection of PostgreSQL tells its counts when it ends.
    db.database.close().await;
    let is_postgres = db.database.kind() == "postgres";
    if is_postgres {
        let sql = "CREATE TABLE before AS SELECT seq_scan FROM pg_stat_user_tables
            WHERE relname = 'audit_records'";
        db.execute(sql).await;
    }
    let database = Database::open(&db.url, 1).await.unwrap();
    for filter in some_filters() {
        for order in [OldestFirst(None), NewestFirst(None)] {
            let found = database.search_audit_records(&filter, order, 50).await;
            assert!(found.is_ok(), "{filter:?}");
        }
    }
    database.close().await;
    // On SQLite the statements name their index; the query plans are tested beside them.
    if is_postgres {
        let sql = "DO $$ BEGIN
            ASSERT (SELECT seq_scan FROM before) = (SELECT seq_scan FROM pg_stat_user_tables
                WHERE relname = 'audit_records'), 'audit_records was read from end to end';
            END $$";
        db.execute(sql).await;
    }
}
