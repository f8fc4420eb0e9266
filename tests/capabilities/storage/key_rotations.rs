//! Rotations on both databases: whole or not at all, whatever fails, and once, however many servers there are.

use std::time::Duration;

use cedargate::domain::audit::AuditEvent;
use cedargate::domain::caller::Authentication;
use cedargate::domain::clock::Clock;
use cedargate::domain::key_set_lifetime::KeySetLifetime;
use cedargate::service::tokens::key_ring::TokenParties;
use cedargate::service::tokens::key_schedule::KeySchedule;
use cedargate::service::tokens::sealing_key_file::open_sealing_key;
use cedargate::service::tokens::signing_keys::SigningKeys;
use cedargate::storage::{Database, KeyState, SigningKeyChange, StoredSigningKey};
use cedargate::token::{SealingKey, SigningKey};
use futures_util::future::join_all;
use sqlx::{Connection, PgConnection, SqliteConnection};
use tempfile::TempDir;

use super::attributes::earlier_migrations;
use crate::support::postgres::fresh_database;
use crate::support::test_database::{self, TestDatabase, record};

on_both! {
    a_change_that_fails_at_any_statement_leaves_a_whole_key_set_and_is_done_later,
    many_servers_rotate_once,
    each_published_key_can_be_revoked_and_the_last_one_too,
    rotations_stop_at_the_most_keys_that_are_published,
}

const DAY: i64 = 86_400_000;

/// The signing keys of a database and the clock that they follow.
struct Rotation {
    keys: SigningKeys,
    sealing_key: SealingKey,
    folder: TempDir,
}

impl Rotation {
    fn of(database: Database) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let sealing_key_file = folder.path().join("sealing.key");
        let sealing_key = open_sealing_key(&sealing_key_file, true).unwrap();
        let schedule = KeySchedule {
            publish_ahead: 86_400,
            rotation_age: Some(30 * 86_400),
            token_lifetime: 900,
            key_set: KeySetLifetime {
                max_age: Duration::from_mins(5),
            },
        };
        let keys = SigningKeys {
            database,
            sealing_key_file,
            schedule,
            clock: Clock::fixed_at(1_700_000_000_000),
            changed_by: Authentication::None,
        };
        Self {
            keys,
            sealing_key,
            folder,
        }
    }

    async fn stored(&self) -> Vec<StoredSigningKey> {
        self.keys.list().await.unwrap()
    }

    async fn kids(&self, state: KeyState) -> Vec<String> {
        let stored = self.stored().await.into_iter();
        stored
            .filter(|key| key.state == state)
            .map(|key| key.kid)
            .collect()
    }

    async fn events(&self, event: AuditEvent) -> usize {
        let records = self.keys.database.list_audit_records(None, 1000).await;
        let records = records.unwrap().into_iter();
        records.filter(|record| record.event == event).count()
    }

    /// One key signs, at most one waits, each private key opens, and a retired one is gone.
    async fn assert_whole(&self) {
        let stored = self.stored().await;
        let of_state = |state| stored.iter().filter(|key| key.state == state).count();
        assert_eq!(of_state(KeyState::Current), 1);
        assert!(of_state(KeyState::Next) <= 1);
        for key in stored {
            if key.state == KeyState::Retired {
                assert_eq!(key.sealed, "");
                continue;
            }
            let opened = SigningKey::unseal(&key.sealed, &self.sealing_key).unwrap();
            assert_eq!(opened.kid(), key.kid);
        }
    }
}

/// A trigger that lets statements fail.
struct Fault {
    table: &'static str,
    timing: &'static str,
    /// For which rows; empty for all.
    when: &'static str,
}

