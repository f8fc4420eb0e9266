//! Refresh tokens that are used again: siblings within the grace, on one connection and on two at once.

use cedargate::domain::secret::Secret;
use cedargate::domain::session::{RefreshGrace, RefreshTokenDigest};
use cedargate::storage::{Database, RenewalOutcome};

use super::sessions::{
    NOW, ada_with_session, end_session, fingerprint, is_found, put_user, renew_within,
    start_session, with_password,
};
use crate::support::test_database::TestDatabase;

on_both! {
    within_the_grace_a_spent_token_gives_siblings_and_later_it_ends_all_of_them,
    the_grace_counts_from_the_first_use,
    of_many_uses_at_once_one_rotates_and_the_others_give_siblings,
    a_token_gives_a_hundred_siblings_at_most,
    siblings_count_as_renewals,
    nothing_is_given_beside_a_session_that_has_ended,
    clocks_of_replicas_may_differ,
}

const GRACE: RefreshGrace = RefreshGrace(10);

async fn renew(
    db: &TestDatabase,
    used: RefreshTokenDigest,
    next: RefreshTokenDigest,
    now: i64,
) -> RenewalOutcome {
    renew_within(&db.database, GRACE, used, next, now)
        .await
        .unwrap()
}

async fn within_the_grace_a_spent_token_gives_siblings_and_later_it_ends_all_of_them(
    db: TestDatabase,
) {
    let (_, session, first) = ada_with_session(&db).await;
    let (second, sibling, next) = (fingerprint(), fingerprint(), fingerprint());
    let rotated = RenewalOutcome::Rotated(session.clone());
    assert_eq!(renew(&db, first, second, NOW).await, rotated);
    let beside = RenewalOutcome::Sibling(session.clone());
    assert_eq!(renew(&db, first, sibling, NOW + 10).await, beside);
    assert_eq!(renew(&db, sibling, next, NOW + 11).await, rotated);
    assert_eq!(renew(&db, sibling, fingerprint(), NOW + 21).await, beside);
    assert!(is_found(&db, &session).await);
    assert_eq!(
        renew(&db, sibling, fingerprint(), NOW + 22).await,
        RenewalOutcome::Reused {
            session: session.clone(),
            is_ended_by_this: true
        }
    );
    assert!(!is_found(&db, &session).await);
    for of_the_family in [second, next] {
        assert_eq!(
            renew(&db, of_the_family, fingerprint(), NOW + 22).await,
            RenewalOutcome::SessionEnded(session.clone())
        );
    }
}

async fn the_grace_counts_from_the_first_use(db: TestDatabase) {
    let (_, session, first) = ada_with_session(&db).await;
    renew(&db, first, fingerprint(), NOW).await;
    for second in [3, 6, 9] {
        assert_eq!(
            renew(&db, first, fingerprint(), NOW + second).await,
            RenewalOutcome::Sibling(session.clone())
        );
    }
    assert!(matches!(
        renew(&db, first, fingerprint(), NOW + 12).await,
        RenewalOutcome::Reused { .. }
    ));
}

async fn of_many_uses_at_once_one_rotates_and_the_others_give_siblings(db: TestDatabase) {
    let ada = with_password("ada", "one");
    put_user(&db, &ada).await;
    let other = Database::open(&db.url, 4).await.unwrap();
    for _ in 0..5 {
        let (session, first) = start_session(&db.database, &ada).await;
        let use_it = |database| renew_within(database, GRACE, first, fingerprint(), NOW);
        let outcomes = tokio::join!(
            use_it(&db.database),
            use_it(&other),
            use_it(&db.database),
            use_it(&other)
        );
        let outcomes = [outcomes.0, outcomes.1, outcomes.2, outcomes.3].map(Result::unwrap);
        let count = |outcome: &RenewalOutcome| outcomes.iter().filter(|o| *o == outcome).count();
        assert_eq!(count(&RenewalOutcome::Rotated(session.clone())), 1);
        assert_eq!(count(&RenewalOutcome::Sibling(session.clone())), 3);
        assert!(is_found(&db, &session).await);
    }
}

async fn a_token_gives_a_hundred_siblings_at_most(db: TestDatabase) {
    let (_, session, first) = ada_with_session(&db).await;
    let second = fingerprint();
    renew(&db, first, second, NOW).await;
    db.execute("UPDATE refresh_tokens SET siblings = 99 WHERE spent_at IS NOT NULL")
        .await;
    let beside = RenewalOutcome::Sibling(session.clone());
    assert_eq!(renew(&db, first, fingerprint(), NOW).await, beside);
    assert_eq!(
        renew(&db, first, fingerprint(), NOW).await,
        RenewalOutcome::TooManySiblings(session.clone())
    );
    let rotated = RenewalOutcome::Rotated(session);
    assert_eq!(renew(&db, second, fingerprint(), NOW).await, rotated);
}

async fn siblings_count_as_renewals(db: TestDatabase) {
    let (_, session, first) = ada_with_session(&db).await;
    db.execute("UPDATE sessions SET renewals = 49998").await;
    renew(&db, first, fingerprint(), NOW).await;
    let beside = RenewalOutcome::Sibling(session.clone());
    assert_eq!(renew(&db, first, fingerprint(), NOW).await, beside);
    assert_eq!(
        renew(&db, first, fingerprint(), NOW).await,
        RenewalOutcome::SessionEnded(session)
    );
}

async fn nothing_is_given_beside_a_session_that_has_ended(db: TestDatabase) {
    let (mut ada, session, first) = ada_with_session(&db).await;
    let reused = |session| RenewalOutcome::Reused {
        session,
        is_ended_by_this: false,
    };
    let second = fingerprint();
    renew(&db, first, second, NOW).await;
    end_session(&db, second).await.unwrap();
    let late = renew(&db, first, fingerprint(), NOW).await;
    assert_eq!(late, reused(session), "after a logout");

    let (session, first) = start_session(&db.database, &ada).await;
    let last = session.expires_at - 1;
    renew(&db, first, fingerprint(), last).await;
    let late = renew(&db, first, fingerprint(), session.expires_at).await;
    assert_eq!(late, reused(session), "after its end");

    for (hash, is_disabled) in [("two", false), ("two", true)] {
        let (session, first) = start_session(&db.database, &ada).await;
        renew(&db, first, fingerprint(), NOW).await;
        ada.password_hash = Some(Secret::new(hash.to_owned()));
        ada.user.is_disabled = is_disabled;
        put_user(&db, &ada).await;
        let late = renew(&db, first, fingerprint(), NOW).await;
        assert_eq!(late, reused(session), "{hash} {is_disabled}");
    }
}

async fn clocks_of_replicas_may_differ(db: TestDatabase) {
    let (_, session, first) = ada_with_session(&db).await;
    renew(&db, first, fingerprint(), NOW).await;
    let beside = RenewalOutcome::Sibling(session.clone());
    assert_eq!(renew(&db, first, fingerprint(), NOW - 60).await, beside);
    // The clock was set back by more than clocks differ: the session has not even started then.
    assert!(matches!(
        renew(&db, first, fingerprint(), NOW - 61).await,
        RenewalOutcome::Reused {
            is_ended_by_this: true,
            ..
        }
    ));
    assert!(!is_found(&db, &session).await);
}
