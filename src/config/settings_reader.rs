//! Reads each setting once, in its type, and records its value and its origin.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use figment::value::Value;
use figment::{Figment, Source};
use ipnet::IpNet;
use serde::de::DeserializeOwned;

use super::address::{self, AllowedOrigins};
use super::error::ConfigError;
use super::origin::Origin;
use super::path_pattern::PathPatterns;
use super::setting::{ENVIRONMENT, EffectiveSetting, SECRET_FILE, Setting, SettingFormat};
use crate::domain::key_set_lifetime::KeySetLifetime;
use crate::domain::secret::Secret;

/// How long a signing key is published before it signs, unless caches may use the key set as long.
const DEFAULT_KEY_PUBLISH_AHEAD: Duration = Duration::from_hours(24);
/// By how much it is longer then.
const KEY_PUBLISH_MARGIN: Duration = Duration::from_hours(1);

/// The merged values and what has been read of them so far.
pub(super) struct SettingsReader {
    pub(super) figment: Figment,
    pub(super) directory: PathBuf,
    pub(super) effective: Vec<EffectiveSetting>,
}

impl SettingsReader {
    /// Records what is in force, as it is shown.
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
        let value: Option<u64> = self.value(setting)?;
        let value = value.and_then(|value| u32::try_from(value).ok());
        match (value, setting.format) {
            (Some(value), SettingFormat::Integer(min, max, _)) if (min..=max).contains(&value) => {
                self.record(setting, value.to_string());
                Ok(value)
            }
            _ => Err(self.invalid(setting)),
        }
    }

    /// A whole number of seconds within its bounds.
    pub(super) fn seconds(&mut self, setting: &Setting) -> Result<Duration, ConfigError> {
        self.integer(setting)
            .map(|seconds| Duration::from_secs(seconds.into()))
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

    /// A path, or the default that follows from other settings.
    pub(super) fn path(
        &mut self,
        setting: &Setting,
        derived: impl AsRef<Path>,
    ) -> Result<PathBuf, ConfigError> {
        let text = self.text(setting)?;
        let path = self.resolve_path(text.as_ref().map_or(derived.as_ref(), Path::new));
        self.record(setting, path.display().to_string());
        Ok(path)
    }

    /// A path, unless nobody set one.
    pub(super) fn optional_path(
        &mut self,
        setting: &Setting,
    ) -> Result<Option<PathBuf>, ConfigError> {
        let path = self
            .text(setting)?
            .map(|path| self.resolve_path(Path::new(&path)));
        let shown = path.as_ref().map(|path| path.display().to_string());
        self.record(setting, shown.unwrap_or_default());
        Ok(path)
    }

    /// The policy folder; the default one only if it exists.
    pub(super) fn policy_dir(&mut self, setting: &Setting) -> Result<Option<PathBuf>, ConfigError> {
        let text = self.text(setting)?.unwrap_or_default();
        let folder = self.resolve_path(Path::new(&text));
        let is_used = self.origin(setting) != Origin::Default || folder.is_dir();
        let folder = is_used.then_some(folder);
        let shown = folder.as_ref().map_or_else(
            || "the bundle inside the program".to_owned(),
            |folder| folder.display().to_string(),
        );
        self.record(setting, shown);
        Ok(folder)
    }

    /// The URL of the database, shown without its password.
    pub(super) fn database_url(
        &mut self,
        setting: &Setting,
        data_dir: &Path,
    ) -> Result<Secret<String>, ConfigError> {
        let url = match self.text(setting)? {
            Some(url) => Some(url),
            None => address::sqlite_url(&data_dir.join("cedargate.db")),
        };
        let url = Secret::new(url.ok_or_else(|| self.invalid(setting))?);
        let shown = address::redacted_database_url(url.reveal());
        let shown = shown.ok_or_else(|| self.invalid(setting))?;
        self.record(setting, shown);
        Ok(url)
    }

    /// The password of the database, if it is apart from its URL.
    pub(super) fn database_password(
        &mut self,
        setting: &Setting,
        url: &Secret<String>,
    ) -> Result<Option<Secret<String>>, ConfigError> {
        let Some(password) = self.text(setting)?.map(Secret::new) else {
            self.record(setting, "");
            return Ok(None);
        };
        let unusable = |problem| ConfigError::UnusablePassword {
            origin: self.origin(setting),
            problem,
        };
        if !address::is_postgres_url(url) {
            return Err(unusable("database_url is not that of a PostgreSQL server"));
        }
        if address::has_password(url) {
            return Err(unusable("database_url has a password too"));
        }
        self.record(setting, "[redacted]");
        Ok(Some(password))
    }

    /// The issuer of this server.
    pub(super) fn issuer(
        &mut self,
        setting: &Setting,
        listen: SocketAddr,
    ) -> Result<String, ConfigError> {
        let issuer = self
            .text(setting)?
            .unwrap_or_else(|| format!("http://{listen}"));
        self.checked(setting, issuer, address::is_issuer)
    }

    /// The audience of download tokens.
    pub(super) fn audience(&mut self, setting: &Setting) -> Result<String, ConfigError> {
        let audience = self.text(setting)?.unwrap_or_default();
        self.checked(setting, audience, |text| {
            text.len() <= 255 && !text.contains(|c: char| c.is_whitespace() || c.is_control())
        })
    }

    fn checked(
        &mut self,
        setting: &Setting,
        text: String,
        is_valid: impl FnOnce(&str) -> bool,
    ) -> Result<String, ConfigError> {
        if !is_valid(&text) {
            return Err(self.invalid(setting));
        }
        self.record(setting, text.clone());
        Ok(text)
    }

    /// How long a signing key is published before it signs: longer than caches may use the key set. The default
    /// follows the time that caches have.
    pub(super) fn key_publish_ahead(
        &mut self,
        setting: &Setting,
        jwks_max_age: Duration,
    ) -> Result<Duration, ConfigError> {
        let key_set = KeySetLifetime {
            max_age: jwks_max_age,
        };
        let cached_for = key_set.total();
        if self.origin(setting) == Origin::Default {
            let ahead = DEFAULT_KEY_PUBLISH_AHEAD.max(cached_for + KEY_PUBLISH_MARGIN);
            self.record(setting, ahead.as_secs().to_string());
            return Ok(ahead);
        }
        let ahead = self.seconds(setting)?;
        if ahead > cached_for {
            return Ok(ahead);
        }
        let expected = format!(
            "more than {} seconds, which caches may use the key set with the jwks_max_age of {}",
            cached_for.as_secs(),
            jwks_max_age.as_secs()
        );
        Err(self.invalid_relation(setting, ahead, expected))
    }

    /// How long a signing key signs, if it ends by age.
    pub(super) fn key_rotation_age(
        &mut self,
        setting: &Setting,
        publish_ahead: Duration,
    ) -> Result<Option<Duration>, ConfigError> {
        let age = self.seconds(setting)?;
        if age.is_zero() {
            return Ok(None);
        }
        if age >= publish_ahead {
            return Ok(Some(age));
        }
        let expected = format!(
            "0, or at least the key_publish_ahead of {} seconds",
            publish_ahead.as_secs()
        );
        Err(self.invalid_relation(setting, age, expected))
    }

    /// Blocks of addresses.
    pub(super) fn ip_blocks(&mut self, setting: &Setting) -> Result<Vec<IpNet>, ConfigError> {
        let list = self.list(setting)?;
        let blocks: Option<Vec<IpNet>> = list
            .iter()
            .map(|text| address::parse_ip_block(text))
            .collect();
        let blocks = blocks.ok_or_else(|| self.invalid_list(setting, &list))?;
        let shown: Vec<String> = blocks.iter().map(ToString::to_string).collect();
        self.record(setting, shown.join(","));
        Ok(blocks)
    }

    /// The paths of a file server, and where the dataset id is in them.
    pub(super) fn path_patterns(&mut self, setting: &Setting) -> Result<PathPatterns, ConfigError> {
        let list = self.list(setting)?;
        let patterns = PathPatterns::parse(&list).map_err(|(pattern, problem)| {
            let origin = self.origin(setting);
            let pattern = pattern.chars().take(200).collect();
            ConfigError::UnusablePathPattern {
                setting: setting.name,
                origin,
                pattern,
                problem,
            }
        })?;
        self.record(setting, patterns.to_string());
        Ok(patterns)
    }

    /// The origins of web pages that may call the API.
    pub(super) fn allowed_origins(
        &mut self,
        setting: &Setting,
    ) -> Result<AllowedOrigins, ConfigError> {
        let list = self.list(setting)?;
        let origins =
            AllowedOrigins::parse(&list).ok_or_else(|| self.invalid_list(setting, &list))?;
        self.record(setting, origins.to_string());
        Ok(origins)
    }

    /// A list of tables, each still as it was given; the caller records what comes of it.
    pub(super) fn tables(&self, setting: &Setting) -> Result<Vec<Value>, ConfigError> {
        self.value(setting).map(Option::unwrap_or_default)
    }

    /// The path seen from the working directory, without `.` in between.
    pub(super) fn resolve_path(&self, path: &Path) -> PathBuf {
        self.directory.join(path).components().collect()
    }

    /// Where the value of a setting came from.
    pub(super) fn origin(&self, setting: &Setting) -> Origin {
        match self.figment.find_metadata(setting.name) {
            Some(found) if found.name == ENVIRONMENT => Origin::Environment(setting.variable()),
            Some(found) if found.name == SECRET_FILE => match &found.source {
                Some(Source::File(path)) => Origin::SecretFile(path.clone()),
                _ => Origin::Default,
            },
            Some(found) => match &found.source {
                Some(Source::File(path)) => Origin::File(path.clone()),
                _ => Origin::Default,
            },
            None => Origin::Default,
        }
    }

    /// Text that is not blank, unless nobody set it.
    fn text(&self, setting: &Setting) -> Result<Option<String>, ConfigError> {
        let text: Option<String> = self.value(setting)?;
        match text {
            Some(text) if text.trim().is_empty() => Err(self.invalid(setting)),
            other => Ok(other),
        }
    }

    fn list(&self, setting: &Setting) -> Result<Vec<String>, ConfigError> {
        self.value(setting).map(Option::unwrap_or_default)
    }

    fn value<T: DeserializeOwned>(&self, setting: &Setting) -> Result<Option<T>, ConfigError> {
        if !self.figment.contains(setting.name) {
            return Ok(None);
        }
        let value = self.figment.extract_inner(setting.name);
        value.map(Some).map_err(|_| self.invalid(setting))
    }

    /// The error that shows the value, unless it may hold a secret.
    fn invalid(&self, setting: &Setting) -> ConfigError {
        let given = match self.figment.find_value(setting.name) {
            Ok(value) if value.as_str() == Some("") => "empty".into(),
            Ok(_)
                if matches!(
                    setting.format,
                    SettingFormat::Secret(_) | SettingFormat::SecretTables(_)
                ) =>
            {
                "[redacted]".into()
            }
            Ok(value) => value.to_actual().to_string(),
            Err(_) => "not set".into(),
        };
        self.invalid_value(setting, &given)
    }

    /// The error that shows a list as it was given.
    fn invalid_list(&self, setting: &Setting, list: &[String]) -> ConfigError {
        self.invalid_value(setting, &format!("{:?}", list.join(",")))
    }

    /// The error of a time that does not fit another setting.
    fn invalid_relation(
        &self,
        setting: &Setting,
        given: Duration,
        expected: String,
    ) -> ConfigError {
        ConfigError::InvalidValue {
            setting: setting.name,
            origin: self.origin(setting),
            given: given.as_secs().to_string(),
            expected,
        }
    }

    fn invalid_value(&self, setting: &Setting, given: &str) -> ConfigError {
        ConfigError::InvalidValue {
            setting: setting.name,
            origin: self.origin(setting),
            given: given.chars().take(200).collect(),
            expected: setting.expected(),
        }
    }
}
