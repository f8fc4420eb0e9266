//! Sessions: refresh tokens that work once, and what ends a session.

use cedargate::domain::id::SessionId;
use cedargate::domain::secret::Secret;
use cedargate::domain::session::{RefreshToken, RefreshTokenDigest, Session};
use cedargate::storage::{
    CatalogChange, Database, EndedSession, RefreshTokenInfo, RenewalOutcome, StorageError,
    UserRecord,
};

use crate::support::test_database::{TestDatabase, record, user, write_change};

on_both! {
    a_session_is_found_until_it_is_ended,
    a_refresh_token_renews_once_and_then_ends_its_session,
    of_two_uses_at_once_one_renews_and_the_other_ends_the_session,
    a_renewal_that_cannot_be_audited_spends_no_token,
    a_token_of_an_ended_session_renews_nothing,
    ending_a_session_leaves_the_others_of_its_user,
    a_new_password_or_disabling_ends_all_sessions_permanently,
    other_changes_of_a_user_end_no_session,
    a_login_checked_against_an_old_password_starts_no_session,
    removing_a_user_removes_its_sessions,
    the_active_sessions_of_a_user_are_listed_in_pages,
    sessions_are_ended_for_their_user_together_with_the_record,
    expired_sessions_are_deleted_a_bounded_number_at_a_time,
}

const NOW: i64 = 1_700_000_000;

fn fingerprint() -> RefreshTokenDigest {
    RefreshToken::random().digest()
}

fn with_password(name: &str, hash: &str) -> UserRecord {
    UserRecord {
        password_hash: Some(Secret::new(hash.to_owned())),
        ..user(name, &[])
    }
}

async fn put_user(db: &TestDatabase, user: &UserRecord) {
    let change = CatalogChange {
        users_put: vec![user.clone()],
        ..CatalogChange::default()
    };
    write_change(db, &change).await;
}

async fn start_session(database: &Database, user: &UserRecord) -> (Session, RefreshTokenDigest) {
    let session = Session {
        id: SessionId::random(),
        user_id: user.user.id,
        started_at: NOW,
        expires_at: NOW + 100,
    };
    let first = fingerprint();
    let hash = user.password_hash.as_ref().unwrap();
    let is_started = database.start_session(&session, hash, first).await;
    assert_eq!(is_started, Ok(true));
    (session, first)
}

async fn ada_with_session(db: &TestDatabase) -> (UserRecord, Session, RefreshTokenDigest) {
    let ada = with_password("ada", "one");
    put_user(db, &ada).await;
    let (session, first) = start_session(&db.database, &ada).await;
    (ada, session, first)
}

async fn renew_at(
    database: &Database,
    used: RefreshTokenDigest,
    next: RefreshTokenDigest,
    now: i64,
) -> Result<RenewalOutcome, StorageError> {
    let granted = record(now.unsigned_abs() * 1000);
    let renewal = database.renew_session(used, next, now, &granted).await?;
    let is_on_record = database
        .list_audit_records(None, 1000)
        .await?
        .iter()
        .any(|record| record.id == granted.id);
    assert_eq!(is_on_record, matches!(renewal, RenewalOutcome::Renewed(_)));
    Ok(renewal)
}

async fn is_found(db: &TestDatabase, session: &Session) -> bool {
    let found = db.database.find_session(session.id).await.unwrap();
    assert!(found.as_ref().is_none_or(|found| found == session));
    found.is_some()
}

async fn session_version(db: &TestDatabase) -> i64 {
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
    assert_eq!(db.database.end_session(first, NOW).await, ended(true));
    assert!(!is_found(&db, &session).await);
    let after = db.database.versions().await.unwrap();
    assert_eq!(after.sessions, before.sessions + 1);
    assert_eq!(after.catalog, before.catalog, "nobody's plan is upset");
    assert_eq!(db.database.end_session(first, NOW).await, ended(false));
    assert_eq!(db.database.end_session(fingerprint(), NOW).await, Ok(None));
    assert_eq!(session_version(&db).await, after.sessions);
}

