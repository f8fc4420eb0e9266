//! A session and its audit records: what cannot be recorded does not happen.

use cedargate::domain::id::SessionId;
use cedargate::domain::session::{RefreshGrace, Session};
use cedargate::storage::{NewSession, Renewal, RenewalOutcome, RenewalRecords, StorageError};

use super::sessions::{NOW, ada_with_session, fingerprint, is_found, login_record, renew_at};
use crate::support::test_database::TestDatabase;

on_both! {
    what_cannot_be_audited_leaves_the_session_as_it_was,
}

/// Runs something while no audit record can be written.
async fn without_audit_log<T>(db: &TestDatabase, run: impl Future<Output = T>) -> T {
    db.execute("ALTER TABLE audit_records RENAME TO elsewhere")
        .await;
    let result = run.await;
    db.execute("ALTER TABLE elsewhere RENAME TO audit_records")
        .await;
    result
}

async fn what_cannot_be_audited_leaves_the_session_as_it_was(db: TestDatabase) {
    let (ada, session, first) = ada_with_session(&db).await;
    let second = fingerprint();
    let record = login_record();
    let renew = async |presented, next| {
        let records = RenewalRecords {
            rotated: &record,
            sibling: &record,
            reused: &record,
        };
        let renewal = Renewal {
            presented,
            next,
            now: NOW,
            grace: RefreshGrace(0),
            records,
        };
        db.database.renew_session(&renewal).await
    };
    let unavailable = |error: StorageError| assert!(error.is_unavailable(), "{error}");

    let again = Session {
        id: SessionId::random(),
        ..session.clone()
    };
    let hash = ada.password_hash.as_ref().unwrap();
    let new = NewSession {
        session: &again,
        password_hash: Some(hash),
        first: fingerprint(),
        network: None,
        granted: &record,
    };
    let start = db.database.start_session(&new);
    unavailable(Box::pin(without_audit_log(&db, start)).await.unwrap_err());
    assert!(!is_found(&db, &again).await);

    let renewal = Box::pin(without_audit_log(&db, renew(first, second))).await;
    unavailable(renewal.unwrap_err());
    assert_eq!(
        renew_at(&db.database, first, second, NOW).await,
        Ok(RenewalOutcome::Rotated(session.clone()))
    );
    let reuse = Box::pin(without_audit_log(&db, renew(first, fingerprint()))).await;
    unavailable(reuse.unwrap_err());
    assert!(is_found(&db, &session).await);
    let end = db.database.end_session(second, NOW, &record);
    unavailable(Box::pin(without_audit_log(&db, end)).await.unwrap_err());
    assert!(is_found(&db, &session).await);
    assert_eq!(
        renew_at(&db.database, second, fingerprint(), NOW).await,
        Ok(RenewalOutcome::Rotated(session))
    );
}
