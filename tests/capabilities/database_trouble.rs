//! A server whose database is locked, full of triggers, read-only or silent: it goes on with what it can, says
//! what it cannot, and recovers by itself.

use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection, PgConnection, SqliteConnection};

use crate::support::LONG_LIMITS;
use crate::support::postgres::fresh_database;
use crate::support::server::{PUBLIC, Server, ServerOptions, TestResponse};
use crate::support::tcp_proxy::database_behind_proxy;

/// Far more than anything here may take.
const HANGING: Duration = Duration::from_secs(30);

async fn server_on(url: &str) -> Server {
    Server::start_with(ServerOptions {
        environment: vec![
            ("CEDARGATE_DATABASE_URL", url.to_owned()),
            ("CEDARGATE_SHUTDOWN_GRACE", "1".to_owned()),
        ],
        ..ServerOptions::default()
    })
    .await
}

async fn execute(url: &str, sql: &str) {
    let sql = AssertSqlSafe(sql.to_owned());
    if url.starts_with("sqlite") {
        let mut connection = SqliteConnection::connect(url).await.unwrap();
        sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
    } else {
        let mut connection = PgConnection::connect(url).await.unwrap();
        sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
    }
}

async fn eventually(what: &str, holds: impl AsyncFn() -> bool) {
    let waiting = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let ended = tokio::time::timeout(HANGING, waiting).await;
    assert!(ended.is_ok(), "{what}");
}

async fn ready(server: &Server) -> Value {
    TestResponse::send(server.get("/health/ready")).await.json()
}

/// A mint and a download.
async fn use_public(server: &Server) {
    let token = server.mint(PUBLIC, None).await.token();
    assert_eq!(server.download(PUBLIC, &token).await.status, 200);
}

#[tokio::test]
async fn minting_and_downloading_go_on_while_rows_are_locked() {
    let url = fresh_database().await;
    let server = server_on(&url).await;
    let session = server.session("otto").await;
    let mint = async || server.mint(PUBLIC, Some(&session)).await;
    mint().await.token();
    for lock in [
        "UPDATE catalog_version SET version = version",
        "UPDATE session_version SET version = version",
        "SELECT * FROM users FOR UPDATE",
        "SELECT * FROM sessions FOR UPDATE",
        "LOCK TABLE api_keys IN EXCLUSIVE MODE",
        "LOCK TABLE refresh_tokens IN EXCLUSIVE MODE",
        "LOCK TABLE users, roles, datasets IN EXCLUSIVE MODE",
    ] {
        let mut other = PgConnection::connect(&url).await.unwrap();
        let sql = AssertSqlSafe(format!("BEGIN; {lock}"));
        sqlx::raw_sql(sql).execute(&mut other).await.unwrap();
        let blocked: Vec<_> = (0..16)
            .map(|index| {
                let request = if index % 4 == 3 {
                    let form = [
                        ("grant_type", "password"),
                        ("username", "mo"),
                        ("password", "correct horse"),
                    ];
                    server.post("/auth/login").form(&form)
                } else {
                    let key = json!({"name": format!("k{index}")});
                    server
                        .post("/auth/api-keys")
                        .bearer_auth(&session)
                        .json(&key)
                };
                tokio::spawn(TestResponse::send(request))
            })
            .collect();
        while blocked.iter().any(|request| !request.is_finished()) {
            mint().await.token();
            use_public(&server).await;
            assert_eq!(ready(&server).await["status"], "ready", "{lock}");
        }
        sqlx::raw_sql("ROLLBACK").execute(&mut other).await.unwrap();
    }
    let key = server.post("/auth/api-keys").bearer_auth(&session);
    let made = TestResponse::send(key.json(&json!({"name": "free"}))).await;
    assert_eq!(made.status, 201, "{}", made.text());
}

async fn assert_recovers_from_records_that_fail(url: &str, begin: &str, end: &str) {
    let server = server_on(url).await;
    use_public(&server).await;
    execute(url, begin).await;
    for _ in 0..5 {
        server.mint(PUBLIC, None).await.problem(503);
    }
    assert_eq!(ready(&server).await["status"], "unready");
    execute(url, end).await;
    use_public(&server).await;
    eventually("ready", async || ready(&server).await["status"] == "ready").await;
}

#[tokio::test]
async fn on_sqlite_minting_goes_on_when_records_can_be_written_again() {
    for how in ["ABORT", "FAIL", "ROLLBACK"] {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}/a.db", folder.path().display());
        let begin = format!(
            "CREATE TRIGGER t BEFORE INSERT ON audit_records BEGIN SELECT RAISE({how}, 'x'); END"
        );
        assert_recovers_from_records_that_fail(&url, &begin, "DROP TRIGGER t").await;
    }
}

