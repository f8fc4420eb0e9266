//! Audit records: appended in groups, read in pages, found by id.

use cedargate::domain::action::Action;
use cedargate::domain::audit::{AuditEvent, AuditOutcome, AuditRecord, MintContext};
use cedargate::domain::caller::Authentication;
use cedargate::domain::id::RecordId;

use crate::support::test_database::{TestDatabase, record};

on_both! {
    every_field_of_an_audit_record_comes_back_as_it_was_written,
    five_hundred_records_are_appended_at_once_and_paged_in_order,
    records_appended_again_are_stored_once,
    a_record_with_a_nul_character_does_not_fail_its_batch,
    a_mint_is_found_by_its_token_only_if_it_was_granted,
}

async fn every_field_of_an_audit_record_comes_back_as_it_was_written(db: TestDatabase) {
    let full = record(1_700_000_000_000);
    let bare = AuditRecord {
        id: RecordId::generate_at(1_700_000_000_001),
        unix_millis: -1,
        event: AuditEvent::Login,
        outcome: AuditOutcome::Refused,
        user_id: None,
        authentication: Authentication::None,
        key_id: None,
        address: "192.0.2.7".parse().unwrap(),
        dataset_id: None,
        resource_user_id: None,
        action: None,
        determining_policies: vec![],
        errors: vec![],
        revision: None,
        jti: None,
        reason: None,
        request_id: None,
    };
    let mut denied = record(1_700_000_000_002);
    denied.event = AuditEvent::Download;
    denied.outcome = AuditOutcome::Denied;
    denied.action = Some(Action::AdministerUsers);
    let records = [full, bare, denied];
    db.database.append_audit_records(&records).await.unwrap();
    assert_eq!(
        db.database.list_audit_records(None, 10).await,
        Ok(records.to_vec())
    );
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