const FAULTS: [Fault; 6] = [
    Fault {
        table: "signing_key_version",
        timing: "BEFORE UPDATE",
        when: "",
    },
    Fault {
        table: "signing_keys",
        timing: "BEFORE UPDATE",
        when: "NEW.state = 'previous'",
    },
    Fault {
        table: "signing_keys",
        timing: "BEFORE UPDATE",
        when: "NEW.state = 'retired'",
    },
    Fault {
        table: "signing_keys",
        timing: "AFTER UPDATE",
        when: "NEW.state = 'current'",
    },
    Fault {
        table: "signing_keys",
        timing: "BEFORE INSERT",
        when: "NEW.state = 'next'",
    },
    Fault {
        table: "audit_records",
        timing: "AFTER INSERT",
        when: "",
    },
];

impl Fault {
    async fn begin(&self, db: &TestDatabase) {
        let Self {
            table,
            timing,
            when,
        } = self;
        let when = match *when {
            "" => String::new(),
            condition => format!("WHEN ({condition})"),
        };
        let sql = if db.database.kind() == "sqlite" {
            format!(
                "CREATE TRIGGER fault {timing} ON {table} {when}
                 BEGIN SELECT RAISE(ABORT, 'fault'); END"
            )
        } else {
            format!(
                "CREATE OR REPLACE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql
                 AS $$ BEGIN RAISE EXCEPTION 'fault'; END $$;
                 CREATE TRIGGER fault {timing} ON {table} FOR EACH ROW {when}
                 EXECUTE FUNCTION fail()"
            )
        };
        db.execute(&sql).await;
    }

    async fn end(&self, db: &TestDatabase) {
        let on = match db.database.kind() {
            "sqlite" => String::new(),
            _ => format!("ON {}", self.table),
        };
        db.execute(&format!("DROP TRIGGER fault {on}")).await;
    }
}

async fn a_change_that_fails_at_any_statement_leaves_a_whole_key_set_and_is_done_later(
    db: TestDatabase,
) {
    let rotation = Rotation::of(db.database.clone());
    let keys = &rotation.keys;
    keys.advance().await.unwrap();
    let mut failures = 0;
    for fault in &FAULTS {
        // The rotation by age, with the retirement of the key before.
        keys.clock.advance(31 * DAY);
        let was_current = rotation.kids(KeyState::Current).await;
        fault.begin(&db).await;
        failures += usize::from(keys.advance().await.is_err());
        fault.end(&db).await;
        rotation.assert_whole().await;
        keys.advance().await.unwrap();
        rotation.assert_whole().await;
        assert_eq!(rotation.kids(KeyState::Previous).await, was_current);
        assert_eq!(rotation.kids(KeyState::Next).await.len(), 1);

        // A rotation that somebody asks for, and an emergency.
        keys.clock.advance(2 * DAY);
        keys.advance().await.unwrap();
        fault.begin(&db).await;
        failures += usize::from(keys.rotate().await.is_err());
        fault.end(&db).await;
        rotation.assert_whole().await;
        keys.advance().await.unwrap();
        let revoked = rotation.kids(KeyState::Current).await.remove(0);
        fault.begin(&db).await;
        failures += usize::from(keys.revoke(&revoked).await.is_err());
        fault.end(&db).await;
        rotation.assert_whole().await;
        // What failed did so before or after the revocation itself.
        if rotation.kids(KeyState::Current).await == [revoked.clone()] {
            keys.revoke(&revoked).await.unwrap();
        }
        keys.advance().await.unwrap();
        rotation.assert_whole().await;
        assert_eq!(rotation.kids(KeyState::Next).await.len(), 1);
    }
    assert!(failures >= 12, "{failures}");
    // Nothing is on record that did not happen, and everything that did.
    let stored = rotation.stored().await;
    let signed = stored.iter().filter(|key| key.activated_at.is_some());
    let revoked = stored.iter().filter(|key| key.revoked_at.is_some()).count();
    let requested = stored
        .iter()
        .filter(|key| key.rotation_requested_at.is_some());
    let (signed, requested) = (signed.count(), requested.count());
    assert_eq!(rotation.events(AuditEvent::KeyRevoke).await, revoked);
    assert_eq!(
        rotation.events(AuditEvent::KeyPublish).await,
        stored.len() - 1
    );
    assert_eq!(
        rotation.events(AuditEvent::KeyRotate).await,
        signed + requested - revoked
    );
    let retired = rotation.kids(KeyState::Retired).await.len();
    assert_eq!(
        rotation.events(AuditEvent::KeyRetire).await,
        retired - revoked
    );
}