#[tokio::test]
async fn on_postgres_minting_goes_on_when_records_can_be_written_again() {
    let deferred = "CREATE CONSTRAINT TRIGGER t AFTER INSERT ON audit_records
        DEFERRABLE INITIALLY DEFERRED";
    for trigger in ["CREATE TRIGGER t BEFORE INSERT ON audit_records", deferred] {
        let begin = format!(
            "CREATE FUNCTION t() RETURNS trigger LANGUAGE plpgsql AS
                $$ BEGIN RAISE EXCEPTION 'x'; END $$;
             {trigger} FOR EACH ROW EXECUTE FUNCTION t()"
        );
        let end = "DROP TRIGGER t ON audit_records; DROP FUNCTION t";
        let url = fresh_database().await;
        if trigger == deferred {
            // What is taken back before the end defers nothing: only the mints find out.
            let server = server_on(&url).await;
            execute(&url, &begin).await;
            server.mint(PUBLIC, None).await.problem(503);
            execute(&url, end).await;
            use_public(&server).await;
        } else {
            assert_recovers_from_records_that_fail(&url, &begin, end).await;
        }
    }
}

#[tokio::test]
async fn a_server_whose_database_is_read_only_is_unready() {
    let url = fresh_database().await;
    let name = url.rsplit('/').next().unwrap();
    let server = server_on(&url).await;
    assert_eq!(ready(&server).await["status"], "ready");
    execute(
        &url,
        &format!(
            "ALTER DATABASE {name} SET default_transaction_read_only = on;
             SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                WHERE datname = current_database() AND application_name = 'cedargate'"
        ),
    )
    .await;
    eventually("unready", async || {
        ready(&server).await["status"] == "unready"
    })
    .await;
    server.mint(PUBLIC, None).await.problem(503);
}

#[tokio::test]
async fn many_who_ask_for_health_share_one_check() {
    let url = fresh_database().await;
    let server = server_on(&url).await;
    // A sequence counts what was rolled back too.
    execute(
        &url,
        "CREATE SEQUENCE checks;
         CREATE FUNCTION t() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN PERFORM nextval('checks'); PERFORM pg_sleep(0.2); RETURN NEW; END $$;
         CREATE TRIGGER t BEFORE INSERT ON audit_records FOR EACH ROW EXECUTE FUNCTION t()",
    )
    .await;
    let begun = std::time::Instant::now();
    for _ in 0..4 {
        let asked: Vec<_> = (0..50)
            .map(|_| tokio::spawn(TestResponse::send(server.get("/health/ready"))))
            .collect();
        for answer in asked {
            assert_eq!(answer.await.unwrap().json()["status"], "ready");
        }
    }
    let mut connection = PgConnection::connect(&url).await.unwrap();
    let checks: i64 = sqlx::query_scalar("SELECT last_value FROM checks")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    let most = i64::try_from(begun.elapsed().as_secs()).unwrap() + 1;
    assert!(checks <= most, "{checks} checks, {most} expected");
}

#[tokio::test]
async fn a_server_recovers_when_all_its_connections_go_silent() {
    let (proxy, url, _) = database_behind_proxy().await;
    let mut server = server_on(&url).await;
    let session = server.session("otto").await;
    for _ in 0..2 {
        let in_flight: Vec<_> = (0..24)
            .map(|index| {
                let key = json!({"name": format!("k{index}")});
                let request = if index % 2 == 0 {
                    server.mint_request(PUBLIC)
                } else {
                    server
                        .post("/auth/api-keys")
                        .bearer_auth(&session)
                        .json(&key)
                };
                tokio::spawn(TestResponse::send(request))
            })
            .collect();
        proxy.silence_connections();
        for request in in_flight {
            let status = request.await.unwrap().status;
            assert!(matches!(status, 200 | 201 | 503), "{status}");
        }
        eventually("a mint", async || {
            server.mint(PUBLIC, None).await.status == 200
        })
        .await;
        use_public(&server).await;
        eventually("ready", async || ready(&server).await["status"] == "ready").await;
    }
    proxy.silence_all();
    let stopping = tokio::time::timeout(HANGING, server.stop());
    assert!(stopping.await.is_ok(), "the server stops");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_ends_after_sigterm_although_its_database_is_silent() {
    let (proxy, url, _) = database_behind_proxy().await;
    let folder = tempfile::tempdir().unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_cedargate"))
        .arg("serve")
        .current_dir(folder.path())
        .env("CEDARGATE_DATA_DIR", folder.path().join("data"))
        .env("CEDARGATE_DATABASE_URL", url)
        .env("CEDARGATE_LISTEN", "127.0.0.1:0")
        .env("CEDARGATE_SHUTDOWN_GRACE", "1")
        .env("CEDARGATE_LOG_FORMAT", "json")
        .envs(LONG_LIMITS)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut log = std::io::BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("\"listening\"") {
        line.clear();
        assert!(std::io::BufRead::read_line(&mut log, &mut line).unwrap() > 0);
    }
    let address = line.split("\"address\":\"").nth(1).unwrap();
    let address = address.split('"').next().unwrap().to_owned();
    proxy.silence_all();
    let hanging: Vec<_> = (0..20)
        .map(|_| {
            let url = format!("http://{address}/auth/download-token/{PUBLIC}");
            let client = reqwest::Client::builder().no_proxy().build().unwrap();
            tokio::spawn(client.post(url).send())
        })
        .collect();
    let pid = child.id().to_string();
    assert!(Command::new("kill").arg(&pid).status().unwrap().success());
    let ended = tokio::task::spawn_blocking(move || child.wait().unwrap());
    let ended = tokio::time::timeout(HANGING, ended).await;
    assert!(ended.is_ok(), "the process ends");
    for request in hanging {
        let _ = request.await.unwrap();
    }
}
