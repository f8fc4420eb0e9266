//! Reads each setting once, in its type, and remembers what is in force and why.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use figment::value::Value;
use figment::{Figment, Source};
use serde::de::DeserializeOwned;

use super::error::ConfigError;
use super::origin::Origin;
use super::setting::{Setting, SettingFormat};
use super::sources::ENVIRONMENT;

/// One setting as it is in force, ready to be shown: secrets are redacted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EffectiveSetting {
    /// The key in the settings file.
    pub name: &'static str,
    /// The environment variable.
    pub variable: String,
    /// The value, in the form it has in the environment.
    pub value: String,
    /// Where the value came from.
    pub origin: Origin,
    /// What it is for, in one line.
    pub description: &'static str,
}

/// The merged values and what has been read of them so far.
pub(super) struct SettingsReader {
    pub(super) figment: Figment,
    pub(super) directory: PathBuf,
    pub(super) effective: Vec<EffectiveSetting>,
}

impl SettingsReader {
    /// Remembers what is in force, in the words for people.
    pub(super) fn record(&mut self, setting: &Setting, value: impl Into<String>) {
        self.effective.push(EffectiveSetting {
            name: setting.name,
            variable: setting.variable(),
            value: value.into(),
            origin: self.origin(setting),
            description: setting.description,
        });
    }

    /// A whole number within its bounds.
    pub(super) fn integer(&mut self, setting: &Setting) -> Result<u32, ConfigError> {
        let value: u64 = self.value(setting)?.ok_or_else(|| self.invalid(setting))?;
        let SettingFormat::Integer(least, most, _) = setting.form else {
            return Err(self.invalid(setting));
        };
        let value = u32::try_from(value).map_err(|_| self.invalid(setting))?;
        if !(least..=most).contains(&value) {
            return Err(self.invalid(setting));
        }
        self.record(setting, value.to_string());
        Ok(value)
    }

    /// A whole number of seconds within its bounds.
    pub(super) fn seconds(&mut self, setting: &Setting) -> Result<Duration, ConfigError> {
        self.integer(setting)
            .map(|seconds| Duration::from_secs(seconds.into()))
    }

    /// Text that is not blank, unless nobody set it; the caller notes what comes of it.
    pub(super) fn text(&self, setting: &Setting) -> Result<Option<String>, ConfigError> {
        let text: Option<String> = self.value(setting)?;
        match text {
            Some(text) if text.trim().is_empty() => Err(self.invalid(setting)),
            other => Ok(other),
        }
    }

    /// Text of a known form.
    pub(super) fn parse<T: FromStr + ToString>(
        &mut self,
        setting: &Setting,
    ) -> Result<T, ConfigError> {
        let text = self.text(setting)?.ok_or_else(|| self.invalid(setting))?;
        let value: T = text.parse().map_err(|_| self.invalid(setting))?;
        self.record(setting, value.to_string());
        Ok(value)
    }

    /// A path that starts from the working directory, or the derived default.
    pub(super) fn path(
        &mut self,
        setting: &Setting,
        derived: &Path,
    ) -> Result<PathBuf, ConfigError> {
        let path = self
            .text(setting)?
            .map_or_else(|| derived.to_path_buf(), PathBuf::from);
        let path = self.resolve_path(&path);
        self.record(setting, path.display().to_string());
        Ok(path)
    }

    /// A list whose elements are still text; the caller notes what comes of it.
    pub(super) fn list(&self, setting: &Setting) -> Result<Vec<String>, ConfigError> {
        self.value(setting).map(Option::unwrap_or_default)
    }

    /// A list of tables, each still as it was given; the caller notes what comes of it.
    pub(super) fn tables(&self, setting: &Setting) -> Result<Vec<Value>, ConfigError> {
        self.value(setting).map(Option::unwrap_or_default)
    }

    /// The path seen from the working directory, without `.` in between.
    pub(super) fn resolve_path(&self, path: &Path) -> PathBuf {
        self.directory.join(path).components().collect()
    }

    /// The error that shows a list as it was given.
    pub(super) fn invalid_list(&self, setting: &Setting, list: &[String]) -> ConfigError {
        ConfigError::InvalidValue {
            setting: setting.name,
            origin: self.origin(setting),
            given: format!("{:?}", list.join(",")).chars().take(200).collect(),
            expected: setting.expected(),
        }
    }

    /// The error that tells everything about a value but a secret.
    pub(super) fn invalid(&self, setting: &Setting) -> ConfigError {
        let is_secret = *setting == super::setting::DATABASE_URL;
        let given = match self.figment.find_value(setting.name) {
            Ok(_) if is_secret => "[redacted]".into(),
            Ok(value) => value.to_actual().to_string().chars().take(200).collect(),
            Err(_) => "not set".into(),
        };
        ConfigError::InvalidValue {
            setting: setting.name,
            origin: self.origin(setting),
            given,
            expected: setting.expected(),
        }
    }

    fn value<T: DeserializeOwned>(&self, setting: &Setting) -> Result<Option<T>, ConfigError> {
        if !self.figment.contains(setting.name) {
            return Ok(None);
        }
        let value = self.figment.extract_inner(setting.name);
        value.map(Some).map_err(|_| self.invalid(setting))
    }

    /// Where the value of a setting came from.
    pub(super) fn origin(&self, setting: &Setting) -> Origin {
        match self.figment.find_metadata(setting.name) {
            Some(found) if found.name == ENVIRONMENT => Origin::Environment(setting.variable()),
            Some(found) => match &found.source {
                Some(Source::File(path)) => Origin::File(path.clone()),
                _ => Origin::Default,
            },
            None => Origin::Default,
        }
    }
}
