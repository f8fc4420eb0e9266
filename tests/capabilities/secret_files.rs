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

#[tokio::test]
async fn nothing_of_a_secret_in_a_wrong_place_is_shown_or_logged() {
    let url = fresh_database().await;
    let folder = tempfile::tempdir().unwrap();
    let in_url = format!("{url}?PASSWORD=hunter2&sslpassword=hunter2&application_name=a&hunter2");
    let environment = [
        ("CEDARGATE_DATABASE_URL", in_url.as_str()),
        ("CEDARGATE_LISTEN", "127.0.0.1:0"),
        ("CEDARGATE_LOG_LEVEL", "trace"),
    ];
    let added = run(
        folder.path(),
        &["user", "add", "ada", "--no-password"],
        &environment,
    );
    assert_eq!(added.code, 0, "{}", added.messages);
    // The demo is not added to a catalog that has users: the server ends when it has seen the database.
    let served = run(folder.path(), &["serve", "--demo"], &environment);
    assert_eq!(served.code, 1);
    let warning = "has parameters that are not known";
    assert!(served.messages.contains(warning), "{}", served.messages);
    let shown = run(folder.path(), &["config"], &environment);
    assert!(
        shown.data.contains("?application_name=a&[redacted]"),
        "{}",
        shown.data
    );
}

#[tokio::test]
async fn no_character_of_a_password_that_postgres_cannot_take_is_shown() {
    let admin_url = fresh_database().await;
    let (start, name) = admin_url.rsplit_once('/').unwrap();
    execute(
        &admin_url,
        "CREATE ROLE strict LOGIN PASSWORD 'x'".to_owned(),
    )
    .await;
    let url = format!("{}/{name}", start.replace("postgres@", "strict@"));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    let environment = [
        ("CEDARGATE_DATABASE_URL", url.as_str()),
        ("CEDARGATE_DATABASE_PASSWORD_FILE", file.to_str().unwrap()),
    ];
    for password in ["hunter2\u{2028}", "hunter2\thunter2"] {
        std::fs::write(&file, password).unwrap();
        let refused = run(folder.path(), &["migrate"], &environment);
        assert_eq!(refused.code, 1);
        let messages = &refused.messages;
        assert!(messages.contains("RFC 4013"), "{messages}");
        assert!(
            !messages.contains("2028") && !messages.contains("\\t"),
            "{messages}"
        );
    }
}
