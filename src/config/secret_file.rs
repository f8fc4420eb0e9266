//! Secrets in files: the `_FILE` form of every setting that may hold a secret.
//!
//! Orchestrators hand secrets over as files (Docker and Kubernetes secrets, systemd credentials), since
//! environments are inherited and shown by process lists. So a setting whose format is
//! [`SettingFormat::Secret`] can be given as `<name>_file` in the settings file and as
//! `CEDARGATE_<NAME>_FILE` in the environment: the path of a file that holds the value. The file is read
//! once, at start. It is UTF-8 of one line; a byte order mark before it and the line end after it, LF or
//! CRLF, do not belong to the value. In one place, the settings file or the environment, only one form
//! may stand: which of two secrets is meant would be a guess.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::domain::text_file;

use super::error::ConfigError;
use super::origin::Origin;
use super::setting::{Setting, SettingFormat};
use super::table::SETTINGS;

/// The largest secret file, in bytes.
const MAX_SECRET_FILE_SIZE: u64 = 64 * 1024;

/// A secret file that a setting names.
pub(super) struct SecretFile {
    pub(super) setting: &'static Setting,
    pub(super) path: PathBuf,
    /// Where it is named.
    pub(super) named_in: Origin,
}

impl Setting {
    /// The key of its `_FILE` form in the settings file, if it may hold a secret.
    pub fn file_name(&self) -> Option<String> {
        matches!(self.format, SettingFormat::Secret(_)).then(|| format!("{}_file", self.name))
    }

    /// The environment variable of its `_FILE` form.
    pub fn file_variable(&self) -> Option<String> {
        self.file_name()
            .map(|_| format!("{}_FILE", self.variable()))
    }
}

/// The setting whose `_FILE` form has this key in the settings file.
pub(super) fn setting_of_key(key: &str) -> Option<&'static Setting> {
    SETTINGS
        .iter()
        .find(|setting| setting.file_name().as_deref() == Some(key))
}

/// The setting whose `_FILE` form this variable is.
pub(super) fn setting_of_variable(variable: &str) -> Option<&'static Setting> {
    SETTINGS
        .iter()
        .find(|setting| setting.file_variable().as_deref() == Some(variable))
}

impl SecretFile {
    /// The secret in the file.
    pub(super) fn read(&self) -> Result<String, ConfigError> {
        if self.path.as_os_str().is_empty() {
            return Err(ConfigError::InvalidValue {
                setting: self.setting.name,
                origin: self.named_in.clone(),
                given: "empty".to_owned(),
                expected: "the path of a file".to_owned(),
            });
        }
        read_secret(&self.path).map_err(|problem| ConfigError::SecretFile {
            setting: self.setting.name,
            named_in: self.named_in.clone(),
            path: self.path.clone(),
            problem,
        })
    }
}

/// The secret in a file, which has nothing else in it.
pub(super) fn read_secret(path: &Path) -> Result<String, String> {
    let bytes = read_bounded(path)?;
    let text = text_file::decode(bytes).map_err(|error| error.to_string())?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    if text.trim().is_empty() {
        return Err("it is empty".to_owned());
    }
    if text.contains(['\n', '\r', '\0']) {
        return Err(
            "it has more than one line, or a NUL character; it has to hold the value and nothing else"
                .to_owned(),
        );
    }
    Ok(text.to_owned())
}

/// The bytes of a file of at most 64 KiB.
pub(super) fn read_bounded(path: &Path) -> Result<Vec<u8>, String> {
    // Opening a pipe may wait for ever.
    let metadata = std::fs::metadata(path).map_err(|error| describe(&error))?;
    if !metadata.is_file() {
        return Err("it is not a regular file".to_owned());
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|error| describe(&error))?;
    file.take(MAX_SECRET_FILE_SIZE + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| describe(&error))?;
    if bytes.len() as u64 > MAX_SECRET_FILE_SIZE {
        return Err(format!("it has more than {MAX_SECRET_FILE_SIZE} bytes"));
    }
    Ok(bytes)
}

fn describe(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such file".to_owned(),
        _ => error.to_string(),
    }
}
