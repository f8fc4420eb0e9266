//! A solver that never answers, and notes its processes.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// A program that stands in for the solver.
pub(crate) struct HangingSolver {
    pub path: PathBuf,
    noted: PathBuf,
}

impl HangingSolver {
    /// Writes it into a folder.
    pub(crate) fn write(folder: &Path) -> Self {
        let (path, noted) = (folder.join("solver"), folder.join("noted"));
        let script = format!(
            "#!/bin/sh\ncase \"$1\" in --version) echo 'This is cvc5 version 1.0.3';; \
             *) echo $$ >> '{}'; exec sleep 1000;; esac\n",
            noted.display()
        );
        fs::write(&path, script).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        Self { path, noted }
    }

    /// How often it was started.
    pub(crate) fn starts(&self) -> usize {
        self.process_ids().len()
    }

    /// Whether one of its processes is still there.
    pub(crate) fn is_running(&self) -> bool {
        self.process_ids().iter().any(|id| {
            let status = fs::read_to_string(format!("/proc/{id}/status"));
            status.is_ok_and(|status| !status.contains("State:\tZ"))
        })
    }

    fn process_ids(&self) -> Vec<String> {
        let ids = fs::read_to_string(&self.noted).unwrap_or_default();
        ids.lines().map(str::to_owned).collect()
    }
}
