//! Commands of the program, and policy folders to run them on.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

use super::LONG_LIMITS;

/// The exit code and the output of a command.
pub(crate) struct CommandOutput {
    pub code: i32,
    pub data: String,
    pub messages: String,
}

impl From<Output> for CommandOutput {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap(),
            data: String::from_utf8(output.stdout).unwrap(),
            messages: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// Runs a command in `folder`, with the data directory `folder/data`.
pub(crate) fn cedargate(
    folder: &Path,
    arguments: &[&str],
    environment: &[(&str, &str)],
) -> CommandOutput {
    Command::new(env!("CARGO_BIN_EXE_cedargate"))
        .args(arguments)
        .current_dir(folder)
        .env("CEDARGATE_DATA_DIR", folder.join("data"))
        .envs(LONG_LIMITS)
        .envs(environment.iter().copied())
        .output()
        .unwrap()
        .into()
}

/// Runs `policy prove` on a folder.
pub(crate) fn prove(folder: &Path, more: &[&str], environment: &[(&str, &str)]) -> CommandOutput {
    let mut arguments = vec!["policy", "prove", folder.to_str().unwrap()];
    if !more.contains(&"--time-limit") {
        arguments.extend(["--time-limit", "600"]);
    }
    arguments.extend(more);
    cedargate(folder, &arguments, environment)
}

pub(crate) fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Runs a command with the data directory `folder`, and with `input` as its standard input.
pub(crate) fn cedargate_with_input(folder: &Path, arguments: &str, input: &str) -> CommandOutput {
    let mut child = Command::new(env!("CARGO_BIN_EXE_cedargate"))
        .args(arguments.split(' '))
        .current_dir(folder)
        .env("CEDARGATE_DATA_DIR", folder)
        .envs(LONG_LIMITS)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that reads nothing may have exited already.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap().into()
}

/// A copy of the shipped policies and invariants, to be edited.
pub(crate) fn copy_of_shipped_policies() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    copy_folder(&repository().join("policies"), folder.path());
    folder
}

/// Copies all files of a folder into another one.
pub(crate) fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Replaces text that occurs exactly once in a file.
pub(crate) fn edit(folder: &Path, file: &str, from: &str, to: &str) {
    let path = folder.join(file);
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(text.matches(from).count(), 1, "{from} in {file}");
    std::fs::write(&path, text.replace(from, to)).unwrap();
}