async fn many_servers_rotate_once(db: TestDatabase) {
    let rotation = Rotation::of(db.database.clone());
    let mut servers = Vec::new();
    for _ in 0..4 {
        let database = Database::open(&db.url, 2).await.unwrap();
        servers.push(SigningKeys {
            database,
            ..rotation.keys.clone()
        });
    }
    for rotations in 1..=3 {
        let changes = join_all(servers.iter().map(SigningKeys::advance)).await;
        assert!(changes.iter().all(Result::is_ok), "{changes:?}");
        assert_eq!(rotation.events(AuditEvent::KeyRotate).await, rotations);
        assert_eq!(rotation.events(AuditEvent::KeyPublish).await, rotations);
        assert_eq!(rotation.stored().await.len(), rotations + 1);
        rotation.assert_whole().await;
        rotation.keys.clock.advance(30 * DAY);
    }
    rotation.keys.advance().await.unwrap();
    // Of those who ask for the same rotation one is first.
    let asked = join_all(servers.iter().map(SigningKeys::rotate)).await;
    let first = asked.iter().filter(|asked| matches!(asked, Ok(true)));
    assert_eq!(first.count(), 1, "{asked:?}");
}

async fn each_published_key_can_be_revoked_and_the_last_one_too(db: TestDatabase) {
    let rotation = Rotation::of(db.database.clone());
    let keys = &rotation.keys;
    // There is nothing to revoke, and nothing is made by asking.
    assert!(keys.revoke("none").await.is_err());
    assert_eq!(rotation.stored().await, []);
    keys.advance().await.unwrap();
    keys.clock.advance(30 * DAY);
    keys.advance().await.unwrap();
    let signs = rotation.kids(KeyState::Current).await;
    for state in [KeyState::Previous, KeyState::Next] {
        let kid = rotation.kids(state).await.remove(0);
        let was = keys.revoke(&kid).await.unwrap();
        assert_eq!((was.kid, was.state), (kid.clone(), state));
        assert!(rotation.kids(KeyState::Retired).await.contains(&kid));
        assert_eq!(rotation.kids(KeyState::Current).await, signs);
        rotation.assert_whole().await;
        assert!(keys.revoke(&kid).await.is_err());
    }
    // A new key waits, published anew: it signs no sooner than a day from now.
    let waits = rotation.kids(KeyState::Next).await;
    assert_eq!(waits.len(), 1);
    keys.rotate().await.unwrap();
    keys.clock.advance(DAY - 1000);
    keys.advance().await.unwrap();
    assert_eq!(rotation.kids(KeyState::Current).await, signs);
    keys.clock.advance(1000);
    keys.advance().await.unwrap();
    assert_eq!(rotation.kids(KeyState::Current).await, waits);
    // Without a next key a new one signs at once.
    db.execute("DELETE FROM signing_keys WHERE state <> 'current'")
        .await;
    keys.revoke(&waits[0]).await.unwrap();
    rotation.assert_whole().await;
    assert_eq!(rotation.kids(KeyState::Next).await.len(), 1);
    assert_ne!(rotation.kids(KeyState::Current).await, waits);
}

