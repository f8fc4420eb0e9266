//! `cedargate migrate`, and commands on a database of another version.

use std::path::Path;

use sqlx::migrate::Migrator;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection};

use crate::support::cli::{cedargate, cedargate_with_input, repository};

/// Makes a database as a program made it that did not know the newest migration.
async fn make_older_database(folder: &Path) {
    std::fs::create_dir_all(folder.join("data")).unwrap();
    let all = Migrator::new(repository().join("migrations/sqlite"))
        .await
        .unwrap();
    let mut older = all.migrations.to_vec();
    older.pop();
    let options = SqliteConnectOptions::new().filename(folder.join("data/cedargate.db"));
    let mut connection = options.create_if_missing(true).connect().await.unwrap();
    let migrator = Migrator::with_migrations(older);
    migrator
        .run_direct(None, &mut connection, false)
        .await
        .unwrap();
    connection.close().await.unwrap();
}

#[tokio::test]
async fn only_migrate_changes_the_tables_of_an_older_program() {
    let folder = tempfile::tempdir().unwrap();
    make_older_database(folder.path()).await;
    for command in [
        &["user", "list"][..],
        &["dataset", "list"],
        &["user", "disable", "ada"],
    ] {
        let refused = cedargate(folder.path(), command, &[]);
        assert_eq!(refused.code, 1, "{}", refused.messages);
        assert!(
            refused.messages.contains("older version"),
            "{}",
            refused.messages
        );
        assert!(
            refused.messages.contains("cedargate migrate"),
            "{}",
            refused.messages
        );
    }
    let migrated = cedargate(folder.path(), &["migrate"], &[]);
    assert_eq!(migrated.code, 0, "{}", migrated.messages);
    assert!(
        migrated.messages.contains("was migrated"),
        "{}",
        migrated.messages
    );
    assert_eq!(cedargate(folder.path(), &["user", "list"], &[]).code, 0);
    let again = cedargate(folder.path(), &["migrate"], &[]);
    assert!(again.messages.contains("up to date"), "{}", again.messages);
}

#[test]
fn a_command_creates_the_tables_of_an_empty_database() {
    let folder = tempfile::tempdir().unwrap();
    let added = cedargate_with_input(folder.path(), "user add ada", "correct horse battery\n");
    assert_eq!(added.code, 0, "{}", added.messages);
}
