//! Temporary PostgreSQL clusters.
//!
//! A cluster has its own folder, listens on a random loopback port, and is run by a small shell script
//! that reads commands from a pipe. When the test process ends, for whatever reason, the pipe closes,
//! and the script stops the server and removes the folder.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, in its helpers too"
)]

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use sqlx::{AssertSqlSafe, Connection, PgConnection};

const CLUSTER_SCRIPT: &str = r#"
trap '' INT TERM HUP
bin=$1 port=$2
folder=$(mktemp -d "${TMPDIR:-/tmp}/cedargate-postgres.XXXXXX") || exit 1
cd "$folder" || exit 1
stop() { "$bin/pg_ctl" -s -w -m "$1" -D "$folder/data" stop </dev/null >>"$folder/log" 2>&1; }
start() {
    "$bin/pg_ctl" -s -w -D "$folder/data" -l "$folder/log" \
        -o "-F -h 127.0.0.1 -p $port -k $folder -c max_connections=200" start </dev/null >/dev/null 2>&1
}
tell() { if [ "$1" -eq 0 ]; then echo "done"; else tr '\n' ' ' <"$folder/log"; echo; fi; }
"$bin/initdb" --no-sync --auth=trust --username=postgres --encoding=UTF8 --no-locale \
    -D "$folder/data" </dev/null >"$folder/log" 2>&1 &&
    sed -i '1i host all locked,strict 127.0.0.1/32 scram-sha-256' "$folder/data/pg_hba.conf"
tell $?
while read -r order; do
    case $order in
        start) start; tell $? ;;
        stop) stop fast; tell $? ;;
    esac
done
stop immediate
rm -rf "$folder"
"#;

/// A PostgreSQL server for one test or one test process.
pub(crate) struct PostgresCluster {
    shell: Child,
    commands: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    port: u16,
    databases: AtomicU32,
}

impl PostgresCluster {
    /// Creates a cluster and starts its server.
    pub(crate) fn start() -> Self {
        let port = free_port();
        let mut shell = unprivileged_shell()
            .args(["-c", CLUSTER_SCRIPT, "sh"])
            .arg(binaries())
            .arg(port.to_string())
            .current_dir("/")
            // In its own process group: an interrupt must leave the script time to clean up.
            .process_group(0)
            .env_remove("PGPORT")
            .env_remove("PGHOST")
            .env_remove("PGDATA")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a shell starts");
        let orders = shell.stdin.take();
        let answers = BufReader::new(shell.stdout.take().unwrap());
        let mut cluster = Self {
            shell,
            commands: orders,
            answers,
            port,
            databases: AtomicU32::new(0),
        };
        cluster.expect_done("initdb");
        cluster.restart();
        cluster
    }

    /// Stops the server; every connection ends.
    pub(crate) fn stop(&mut self) {
        self.send_command("stop");
    }

    /// Starts the stopped server on the same port with the same data.
    pub(crate) fn restart(&mut self) {
        self.send_command("start");
    }

    /// The URL of one of its databases.
    pub(crate) fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }

    /// Creates an empty database and returns its URL.
    pub(crate) async fn create_database(&self) -> String {
        let name = format!("test_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        let mut connection = PgConnection::connect(&self.url("postgres")).await.unwrap();
        sqlx::query(AssertSqlSafe(format!("CREATE DATABASE {name}")))
            .execute(&mut connection)
            .await
            .unwrap();
        connection.close().await.unwrap();
        self.url(&name)
    }

    fn send_command(&mut self, order: &str) {
        writeln!(self.commands.as_mut().unwrap(), "{order}").expect("the cluster's shell listens");
        self.expect_done(order);
    }

    fn expect_done(&mut self, what: &str) {
        let mut answer = String::new();
        self.answers.read_line(&mut answer).unwrap();
        assert_eq!(answer.trim(), "done", "PostgreSQL: {what} failed");
    }
}

impl Drop for PostgresCluster {
    fn drop(&mut self) {
        drop(self.commands.take());
        let _ = self.shell.wait();
    }
}

/// Creates an empty database on this test process's cluster and returns its URL.
///
/// Nobody needs a password there but the roles `locked` and `strict`, if a test creates them.
pub(crate) async fn fresh_database() -> String {
    static CLUSTER: OnceLock<PostgresCluster> = OnceLock::new();
    CLUSTER
        .get_or_init(PostgresCluster::start)
        .create_database()
        .await
}

/// An unused loopback port.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// The folder of PostgreSQL's server programs: `PG_BIN`, Debian's folders, or `PATH`.
fn binaries() -> PathBuf {
    let named = std::env::var_os("PG_BIN").map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut debian: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .map(|versions| versions.flatten().map(|v| v.path().join("bin")).collect())
        .unwrap_or_default();
    debian.sort();
    let has_all = |folder: &PathBuf| {
        ["initdb", "pg_ctl", "postgres"]
            .iter()
            .all(|program| folder.join(program).is_file())
    };
    named
        .into_iter()
        .chain(debian.into_iter().rev())
        .chain(std::env::split_paths(&path))
        .find(has_all)
        .expect(
            "the storage tests need PostgreSQL's server programs (initdb, pg_ctl, postgres): install \
             them (Debian: apt-get install postgresql) or name their folder in PG_BIN",
        )
}

/// A shell as this user, or as the user `postgres` for root: `initdb` refuses to run as root.
fn unprivileged_shell() -> Command {
    let is_root =
        std::os::unix::fs::MetadataExt::uid(&std::fs::metadata("/proc/self").unwrap()) == 0;
    if !is_root {
        return Command::new("sh");
    }
    let setpriv = Path::new("/usr/bin/setpriv");
    assert!(
        setpriv.is_file(),
        "as root the storage tests run PostgreSQL as the user postgres through setpriv: install \
         util-linux, or run the tests as another user"
    );
    let mut command = Command::new(setpriv);
    command.args([
        "--reuid=postgres",
        "--regid=postgres",
        "--init-groups",
        "sh",
    ]);
    command
}