async fn rotations_stop_at_the_most_keys_that_are_published(db: TestDatabase) {
    let rotation = Rotation::of(db.database.clone());
    let keys = &rotation.keys;
    let retires_at = keys.clock.unix_seconds() + 40 * 86_400;
    let previous = (0..98).map(|_| {
        let key = SigningKey::generate().unwrap();
        StoredSigningKey {
            sealed: key.seal(&rotation.sealing_key).unwrap(),
            retires_at: Some(retires_at),
            ..test_database::key(key.kid(), KeyState::Previous, 1_600_000_000)
        }
    });
    let seeded = SigningKeyChange {
        changed: previous.collect(),
        record: record(1_600_000_000_000),
    };
    db.database
        .change_signing_keys(|_| Some(seeded))
        .await
        .unwrap();
    keys.advance().await.unwrap();
    let first = rotation.kids(KeyState::Current).await;
    keys.clock.advance(31 * DAY);
    keys.advance().await.unwrap();
    assert_eq!(rotation.kids(KeyState::Current).await, first);
    let refused = keys.rotate().await.unwrap_err().to_string();
    assert!(refused.contains("100 keys are published"), "{refused}");
    // It goes on when some of them are retired.
    keys.clock.advance(9 * DAY);
    keys.advance().await.unwrap();
    assert_eq!(rotation.kids(KeyState::Previous).await, first);
    assert_eq!(rotation.stored().await.len(), 101);
    rotation.assert_whole().await;
}

/// The last migration before keys had times.
const LAST_WITHOUT_KEY_LIFE: &str = "0021";
const OLD_KEY: &str = "INSERT INTO signing_keys (kid, state, sealed, created_at)
    VALUES ($1, 'current', $2, 1690000000)";

async fn upgrade_keeps_the_signing_key(rotation: Rotation, kid: &str) {
    rotation.keys.database.migrate().await.unwrap();
    let parties = TokenParties {
        issuer: "https://gate.example".to_owned(),
        audience: "maps".to_owned(),
    };
    let key_ring = rotation.keys.open_key_ring(parties).await.unwrap();
    key_ring.check_signing().unwrap();
    assert_eq!(rotation.kids(KeyState::Current).await, [kid]);
    rotation.assert_whole().await;
    let stored = rotation.stored().await;
    assert_eq!(stored[0].activated_at, Some(1_690_000_000));
    // It is older than 30 days, and its successor is published a day ahead nevertheless.
    let next = rotation.kids(KeyState::Next).await;
    rotation.keys.clock.advance(DAY - 1000);
    rotation.keys.advance().await.unwrap();
    assert_eq!(rotation.kids(KeyState::Current).await, [kid]);
    rotation.keys.clock.advance(1000);
    rotation.keys.advance().await.unwrap();
    assert_eq!(rotation.kids(KeyState::Current).await, next);
    assert_eq!(rotation.kids(KeyState::Previous).await, [kid]);
    assert!(rotation.folder.path().join("sealing.key").exists());
}

#[tokio::test]
async fn the_one_key_of_an_earlier_version_signs_on_until_its_successor_is_known_everywhere() {
    let folder = tempfile::tempdir().unwrap();
    let sqlite = format!("sqlite://{}/cedargate.db", folder.path().display());
    for url in [sqlite, fresh_database().await] {
        let rotation = Rotation::of(Database::open(&url, 4).await.unwrap());
        let key = SigningKey::generate().unwrap();
        let sealed = key.seal(&rotation.sealing_key).unwrap();
        if url.starts_with("sqlite") {
            let mut connection = SqliteConnection::connect(&url).await.unwrap();
            let migrator = earlier_migrations("sqlite", LAST_WITHOUT_KEY_LIFE).await;
            migrator.run(&mut connection).await.unwrap();
            let insert = sqlx::query(OLD_KEY).bind(key.kid()).bind(sealed);
            insert.execute(&mut connection).await.unwrap();
        } else {
            let mut connection = PgConnection::connect(&url).await.unwrap();
            let migrator = earlier_migrations("postgres", LAST_WITHOUT_KEY_LIFE).await;
            migrator.run(&mut connection).await.unwrap();
            let insert = sqlx::query(OLD_KEY).bind(key.kid()).bind(sealed);
            insert.execute(&mut connection).await.unwrap();
        }
        upgrade_keeps_the_signing_key(rotation, key.kid()).await;
    }
}
