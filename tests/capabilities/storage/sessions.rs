//! Sessions: refresh tokens that work once, and what ends a session.

use std::net::IpAddr;

use cedargate::domain::audit::AuditRecord;
use cedargate::domain::id::{RecordId, SessionId};
use cedargate::domain::secret::Secret;
use cedargate::domain::session::{RefreshGrace, RefreshToken, RefreshTokenDigest, Session};
use cedargate::storage::{
    CatalogChange, Database, EndedSession, NewSession, RefreshTokenInfo, Renewal, RenewalOutcome,
    RenewalRecords, StorageError, UserRecord,
};

use crate::support::test_database::{TestDatabase, record, user, write_change};

on_both! {
    a_session_is_found_until_it_is_ended,
    a_refresh_token_renews_once_and_then_ends_its_session,
    without_a_grace_the_second_of_two_uses_at_once_ends_the_session,
    a_session_that_starts_later_than_now_is_not_renewed,
    a_token_of_an_ended_session_renews_nothing,
    ending_a_session_leaves_the_others_of_its_user,
    a_new_password_or_disabling_ends_all_sessions_permanently,
    other_changes_of_a_user_end_no_session,
    a_login_checked_against_an_old_password_starts_no_session,
    removing_a_user_removes_its_sessions,
}

pub(super) const NOW: i64 = 1_700_000_000;

pub(super) fn fingerprint() -> RefreshTokenDigest {
    RefreshToken::random().digest()
}

pub(super) fn with_password(name: &str, hash: &str) -> UserRecord {
    UserRecord {
        password_hash: Some(Secret::new(hash.to_owned())),
        ..user(name, &[])
    }
}

pub(super) async fn put_user(db: &TestDatabase, user: &UserRecord) {
    let change = CatalogChange {
        users_put: vec![user.clone()],
        ..CatalogChange::default()
    };
    write_change(db, &change).await;
}

pub(super) async fn start_session(
    database: &Database,
    user: &UserRecord,
) -> (Session, RefreshTokenDigest) {
    start_session_from(database, user, None).await
}

pub(super) async fn start_session_from(
    database: &Database,
    user: &UserRecord,
    network: Option<IpAddr>,
) -> (Session, RefreshTokenDigest) {
    let session = Session {
        id: SessionId::random(),
        user_id: user.user.id,
        started_at: NOW,
        expires_at: NOW + 100,
    };
    let first = fingerprint();
    let hash = user.password_hash.as_ref().unwrap();
    let record = login_record();
    let new = NewSession {
        session: &session,
        password_hash: Some(hash),
        first,
        network,
        granted: &record,
    };
    assert_eq!(database.start_session(&new).await, Ok(true));
    (session, first)
}

pub(super) async fn ada_with_session(
    db: &TestDatabase,
) -> (UserRecord, Session, RefreshTokenDigest) {
    let ada = with_password("ada", "one");
    put_user(db, &ada).await;
    let (session, first) = start_session(&db.database, &ada).await;
    (ada, session, first)
}

/// Renews without a grace.
pub(super) async fn renew_at(
    database: &Database,
    used: RefreshTokenDigest,
    next: RefreshTokenDigest,
    now: i64,
) -> Result<RenewalOutcome, StorageError> {
    renew_within(database, RefreshGrace(0), used, next, now).await
}

/// Renews with a grace, and checks that what happened is on record and nothing else.
pub(super) async fn renew_within(
    database: &Database,
    grace: RefreshGrace,
    used: RefreshTokenDigest,
    next: RefreshTokenDigest,
    now: i64,
) -> Result<RenewalOutcome, StorageError> {
    let (rotated, sibling, reused) = (login_record(), login_record(), login_record());
    let renewal = Renewal {
        presented: used,
        next,
        now,
        grace,
        records: RenewalRecords {
            rotated: &rotated,
            sibling: &sibling,
            reused: &reused,
        },
    };
    let outcome = database.renew_session(&renewal).await?;
    let expected = match &outcome {
        RenewalOutcome::Rotated(_) => [true, false, false],
        RenewalOutcome::Sibling(_) => [false, true, false],
        RenewalOutcome::Reused {
            is_ended_by_this, ..
        } => [false, false, *is_ended_by_this],
        RenewalOutcome::SessionEnded(_)
        | RenewalOutcome::TooManySiblings(_)
        | RenewalOutcome::Unknown => [false; 3],
    };
    let on_record = [
        is_on_record(database, &rotated).await,
        is_on_record(database, &sibling).await,
        is_on_record(database, &reused).await,
    ];
    assert_eq!(on_record, expected);
    Ok(outcome)
}

