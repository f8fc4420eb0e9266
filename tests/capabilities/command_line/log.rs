//! The log: a pipe that nobody reads holds up neither requests nor the end of the server.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::support::LONG_LIMITS;

/// More requests than a pipe has room for lines.
const REQUESTS: usize = 1_500;
/// Far more than it takes.
const DEADLINE: Duration = Duration::from_mins(1);

struct ServerWithPipe {
    process: Child,
    log: BufReader<ChildStderr>,
    address: SocketAddr,
    _folder: TempDir,
}

impl ServerWithPipe {
    /// Starts a server whose log is read until it listens, and then no more.
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        // Free at this moment; the kernel does not give it out again soon.
        let address = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        let mut process = Command::new(env!("CARGO_BIN_EXE_cedargate"))
            .arg("serve")
            .current_dir(folder.path())
            .env("CEDARGATE_DATA_DIR", folder.path().join("data"))
            .env("CEDARGATE_LISTEN", address.to_string())
            .env("CEDARGATE_LOG_FORMAT", "json")
            .envs(LONG_LIMITS)
            // Health is asked, and logged at this level.
            .env("CEDARGATE_LOG_LEVEL", "debug")
            .env("CEDARGATE_SHUTDOWN_GRACE", "1")
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::with_capacity(1, process.stderr.take().unwrap());
        let mut line = String::new();
        while !line.contains("\"listening\"") {
            line.clear();
            assert_ne!(log.read_line(&mut line).unwrap(), 0, "it did not start");
        }
        Self {
            process,
            log,
            address,
            _folder: folder,
        }
    }

    /// Sends requests on one connection and reads all responses.
    fn request(&self, count: usize) {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        let mut answer = [0; 4096];
        for _ in 0..count {
            stream
                .write_all(b"GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n")
                .unwrap();
            let length = stream.read(&mut answer).unwrap();
            assert!(answer[..length].starts_with(b"HTTP/1.1 200"));
        }
    }

    /// Ends the server and returns its exit code.
    fn stop(&mut self) -> Option<i32> {
        let id = rustix::process::Pid::from_child(&self.process);
        rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();
        let begun = Instant::now();
        loop {
            if let Some(status) = self.process.try_wait().unwrap() {
                return status.code();
            }
            assert!(begun.elapsed() < DEADLINE, "it did not end");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for ServerWithPipe {
    fn drop(&mut self) {
        // It has ended already unless the test fails.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn a_log_that_nobody_reads_stops_neither_requests_nor_the_end_of_the_server() {
    let mut server = ServerWithPipe::start();
    server.request(REQUESTS);
    assert_eq!(server.stop(), Some(0));
}

#[test]
fn what_the_log_had_no_room_for_is_counted_and_told_once_it_is_read() {
    let mut server = ServerWithPipe::start();
    // A pipe has 64 KiB, and the queue has room for 8192 lines.
    server.request(10_000);
    let mut metrics = String::new();
    let mut stream = TcpStream::connect(server.address).unwrap();
    stream
        .write_all(b"GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        .unwrap();
    stream.read_to_string(&mut metrics).unwrap();
    let dropped = metrics
        .lines()
        .find_map(|line| line.strip_prefix("cedargate_log_lines_dropped_total "));
    assert_ne!(dropped.unwrap(), "0");
    let mut line = String::new();
    while !line.contains("log lines dropped") {
        line.clear();
        assert_ne!(
            server.log.read_line(&mut line).unwrap(),
            0,
            "it is not told"
        );
    }
    let told: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert!(told["dropped"].as_u64().unwrap() > 0, "{line}");
    server.process.kill().unwrap();
}
