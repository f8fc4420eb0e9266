//! Secrets in files: the `_FILE` form of every setting that may hold a secret.
//!
//! Orchestrators hand secrets over as files (Docker and Kubernetes secrets, systemd credentials), since
//! environments are inherited and shown by process lists. So a setting whose format is
//! [`SettingFormat::Secret`] can be given as `<name>_file` in the settings file and as
//! `CEDARGATE_<NAME>_FILE` in the environment: the path of a file that holds the value. The file is read
//! once, at start. It is UTF-8 of one line; a byte order mark before it and the line end after it, LF or
//! CRLF, do not belong to the value. In one place, the settings file or the environment, only one form
//! may stand: which of two secrets is meant would be a guess.

use std::path::PathBuf;

use super::error::ConfigError;
use super::origin::Origin;
use super::secret_text::read_secret;
use super::setting::{Setting, SettingFormat};
use super::table::SETTINGS;

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