/// A record with an id of its own.
pub(super) fn login_record() -> AuditRecord {
    AuditRecord {
        id: RecordId(uuid::Uuid::new_v4()),
        ..record(1)
    }
}

async fn is_on_record(database: &Database, record: &AuditRecord) -> bool {
    let records = database.list_audit_records(None, 1000).await.unwrap();
    records.iter().any(|found| found.id == record.id)
}

pub(super) async fn end_session(
    db: &TestDatabase,
    token: RefreshTokenDigest,
) -> Result<Option<EndedSession>, StorageError> {
    let record = login_record();
    let ended = db.database.end_session(token, NOW, &record).await?;
    let is_ended_by_this = ended.as_ref().is_some_and(|ended| ended.is_ended_by_this);
    assert_eq!(is_on_record(&db.database, &record).await, is_ended_by_this);
    Ok(ended)
}

pub(super) async fn is_found(db: &TestDatabase, session: &Session) -> bool {
    let found = db.database.find_session(session.id).await.unwrap();
    assert!(found.as_ref().is_none_or(|found| found == session));
    found.is_some()
}

pub(super) async fn session_version(db: &TestDatabase) -> i64 {
    db.database.versions().await.unwrap().sessions
}

async fn a_session_is_found_until_it_is_ended(db: TestDatabase) {
    let (_, session, first) = ada_with_session(&db).await;
    assert!(is_found(&db, &session).await);
    let before = db.database.versions().await.unwrap();
    let ended = |is_ended_by_this| {
        Ok(Some(EndedSession {
            session: session.clone(),
            is_ended_by_this,
        }))
    };
    assert_eq!(end_session(&db, first).await, ended(true));
    assert!(!is_found(&db, &session).await);
    let after = db.database.versions().await.unwrap();
    assert_eq!(after.sessions, before.sessions + 1);
    assert_eq!(after.catalog, before.catalog, "nobody's plan is upset");
    assert_eq!(end_session(&db, first).await, ended(false));
    assert_eq!(end_session(&db, fingerprint()).await, Ok(None));
    assert_eq!(session_version(&db).await, after.sessions);
}

async fn a_refresh_token_renews_once_and_then_ends_its_session(db: TestDatabase) {
    let (_, session, first) = ada_with_session(&db).await;
    let (second, third) = (fingerprint(), fingerprint());
    let renew = |used, next| renew_at(&db.database, used, next, NOW + 1);
    let known = |is_spent: bool, has_ended| {
        Ok(Some(RefreshTokenInfo {
            session: session.clone(),
            spent_at: is_spent.then_some(NOW + 1),
            has_ended,
        }))
    };
    let find = |token| db.database.find_refresh_token(token, NOW);
    assert_eq!(find(first).await, known(false, false));
    assert_eq!(find(fingerprint()).await, Ok(None));
    let renewed = Ok(RenewalOutcome::Rotated(session.clone()));
    assert_eq!(renew(first, second).await, renewed);
    assert_eq!(find(first).await, known(true, false));
    assert_eq!(renew(second, third).await, renewed);
    let before = session_version(&db).await;
    let reused = |is_ended_by_this| {
        Ok(RenewalOutcome::Reused {
            session: session.clone(),
            is_ended_by_this,
        })
    };
    assert_eq!(renew(first, fingerprint()).await, reused(true));
    assert_eq!(session_version(&db).await, before + 1);
    assert!(!is_found(&db, &session).await);
    assert_eq!(find(third).await, known(false, true));
    assert_eq!(
        renew(third, fingerprint()).await,
        Ok(RenewalOutcome::SessionEnded(session.clone())),
        "the newest token is dead with its family"
    );
    assert_eq!(renew(first, fingerprint()).await, reused(false));
    assert_eq!(
        renew(fingerprint(), fingerprint()).await,
        Ok(RenewalOutcome::Unknown)
    );
    assert_eq!(session_version(&db).await, before + 1);
}

async fn without_a_grace_the_second_of_two_uses_at_once_ends_the_session(db: TestDatabase) {
    let ada = with_password("ada", "one");
    put_user(&db, &ada).await;
    let other = Database::open(&db.url, 4).await.unwrap();
    for _ in 0..10 {
        let (session, first) = start_session(&db.database, &ada).await;
        let (here, there) = tokio::join!(
            renew_at(&db.database, first, fingerprint(), NOW),
            renew_at(&other, first, fingerprint(), NOW)
        );
        let renewed = RenewalOutcome::Rotated(session.clone());
        let reused = RenewalOutcome::Reused {
            session: session.clone(),
            is_ended_by_this: true,
        };
        let (here, there) = (here.unwrap(), there.unwrap());
        assert!(
            (here == renewed && there == reused) || (here == reused && there == renewed),
            "{here:?} {there:?}"
        );
        assert!(!is_found(&db, &session).await);
    }
}

