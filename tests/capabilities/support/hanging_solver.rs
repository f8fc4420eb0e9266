//! A solver that never answers, and notes its processes.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// A solver that never answers, and notes its process id.
pub(crate) fn write_hanging_solver(path: &Path, noted: &Path) {
    let script = format!(
        "#!/bin/sh\ncase \"$1\" in --version) echo 'This is cvc5 version 1.0.3';; \
         *) echo $$ >> '{}'; exec sleep 1000;; esac\n",
        noted.display()
    );
    fs::write(path, script).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// How many processes a file names.
pub(crate) fn noted_processes(noted: &Path) -> usize {
    let ids = fs::read_to_string(noted).unwrap_or_default();
    ids.lines().count()
}

/// The processes that a file names and that are still there.
pub(crate) fn running(noted: &Path) -> Vec<String> {
    let ids = fs::read_to_string(noted).unwrap_or_default();
    let is_running = |id: &&str| {
        let status = fs::read_to_string(format!("/proc/{id}/status"));
        status.is_ok_and(|status| !status.contains("State:\tZ"))
    };
    ids.lines().filter(is_running).map(str::to_owned).collect()
}
