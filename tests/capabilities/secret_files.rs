//! Secrets in files, with a real PostgreSQL server that asks for a password.

use std::path::Path;

use sqlx::{AssertSqlSafe, Connection, PgConnection};

use crate::support::cli::{CommandOutput, cedargate};
use crate::support::postgres::fresh_database;

const PASSWORDS: [&str; 5] = [
    "hunter2",
    " hunter2 with blanks ",
    "p@ss/w?rd#1%41+&=:;\\\"'hunter2",
    "hunter2 gr\u{fc}n \u{2603}",
    "postgres://hunter2@elsewhere/x",
];

async fn execute(url: &str, statement: String) {
    let mut connection = PgConnection::connect(url).await.unwrap();
    sqlx::query(AssertSqlSafe(statement))
        .execute(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
}

fn run(folder: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> CommandOutput {
    let output = cedargate(folder, arguments, environment);
    let all = format!("{}{}", output.data, output.messages);
    assert!(!all.contains("hunter2"), "{all}");
    output
}

#[tokio::test]
async fn postgres_is_opened_with_a_password_of_any_characters_from_a_file() {
    let admin_url = fresh_database().await;
    let (start, name) = admin_url.rsplit_once('/').unwrap();
    execute(&admin_url, "CREATE ROLE locked LOGIN".to_owned()).await;
    execute(&admin_url, format!("ALTER DATABASE {name} OWNER TO locked")).await;
    let url = format!("{}/{name}", start.replace("postgres@", "locked@"));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    let file = file.to_str().unwrap();
    let environment = [
        ("CEDARGATE_DATABASE_URL", url.as_str()),
        ("CEDARGATE_DATABASE_PASSWORD_FILE", file),
    ];
    for password in PASSWORDS {
        let quoted = password.replace('\'', "''");
        execute(&admin_url, format!("ALTER ROLE locked PASSWORD '{quoted}'")).await;
        for text in [
            password.to_owned(),
            format!("{password}\n"),
            format!("\u{feff}{password}\r\n"),
        ] {
            std::fs::write(file, &text).unwrap();
            let migrated = run(folder.path(), &["migrate"], &environment);
            assert_eq!(migrated.code, 0, "{text:?}: {}", migrated.messages);
        }
        let list = run(folder.path(), &["user", "list"], &environment);
        assert_eq!(list.code, 0, "{}", list.messages);
    }
    std::fs::write(file, "hunter2, but not this one").unwrap();
    let refused = run(folder.path(), &["user", "list"], &environment);
    assert_eq!(refused.code, 1);
    assert!(
        refused.messages.contains("password"),
        "{}",
        refused.messages
    );
    let settings = format!("database_url_file = \"url\"\ndatabase_password_file = \"{file}\"\n");
    std::fs::write(folder.path().join("cedargate.toml"), settings).unwrap();
    std::fs::write(folder.path().join("url"), format!("{url}\n")).unwrap();
    std::fs::write(file, PASSWORDS[4]).unwrap();
    assert_eq!(run(folder.path(), &["user", "list"], &[]).code, 0);
    let shown = run(folder.path(), &["config", "--json"], &[]);
    let rows: serde_json::Value = serde_json::from_str(&shown.data).unwrap();
    let row = |name: &str| {
        let mut rows = rows.as_array().unwrap().iter();
        rows.find(|row| row["name"] == name).unwrap().clone()
    };
    assert_eq!(row("database_password")["value"], "[redacted]");
    assert_eq!(
        row("database_password")["origin"],
        format!("secret file {file}")
    );
    assert_eq!(row("database_url")["value"], url.as_str());
}
