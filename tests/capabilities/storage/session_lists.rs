//! Sessions of a user: listed and ended by others than the user.

use cedargate::domain::secret::Secret;
use cedargate::domain::session::Session;
use cedargate::storage::UserRecord;

use super::sessions::{
    NOW, ada_with_session, end_session, is_found, put_user, session_version, start_session,
    with_password,
};
use crate::support::test_database::{TestDatabase, record};

on_both! {
    the_active_sessions_of_a_user_are_listed_in_pages,
    sessions_are_ended_for_their_user_together_with_the_record,
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
    end_session(&db, token).await.unwrap();
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
    // Four logins are on record.
    let records = async || {
        let records = db.database.list_audit_records(None, 9).await.unwrap();
        records.len() - 4
    };
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