async fn a_refresh_token_renews_once_and_then_ends_its_session(db: TestDatabase) {
    let (_, session, first) = ada_with_session(&db).await;
    let (second, third) = (fingerprint(), fingerprint());
    let renew = |used, next| renew_at(&db.database, used, next, NOW + 1);
    let known = |is_spent| {
        Ok(Some(RefreshTokenInfo {
            user_id: session.user_id,
            is_spent,
        }))
    };
    let find = |token| db.database.find_refresh_token(token);
    assert_eq!(find(first).await, known(false));
    assert_eq!(find(fingerprint()).await, Ok(None));
    let renewed = Ok(RenewalOutcome::Renewed(session.clone()));
    assert_eq!(renew(first, second).await, renewed);
    assert_eq!(find(first).await, known(true));
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

async fn of_two_uses_at_once_one_renews_and_the_other_ends_the_session(db: TestDatabase) {
    let ada = with_password("ada", "one");
    put_user(&db, &ada).await;
    let other = Database::open(&db.url, 4).await.unwrap();
    for _ in 0..10 {
        let (session, first) = start_session(&db.database, &ada).await;
        let (here, there) = tokio::join!(
            renew_at(&db.database, first, fingerprint(), NOW),
            renew_at(&other, first, fingerprint(), NOW)
        );
        let renewed = RenewalOutcome::Renewed(session.clone());
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

async fn a_renewal_that_cannot_be_audited_spends_no_token(db: TestDatabase) {
    let (_, session, first) = ada_with_session(&db).await;
    db.execute("ALTER TABLE audit_records RENAME TO elsewhere")
        .await;
    let renew = || renew_at(&db.database, first, fingerprint(), NOW);
    renew().await.unwrap_err();
    db.execute("ALTER TABLE elsewhere RENAME TO audit_records")
        .await;
    assert_eq!(renew().await, Ok(RenewalOutcome::Renewed(session)));
}

async fn a_token_of_an_ended_session_renews_nothing(db: TestDatabase) {
    let (_, session, first) = ada_with_session(&db).await;
    let renew = |now| renew_at(&db.database, first, fingerprint(), now);
    let over = Ok(RenewalOutcome::SessionEnded(session.clone()));
    assert_eq!(renew(session.expires_at).await, over);
    let renewed = Ok(RenewalOutcome::Renewed(session.clone()));
    assert_eq!(renew(session.expires_at - 1).await, renewed);
}

async fn ending_a_session_leaves_the_others_of_its_user(db: TestDatabase) {
    let (ada, session, first) = ada_with_session(&db).await;
    let (other, _) = start_session(&db.database, &ada).await;
    db.database.end_session(first, NOW).await.unwrap();
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
    let start = || db.database.start_session(&again, &old, fingerprint());
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

async fn expired_sessions_are_deleted_a_bounded_number_at_a_time(db: TestDatabase) {
    let (ada, session, first) = ada_with_session(&db).await;
    for _ in 0..4 {
        start_session(&db.database, &ada).await;
    }
    let sweep = |now| db.database.delete_expired_sessions(now, 3);
    assert_eq!(sweep(session.expires_at - 1).await, Ok(0));
    assert!(is_found(&db, &session).await);
    assert_eq!(sweep(session.expires_at).await, Ok(3));
    assert_eq!(sweep(session.expires_at).await, Ok(2));
    assert_eq!(sweep(session.expires_at).await, Ok(0));
    assert_eq!(
        db.database.end_session(first, NOW).await,
        Ok(None),
        "its refresh tokens are gone with it"
    );
}

async fn the_active_sessions_of_a_user_are_listed_in_pages(db: TestDatabase) {
    let (ada, first, token) = ada_with_session(&db).await;
    let ben = with_password("ben", "one");
    put_user(&db, &ben).await;
    start_session(&db.database, &ben).await;
    let mut going_on = vec![first];
    for _ in 0..4 {
        going_on.push(start_session(&db.database, &ada).await.0);
    }
    going_on.sort_by_key(|session| session.id);
    let listed_at = async |now| {
        let mut listed: Vec<Session> = Vec::new();
        loop {
            let after = listed.last().map(|session| session.id);
            let page = db.database.list_sessions(ada.user.id, now, after, 2);
            let page = page.await.unwrap();
            assert!(page.len() <= 2);
            if page.is_empty() {
                return listed;
            }
            listed.extend(page);
        }
    };
    assert_eq!(listed_at(NOW).await, going_on);
    assert_eq!(listed_at(NOW + 100).await, [], "they have expired");
    db.database.end_session(token, NOW).await.unwrap();
    assert_eq!(listed_at(NOW).await.len(), 4);
    let anew = UserRecord {
        password_hash: Some(Secret::new("two".to_owned())),
        ..ada.clone()
    };
    put_user(&db, &anew).await;
    assert_eq!(listed_at(NOW).await, [], "they are of an older password");
}

async fn sessions_are_ended_for_their_user_together_with_the_record(db: TestDatabase) {
    let (ada, one, _) = ada_with_session(&db).await;
    let (other, _) = start_session(&db.database, &ada).await;
    let (third, _) = start_session(&db.database, &ada).await;
    let ben = with_password("ben", "one");
    put_user(&db, &ben).await;
    let (of_ben, _) = start_session(&db.database, &ben).await;
    let end = async |user: &UserRecord, only, id| {
        let database = &db.database;
        let record = record(id);
        let ended = database.end_user_sessions(user.user.id, only, NOW, &record);
        ended.await
    };
    let records = async || db.database.list_audit_records(None, 9).await.unwrap().len();
    let before = session_version(&db).await;
    assert_eq!(end(&ben, Some(one.id), 1).await, Ok(0), "it is not ben's");
    assert_eq!(records().await, 0);
    assert_eq!(session_version(&db).await, before);
    assert_eq!(end(&ada, Some(one.id), 2).await, Ok(1));
    assert_eq!(end(&ada, Some(one.id), 3).await, Ok(0), "it is over");
    assert_eq!(records().await, 1);
    assert_eq!(session_version(&db).await, before + 1);
    assert!(!is_found(&db, &one).await && is_found(&db, &other).await);
    assert_eq!(end(&ada, None, 4).await, Ok(2));
    assert_eq!(records().await, 2);
    assert!(!is_found(&db, &other).await && !is_found(&db, &third).await);
    assert!(is_found(&db, &of_ben).await);
    db.execute("ALTER TABLE audit_records RENAME TO gone").await;
    assert!(end(&ben, None, 5).await.is_err());
    assert!(is_found(&db, &of_ben).await);
}
