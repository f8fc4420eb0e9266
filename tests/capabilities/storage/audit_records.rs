//! Audit records: appended in groups, read in pages, found by id.

use cedargate::config::FreeDiskFloor;
use cedargate::domain::action::Action;
use cedargate::domain::audit::{AuditEvent, AuditOutcome, AuditRecord, MintContext};
use cedargate::domain::caller::Authentication;
use cedargate::domain::clock::Clock;
use cedargate::domain::id::RecordId;
use cedargate::service::audit_prune::{count_prunable, prune_audit_log};
use cedargate::service::audit_trail::AuditTrail;
use cedargate::service::disk_space::DiskSpace;
use cedargate::storage::{AppendThreads, RecordTotals};

use crate::support::test_database::{TestDatabase, record};

on_both! {
    every_field_of_an_audit_record_comes_back_as_it_was_written,
    five_hundred_records_are_appended_at_once_and_paged_in_order,
    records_appended_again_are_stored_once,
    a_record_with_a_nul_character_does_not_fail_its_batch,
    a_record_that_the_database_rejects_does_not_fail_those_beside_it,
    totals_grow_and_never_shrink,
    pruning_deletes_old_records_in_batches_and_is_on_record,
    a_mint_is_found_by_its_token_only_if_it_was_granted,
}

async fn every_field_of_an_audit_record_comes_back_as_it_was_written(db: TestDatabase) {
    let mut written = Vec::new();
    // A large group is inserted by another statement than a small one.
    for size in [1, 32, 100] {
        let first = written.len();
        let group: Vec<_> = (first..first + size).map(odd_record).collect();
        db.database.append_audit_records(&group).await.unwrap();
        written.extend(group);
    }
    // A thread that inserts by itself, as only SQLite lets it, binds the values in another way.
    if db.database.append_threads() != AppendThreads::None {
        let group: Vec<_> = (200..300).map(odd_record).collect();
        let inserted = db.database.try_insert_blocking(&group).unwrap();
        inserted.make_durable_blocking().unwrap();
        written.extend(group);
    }
    assert_eq!(db.database.list_audit_records(None, 300).await, Ok(written));
}

/// A record with all fields, one with hardly any, or a denial.
fn odd_record(number: usize) -> AuditRecord {
    let millis = 1_700_000_000_000 + number as u64;
    let full = record(millis);
    match number % 3 {
        0 => full,
        1 => AuditRecord {
            id: full.id,
            unix_millis: -1,
            event: AuditEvent::Login,
            outcome: AuditOutcome::Refused,
            user_id: None,
            username: None,
            authentication: Authentication::None,
            key_id: None,
            address: None,
            dataset_id: None,
            resource_user_id: None,
            action: None,
            determining_policies: vec![],
            errors: vec![],
            revision: None,
            jti: None,
            requests: None,
            bytes: None,
            reason: None,
            request_id: None,
            client_request_id: None,
            asked_principal: None,
            asked_action: None,
            asked_resource: None,
        },
        _ => AuditRecord {
            event: AuditEvent::Download,
            outcome: AuditOutcome::Denied,
            action: Some(Action::AdministerUsers),
            ..full
        },
    }
}

async fn five_hundred_records_are_appended_at_once_and_paged_in_order(db: TestDatabase) {
    let records: Vec<_> = (0..500).map(|at| record(1_700_000_000_000 + at)).collect();
    let mut shuffled = records.clone();
    shuffled.reverse();
    db.database.append_audit_records(&shuffled).await.unwrap();
    db.database.append_audit_records(&[]).await.unwrap();

    let mut read = Vec::new();
    loop {
        let after = read.last().map(|record: &AuditRecord| record.id);
        let page = db.database.list_audit_records(after, 120).await.unwrap();
        if page.is_empty() {
            break;
        }
        assert!(page.len() <= 120);
        read.extend(page);
    }
    assert_eq!(read, records);
}

async fn records_appended_again_are_stored_once(db: TestDatabase) {
    let records: Vec<_> = (0..7).map(record).collect();
    db.database
        .append_audit_records(&records[..3])
        .await
        .unwrap();
    db.database.append_audit_records(&records).await.unwrap();
    assert_eq!(db.database.list_audit_records(None, 100).await, Ok(records));
}

async fn a_record_with_a_nul_character_does_not_fail_its_batch(db: TestDatabase) {
    let mut odd = record(1);
    odd.reason = Some(String::from("a\0b"));
    odd.request_id = Some(String::from("\0"));
    odd.errors = vec![String::from("\0")];
    odd.determining_policies = vec![String::from("\0")];
    let records = [odd, record(2)];
    db.database.append_audit_records(&records).await.unwrap();
    let read = db.database.list_audit_records(None, 10).await.unwrap();
    assert_eq!(read[0].reason.as_deref(), Some("a\u{fffd}b"));
    assert_eq!(read[0].errors, ["\u{fffd}"]);
    assert_eq!(read[1], records[1]);
}

