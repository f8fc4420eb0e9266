//! What is left of sessions: bounded, and deleted only long after they are over.

use cedargate::domain::session::RefreshTokenDigest;
use cedargate::storage::RenewalOutcome;

use super::sessions::{
    NOW, ada_with_session, end_session, fingerprint, is_found, put_user, renew_at, start_session,
    with_password,
};
use crate::support::test_database::TestDatabase;

on_both! {
    a_session_is_deleted_only_when_the_sweep_horizon_has_passed_it,
    the_sweep_horizon_follows_the_clock_in_small_steps,
    refresh_tokens_of_a_dead_session_are_deleted_a_bounded_number_at_a_time,
    the_oldest_of_too_many_sessions_ends,
    a_session_is_not_renewed_without_end,
    the_network_of_a_login_is_remembered_for_its_user,
    the_costs_of_all_password_hashes_are_known,
}

const DAY: i64 = 86_400;

async fn set_horizon(db: &TestDatabase, horizon: i64) {
    let sql = format!("UPDATE sweep_horizon SET horizon = {horizon}");
    db.execute(&sql).await;
}

async fn a_session_is_deleted_only_when_the_sweep_horizon_has_passed_it(db: TestDatabase) {
    let (ada, expired, _) = ada_with_session(&db).await;
    let (ended, token) = start_session(&db.database, &ada).await;
    end_session(&db, token).await.unwrap();
    let dead = || db.database.find_dead_sessions(10);
    set_horizon(&db, NOW + DAY - 1).await;
    assert_eq!(dead().await, Ok(vec![]));
    set_horizon(&db, NOW + DAY).await;
    assert_eq!(dead().await, Ok(vec![ended.id]));
    assert_eq!(
        db.database.delete_dead_session(ended.id, 10).await,
        Ok(true)
    );
    set_horizon(&db, expired.expires_at + 7 * DAY - 1).await;
    assert_eq!(dead().await, Ok(vec![]));
    set_horizon(&db, expired.expires_at + 7 * DAY).await;
    assert_eq!(dead().await, Ok(vec![expired.id]));
}

async fn the_sweep_horizon_follows_the_clock_in_small_steps(db: TestDatabase) {
    let (_, session, _) = ada_with_session(&db).await;
    set_horizon(&db, NOW).await;
    // A clock that is a year ahead for a whole day, asked every ten minutes.
    for _ in 0..144 {
        let advanced = db.database.advance_sweep_horizon(NOW + 365 * DAY, 1200);
        advanced.await.unwrap();
    }
    assert_eq!(db.database.find_dead_sessions(10).await, Ok(vec![]));
    let back = db.database.advance_sweep_horizon(NOW, 1200);
    back.await.unwrap();
    let to = session.expires_at + 7 * DAY;
    let on = db.database.advance_sweep_horizon(to, to - NOW);
    on.await.unwrap();
    assert_eq!(
        db.database.find_dead_sessions(10).await,
        Ok(vec![session.id])
    );
}

async fn refresh_tokens_of_a_dead_session_are_deleted_a_bounded_number_at_a_time(db: TestDatabase) {
    let (_, session, first) = ada_with_session(&db).await;
    let mut token = first;
    for _ in 0..4 {
        let next = fingerprint();
        renew_at(&db.database, token, next, NOW).await.unwrap();
        token = next;
    }
    let delete = || db.database.delete_dead_session(session.id, 2);
    assert_eq!(delete().await, Ok(false));
    assert_eq!(delete().await, Ok(false));
    assert!(is_found(&db, &session).await, "it goes last");
    assert_eq!(delete().await, Ok(true));
    assert!(!is_found(&db, &session).await);
    assert_eq!(db.database.find_refresh_token(first, NOW).await, Ok(None));
}