async fn a_token_of_an_ended_session_renews_nothing(db: TestDatabase) {
    let (_, session, first) = ada_with_session(&db).await;
    let renew = |now| renew_at(&db.database, first, fingerprint(), now);
    let over = Ok(RenewalOutcome::SessionEnded(session.clone()));
    assert_eq!(renew(session.expires_at).await, over);
    let renewed = Ok(RenewalOutcome::Rotated(session.clone()));
    assert_eq!(renew(session.expires_at - 1).await, renewed);
}

async fn a_session_that_starts_later_than_now_is_not_renewed(db: TestDatabase) {
    let (_, session, first) = ada_with_session(&db).await;
    let renew = |now| renew_at(&db.database, first, fingerprint(), now);
    let over = Ok(RenewalOutcome::SessionEnded(session.clone()));
    assert_eq!(renew(session.started_at - 61).await, over);
    let renewed = Ok(RenewalOutcome::Rotated(session.clone()));
    assert_eq!(renew(session.started_at - 60).await, renewed);
}

async fn ending_a_session_leaves_the_others_of_its_user(db: TestDatabase) {
    let (ada, session, first) = ada_with_session(&db).await;
    let (other, _) = start_session(&db.database, &ada).await;
    end_session(&db, first).await.unwrap();
    assert!(!is_found(&db, &session).await);
    assert!(is_found(&db, &other).await);
}

async fn a_new_password_or_disabling_ends_all_sessions_permanently(db: TestDatabase) {
    let (mut ada, session, first) = ada_with_session(&db).await;
    let mut before = session_version(&db).await;
    for (hash, is_disabled) in [("two", false), ("two", true)] {
        let (last, _) = start_session(&db.database, &ada).await;
        ada.password_hash = Some(Secret::new(hash.to_owned()));
        ada.user.is_disabled = is_disabled;
        put_user(&db, &ada).await;
        assert!(!is_found(&db, &session).await);
        assert!(!is_found(&db, &last).await);
        assert_eq!(session_version(&db).await, before + 1);
        before += 1;
    }
    ada.password_hash = Some(Secret::new("one".to_owned()));
    ada.user.is_disabled = false;
    put_user(&db, &ada).await;
    assert!(!is_found(&db, &session).await, "nothing brings it back");
    assert_eq!(
        renew_at(&db.database, first, fingerprint(), NOW).await,
        Ok(RenewalOutcome::SessionEnded(session))
    );
    let (again, _) = start_session(&db.database, &ada).await;
    assert!(is_found(&db, &again).await);
}

async fn other_changes_of_a_user_end_no_session(db: TestDatabase) {
    let (mut ada, session, _) = ada_with_session(&db).await;
    let before = session_version(&db).await;
    ada.user.roles = crate::support::test_database::roles(&["admin"]);
    ada.user.claims = crate::support::test_database::tags("groups", &["x"]);
    put_user(&db, &ada).await;
    put_user(&db, &ada).await;
    assert!(is_found(&db, &session).await);
    assert_eq!(session_version(&db).await, before);
}

async fn a_login_checked_against_an_old_password_starts_no_session(db: TestDatabase) {
    let (mut ada, session, _) = ada_with_session(&db).await;
    let again = Session {
        id: SessionId::random(),
        ..session
    };
    let old = Secret::new("one".to_owned());
    let record = login_record();
    let new = NewSession {
        session: &again,
        password_hash: Some(&old),
        first: fingerprint(),
        network: None,
        granted: &record,
    };
    let start = || db.database.start_session(&new);
    ada.password_hash = Some(Secret::new("two".to_owned()));
    put_user(&db, &ada).await;
    assert_eq!(start().await, Ok(false));
    ada.password_hash = Some(Secret::new("one".to_owned()));
    ada.user.is_disabled = true;
    put_user(&db, &ada).await;
    assert_eq!(start().await, Ok(false));
    assert_eq!(db.database.find_session(again.id).await, Ok(None));
}

async fn removing_a_user_removes_its_sessions(db: TestDatabase) {
    let (ada, session, first) = ada_with_session(&db).await;
    let removal = CatalogChange {
        users_removed: vec![ada.user.id],
        ..CatalogChange::default()
    };
    write_change(&db, &removal).await;
    assert!(!is_found(&db, &session).await);
    assert_eq!(
        renew_at(&db.database, first, fingerprint(), NOW).await,
        Ok(RenewalOutcome::Unknown)
    );
}