async fn a_record_that_the_database_rejects_does_not_fail_those_beside_it(db: TestDatabase) {
    db.execute("CREATE UNIQUE INDEX rejects ON audit_records (reason) WHERE reason = 'poison'")
        .await;
    let with_reason = |reason: &str| AuditRecord {
        reason: Some(reason.to_owned()),
        ..record(1)
    };
    let first = with_reason("poison");
    db.database.append_audit_records(&[first]).await.unwrap();
    let disk_space = DiskSpace::open(Vec::new(), FreeDiskFloor::Auto).await;
    let trail = AuditTrail::start(db.database.clone(), disk_space);
    // All are queued before the writer runs, and so are one batch.
    let reasons: Vec<&str> = (0..21)
        .map(|at| if at % 9 == 7 { "poison" } else { "fine" })
        .collect();
    let writes = reasons
        .iter()
        .map(|reason| trail.close_record(with_reason(reason), Ok(())));
    let results = futures_util::future::join_all(writes).await;
    for (reason, result) in reasons.iter().zip(results) {
        assert_eq!(result.is_ok(), *reason == "fine", "{result:?}");
    }
    assert!(!trail.is_failing());
    let stored = db.database.list_audit_records(None, 100).await.unwrap();
    assert_eq!(stored.len(), 1 + 19);
}

async fn pruning_deletes_old_records_in_batches_and_is_on_record(db: TestDatabase) {
    let records: Vec<_> = (0..1200).map(|at| record(1000 + at)).collect();
    db.database.append_audit_records(&records).await.unwrap();
    let clock = Clock::fixed_at(1_700_000_000_000);
    let before = 1000 + 1100;
    let counted = count_prunable(&db.database, before).await.unwrap();
    let pruned = prune_audit_log(&db.database, &clock, before, "somebody").await;
    assert_eq!((counted, pruned.unwrap()), (1100, 1100));
    let left = db.database.list_audit_records(None, 1000).await.unwrap();
    assert_eq!(left[..100], records[1100..]);
    let [pruning] = &left[100..] else {
        panic!("one record of it: {left:?}")
    };
    assert_eq!(pruning.event, AuditEvent::AuditPrune);
    assert_eq!(pruning.authentication, Authentication::CommandLine);
    let reason = "audit records before 1970-01-01T00:00:02.100Z deleted by somebody: 1100";
    assert_eq!(pruning.reason.as_deref(), Some(reason));
    // The record of pruning is never pruned, and there is none of what deleted nothing.
    let later = Clock::fixed_at(1_900_000_000_000);
    for expected in [100, 0] {
        let pruned = prune_audit_log(&db.database, &later, 1_800_000_000_000, "somebody").await;
        assert_eq!(pruned.unwrap(), expected);
    }
    let left = db.database.list_audit_records(None, 1000).await.unwrap();
    let events: Vec<AuditEvent> = left.iter().map(|record| record.event).collect();
    assert_eq!(events, [AuditEvent::AuditPrune; 2]);
}

async fn totals_grow_and_never_shrink(db: TestDatabase) {
    let mut stored = record(1);
    (stored.requests, stored.bytes) = (Some(1), Some(0));
    let id = stored.id;
    db.database.append_audit_records(&[stored]).await.unwrap();
    for (requests, bytes, expected) in [(3, 70, (3, 70)), (2, 60, (3, 70)), (3, 80, (3, 80))] {
        let totals = RecordTotals {
            id,
            requests,
            bytes,
        };
        db.database.write_record_totals(&[totals]).await.unwrap();
        let read = db.database.list_audit_records(None, 1).await.unwrap();
        let found = (read[0].requests.unwrap(), read[0].bytes.unwrap());
        assert_eq!(found, expected);
    }
}

async fn a_mint_is_found_by_its_token_only_if_it_was_granted(db: TestDatabase) {
    let granted = record(1);
    let mut denied = record(2);
    denied.outcome = AuditOutcome::Denied;
    let mut download = record(3);
    download.event = AuditEvent::Download;
    let mint = MintContext {
        authentication: Authentication::Password,
        key_id: granted.key_id,
    };
    let ids = [granted.id, denied.id, download.id, RecordId::generate_at(4)];
    let records = [granted, denied, download];
    db.database.append_audit_records(&records).await.unwrap();
    let mut found = Vec::new();
    for id in ids {
        found.push(db.database.find_mint_context(id).await.unwrap());
    }
    assert_eq!(found, [Some(mint), None, None, None]);
}