async fn the_oldest_of_too_many_sessions_ends(db: TestDatabase) {
    let (ada, first, _) = ada_with_session(&db).await;
    let id = ada.user.id.0;
    // So many more that the user has all that it may have.
    let hex = |id: uuid::Uuid| match db.database.kind() {
        "sqlite" => format!("X'{}'", id.simple()),
        _ => format!("'{id}'"),
    };
    let inserts = (1..=998).map(|number| {
        let session = hex(uuid::Uuid::new_v4());
        let (started_at, expires_at) = (NOW + number, NOW + 100_000);
        format!(
            "INSERT INTO sessions (id, user_id, generation, started_at, expires_at)
             VALUES ({session}, {}, 0, {started_at}, {expires_at});",
            hex(id)
        )
    });
    db.execute(&inserts.collect::<String>()).await;
    start_session(&db.database, &ada).await;
    assert!(is_found(&db, &first).await);
    start_session(&db.database, &ada).await;
    let sessions = db
        .database
        .list_sessions(ada.user.id, NOW, None, 2000)
        .await;
    assert_eq!(sessions.unwrap().len(), 1000);
    let records = db.database.list_audit_records(None, 100).await.unwrap();
    let said = |text: &str| {
        let reasons = records.iter().filter_map(|record| record.reason.as_deref());
        reasons.filter(|reason| reason.contains(text)).count()
    };
    assert_eq!(said("ended 1 older session"), 1);
}

async fn a_session_is_not_renewed_without_end(db: TestDatabase) {
    let (_, session, first) = ada_with_session(&db).await;
    db.execute("UPDATE sessions SET renewals = 49999").await;
    let renew = |used: RefreshTokenDigest, next| renew_at(&db.database, used, next, NOW);
    let second = fingerprint();
    let renewed = Ok(RenewalOutcome::Rotated(session.clone()));
    assert_eq!(renew(first, second).await, renewed);
    let over = Ok(RenewalOutcome::SessionEnded(session));
    assert_eq!(renew(second, fingerprint()).await, over);
}

async fn the_network_of_a_login_is_remembered_for_its_user(db: TestDatabase) {
    let ada = with_password("ada", "one");
    put_user(&db, &ada).await;
    put_user(&db, &with_password("ben", "one")).await;
    let network = "2001:db8::".parse().unwrap();
    super::sessions::start_session_from(&db.database, &ada, Some(network)).await;
    let known = async |name: &str, network: &str, now| {
        let (name, network) = (name.parse().unwrap(), network.parse().unwrap());
        let known = db.database.is_login_network(&name, network, now);
        known.await.unwrap()
    };
    assert!(known("ada", "2001:db8::", NOW).await);
    assert!(!known("ada", "2001:db8:0:1::", NOW).await);
    assert!(!known("ben", "2001:db8::", NOW).await);
    assert!(!known("nobody", "2001:db8::", NOW).await);
    assert!(!known("ada", "2001:db8::", NOW + 90 * DAY).await);
    for number in 0..16 {
        let network = format!("192.0.2.{number}").parse().unwrap();
        super::sessions::start_session_from(&db.database, &ada, Some(network)).await;
    }
    let mut remembered = 0;
    for number in 0..16 {
        let network = format!("192.0.2.{number}");
        remembered += usize::from(known("ada", &network, NOW).await);
    }
    remembered += usize::from(known("ada", "2001:db8::", NOW).await);
    assert_eq!(remembered, 16);
}

async fn the_costs_of_all_password_hashes_are_known(db: TestDatabase) {
    for (name, cost) in [("ada", "m=19456,t=2,p=1"), ("ben", "m=65536,t=3,p=4")] {
        let hash = format!("$argon2id$v=19${cost}$c2FsdHNhbHQ$aGFzaGhhc2g");
        put_user(&db, &with_password(name, &hash)).await;
    }
    put_user(&db, &with_password("cy", "not a hash")).await;
    let mut costs = db.database.password_costs().await.unwrap();
    costs.sort();
    assert_eq!(costs.len(), 3, "{costs:?}");
    assert_eq!(costs[1..], ["m=19456,t=2,p=1", "m=65536,t=3,p=4"]);
}
