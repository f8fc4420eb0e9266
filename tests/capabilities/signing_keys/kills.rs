//! Kills: whenever a server ends, the keys in its database are whole.

use std::collections::BTreeMap;
use std::io::BufRead as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use cedargate::domain::audit::AuditEvent;
use cedargate::storage::{Database, KeyState};
use cedargate::token::{SealingKey, SigningKey};
use sqlx::{Connection, PgConnection};
use tokio::time::timeout;

use crate::support::LONG_LIMITS;
use crate::support::postgres::fresh_database;

/// A server that rotates every three seconds.
fn server_command(folder: &Path, data: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cedargate"));
    command
        .arg("serve")
        .current_dir(folder)
        .env("CEDARGATE_DATA_DIR", data)
        .env("CEDARGATE_LISTEN", "127.0.0.1:0")
        .env("CEDARGATE_LOG_FORMAT", "json")
        .envs(LONG_LIMITS)
        .env("CEDARGATE_JWKS_MAX_AGE", "1")
        .env("CEDARGATE_KEY_PUBLISH_AHEAD", "3")
        .env("CEDARGATE_KEY_ROTATION_AGE", "3")
        .stderr(Stdio::piped());
    command
}

/// The server logs a change right after it, and goes on with the next one: it is killed there.
#[tokio::test]
async fn a_server_that_is_killed_while_it_rotates_leaves_one_signing_key_and_every_record() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    for changes in [1, 2, 3, 4] {
        let mut child = server_command(folder.path(), &data).spawn().unwrap();
        let lines = std::io::BufReader::new(child.stderr.take().unwrap()).lines();
        let changed = lines.filter(|line| line.as_ref().unwrap().contains("signing keys changed"));
        assert_eq!(changed.take(changes).count(), changes);
        child.kill().unwrap();
        child.wait().unwrap();
        let url = format!("sqlite://{}/cedargate.db", data.display());
        assert_keys_are_whole(&url, &data).await;
    }
}

/// A record that cannot be written holds up the change that it belongs to, with everything else of it written.
#[tokio::test]
async fn a_server_that_is_killed_within_the_transaction_of_a_rotation_has_changed_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let url = fresh_database().await;
    let database = Database::open(&url, 2).await.unwrap();
    database.migrate().await.unwrap();
    let mut counts = Vec::new();
    for round in 0..3 {
        // In the first round the lock is there before the first key.
        let mut lock = match round {
            0 => Some(audit_lock(&url).await),
            _ => None,
        };
        let mut command = server_command(folder.path(), &data);
        let mut child = command.env("CEDARGATE_DATABASE_URL", &url).spawn().unwrap();
        let mut lines = std::io::BufReader::new(child.stderr.take().unwrap()).lines();
        if lock.is_none() {
            lines.find(|line| line.as_ref().unwrap().contains("signing keys changed"));
            lock = Some(audit_lock(&url).await);
        }
        let before = database.list_signing_keys().await.unwrap();
        let mut connection = PgConnection::connect(&url).await.unwrap();
        wait_for_blocked_append(&mut connection).await;
        child.kill().unwrap();
        child.wait().unwrap();
        lock.unwrap().close().await.unwrap();
        assert_eq!(database.list_signing_keys().await.unwrap(), before);
        if round > 0 {
            assert_keys_are_whole(&url, &data).await;
        }
        let records = database.list_audit_records(None, 1000).await.unwrap();
        let is_of_keys = |event: AuditEvent| <&str>::from(event).starts_with("key_");
        let changes = records.iter().filter(|record| is_of_keys(record.event));
        counts.push(changes.count());
    }
    // The first round left nothing, and each of the others did what the one before could not.
    assert_eq!(counts[0], 0);
    assert!(counts[1] >= 1 && counts[2] > counts[1], "{counts:?}");
}

/// Holds up whoever appends a record, until it is closed.
async fn audit_lock(url: &str) -> PgConnection {
    let mut connection = PgConnection::connect(url).await.unwrap();
    let lock = "BEGIN; LOCK TABLE audit_records IN EXCLUSIVE MODE";
    sqlx::raw_sql(lock).execute(&mut connection).await.unwrap();
    connection
}

async fn wait_for_blocked_append(connection: &mut PgConnection) {
    const BLOCKED: &str = "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database()
        AND wait_event_type = 'Lock' AND query LIKE '%INTO audit_records%'";
    let waiting = async {
        loop {
            let blocked: i64 = sqlx::query_scalar(BLOCKED)
                .fetch_one(&mut *connection)
                .await
                .unwrap();
            if blocked > 0 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(Duration::from_mins(1), waiting).await.unwrap();
}

/// Every private key opens, one signs, and whatever happened is on record once.
async fn assert_keys_are_whole(url: &str, data: &Path) {
    let database = Database::open(url, 2).await.unwrap();
    let stored = database.list_signing_keys().await.unwrap();
    let sealing_key = std::fs::read_to_string(data.join("sealing.key")).unwrap();
    let sealing_key = SealingKey::parse(&sealing_key).unwrap();
    for key in &stored {
        assert_eq!(
            SigningKey::unseal(&key.sealed, &sealing_key).unwrap().kid(),
            key.kid
        );
    }
    let of_state = |state| stored.iter().filter(|key| key.state == state).count();
    assert_eq!(of_state(KeyState::Current), usize::from(!stored.is_empty()));
    assert!(of_state(KeyState::Next) <= 1);
    let mut events: BTreeMap<&str, usize> = BTreeMap::new();
    let records = database.list_audit_records(None, 1000).await.unwrap();
    for record in &records {
        *events.entry(record.event.into()).or_default() += 1;
    }
    let count = |event: AuditEvent| events.get(event.into()).copied().unwrap_or_default();
    let has_signed = stored.iter().filter(|key| key.activated_at.is_some());
    assert_eq!(count(AuditEvent::KeyRotate), has_signed.count());
    assert_eq!(
        count(AuditEvent::KeyPublish),
        stored.len().saturating_sub(1)
    );
}
